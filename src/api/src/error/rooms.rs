//! How the rooms' errors are answered. Their sentences are meant for the person at the client.

use http::StatusCode;
use ruma::api::error::ErrorKind;
use wardstead_rooms::RoomError;

use crate::ApiError;

impl From<RoomError> for ApiError {
    fn from(error: RoomError) -> Self {
        let bad_request = |kind, error: RoomError| Self::new(StatusCode::BAD_REQUEST, kind, error.to_string());
        match error {
            RoomError::Forbidden(sentence) | RoomError::Refused(sentence) => Self::forbidden(sentence),
            RoomError::GuestsForbidden => {
                Self::new(StatusCode::FORBIDDEN, ErrorKind::GuestAccessForbidden, error.to_string())
            }
            RoomError::InviteBlocked => Self::new(StatusCode::FORBIDDEN, ErrorKind::InviteBlocked, error.to_string()),
            RoomError::NotFound(sentence) => Self::not_found(sentence),
            RoomError::BadJson(sentence) => Self::bad_json(sentence),
            RoomError::InvalidParam(sentence) => Self::invalid_param(sentence),
            RoomError::TooLarge(sentence) => Self::too_large(sentence),
            RoomError::BadAlias(_) => bad_request(ErrorKind::BadAlias, error),
            RoomError::AliasTaken(_) => Self::new(StatusCode::CONFLICT, ErrorKind::Unknown, error.to_string()),
            RoomError::RoomInUse(_) => bad_request(ErrorKind::RoomInUse, error),
            RoomError::InvalidState(_) => bad_request(ErrorKind::InvalidRoomState, error),
            RoomError::UnsupportedVersion(_) => bad_request(ErrorKind::UnsupportedRoomVersion, error),
            RoomError::Unsupported(_) => bad_request(ErrorKind::Unknown, error),
            RoomError::Busy(_) => Self::unavailable(error),
            RoomError::Store(error) => error.into(),
            error => Self::internal(error),
        }
    }
}
