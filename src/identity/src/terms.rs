//! Documents to which people agree when they register (Matrix specification, Client-Server API, Terms of service at
//! registration).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// A document, such as a privacy notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Under which clients know it, such as `privacy_notice`.
    pub id: String,
    /// Its version. Kept with the account of whoever agreed to it.
    pub version: String,
    /// Where it is read, by language (`en`).
    pub languages: BTreeMap<String, Translation>,
}

/// A document in one language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translation {
    /// Its title.
    pub name: String,
    /// Where it is read.
    pub url: String,
}

/// The parameters of the stage `m.login.terms`.
pub(crate) fn params(policies: &[Policy]) -> Value {
    let policy = |policy: &Policy| {
        let mut of = Map::new();
        for (language, Translation { name, url }) in &policy.languages {
            of.insert(language.clone(), json!({ "name": name, "url": url }));
        }
        of.insert("version".to_owned(), policy.version.as_str().into());
        (policy.id.clone(), Value::Object(of))
    };
    json!({ "policies": policies.iter().map(policy).collect::<Map<_, _>>() })
}
