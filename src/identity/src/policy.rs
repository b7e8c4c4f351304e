//! What a new password must be.

use wardstead_limits::accounts as limits;

use crate::Identity;

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

impl Identity {
    /// Whether `password` may be chosen. Length alone counts (NIST SP 800-63B, 3.1.1.2: no rules of composition).
    pub(crate) fn check_password(&self, password: &str) -> Result<(), WeakPassword> {
        if password.len() > limits::PASSWORD_BYTES {
            return Err(WeakPassword::TooLong);
        }
        let short = password.chars().count() < limits::PASSWORD_MIN_CHARS;
        if short && !self.short_passwords { Err(WeakPassword::TooShort) } else { Ok(()) }
    }
}
