//! A file as an answer.

use axum::{
    body::Body,
    response::{IntoResponse as _, Response},
};
use futures::StreamExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use ruma::{
    ServerName,
    http_headers::{ContentDisposition, ContentDispositionType},
};
use wardstead_limits::media::CACHE_S;
use wardstead_media::{About, File, Media, Who};

use super::range::{Part, Wanted};
use crate::{ApiError, ApiState, ruma_io::Answer};

/// What browsers may show within a page ([section](https://spec.matrix.org/v1.19/client-server-api/#serving-inline-content)): nothing that
/// runs.
const INLINE: [&str; 26] = [
    "text/css",
    "text/plain",
    "text/csv",
    "application/json",
    "application/ld+json",
    "image/jpeg",
    "image/gif",
    "image/png",
    "image/apng",
    "image/webp",
    "image/avif",
    "video/mp4",
    "video/webm",
    "video/ogg",
    "video/quicktime",
    "audio/mp4",
    "audio/webm",
    "audio/aac",
    "audio/mpeg",
    "audio/ogg",
    "audio/wave",
    "audio/wav",
    "audio/x-wav",
    "audio/x-pn-wav",
    "audio/flac",
    "audio/x-flac",
];

/// The policy that [the specification recommends](https://spec.matrix.org/v1.19/client-server-api/#content-repository): what is opened as a
/// page runs nothing and reaches nothing.
const CONTENT_SECURITY_POLICY: &str = "sandbox; default-src 'none'; script-src 'none'; plugin-types application/pdf; \
                                       style-src 'unsafe-inline'; object-src 'self';";

/// A file, or a part of it.
pub(super) struct Served(Response);

impl Answer for Served {
    fn into_answer(self) -> Result<Response, ApiError> {
        Ok(self.0)
    }
}

/// 404 for files of other servers, of which this one has none.
pub(super) fn of_this_server(state: &ApiState, server_name: &ServerName) -> Result<(), ApiError> {
    if state.accounts.server_name() == server_name {
        return Ok(());
    }
    Err(ApiError::not_found("Files of other servers cannot be read here."))
}

/// What of `file` is `wanted`, under the name that the client gives it, where it does.
pub(super) async fn served(
    media: &Media,
    (file, who): (&File, Who),
    wanted: &Wanted,
    name: Option<&str>,
) -> Result<Served, ApiError> {
    let tag = format!("\"{}\"", file.tag);
    let mut headers = headers(file, who, &tag, name)?;
    let (status, range) = match wanted.part(file.bytes, &tag) {
        Part::Known => {
            // What the client has says the rest.
            headers.remove(header::CONTENT_TYPE);
            headers.remove(header::CONTENT_DISPOSITION);
            return Ok(Served((StatusCode::NOT_MODIFIED, headers).into_response()));
        }
        Part::None => {
            let sentence = "The file has no such bytes.";
            let refused =
                ApiError::new(StatusCode::RANGE_NOT_SATISFIABLE, ruma::api::error::ErrorKind::Unknown, sentence);
            let mut response = refused.into_response();
            response.headers_mut().insert(header::CONTENT_RANGE, value(&format!("bytes */{}", file.bytes))?);
            return Ok(Served(response));
        }
        Part::Whole => (StatusCode::OK, 0..file.bytes),
        Part::Some(range) => {
            let said = format!("bytes {}-{}/{}", range.start, range.end.saturating_sub(1), file.bytes);
            headers.insert(header::CONTENT_RANGE, value(&said)?);
            (StatusCode::PARTIAL_CONTENT, range)
        }
    };
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
    let content = media.read(file, range).await?;
    // The status has gone by then: all that is left is to end the connection, so that nobody takes the part for the whole.
    let content = content.inspect(|piece| {
        if let Err(error) = piece {
            tracing::error!(%error, "a file could not be read to its end");
        }
    });
    Ok(Served((status, headers, Body::from_stream(content)).into_response()))
}

fn headers(file: &File, who: Who, tag: &str, name: Option<&str>) -> Result<HeaderMap, ApiError> {
    let essence = file.about.essence();
    let kind = if INLINE.contains(&essence.as_str()) {
        ContentDispositionType::Inline
    } else {
        ContentDispositionType::Attachment
    };
    let name = match name {
        Some(name) => About::new(None, Some(name)).name,
        None => file.about.name.clone(),
    };
    let disposition = ContentDisposition::new(kind).with_filename(name).to_string();
    let shared = if who == Who::Anybody { "public" } else { "private" };
    let pairs: [(HeaderName, &str); 7] = [
        (header::CONTENT_TYPE, &file.about.content_type),
        (header::CONTENT_DISPOSITION, &disposition),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"),
        (header::ACCEPT_RANGES, "bytes"),
        (header::ETAG, tag),
        (header::CACHE_CONTROL, &format!("{shared}, max-age={CACHE_S}")),
    ];
    pairs.into_iter().map(|(name, text)| Ok((name, value(text)?))).collect()
}

fn value(text: &str) -> Result<HeaderValue, ApiError> {
    HeaderValue::from_str(text).map_err(ApiError::internal)
}
