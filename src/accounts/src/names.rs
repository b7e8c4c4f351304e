//! User names of this server (Matrix specification, Appendices, User Identifiers).

use ruma::{OwnedUserId, ServerName, UserId};
use wardstead_limits::accounts as limits;

use crate::{Accounts, AccountsError};

impl Accounts {
    /// The name of this server.
    #[must_use]
    pub fn server_name(&self) -> &ServerName {
        &self.server_name
    }

    /// The user id that `username` would have here. ASCII capitals are folded: names that differ only in case would be
    /// mistaken for one another by people.
    ///
    /// # Errors
    /// `InvalidUsername` when it is empty, too long together with the server name, or holds other characters than
    /// `a-z 0-9 . _ = / + -`.
    pub fn local_user_id(&self, username: &str) -> Result<OwnedUserId, AccountsError> {
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'=' | b'/' | b'+' | b'-');
        let localpart = username.to_ascii_lowercase();
        if localpart.is_empty() || !localpart.bytes().all(allowed) {
            return Err(AccountsError::InvalidUsername);
        }
        let user_id = format!("@{localpart}:{}", self.server_name);
        if user_id.len() > limits::USER_ID_BYTES {
            return Err(AccountsError::InvalidUsername);
        }
        UserId::parse(user_id).map_err(|_| AccountsError::InvalidUsername)
    }

    /// The local user whom somebody means who signs in as `login_name`: a user name, or a full user id of this server.
    /// `None` when it cannot be one.
    #[must_use]
    pub fn user_id_of_login(&self, login_name: &str) -> Option<OwnedUserId> {
        let localpart = match login_name.strip_prefix('@') {
            None => login_name,
            Some(full) => {
                let (localpart, server_name) = full.split_once(':')?;
                (server_name == self.server_name.as_str()).then_some(localpart)?
            }
        };
        self.local_user_id(localpart).ok()
    }
}
