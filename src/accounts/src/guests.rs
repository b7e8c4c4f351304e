//! Guests (Matrix specification, Client-Server API, Guest Access).

use wardstead_engine::{Batch, Key};
use wardstead_limits::engine::GET_KEYS;

use crate::{
    Accounts, AccountsError, Session,
    tables::{USERS, user_key},
};

/// What makes a guest a user like others.
#[derive(Clone)]
pub struct Upgrade {
    /// The password's hash as a PHC string.
    pub password_hash: String,
    /// Whether the user administers the server from now on.
    pub admin: bool,
    /// To which documents the user agreed: each with its version.
    pub agreed: Vec<(String, String)>,
}

/// Users who are not like others, by short ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Special {
    /// Guests.
    pub guests: Vec<u64>,
    /// Those whose account has ended.
    pub deactivated: Vec<u64>,
}

impl std::fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upgrade").field("admin", &self.admin).finish_non_exhaustive()
    }
}

impl Accounts {
    /// Makes the guest of `session` a user like others, who keeps name, device and session, in one batch that `extra` joins.
    ///
    /// # Errors
    /// `Lost` with what losing an assertion of `extra` means; `Contended`, and the store's.
    pub async fn upgrade_guest(&self, session: &Session, to: &Upgrade, extra: &Batch) -> Result<(), AccountsError> {
        self.edit_keeping_all(session.user, extra, |row| {
            row.guest = false;
            row.password_hash = Some(to.password_hash.clone());
            row.admin = to.admin;
            row.agreed.clone_from(&to.agreed);
        })
        .await
    }

    /// Those of `users`, by short ids, who are not users like others. One read per 10,000.
    ///
    /// # Errors
    /// The store's.
    pub async fn special_among(&self, users: &[u64]) -> Result<Special, AccountsError> {
        let keys: Vec<Key> = users.iter().map(|user| user_key(*user)).collect();
        let mut special = Special::default();
        for (users, keys) in users.chunks(GET_KEYS).zip(keys.chunks(GET_KEYS)) {
            for (user, found) in users.iter().zip(self.store.get_many(&USERS, keys).await?) {
                match found {
                    Some(found) if found.row.deactivated => special.deactivated.push(*user),
                    Some(found) if found.row.guest => special.guests.push(*user),
                    _ => {}
                }
            }
        }
        Ok(special)
    }
}
