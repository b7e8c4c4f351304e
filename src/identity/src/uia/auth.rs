//! The `auth` object of a request.

use std::fmt;

use serde::Deserialize;

use super::flow::InteractError;

/// What a client sends to authenticate (Matrix specification, Client-Server API, Authentication types). Members that a stage
/// does not need are not looked at.
///
/// Not ruma's type, which refuses the older way to name a user that clients still send.
#[derive(Clone, Default, Deserialize)]
pub struct Auth {
    /// The stage; `None` where it was completed elsewhere, on a fallback page.
    #[serde(rename = "type")]
    pub(crate) stage: Option<String>,
    /// The session of the challenge.
    pub(crate) session: Option<String>,
    /// Who it is.
    pub(super) identifier: Option<Identifier>,
    /// Who it is, as it was said before there were identifiers.
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) token: Option<String>,
}

/// A user (Matrix specification, Client-Server API, Identifier types).
#[derive(Clone, Deserialize)]
pub(super) struct Identifier {
    #[serde(rename = "type")]
    kind: String,
    user: Option<String>,
}

impl Auth {
    /// The registration token `token`, within `session`.
    #[must_use]
    pub fn registration_token(session: &str, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..Self::stage("m.login.registration_token", session) }
    }

    /// The password of whoever the session is of.
    #[must_use]
    pub fn password(session: &str, user: &str, password: &str) -> Self {
        let (user, password) = (Some(user.to_owned()), Some(password.to_owned()));
        Self { user, password, ..Self::stage("m.login.password", session) }
    }

    /// A stage that needs nothing but the client's word.
    #[must_use]
    pub fn stage(stage: &str, session: &str) -> Self {
        Self { stage: Some(stage.to_owned()), session: Some(session.to_owned()), ..Self::default() }
    }

    /// The name by which the user is told; `None` where it is an address by which nobody is known here.
    ///
    /// # Errors
    /// `Missing` where there is neither.
    pub(super) fn login_name(&self) -> Result<Option<&str>, InteractError> {
        let name = match &self.identifier {
            Some(identifier) if identifier.kind == "m.id.user" => identifier.user.as_deref(),
            Some(_) => return Ok(None),
            None => self.user.as_deref(),
        };
        name.map(Some).ok_or(InteractError::Missing("identifier"))
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth").field("stage", &self.stage).finish_non_exhaustive()
    }
}
