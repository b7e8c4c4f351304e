//! How the errors of keys, key backups and messages to devices are answered.

use http::StatusCode;
use ruma::api::error::{ErrorKind, WrongRoomKeysVersionErrorData};
use wardstead_e2ee::E2eeError;

use crate::ApiError;

impl From<E2eeError> for ApiError {
    fn from(error: E2eeError) -> Self {
        let sentence = error.to_string();
        let bad_request = |kind| Self::new(StatusCode::BAD_REQUEST, kind, sentence.clone());
        match error {
            E2eeError::InvalidParam(_) => bad_request(ErrorKind::InvalidParam),
            E2eeError::InvalidSignature(_) => bad_request(invalid_signature()),
            E2eeError::BadJson(_) => bad_request(ErrorKind::BadJson),
            E2eeError::Missing(_) => bad_request(ErrorKind::MissingParam),
            E2eeError::KeyExists(_) => bad_request(ErrorKind::Unknown),
            E2eeError::NameTaken | E2eeError::Forbidden(_) => Self::forbidden(sentence),
            E2eeError::NotFound(_) => Self::not_found(sentence),
            E2eeError::TooLarge(_) => Self::too_large(sentence),
            E2eeError::WrongVersion { current } => {
                let kind = ErrorKind::WrongRoomKeysVersion(WrongRoomKeysVersionErrorData::new(current));
                Self::new(StatusCode::FORBIDDEN, kind, "Keys are added to another key backup now.")
            }
            E2eeError::Contended => Self::unavailable(error),
            E2eeError::Accounts(error) => error.into(),
            E2eeError::Room(error) => error.into(),
            E2eeError::Store(error) => error.into(),
            error => Self::internal(error),
        }
    }
}

/// The code that ruma has no name for.
fn invalid_signature() -> ErrorKind {
    serde_json::from_str(r#"{"errcode":"M_INVALID_SIGNATURE"}"#).unwrap_or(ErrorKind::Unknown)
}
