//! Reads a request's body within its bounds and checks, before any type is built from it, that it is one JSON object.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use http::{Method, StatusCode};
use ruma::api::error::ErrorKind;
use serde::de::IgnoredAny;
use wardstead_limits::api::{BODY_BYTES, BODY_TIMEOUT_MS, JSON_DEPTH};

use crate::ApiError;

/// The body of a request with `method`: at most [`BODY_BYTES`], within [`BODY_TIMEOUT_MS`].
///
/// The body of a GET has no meaning and is not read. An empty body of a POST or DELETE is an empty object: clients send nothing to `join`,
/// `leave` and `logout`.
///
/// # Errors
/// 413 `M_TOO_LARGE`, 408 `M_UNKNOWN`, or what [`check_object`] finds.
pub(crate) async fn read_object(method: &Method, body: Body) -> Result<Bytes, ApiError> {
    if *method == Method::GET || *method == Method::HEAD {
        return Ok(Bytes::new());
    }
    let bytes = read_whole(body).await?;
    if bytes.is_empty() && (*method == Method::POST || *method == Method::DELETE) {
        return Ok(Bytes::from_static(b"{}"));
    }
    check_object(&bytes)?;
    Ok(bytes)
}

/// All of `body`, whatever it is.
///
/// # Errors
/// 413 `M_TOO_LARGE`, 408 `M_UNKNOWN`.
pub(crate) async fn read_whole(body: Body) -> Result<Bytes, ApiError> {
    tokio::time::timeout(Duration::from_millis(BODY_TIMEOUT_MS), collect(body)).await.map_err(|_| {
        ApiError::new(StatusCode::REQUEST_TIMEOUT, ErrorKind::Unknown, "The body of the request came too slowly.")
    })?
}

async fn collect(body: Body) -> Result<Bytes, ApiError> {
    let mut chunks = body.into_data_stream();
    let mut whole = Bytes::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| ApiError::not_json("The body of the request ended early."))?;
        if whole.len() + chunk.len() > BODY_BYTES {
            return Err(ApiError::too_large(format!("The body of a request has at most {BODY_BYTES} bytes.")));
        }
        // Nearly every body is one chunk, which is passed on as it is.
        whole = if whole.is_empty() { chunk } else { joined(whole, &chunk) };
    }
    Ok(whole)
}

fn joined(whole: Bytes, chunk: &[u8]) -> Bytes {
    let mut grown = BytesMut::from(whole);
    grown.extend_from_slice(chunk);
    grown.freeze()
}

/// Whether `bytes` are one JSON object nested at most [`JSON_DEPTH`] deep.
///
/// # Errors
/// 400 `M_NOT_JSON` when they are not JSON in UTF-8; 400 `M_BAD_JSON` when they are too deep no object, or have a string that is no text.
pub(crate) fn check_object(bytes: &[u8]) -> Result<(), ApiError> {
    let text = std::str::from_utf8(bytes).map_err(|_| ApiError::not_json("The body is not UTF-8."))?;
    // Depth first: the parsers below recurse.
    if depth(bytes) > JSON_DEPTH {
        return Err(ApiError::bad_json(format!("The body is nested deeper than {JSON_DEPTH} levels.")));
    }
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| ApiError::not_json(error.to_string()))?;
    // The parser looks into the strings that it ignores no further than to their ends.
    if half_a_pair(bytes) {
        return Err(ApiError::bad_json("A string holds half of a surrogate pair."));
    }
    if text.trim_ascii_start().starts_with('{') {
        Ok(())
    } else {
        Err(ApiError::bad_json("The body is not a JSON object."))
    }
}

/// The deepest nesting of brackets outside strings; an upper bound when `bytes` are not JSON.
fn depth(bytes: &[u8]) -> usize {
    let (mut now, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in bytes {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'{' | b'[') => {
                now += 1;
                deepest = deepest.max(now);
            }
            (false, b'}' | b']') => now = now.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Whether a string in `json`, which is known to be JSON, has an escape that is no character: a surrogate without the other one.
fn half_a_pair(json: &[u8]) -> bool {
    let mut rest = json;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        rest = &rest[at..];
        let (is_half, length) = match unit(rest) {
            Some(0xd800..0xdc00) => (!matches!(unit(&rest[6..]), Some(0xdc00..0xe000)), 12),
            Some(0xdc00..0xe000) => (true, 6),
            _ => (false, 2),
        };
        if is_half {
            return true;
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    false
}

/// The UTF-16 unit that `json` begins with, if it begins with the escape of one.
fn unit(json: &[u8]) -> Option<u16> {
    let digits = json.strip_prefix(b"\\u")?.get(..4)?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surrogates_come_in_pairs() {
        for whole in
            [r#"{"a":"\ud83c\udfe5"}"#, r#"{"a":"\\ud800"}"#, r#"{"a":"\u0000\uD7FF\ue000\\"}"#, r#"{"\\":"\\"}"#]
        {
            assert!(check_object(whole.as_bytes()).is_ok(), "{whole}");
        }
        for half in [
            r#"{"a":"\ud83c"}"#,
            r#"{"a":"\ud83cx\udfe5"}"#,
            r#"{"\uDFE5":1}"#,
            r#"{"a":"\udfe5\ud83c"}"#,
            r#"{"a":"\ud83c\u0041"}"#,
        ] {
            assert!(check_object(half.as_bytes()).is_err(), "{half}");
        }
    }

    fn nested(levels: usize) -> String {
        format!("{}{}", r#"{"a":"#.repeat(levels - 1) + "{}", "}".repeat(levels - 1))
    }

    /// Brackets within strings are text; escaped quotes do not end a string.
    #[test]
    fn depth_counts_brackets_outside_strings() {
        assert_eq!(depth(br#"{"a":[{"b":"[[[{"}]}"#), 3);
        assert_eq!(depth(br#"{"a":"\"[[[[\\","b":{}}"#), 2);
        assert_eq!(depth(b"\"no brackets\""), 0);
    }

    /// The bound itself is allowed, one more is not.
    #[test]
    fn the_bound_on_depth_is_exact() {
        assert!(check_object(nested(JSON_DEPTH).as_bytes()).is_ok());
        assert!(check_object(nested(JSON_DEPTH + 1).as_bytes()).is_err());
    }

    /// A parser that recursed into this would overflow its stack.
    #[test]
    fn a_body_of_brackets_only_is_refused() {
        assert!(check_object(&vec![b'['; BODY_BYTES]).is_err());
    }
}
