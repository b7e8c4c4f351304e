//! What the handlers work with.

use std::sync::Arc;

use ruma::OwnedServerName;
use wardstead_accounts::Accounts;
use wardstead_directory::Directory;
use wardstead_e2ee::{Backups, Dehydrated, Keys};
use wardstead_identity::Identity;
use wardstead_limits::{Clock, Rng};
use wardstead_media::Media;
use wardstead_push::{Push, Pushers};
use wardstead_rooms::Rooms;
use wardstead_sync::Syncer;

use crate::{Availability, Figures, Limiter, Support, TrustedProxies};

/// The parts that the handlers call, and what they were configured with. Cheap to clone: one reference.
#[derive(Clone)]
pub struct ApiState(Arc<ApiParts>);

/// See [`ApiState`].
pub struct ApiParts {
    /// Users, devices, access tokens.
    pub accounts: Accounts,
    /// Registration and sign-in.
    pub identity: Identity,
    /// Rooms and their events.
    pub rooms: Rooms,
    /// How rooms are found.
    pub directory: Directory,
    /// Device keys, one-time keys, cross-signing.
    pub keys: Keys,
    /// Push rules, and what was not read.
    pub push: Push,
    /// Key backups.
    pub backups: Backups,
    /// Files.
    pub media: Media,
    /// Where users want to be told of events.
    pub pushers: Pushers,
    /// Dehydrated devices.
    pub dehydrated: Dehydrated,
    /// What clients have not been sent yet.
    pub syncer: Syncer,
    /// What the operator chose.
    pub config: ApiConfig,
    /// Whether the data can be reached.
    pub availability: Availability,
    /// Where requests are counted.
    pub figures: Figures,
    /// Who asks too often.
    pub limiter: Limiter,
    /// For the duration in the access log.
    pub clock: Arc<dyn Clock>,
    /// For request ids.
    pub rng: Arc<dyn Rng>,
}

/// What the operator chose, as far as the HTTP interfaces care.
#[derive(Clone, Debug, Default)]
pub struct ApiConfig {
    /// Where clients reach this server from outside, without a trailing slash; `None`: as they reached it.
    pub base_url: Option<String>,
    /// Where other servers reach this one; `None`: where its name leads.
    pub delegated_to: Option<OwnedServerName>,
    /// Whom to ask for help.
    pub support: Support,
    /// Whose word about a client's address counts.
    pub trusted_proxies: TrustedProxies,
}

impl ApiState {
    /// Puts the parts together.
    #[must_use]
    pub fn new(parts: ApiParts) -> Self {
        Self(Arc::new(parts))
    }
}

impl std::ops::Deref for ApiState {
    type Target = ApiParts;

    fn deref(&self) -> &ApiParts {
        &self.0
    }
}
