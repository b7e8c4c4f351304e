//! `[well_known]`

use ruma::OwnedServerName;
use wardstead_api::{Contact, Support};

/// `[well_known]`
#[derive(Clone, Debug, Default, confique::Config)]
#[config(partial_attr(derive(Debug, Clone)))]
#[config(partial_attr(serde(deny_unknown_fields)))]
pub struct WellKnown {
    /// Where other servers reach this one when that is not where its name leads, such as "matrix.example.org:443": what
    /// "/.well-known/matrix/server" answers.
    pub server: Option<OwnedServerName>,

    /// A page that helps people with this server, such as "https://example.org/chat-help".
    pub support_page: Option<String>,

    /// Who helps, such as { role = "m.role.admin", email_address = "it@example.org" }. "role" is "m.role.admin",
    /// "m.role.security" or a name of your own; "email_address", "matrix_id" or both.
    #[config(default = [])]
    pub support_contacts: Vec<Contact>,
}

impl WellKnown {
    /// What "/.well-known/matrix/support" answers.
    #[must_use]
    pub fn support(&self) -> Support {
        Support { contacts: self.support_contacts.clone(), support_page: self.support_page.clone() }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if let Some(page) = self.support_page.as_ref().filter(|page| !page.starts_with("https://")) {
            return Err(format!("well_known.support_page: \"{page}\" does not start with https://"));
        }
        match self.support_contacts.iter().find(|contact| contact.role.is_empty() || !contact.is_reachable()) {
            Some(contact) => Err(format!(
                "well_known.support_contacts: \"{}\" needs a role, and an email_address or a matrix_id",
                contact.role
            )),
            None => Ok(()),
        }
    }
}
