//! How the accounts' errors are answered.

use http::StatusCode;
use ruma::api::error::{ErrorKind, UnknownTokenErrorData};
use wardstead_accounts::{AccountsError, AuthError};

use crate::ApiError;

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Unknown { soft_logout } => {
                let mut data = UnknownTokenErrorData::new();
                data.soft_logout = soft_logout;
                Self::new(StatusCode::UNAUTHORIZED, ErrorKind::UnknownToken(data), "The access token is not known.")
            }
            AuthError::Deactivated => deactivated(),
            AuthError::Contended => Self::unavailable(error),
            AuthError::Store(error) => error.into(),
            error => Self::internal(error),
        }
    }
}

impl From<AccountsError> for ApiError {
    fn from(error: AccountsError) -> Self {
        let bad_request = |kind, sentence| Self::new(StatusCode::BAD_REQUEST, kind, sentence);
        match error {
            AccountsError::InvalidUsername => invalid_username(),
            AccountsError::InvalidDeviceId => Self::invalid_param("The device id is empty or too long."),
            AccountsError::InvalidDisplayName => Self::invalid_param("The name of the device is too long."),
            AccountsError::UserInUse => user_in_use(),
            AccountsError::ProfileKeyTooLarge => {
                bad_request(ErrorKind::KeyTooLarge, "The name of the field is too long.")
            }
            AccountsError::InvalidProfileKey => Self::invalid_param(
                "A profile field is displayname, avatar_url, m.tz, or has a name of its own, such as org.example.field.",
            ),
            AccountsError::InvalidProfileValue => {
                Self::bad_json("Display name, address of the picture and time zone are strings.")
            }
            AccountsError::InvalidAvatarUrl => {
                Self::invalid_param("The address of a picture is an MXC URI: mxc://server/id.")
            }
            AccountsError::ProfileValueTooLong => {
                Self::invalid_param("The display name, or the address of the picture, is too long.")
            }
            AccountsError::ProfileTooLarge => {
                bad_request(ErrorKind::ProfileTooLarge, "The profile would be too large.")
            }
            AccountsError::Deactivated => deactivated(),
            AccountsError::InvalidAccountDataType => {
                Self::invalid_param("The type of account data, or the name of a tag, is empty or too long.")
            }
            AccountsError::ManagedByServer => Self::new(
                StatusCode::METHOD_NOT_ALLOWED,
                ErrorKind::BadJson,
                "Account data of this type is kept by the server; it is not set here.",
            ),
            AccountsError::TooLarge(what) => Self::too_large(format!("That is more than the server keeps: {what}.")),
            AccountsError::DeviceInUse => Self::invalid_param("Another device has this name."),
            AccountsError::NoDevice => Self::not_found("There is no such device."),
            AccountsError::NoAccount => Self::not_found("There is no such account."),
            // Somebody else was quicker; the same request made again sees what that one wrote.
            AccountsError::Changed | AccountsError::Contended => Self::unavailable(error),
            AccountsError::Store(error) => error.into(),
            // `Lost` is for the part that added to the batch; it has its own way to answer it.
            error => Self::internal(error),
        }
    }
}

pub(super) fn invalid_username() -> ApiError {
    ApiError::new(
        StatusCode::BAD_REQUEST,
        ErrorKind::InvalidUsername,
        "A user name has the characters a-z, 0-9, and . _ = / + - and is not too long.",
    )
}

pub(super) fn user_in_use() -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, ErrorKind::UserInUse, "The user name is taken.")
}

pub(super) fn deactivated() -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, ErrorKind::UserDeactivated, "The account is deactivated.")
}
