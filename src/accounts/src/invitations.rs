//! Whether a user wants to be invited (Client-Server API, Invite permission).

use ruma::UserId;
use serde::Deserialize;
use serde_json::value::RawValue;
use wardstead_engine::Position;

use crate::{
    AccountData, Accounts, AccountsError, Ignored,
    ignored::{IGNORED_USER_LIST, ignored_as_of},
};

/// The account data that says whether its user may be invited.
pub(crate) const INVITE_PERMISSION: &str = "m.invite_permission_config";

/// From whom a user wants to hear nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unwelcome {
    /// Whom the user ignores.
    pub ignored: Ignored,
    /// Whether the user wants no invitations, whoever sends them.
    pub invitations: bool,
}

/// A missing, invalid or unknown value blocks nothing.
fn blocks(content: Option<&RawValue>) -> bool {
    #[derive(Deserialize)]
    struct Config<'a> {
        #[serde(borrow)]
        default_action: std::borrow::Cow<'a, str>,
    }
    let config = content.and_then(|content| serde_json::from_str::<Config<'_>>(content.get()).ok());
    config.is_some_and(|config| config.default_action == "block")
}

impl Accounts {
    /// Whether the user with this short id wants no invitations now. One read.
    ///
    /// # Errors
    /// The store's.
    pub async fn blocks_invitations(&self, user: u64) -> Result<bool, AccountsError> {
        let data = self.account_data(user, 0, INVITE_PERMISSION).await?;
        Ok(blocks(data.and_then(|data| data.content).as_deref()))
    }

    /// From whom the user with this short id and user id wanted to hear nothing at `at`, a position that was the newest when the request
    /// began: of what changed twice since then, as before the last change. One read.
    ///
    /// # Errors
    /// The store's.
    pub async fn unwelcome_at(&self, user: u64, user_id: &UserId, at: Position) -> Result<Unwelcome, AccountsError> {
        let types = [IGNORED_USER_LIST, INVITE_PERMISSION];
        let mut found = self.account_data_named(user, 0, &types).await?.into_iter();
        let ignored = ignored_as_of(found.next().flatten(), user_id, at);
        let invitations = blocks(found.next().flatten().and_then(|data| data.content_at(at)).as_deref());
        Ok(Unwelcome { ignored, invitations })
    }
}

impl AccountData {
    /// The content at `at`, of types of which what stood there before is kept.
    pub(crate) fn content_at(self, at: Position) -> Option<Box<RawValue>> {
        if self.position <= at { self.content } else { self.before.and_then(|(_, content)| content) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_block_blocks() {
        for (json, expected) in [
            (r#"{"default_action":"block"}"#, true),
            (r#"{"default_action":"bl\u006fck","x":1}"#, true),
            (r#"{"default_action":"allow"}"#, false),
            (r#"{"default_action":true}"#, false),
            ("{}", false),
            ("[]", false),
        ] {
            let content: Box<RawValue> = serde_json::from_str(json).unwrap();
            assert_eq!(blocks(Some(&content)), expected, "{json}");
        }
        assert!(!blocks(None));
    }
}
