//! Which part of a file is asked for, and whether the client has it already.
//!
//! Sections: [Range Requests](https://www.rfc-editor.org/rfc/rfc9110.html#section-14), [Conditional
//! Requests](https://www.rfc-editor.org/rfc/rfc9110.html#section-13).

use std::ops::Range;

use http::{HeaderMap, HeaderName, header};
use ruma::api::{IncomingRequest, error::DeserializationError};

use crate::endpoint::same_endpoint;

/// A request of ruma's with the headers that say which part of the file is wanted.
pub(super) struct Headed<R> {
    pub(super) request: R,
    pub(super) wanted: Wanted,
}

same_endpoint!(Headed<R>, R);

impl<R: IncomingRequest> IncomingRequest for Headed<R> {
    type EndpointError = R::EndpointError;
    type OutgoingResponse = R::OutgoingResponse;

    fn try_from_http_request_inner(
        request: http::Request<&[u8]>,
        path_args: &[&str],
    ) -> Result<Self, DeserializationError> {
        let wanted = Wanted::of(request.headers());
        Ok(Self { request: R::try_from_http_request_inner(request, path_args)?, wanted })
    }
}

/// What a request says about the part that is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    range: Option<String>,
    if_range: Option<String>,
    if_none_match: Option<String>,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The client has the file.
    Known,
    /// All of it.
    Whole,
    /// These bytes of it.
    Some(Range<u64>),
    /// There are no such bytes.
    None,
}

impl Wanted {
    fn of(headers: &HeaderMap) -> Self {
        // One that cannot be read, or stands there twice, is as none: the answer is the whole file.
        let one = |name: HeaderName| {
            let mut values = headers.get_all(name).iter();
            let first = values.next()?.to_str().ok()?;
            values.next().is_none().then(|| first.trim().to_owned())
        };
        Self { range: one(header::RANGE), if_range: one(header::IF_RANGE), if_none_match: one(header::IF_NONE_MATCH) }
    }

    /// Which part of a file of `bytes` bytes, whose entity tag is `tag` (with quotes), is answered.
    pub(super) fn part(&self, bytes: u64, tag: &str) -> Part {
        if self.if_none_match.as_ref().is_some_and(|known| knows(known, tag)) {
            return Part::Known;
        }
        // Another form of the file, or a date: what the client has is no part of what is here, as far as anybody knows.
        if self.if_range.as_ref().is_some_and(|known| known != tag) {
            return Part::Whole;
        }
        self.range.as_ref().map_or(Part::Whole, |range| part(range, bytes))
    }
}

/// Whether `tag` is in the list of a client that compares weakly, as files never change.
fn knows(list: &str, tag: &str) -> bool {
    list == "*" || list.split(',').any(|known| known.trim().trim_start_matches("W/") == tag)
}

/// One range of bytes. Several are answered with the whole file, as is what is none: a server may.
fn part(range: &str, bytes: u64) -> Part {
    let Some((unit, set)) = range.split_once('=') else { return Part::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Part::Whole;
    }
    let Some((first, last)) = set.trim().split_once('-') else { return Part::Whole };
    let number = |digits: &str| {
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        // More than a number holds is more than any file has.
        is_number.then(|| digits.parse().unwrap_or(u64::MAX))
    };
    let (first, last) = (first.trim(), last.trim());
    let range = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(bytes),
        (Some(first), None) if last.is_empty() => first..bytes,
        (None, Some(suffix)) if first.is_empty() => bytes.saturating_sub(suffix)..bytes,
        _ => return Part::Whole,
    };
    if range.is_empty() { Part::None } else { Part::Some(range) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(range: &str, if_range: Option<&str>, if_none_match: Option<&str>) -> Part {
        let [if_range, if_none_match] = [if_range, if_none_match].map(|header| header.map(str::to_owned));
        Wanted { range: Some(range.to_owned()), if_range, if_none_match }.part(100, "\"a\"")
    }

    #[test]
    fn ranges_are_those_of_the_rfc() {
        for (range, expected) in [
            ("bytes=0-0", Part::Some(0..1)),
            ("bytes=10-19", Part::Some(10..20)),
            ("bytes=90-", Part::Some(90..100)),
            ("bytes=90-1000", Part::Some(90..100)),
            ("bytes=-10", Part::Some(90..100)),
            ("bytes=-1000", Part::Some(0..100)),
            ("Bytes = 5-6 ", Part::Some(5..7)),
            ("bytes=0-99999999999999999999999", Part::Some(0..100)),
            ("bytes=100-", Part::None),
            ("bytes=100-200", Part::None),
            ("bytes=99999999999999999999999-", Part::None),
            ("bytes=-0", Part::None),
            // Not ranges, or several.
            ("bytes=20-10", Part::Whole),
            ("bytes=0-1,5-6", Part::Whole),
            ("bytes=-", Part::Whole),
            ("bytes=a-b", Part::Whole),
            ("bytes=+1-2", Part::Whole),
            ("bytes 0-1", Part::Whole),
            ("lines=0-1", Part::Whole),
        ] {
            assert_eq!(wanted(range, None, None), expected, "{range}");
        }
        assert_eq!(part("bytes=0-", 0), Part::None);
    }

    #[test]
    fn conditions_are_weighed_before_the_range() {
        assert_eq!(wanted("bytes=0-0", Some("\"a\""), None), Part::Some(0..1));
        assert_eq!(wanted("bytes=0-0", Some("\"b\""), None), Part::Whole);
        assert_eq!(wanted("bytes=0-0", Some("Sun, 22 Nov 2026 00:00:00 GMT"), None), Part::Whole);
        for known in ["\"a\"", "W/\"a\"", "\"b\", \"a\"", "*"] {
            assert_eq!(wanted("bytes=0-0", None, Some(known)), Part::Known, "{known}");
        }
        assert_eq!(wanted("bytes=0-0", None, Some("\"b\"")), Part::Some(0..1));
    }
}
