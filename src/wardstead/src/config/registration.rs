//! `[registration]`

use std::collections::BTreeMap;

use serde::Deserialize;
use wardstead_identity::{IdentityConfig, Policy, SharedSecret, Translation};

use wardstead_limits::accounts::REGISTRATION_SECRET_MIN_CHARS as SECRET_MIN_CHARS;

use super::Secret;

/// `[registration]`
#[derive(Clone, Debug, confique::Config)]
#[config(partial_attr(derive(Debug, Clone)))]
#[config(partial_attr(serde(deny_unknown_fields)))]
pub struct Registration {
    /// "token": with a registration token. "closed": nobody.
    ///
    /// While there is no account at all, the server prints a token at its start, good for one account, the
    /// administrator's.
    #[config(default = "token")]
    pub mode: RegistrationMode,

    /// Who knows this secret makes accounts, administrators among them, at "/_synapse/admin/v1/register", whatever the
    /// mode is. For scripts that set up a server. Without it nobody does. At least 16 characters.
    pub shared_secret: Option<Secret>,

    /// Whether people without an account come in as guests, to rooms that let guests in.
    #[config(default = false)]
    pub guests: bool,

    /// Documents to which people agree when they register. Each has an id by which clients know it, a version that is
    /// kept with the account, and for each language a name and an address, such as
    /// [{ id = "privacy_notice", version = "1", languages = { en = { name = "Privacy notice", url = "https://…" } } }].
    #[config(default = [])]
    pub terms: Vec<Document>,
}

/// Who may register. That everybody may, only `--dev` can say: see [`crate::Policy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RegistrationMode {
    /// Who has a registration token.
    Token,
    /// Nobody.
    Closed,
}

/// A document to which people agree.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    id: String,
    version: String,
    languages: BTreeMap<String, Language>,
}

/// It in one language.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Language {
    name: String,
    url: String,
}

impl Registration {
    /// What `--dev` runs with.
    pub(super) fn dev(shared_secret: Option<Secret>) -> Self {
        Self { mode: RegistrationMode::Token, shared_secret, guests: false, terms: Vec::new() }
    }

    /// # Errors
    /// A sentence with the key.
    pub(super) fn check(&self, dev: bool) -> Result<(), String> {
        let short =
            self.shared_secret.as_ref().is_some_and(|secret| secret.reveal().chars().count() < SECRET_MIN_CHARS);
        if short && !dev {
            return Err(format!("registration.shared_secret: needs at least {SECRET_MIN_CHARS} characters"));
        }
        for Document { id, languages, .. } in &self.terms {
            if languages.is_empty() {
                return Err(format!("registration.terms: \"{id}\" is there in no language"));
            }
            if let Some(Language { url, .. }) =
                languages.values().find(|language| !language.url.starts_with("https://"))
            {
                return Err(format!("registration.terms: \"{url}\" does not start with https://"));
            }
        }
        Ok(())
    }

    /// `config` with what is said here.
    pub(crate) fn complete(&self, mut config: IdentityConfig) -> IdentityConfig {
        let policy = |document: &Document| Policy {
            id: document.id.clone(),
            version: document.version.clone(),
            languages: document
                .languages
                .iter()
                .map(|(language, Language { name, url })| {
                    (language.clone(), Translation { name: name.clone(), url: url.clone() })
                })
                .collect(),
        };
        config.terms = self.terms.iter().map(policy).collect();
        config.guests = self.guests;
        config.shared_secret = self.shared_secret.as_ref().map(|secret| SharedSecret::new(secret.reveal().to_owned()));
        config
    }
}
