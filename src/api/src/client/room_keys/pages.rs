//! The keys of a backup as they are sent: page by page, so that a request holds no more than two of them.

use std::io;

use axum::{
    body::Body,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use futures::stream;
use http::header;
use ruma::OwnedRoomId;
use wardstead_e2ee::backup::{BackedUp, KeyPages};

use crate::{ApiError, ruma_io::Answer};

/// What stands around the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `{"rooms":{room:{"sessions":{session:key}}}}`
    Rooms,
    /// `{"sessions":{session:key}}`
    Sessions,
}

/// An answer with the keys of a backup. When what follows the first page cannot be read the connection is cut, and the client knows that
/// it has not got all.
pub(super) struct KeysJson(Body);

impl Answer for KeysJson {
    fn into_answer(self) -> Result<Response, ApiError> {
        Ok(([(header::CONTENT_TYPE, "application/json")], self.0).into_response())
    }
}

impl KeysJson {
    /// What fails up to the first page is an error like any other.
    pub(super) async fn of(pages: KeyPages, form: Form) -> Result<Self, ApiError> {
        let mut writing = Writing { pages, json: Json::new(form) };
        let first = writing.next().await?.unwrap_or_default();
        if writing.pages.is_at_end() {
            return Ok(Self(Body::from(first)));
        }
        let rest = stream::try_unfold((Some(first), writing), |(first, mut writing)| async move {
            let next = match first {
                Some(first) => Some(first),
                None => writing.next().await.map_err(|error| failed(&error))?,
            };
            Ok::<_, io::Error>(next.map(|next| (next, (None, writing))))
        });
        Ok(Self(Body::from_stream(rest)))
    }
}

/// The status was sent long ago: the log is told, and the transfer ends in the middle.
fn failed(error: &ApiError) -> io::Error {
    tracing::warn!(?error, "the keys of a backup were not sent to the end");
    io::Error::other("the keys of a backup could not be read")
}

struct Writing {
    pages: KeyPages,
    json: Json,
}

impl Writing {
    /// What follows; `None` after the end.
    async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        let Some(page) = self.pages.next().await? else { return Ok(None) };
        for key in &page {
            self.json.key(key)?;
        }
        if self.pages.is_at_end() {
            self.json.end();
        }
        Ok(Some(std::mem::take(&mut self.json.written).into()))
    }
}

/// Writes keys, which come in the order of their rooms.
struct Json {
    form: Form,
    /// The room of the last key.
    room: Option<OwnedRoomId>,
    /// Whether a key stands before, in the same room.
    follows: bool,
    written: Vec<u8>,
}

impl Json {
    fn new(form: Form) -> Self {
        let start: &[u8] = if form == Form::Rooms { br#"{"rooms":{"# } else { br#"{"sessions":{"# };
        Self { form, room: None, follows: false, written: start.to_vec() }
    }

    fn key(&mut self, key: &BackedUp) -> Result<(), ApiError> {
        if self.form == Form::Rooms && self.room.as_ref() != Some(&key.room_id) {
            if self.room.is_some() {
                self.written.extend_from_slice(b"}},");
            }
            self.text(key.room_id.as_str())?;
            self.written.extend_from_slice(br#":{"sessions":{"#);
            (self.room, self.follows) = (Some(key.room_id.clone()), false);
        }
        if self.follows {
            self.written.push(b',');
        }
        self.text(&key.session_id)?;
        self.written.push(b':');
        self.follows = true;
        serde_json::to_writer(&mut self.written, &key.data).map_err(ApiError::internal)
    }

    fn text(&mut self, text: &str) -> Result<(), ApiError> {
        serde_json::to_writer(&mut self.written, text).map_err(ApiError::internal)
    }

    fn end(&mut self) {
        self.written.extend_from_slice(if self.room.is_some() { b"}}}}" } else { b"}}" });
    }
}
