//! Confirming an act: that it is the user who asks, and not somebody who found their phone.

use wardstead_accounts::Session;
use wardstead_engine::Batch;

use super::{Act, Auth, Challenge, Done, Flows, InteractError};
use crate::{HashError, Identity, IdentityError, Source, tables::PasswordMark};

/// That somebody confirmed an act.
#[derive(Clone, Debug)]
#[must_use = "its batch belongs into the act's commit"]
pub struct Confirmed {
    done: Done,
    now_ms: u64,
}

impl Confirmed {
    /// What belongs into the act's commit: that the session has served, and that the password is still the one that was shown. A commit that loses with
    /// [`Losing::Fail`](wardstead_engine::Losing::Fail) because of it lost against another use of the same session, or
    /// another password: confirm again.
    #[must_use]
    pub fn batch(&self) -> Batch {
        let mut batch = Batch::new();
        self.done.use_up(&mut batch, self.now_ms);
        batch
    }

    /// Of the password that it was confirmed with.
    pub(crate) fn password_mark(&self) -> Option<PasswordMark> {
        self.done.password_mark()
    }
}

/// Why an act is not confirmed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfirmError {
    /// The client has to authenticate first, or did so wrongly: answered 401 with the challenge.
    #[error("authentication is required")]
    Challenge(Box<Challenge>),
    /// Somebody else's credentials: 403 `M_FORBIDDEN`.
    #[error("an act is confirmed by the user whose it is")]
    OtherUser,
    /// `auth` lacks a member that the stage needs: 400 `M_MISSING_PARAM`.
    #[error("auth lacks {0}")]
    Missing(&'static str),
    /// The password was not compared: `Busy` is 429 `M_LIMIT_EXCEEDED`.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// A part below failed.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

impl From<InteractError> for ConfirmError {
    fn from(error: InteractError) -> Self {
        match error {
            InteractError::Challenge(challenge) => Self::Challenge(challenge),
            InteractError::OtherUser => Self::OtherUser,
            InteractError::Missing(what) => Self::Missing(what),
            InteractError::Hash(error) => Self::Hash(error),
            InteractError::Identity(error) => Self::Identity(error),
        }
    }
}

impl Identity {
    /// Whether `by` confirms `act`: with their password in `auth`, or earlier on the fallback page of the same session. To be
    /// asked again for each request, on any node.
    ///
    /// # Errors
    /// [`ConfirmError`].
    pub async fn confirm(&self, by: &Session, act: &Act<'_>, auth: Option<&Auth>) -> Result<Confirmed, ConfirmError> {
        let binding = self.session_key().await.map_err(IdentityError::from)?.bind(by.user, act);
        let flows = Flows::of_user(by.user_id.clone(), binding, Source::Device(by.device));
        let done = self.interact(&flows, auth).await?;
        Ok(Confirmed { done, now_ms: self.store.clock().now_ms() })
    }
}
