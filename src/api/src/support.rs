//! Whom to ask for help.

use ruma::OwnedUserId;
use serde::{Deserialize, Serialize};

/// Whom to ask for help, as [`/.well-known/matrix/support`](https://spec.matrix.org/v1.19/client-server-api/#getwell-knownmatrixsupport)
/// tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Support {
    /// People.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contacts: Vec<Contact>,
    /// The address of a page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub support_page: Option<String>,
}

/// How somebody who runs the server is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    /// For what: `m.role.admin`, `m.role.security`, or a name of one's own.
    pub role: String,
    /// By e-mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_address: Option<String>,
    /// By Matrix; an account on another server is of use when this one is down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matrix_id: Option<OwnedUserId>,
}

impl Support {
    /// Whether there is nothing to tell.
    pub(crate) fn is_empty(&self) -> bool {
        self.contacts.is_empty() && self.support_page.is_none()
    }
}

impl Contact {
    /// Whether anybody can be reached by it.
    #[must_use]
    pub fn is_reachable(&self) -> bool {
        self.email_address.is_some() || self.matrix_id.is_some()
    }
}
