//! How the errors of push rules and unread counts are answered.

use wardstead_push::PushError;
use wardstead_rooms::RoomError;

use crate::ApiError;

impl From<PushError> for ApiError {
    fn from(error: PushError) -> Self {
        match error {
            PushError::TooLarge(sentence) => Self::too_large(sentence),
            PushError::Busy => RoomError::Busy("others changed it too often meanwhile").into(),
            PushError::Room(error) => error.into(),
            PushError::Accounts(error) => error.into(),
            PushError::Store(error) => error.into(),
            error => Self::internal(error),
        }
    }
}
