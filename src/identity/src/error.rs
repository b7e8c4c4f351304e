//! How sign-in fails.

use wardstead_accounts::AccountsError;
use wardstead_store::StoreError;

use crate::{Challenge, CompareError, ConfirmError, HashError, WeakPassword, uia::InteractError};

/// Why something about identity was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// Nobody can register here: `M_FORBIDDEN`.
    #[error("registration is closed on this server")]
    RegistrationDisabled,
    /// Others changed the same rows again and again; the same call may succeed later.
    #[error("too many concurrent changes")]
    Contended,
    /// Accounts failed.
    #[error(transparent)]
    Accounts(#[from] AccountsError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why no account was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The client has to authenticate first, or did so wrongly: answered 401 with the challenge.
    #[error("authentication is required")]
    Challenge(Box<Challenge>),
    /// There are no guests here: 403 `M_GUEST_ACCESS_FORBIDDEN`.
    #[error("guests cannot register on this server")]
    GuestsForbidden,
    /// Neither `user` nor `guest`: 400 `M_INVALID_PARAM`.
    #[error("there are no accounts of this kind")]
    UnknownKind,
    /// 400 `M_WEAK_PASSWORD`.
    #[error(transparent)]
    WeakPassword(#[from] WeakPassword),
    /// There is no password in the request, and without one nobody could sign in again: 400 `M_MISSING_PARAM`.
    #[error("a password is required")]
    MissingPassword,
    /// A guest who becomes a user says which one: 400 `M_MISSING_PARAM`.
    #[error("the user name is missing")]
    MissingUsername,
    /// The token is no guest's: 403 `M_FORBIDDEN`.
    #[error("this is no guest's access token")]
    NotAGuest,
    /// `auth` lacks a member that the stage needs: 400 `M_MISSING_PARAM`.
    #[error("auth lacks {0}")]
    Missing(&'static str),
    /// Registration is closed, or a part below failed; `Accounts` also says what is wrong with the user name (400
    /// `M_INVALID_USERNAME`, `M_USER_IN_USE`) and with the device (400 `M_INVALID_PARAM`).
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The password was not hashed: `Busy` is 429 `M_LIMIT_EXCEEDED`.
    #[error(transparent)]
    Hash(#[from] HashError),
}

impl From<InteractError> for RegisterError {
    fn from(error: InteractError) -> Self {
        match error {
            InteractError::Challenge(challenge) => Self::Challenge(challenge),
            InteractError::Missing(what) => Self::Missing(what),
            InteractError::Hash(error) => Self::Hash(error),
            InteractError::Identity(error) => Self::Identity(error),
            // No flow of registration asks for somebody's password.
            InteractError::OtherUser => Self::UnknownKind,
        }
    }
}

impl From<AccountsError> for RegisterError {
    fn from(error: AccountsError) -> Self {
        Self::Identity(error.into())
    }
}

impl From<StoreError> for RegisterError {
    fn from(error: StoreError) -> Self {
        Self::Identity(error.into())
    }
}

/// Why nothing was done with somebody's own account.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// It is not confirmed.
    #[error(transparent)]
    Confirm(#[from] ConfirmError),
    /// 400 `M_WEAK_PASSWORD`.
    #[error(transparent)]
    WeakPassword(#[from] WeakPassword),
    /// The new password was not hashed: `Busy` is 429 `M_LIMIT_EXCEEDED`.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// A part below failed.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

impl From<AccountsError> for AccountError {
    fn from(error: AccountsError) -> Self {
        Self::Identity(error.into())
    }
}

/// Why nobody was signed in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// The login type is not offered: 400 `M_UNKNOWN`.
    #[error("this login type is not offered")]
    UnknownType,
    /// The application service is unknown: 403 `M_FORBIDDEN`.
    #[error("no such application service is registered")]
    NoApplicationService,
    /// The request does not say who signs in: 400 `M_MISSING_PARAM`.
    #[error("the user is missing")]
    MissingUser,
    /// No such user, no such password, another server's user, or a login token that is unknown, past or used: 403 `M_FORBIDDEN`.
    #[error("user name or password are wrong")]
    Forbidden,
    /// The credentials are right, but the account is deactivated: 403 `M_USER_DEACTIVATED`.
    #[error("the account is deactivated")]
    Deactivated,
    /// The password was not compared: `Busy` and `Limited` are 429 `M_LIMIT_EXCEEDED`.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// Accounts failed; also says what is wrong with the device (400 `M_INVALID_PARAM`).
    #[error(transparent)]
    Accounts(AccountsError),
}

impl From<CompareError> for LoginError {
    fn from(error: CompareError) -> Self {
        match error {
            CompareError::Hash(error) => Self::Hash(error),
            CompareError::Store(error) => Self::Accounts(error.into()),
        }
    }
}

impl From<AccountsError> for LoginError {
    fn from(error: AccountsError) -> Self {
        match error {
            AccountsError::Deactivated => Self::Deactivated,
            error => Self::Accounts(error),
        }
    }
}
