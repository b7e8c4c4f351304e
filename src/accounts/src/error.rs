//! How accounts fail.

use wardstead_engine::Losing;
use wardstead_store::StoreError;

/// Why an act on an account was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccountsError {
    /// The user name is empty, too long, or holds characters outside `a-z 0-9 . _ = / + -`.
    #[error("the user name is not allowed")]
    InvalidUsername,
    /// The device id is empty or longer than [`wardstead_limits::accounts::DEVICE_ID_BYTES`].
    #[error("the device id is empty or too long")]
    InvalidDeviceId,
    /// The device's display name is longer than [`wardstead_limits::accounts::DEVICE_ID_BYTES`].
    #[error("the display name of the device is too long")]
    InvalidDisplayName,
    /// The user name is taken, now or by somebody who left.
    #[error("the user name is taken")]
    UserInUse,
    /// The name of a profile field is longer than [`wardstead_limits::profiles::PROFILE_KEY_BYTES`].
    #[error("the name of the profile field is too long")]
    ProfileKeyTooLarge,
    /// The name of a profile field does not follow the grammar of such names.
    #[error("the name of the profile field is not allowed")]
    InvalidProfileKey,
    /// The value of a profile field is of another type than the field's.
    #[error("the value of the profile field is of another type")]
    InvalidProfileValue,
    /// The address of a picture is neither an MXC URI nor a plain word.
    #[error("the address of the picture is not an MXC URI")]
    InvalidAvatarUrl,
    /// A display name, or the address of a picture, is longer than [`wardstead_limits::profiles`] says.
    #[error("the name or the address of the picture is too long")]
    ProfileValueTooLong,
    /// The profile would be larger than [`wardstead_limits::profiles::PROFILE_BYTES`].
    #[error("the profile would be too large")]
    ProfileTooLarge,
    /// The account is deactivated.
    #[error("the account is deactivated")]
    Deactivated,
    /// The type of account data is empty or longer than [`wardstead_limits::own_data::ACCOUNT_DATA_TYPE_BYTES`].
    #[error("the type of account data is empty or too long")]
    InvalidAccountDataType,
    /// Account data of this type is kept by the server itself.
    #[error("account data of this type is kept by the server")]
    ManagedByServer,
    /// One piece of account data, or all that is kept for one room or for none, or a filter, is larger than it may be.
    #[error("more than may be kept: {0}")]
    TooLarge(&'static str),
    /// The user has a device of this name.
    #[error("a device has this name")]
    DeviceInUse,
    /// The user has no such device.
    #[error("there is no such device")]
    NoDevice,
    /// No such local account.
    #[error("there is no such account")]
    NoAccount,
    /// The account changed (password, sessions ended, deactivated) after the caller looked at it: look again.
    #[error("the account changed meanwhile")]
    Changed,
    /// An assertion of the batch that the caller added did not hold.
    #[error("the batch lost: {0:?}")]
    Lost(Losing),
    /// Others changed the same rows [`wardstead_limits::store::REBUILDS`] times in a row; the same call may succeed later.
    #[error("too many concurrent changes of the account")]
    Contended,
    /// The store failed.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for AccountsError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Lost(losing) => Self::Lost(losing),
            error => Self::Store(error),
        }
    }
}

/// Why a request is not let in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// The token was never issued or is no longer good: `M_UNKNOWN_TOKEN`.
    #[error("the access token is unknown")]
    Unknown {
        /// Whether the client may sign in again without discarding what it has stored (Matrix specification, Client-Server
        /// API, Soft logout): true when the token has expired or was replaced by another, and when it was refused only because
        /// the server was restored from a backup.
        soft_logout: bool,
    },
    /// The account is deactivated: `M_USER_DEACTIVATED`.
    #[error("the account is deactivated")]
    Deactivated,
    /// Others changed the same rows [`wardstead_limits::store::REBUILDS`] times in a row; the same call may succeed later.
    #[error("too many concurrent changes of the session")]
    Contended,
    /// The store failed; nothing is known about the token.
    #[error(transparent)]
    Store(#[from] StoreError),
}
