//! What clients send of key backups, and what they are told in more than one place.

use std::collections::BTreeMap;

use ruma::{
    UInt,
    api::{client::backup::KeyBackupData, error::DeserializationError},
    serde::Raw,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use wardstead_e2ee::backup::{BackupInfo, KeyData, Stored};

use crate::{
    ApiError,
    ruma_io::{JsonBytes, misread},
};

/// What describes a backup. Any algorithm: what it says is between clients.
#[derive(Deserialize)]
pub(super) struct Description {
    pub(super) algorithm: String,
    /// A JSON object, kept as it was sent: clients have signed it.
    pub(super) auth_data: Box<RawValue>,
    pub(super) version: Option<String>,
}

impl Description {
    pub(super) fn read(body: &RawValue) -> Result<Self, ApiError> {
        let read: Self = parsed(body)?;
        object(&read.auth_data)?;
        Ok(read)
    }
}

#[derive(Deserialize)]
struct Key {
    first_message_index: UInt,
    forwarded_count: UInt,
    is_verified: bool,
    session_data: Box<RawValue>,
}

/// Keys by session, as the part takes them.
pub(super) fn sessions(sessions: BTreeMap<String, Raw<KeyBackupData>>) -> Result<BTreeMap<String, KeyData>, ApiError> {
    sessions.into_iter().map(|(session_id, data)| Ok((session_id, key(data.json())?))).collect()
}

fn key(body: &RawValue) -> Result<KeyData, ApiError> {
    let Key { first_message_index, forwarded_count, is_verified, session_data } = parsed(body)?;
    object(&session_data)?;
    Ok(KeyData {
        first_message_index: first_message_index.into(),
        forwarded_count: forwarded_count.into(),
        is_verified,
        session_data,
    })
}

fn parsed<T: DeserializeOwned>(body: &RawValue) -> Result<T, ApiError> {
    // A list of values would be read as a struct, too.
    object(body)?;
    serde_json::from_str(body.get()).map_err(|error| misread(DeserializationError::Json(error)))
}

fn object(json: &RawValue) -> Result<(), ApiError> {
    if json.get().starts_with('{') {
        Ok(())
    } else {
        Err(ApiError::bad_json("A key, session_data and auth_data are JSON objects."))
    }
}

/// The etag and the count.
pub(super) fn told(stored: Stored) -> (String, UInt) {
    (stored.etag.to_string(), UInt::new_saturating(stored.count))
}

pub(super) fn info(info: &BackupInfo) -> Result<JsonBytes, ApiError> {
    #[derive(Serialize)]
    struct Answer<'a> {
        algorithm: &'a str,
        auth_data: &'a RawValue,
        count: u64,
        etag: String,
        version: String,
    }
    JsonBytes::of(&Answer {
        algorithm: &info.algorithm,
        auth_data: &info.auth_data,
        count: info.stored.count,
        etag: info.stored.etag.to_string(),
        version: info.version.to_string(),
    })
}
