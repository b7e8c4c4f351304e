//! Filters are kept by nobody: a filter's id *is* the filter, in base64. So any node knows any filter at any time, and an id never
//! dangles.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ruma::api::client::filter::FilterDefinition;
use wardstead_limits::api::FILTER_BYTES;

use crate::{ApiError, body::check_object};

/// The id of `filter`. It never starts with a brace, by which clients tell ids from filters.
///
/// # Errors
/// 413 `M_TOO_LARGE` above [`FILTER_BYTES`].
pub(super) fn write(filter: &FilterDefinition) -> Result<String, ApiError> {
    let json = serde_json::to_vec(filter).map_err(ApiError::internal)?;
    if json.len() > FILTER_BYTES {
        return Err(ApiError::too_large(format!("A filter has at most {FILTER_BYTES} bytes.")));
    }
    Ok(URL_SAFE_NO_PAD.encode(json))
}

/// The filter behind `id`; `None` when it is none.
pub(super) fn read(id: &str) -> Option<FilterDefinition> {
    let json = URL_SAFE_NO_PAD.decode(id).ok().filter(|json| json.len() <= FILTER_BYTES)?;
    check_object(&json).ok()?;
    serde_json::from_slice(&json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_its_filter() {
        let json = r#"{"room":{"timeline":{"limit":20,"lazy_load_members":true},"include_leave":true}}"#;
        let filter: FilterDefinition = serde_json::from_str(json).unwrap();
        let id = write(&filter).unwrap();
        assert!(!id.starts_with('{'));
        let read = read(&id).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), serde_json::from_str::<serde_json::Value>(json).unwrap());
    }

    #[test]
    fn what_is_no_filter_has_no_id() {
        let encode = |json: &str| URL_SAFE_NO_PAD.encode(json);
        for id in ["", "0", "{}", &encode("[]"), &encode(r#"{"room":1}"#), &encode("{"), &encode(&"[".repeat(5_000))] {
            assert!(read(id).is_none(), "{id}");
        }
    }

    #[test]
    fn large_filters_are_refused() {
        let mut filter = FilterDefinition::default();
        filter.event_fields = Some(vec!["x".repeat(FILTER_BYTES)]);
        assert!(write(&filter).is_err());
    }
}
