//! What a profile field may be called and hold (Matrix specification, Client-Server API, Profiles; Appendices, Common Namespaced
//! Identifier Grammar).

use ruma::MxcUri;
use serde_json::Value;
use wardstead_limits::profiles as limits;

use crate::AccountsError;

/// The display name's field.
pub(crate) const DISPLAYNAME: &str = "displayname";
/// The picture's field.
pub(crate) const AVATAR_URL: &str = "avatar_url";
/// The time zone's field.
const TIME_ZONE: &str = "m.tz";

/// Whether `key` can name a field: one of those that the specification names, or `a name.of.its.own`.
///
/// # Errors
/// `ProfileKeyTooLarge`, `InvalidProfileKey`.
pub(crate) fn check_key(key: &str) -> Result<(), AccountsError> {
    if key.len() > limits::PROFILE_KEY_BYTES {
        return Err(AccountsError::ProfileKeyTooLarge);
    }
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    let part = |part: &str| !part.is_empty() && part.bytes().all(allowed);
    let namespaced = key.contains('.') && key.starts_with(|first: char| first.is_ascii_lowercase());
    if [DISPLAYNAME, AVATAR_URL].contains(&key) || namespaced && key.split('.').all(part) {
        return Ok(());
    }
    Err(AccountsError::InvalidProfileKey)
}

/// `value` as it is stored under `key`, in canonical JSON as far as that has a form for it (fractions have none); `None`: the field is
/// removed. An empty name or picture is none, and so is a picture `null`: that is how clients remove them since before there was a way to.
///
/// # Errors
/// `InvalidProfileValue`, `InvalidAvatarUrl`, `ProfileValueTooLong`.
pub(crate) fn stored_value(key: &str, value: &Value) -> Result<Option<String>, AccountsError> {
    let most = match key {
        DISPLAYNAME => limits::DISPLAY_NAME_BYTES,
        AVATAR_URL => limits::AVATAR_URL_BYTES,
        TIME_ZONE => limits::PROFILE_BYTES,
        _ => return Ok(Some(value.to_string())),
    };
    match value {
        Value::String(text) if text.len() > most => Err(AccountsError::ProfileValueTooLong),
        Value::String(text) if text.is_empty() && key != TIME_ZONE => Ok(None),
        Value::Null if key == AVATAR_URL => Ok(None),
        Value::String(text) if key == AVATAR_URL && !is_picture(text) => Err(AccountsError::InvalidAvatarUrl),
        Value::String(_) => Ok(Some(value.to_string())),
        _ => Err(AccountsError::InvalidProfileValue),
    }
}

/// Whether `text` is an MXC URI, or a plain word, which is the address of nothing: the conformance suite sets one. Any other address would
/// have the clients of all who see the picture ask there.
fn is_picture(text: &str) -> bool {
    let word = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    // ruma takes an empty media id.
    word || <&MxcUri>::from(text).parts().is_ok_and(|(_, media_id)| !media_id.is_empty())
}

/// Bytes of a field in canonical JSON, with its colon and comma.
pub(crate) fn field_bytes(key: &str, json: usize) -> usize {
    // Keys hold nothing that is escaped.
    key.len() + 2 + json + 2
}

/// Whether a profile whose fields have `bytes` together may be: braces around them, and one comma less.
pub(crate) fn fits(bytes: usize) -> bool {
    bytes < limits::PROFILE_BYTES
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_follow_the_grammar() {
        let long = format!("org.{}", "a".repeat(limits::PROFILE_KEY_BYTES - 4));
        for key in ["displayname", "avatar_url", "m.tz", "org.example.job_title", "m.new-field", "a.1", &long] {
            assert!(check_key(key).is_ok(), "{key}");
        }
        for key in
            ["", "pronouns", "Org.example", "org..example", ".org", "org.", "1.a", "org.exämple", "a b.c", "_a.b"]
        {
            assert!(matches!(check_key(key), Err(AccountsError::InvalidProfileKey)), "{key}");
        }
        assert!(matches!(check_key(&format!("{long}a")), Err(AccountsError::ProfileKeyTooLarge)));
    }

    #[test]
    fn names_are_strings_and_everything_else_is_anything() {
        assert_eq!(
            stored_value("org.a", &json!({ "b": 1, "a": null })).unwrap().as_deref(),
            Some(r#"{"a":null,"b":1}"#)
        );
        assert_eq!(stored_value("org.a", &json!(null)).unwrap().as_deref(), Some("null"));
        assert_eq!(stored_value("displayname", &json!("")).unwrap(), None);
        assert_eq!(stored_value("m.tz", &json!("Europe/London")).unwrap().as_deref(), Some(r#""Europe/London""#));
        for (key, value) in [("displayname", json!(null)), ("avatar_url", json!(1)), ("m.tz", json!({}))] {
            assert!(stored_value(key, &value).is_err(), "{key}");
        }
        for picture in ["mxc://example.org/a", "mxc://example.org:8448/a-b_c", "word"] {
            let stored = stored_value("avatar_url", &json!(picture)).unwrap();
            assert_eq!(stored, Some(json!(picture).to_string()));
        }
        for none in [json!(""), json!(null)] {
            assert_eq!(stored_value("avatar_url", &none).unwrap(), None);
        }
        for picture in [
            "https://example.org/a",
            "javascript:alert(1)",
            "data:,",
            "//example.org/a",
            "mxc://",
            "mxc://example.org",
            "mxc://example.org/",
            "mxc://example.org/a/b",
            "MXC://example.org/a",
            "a.png",
            "a b",
            "/a",
        ] {
            let refused = stored_value("avatar_url", &json!(picture));
            assert!(matches!(refused, Err(AccountsError::InvalidAvatarUrl)), "{picture}");
        }
        let long = "a".repeat(limits::DISPLAY_NAME_BYTES + 1);
        assert!(stored_value("displayname", &json!(long)).is_err());
        assert!(stored_value("displayname", &json!(long[1..])).is_ok());
    }

    #[test]
    fn a_profile_is_measured_as_canonical_json() {
        let profile = json!({ "displayname": "Zoë", "m.tz": "Europe/London" });
        let fields = profile.as_object().unwrap().iter();
        let bytes: usize = fields.map(|(key, value)| field_bytes(key, value.to_string().len())).sum();
        assert_eq!(bytes + 1, profile.to_string().len());
    }
}
