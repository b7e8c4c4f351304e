//! How the errors of push rules and unread counts are answered.

use http::StatusCode;
use ruma::api::error::ErrorKind;
use wardstead_push::PushError;
use wardstead_rooms::RoomError;

use crate::ApiError;

impl From<PushError> for ApiError {
    fn from(error: PushError) -> Self {
        match error {
            PushError::TooLarge(sentence) => Self::too_large(sentence),
            PushError::NoSuchRule => Self::not_found("There is no such push rule."),
            PushError::BadRule(sentence) => Self::invalid_param(sentence),
            // The code that the specification has in its example.
            PushError::NoSuchNeighbour => Self::new(
                StatusCode::BAD_REQUEST,
                ErrorKind::Unknown,
                "There is no such rule of yours to stand beside.",
            ),
            PushError::BadPusher(sentence) => Self::invalid_param(sentence),
            PushError::Busy => RoomError::Busy("others changed it too often meanwhile").into(),
            PushError::Room(error) => error.into(),
            PushError::Accounts(error) => error.into(),
            PushError::Store(error) => error.into(),
            error => Self::internal(error),
        }
    }
}
