//! Device keys, one-time and fallback keys, cross-signing keys, and the signatures over them (Client-Server API, End-to-end encryption,
//! Key management API). See `docs/design/23-keys.md`.

mod claim;
mod counts;
mod cross;
mod in_flight;
mod keeper;
mod query;
mod signatures;
mod signed;
mod tables;
mod upload;
mod vouched;

use std::sync::Arc;

use ruma::UserId;
use wardstead_accounts::Accounts;
use wardstead_engine::{EngineError, Key};
use wardstead_limits::accounts::DEVICE_ID_BYTES;
use wardstead_store::{Store, StoreError};

use crate::{DeviceListLog, E2eeError};

pub use claim::{ClaimWanted, Claimed};
pub use counts::KeyCounts;
pub use cross::{CrossSigned, CrossSigningUpload};
pub use keeper::KeyKeeper;
pub use query::{KeysWanted, Queried};
pub use signatures::{NotKept, SignedKeys};
pub use upload::KeyUpload;

/// The public keys of this server's users and their devices. Cheap to clone.
#[derive(Clone)]
pub struct Keys {
    store: Store,
    accounts: Accounts,
    lists: DeviceListLog,
    counted: Arc<counts::Counted>,
    in_flight: in_flight::InFlight,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Keys {
    /// The keys in `store`. [`KeyKeeper`] has to follow the changes of `accounts`.
    #[must_use]
    pub fn new(store: Store, accounts: Accounts) -> Self {
        let lists = DeviceListLog::new(store.clone());
        let (counted, in_flight) = (Arc::default(), in_flight::InFlight::default());
        Self { store, accounts, lists, counted, in_flight }
    }

    /// The short ids of those of `users` who are of this server and known.
    async fn local_short_ids(&self, users: &[&UserId]) -> Result<Vec<Option<u64>>, E2eeError> {
        let own = self.accounts.server_name();
        let ids = self.accounts.user_short_ids(users).await?;
        Ok(users.iter().zip(ids).map(|(user_id, id)| id.filter(|_| user_id.server_name() == own)).collect())
    }
}

/// Whether a device can have this id: others are not looked up.
fn can_be_device(id: &str) -> bool {
    (1..=DEVICE_ID_BYTES).contains(&id.len())
}

fn corrupt(key: &Key, what: &str) -> StoreError {
    EngineError::corrupt(key, what).into()
}
