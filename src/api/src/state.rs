//! What the handlers work with.

use std::sync::Arc;

use ruma::{OwnedServerName, RoomVersionId};
use wardstead_accounts::Accounts;
use wardstead_identity::Identity;
use wardstead_limits::{Clock, Rng};

/// The parts that the handlers call, and what they were configured with. Cheap to clone: one reference.
#[derive(Clone)]
pub struct ApiState(Arc<ApiParts>);

/// See [`ApiState`].
pub struct ApiParts {
    /// Users, devices, access tokens.
    pub accounts: Accounts,
    /// Registration and sign-in.
    pub identity: Identity,
    /// What the operator chose.
    pub config: ApiConfig,
    /// For the duration in the access log.
    pub clock: Arc<dyn Clock>,
    /// For request ids.
    pub rng: Arc<dyn Rng>,
}

/// What the operator chose, as far as the HTTP interfaces care.
#[derive(Clone, Debug)]
pub struct ApiConfig {
    /// The name in user ids and room aliases of this server.
    pub server_name: OwnedServerName,
    /// Version of rooms made without naming one.
    pub default_room_version: RoomVersionId,
    /// Where clients reach this server from outside, without a trailing slash; `None`: as they reached it.
    pub base_url: Option<String>,
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
