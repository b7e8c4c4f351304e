//! How rooms fail.

use ruma::OwnedRoomAliasId;
use wardstead_accounts::AccountsError;
use wardstead_engine::{EngineError, Key};
use wardstead_store::StoreError;

/// Why something was not done in a room. The sentences are meant for the person at the client.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RoomError {
    /// Not allowed: `M_FORBIDDEN`.
    #[error("{0}")]
    Forbidden(String),
    /// The room lets no guests in: `M_GUEST_ACCESS_FORBIDDEN`.
    #[error("This room lets no guests in.")]
    GuestsForbidden,
    /// Whom the invitation is for wants none: `M_INVITE_BLOCKED`.
    #[error("This user does not want to be invited.")]
    InviteBlocked,
    /// This server's own policy does not want it: `M_FORBIDDEN`.
    #[error("{0}")]
    Refused(String),
    /// No such room, event or state: `M_NOT_FOUND`.
    #[error("{0}")]
    NotFound(String),
    /// Not JSON that an event may hold: `M_BAD_JSON`.
    #[error("{0}")]
    BadJson(String),
    /// A parameter that cannot be: `M_INVALID_PARAM`.
    #[error("{0}")]
    InvalidParam(String),
    /// An event, an identifier or a request above its bound: `M_TOO_LARGE`.
    #[error("{0}")]
    TooLarge(String),
    /// An alias in `m.room.canonical_alias` that does not lead to the room: `M_BAD_ALIAS`.
    #[error("{0}")]
    BadAlias(String),
    /// The alias leads to a room already: `M_UNKNOWN` with status 409, as the specification has it.
    #[error("The alias {0} leads to a room already.")]
    AliasTaken(OwnedRoomAliasId),
    /// The alias that a new room was to have leads to another one: `M_ROOM_IN_USE`.
    #[error("The alias {0} leads to another room.")]
    RoomInUse(OwnedRoomAliasId),
    /// A room that its own first events do not allow: `M_INVALID_ROOM_STATE`.
    #[error("{0}")]
    InvalidState(String),
    /// `M_UNSUPPORTED_ROOM_VERSION`.
    #[error("this server does not make rooms of version {0}")]
    UnsupportedVersion(String),
    /// What this server cannot do: `M_UNKNOWN` with status 400.
    #[error("{0}")]
    Unsupported(String),
    /// Too much happens in the room at once; nothing was promised. The same request may succeed a moment later: status
    /// 503, `M_UNKNOWN`, `Retry-After`.
    #[error("the room is busy: {0}")]
    Busy(&'static str),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RoomError {
    pub(crate) fn forbidden(why: impl Into<String>) -> Self {
        Self::Forbidden(why.into())
    }

    /// The answer to everybody who has never been in a room: the same whether it exists or not.
    pub(crate) fn not_in_room() -> Self {
        Self::Forbidden("You are not in this room, or it does not exist.".into())
    }

    pub(crate) fn corrupt(key: &Key, what: &str) -> Self {
        Self::Store(EngineError::corrupt(key, what).into())
    }

    /// Whether the same request may succeed when it is made again a moment later.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::Busy(_) => true,
            Self::Store(error) => error.retryable(),
            _ => false,
        }
    }

    /// Whether the answer follows from the room's state, and so may be another once the state is.
    pub(crate) fn is_verdict(&self) -> bool {
        !matches!(self, Self::Busy(_) | Self::Store(_))
    }
}

impl From<EngineError> for RoomError {
    fn from(error: EngineError) -> Self {
        Self::Store(error.into())
    }
}

impl From<AccountsError> for RoomError {
    fn from(error: AccountsError) -> Self {
        match error {
            AccountsError::Store(error) => Self::Store(error),
            _ => Self::Busy("the account is being changed"),
        }
    }
}
