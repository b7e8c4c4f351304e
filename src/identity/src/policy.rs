//! What a new password must be.

use wardstead_limits::accounts as limits;

/// Why a password is refused: `M_WEAK_PASSWORD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WeakPassword {
    /// Fewer than [`limits::PASSWORD_MIN_CHARS`] characters.
    #[error("the password needs at least {} characters", limits::PASSWORD_MIN_CHARS)]
    TooShort,
    /// More than [`limits::PASSWORD_BYTES`] bytes.
    #[error("the password must not have more than {} bytes", limits::PASSWORD_BYTES)]
    TooLong,
}

/// Whether `password` may be chosen. Length alone counts (NIST SP 800-63B, 3.1.1.2: no rules of composition).
///
/// # Errors
/// What is wrong with it.
pub fn check_password(password: &str) -> Result<(), WeakPassword> {
    if password.len() > limits::PASSWORD_BYTES {
        return Err(WeakPassword::TooLong);
    }
    if password.chars().count() < limits::PASSWORD_MIN_CHARS { Err(WeakPassword::TooShort) } else { Ok(()) }
}
