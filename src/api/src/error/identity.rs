//! How the errors of registration and sign-in are answered.

use http::StatusCode;
use ruma::api::{
    client::uiaa::{AuthFlow, AuthType, UiaaInfo},
    error::{ErrorKind, StandardErrorBody},
};
use serde_json::value::RawValue;
use wardstead_identity::{
    AccountError, Challenge, ConfirmError, Failure, HashError, IdentityError, LoginError, RegisterError, SecretError,
    WeakPassword,
};
use wardstead_limits::api::RETRY_AFTER_S;

use super::accounts::deactivated;
use crate::ApiError;

impl From<IdentityError> for ApiError {
    fn from(error: IdentityError) -> Self {
        match error {
            IdentityError::RegistrationDisabled => Self::forbidden("Registration is closed on this server."),
            IdentityError::Contended => Self::unavailable(error),
            IdentityError::Accounts(error) => error.into(),
            IdentityError::Store(error) => error.into(),
            error => Self::internal(error),
        }
    }
}

impl From<RegisterError> for ApiError {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::Challenge(challenge) => Self::interactive(uiaa(*challenge)),
            RegisterError::GuestsForbidden => Self::new(
                StatusCode::FORBIDDEN,
                ErrorKind::GuestAccessForbidden,
                "Guests cannot register on this server.",
            ),
            RegisterError::UnknownKind => Self::invalid_param("There are no accounts of this kind."),
            RegisterError::WeakPassword(error) => error.into(),
            RegisterError::MissingPassword => Self::missing_param("A password is required."),
            RegisterError::MissingUsername => Self::missing_param("A guest who becomes a user says which one."),
            RegisterError::NotAGuest => Self::forbidden("This is no guest's access token."),
            RegisterError::Missing(member) => missing_in_auth(member),
            RegisterError::Identity(error) => error.into(),
            RegisterError::Hash(error) => error.into(),
            error => Self::internal(error),
        }
    }
}

impl From<ConfirmError> for ApiError {
    fn from(error: ConfirmError) -> Self {
        match error {
            ConfirmError::Challenge(challenge) => Self::interactive(uiaa(*challenge)),
            ConfirmError::OtherUser => Self::forbidden("An act is confirmed by the user whose it is."),
            ConfirmError::Missing(member) => missing_in_auth(member),
            ConfirmError::Hash(error) => error.into(),
            ConfirmError::Identity(error) => error.into(),
            error => Self::internal(error),
        }
    }
}

impl From<AccountError> for ApiError {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Confirm(error) => error.into(),
            AccountError::WeakPassword(error) => error.into(),
            AccountError::Hash(error) => error.into(),
            AccountError::Identity(error) => error.into(),
            error => Self::internal(error),
        }
    }
}

impl From<SecretError> for ApiError {
    fn from(error: SecretError) -> Self {
        match error {
            SecretError::Off => Self::forbidden("This server has no registration secret."),
            SecretError::UnknownNonce => {
                let sentence = "The nonce is unknown, has expired or was used.";
                Self::new(StatusCode::BAD_REQUEST, ErrorKind::Unknown, sentence)
            }
            SecretError::WrongMac => Self::forbidden("The MAC is wrong."),
            SecretError::Register(error) => error.into(),
            error => Self::internal(error),
        }
    }
}

impl From<LoginError> for ApiError {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::UnknownType => {
                Self::new(StatusCode::BAD_REQUEST, ErrorKind::Unknown, "This login type is not offered.")
            }
            LoginError::NoApplicationService => Self::forbidden("No such application service is registered here."),
            LoginError::MissingUser => Self::missing_param("The request does not say who signs in."),
            LoginError::Forbidden => Self::forbidden("User name, password or login token is wrong."),
            LoginError::Deactivated => deactivated(),
            LoginError::Hash(error) => error.into(),
            LoginError::Accounts(error) => error.into(),
            error => Self::internal(error),
        }
    }
}

impl From<WeakPassword> for ApiError {
    fn from(error: WeakPassword) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorKind::WeakPassword, error.to_string())
    }
}

impl From<HashError> for ApiError {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Busy => Self::limited(
                "password_hash",
                RETRY_AFTER_S * 1_000,
                "Too many people are signing in. Please try again.",
            ),
            HashError::Limited { retry_after_ms } => {
                let sentence = "The password was wrong too often. Please wait, then try again.";
                Self::limited("failed_login", retry_after_ms, sentence)
            }
            HashError::Closed => Self::unavailable(error),
            error => Self::internal(error),
        }
    }
}

fn missing_in_auth(member: &str) -> ApiError {
    ApiError::missing_param(format!("The member {member} of auth is missing."))
}

fn uiaa(challenge: Challenge) -> UiaaInfo {
    let stages = |names: Vec<&'static str>| names.into_iter().map(AuthType::from).collect::<Vec<_>>();
    let mut info = UiaaInfo::new(challenge.flows.into_iter().map(|flow| AuthFlow::new(stages(flow))).collect());
    info.completed = stages(challenge.completed);
    info.session = Some(challenge.session);
    let params: serde_json::Map<_, _> =
        challenge.params.into_iter().map(|(stage, value)| (stage.to_owned(), value)).collect();
    info.params = RawValue::from_string(serde_json::Value::Object(params).to_string()).ok();
    info.auth_error = challenge.failure.map(|failure| Box::new(failed(failure)));
    info
}

fn failed(failure: Failure) -> StandardErrorBody {
    let kind = match failure {
        Failure::UnknownStage => ErrorKind::Unrecognized,
        _ => ErrorKind::Forbidden,
    };
    StandardErrorBody::new(kind, failure.message().to_owned())
}
