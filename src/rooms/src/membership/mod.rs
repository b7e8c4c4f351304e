//! Small closed sets of values that rooms are made of, and how a user's membership changes.

mod change;
mod forget;
mod renew;
mod rule;

use serde::{Deserialize, Serialize};

use crate::RoomError;

pub(crate) use change::MembershipChange;
pub(crate) use rule::JoinRule;

/// What a user is in a room (Matrix specification, Client-Server API, `m.room.member`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Membership {
    /// In the room.
    Join,
    /// Asked to come in.
    Invite,
    /// Outside: never in, left, removed, or no longer banned.
    Leave,
    /// Kept outside.
    Ban,
    /// Asks to be let in.
    Knock,
}

impl Membership {
    /// Its name in events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Invite => "invite",
            Self::Leave => "leave",
            Self::Ban => "ban",
            Self::Knock => "knock",
        }
    }

    /// The membership with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Join, Self::Invite, Self::Leave, Self::Ban, Self::Knock].into_iter().find(|value| value.name() == name)
    }
}

/// Who sees events of the past (Client-Server API, `m.room.history_visibility`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistoryVisibility {
    /// Everybody.
    WorldReadable,
    /// Whoever is, or later came to be, in the room.
    Shared,
    /// Whoever was at least invited when the event happened.
    Invited,
    /// Whoever was in the room when the event happened.
    Joined,
}

/// What the target of a membership change has to be before it, where the rules of the room would allow more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guard {
    /// Who is in already stays so: nothing is said.
    Join,
    /// There is somebody to remove or to turn away.
    Kick,
    /// There is a ban to lift.
    Unban,
    /// Who is in stays so, and is shown with what of their profile has changed.
    Renew,
}

impl Guard {
    /// Whether `current` is what is wanted already.
    ///
    /// # Errors
    /// `Forbidden` when there is nothing to do.
    pub(crate) fn check(self, current: Option<Membership>) -> Result<bool, RoomError> {
        match (self, current) {
            (Self::Join, current) => Ok(current == Some(Membership::Join)),
            (Self::Kick, Some(Membership::Join | Membership::Invite | Membership::Knock))
            | (Self::Unban, Some(Membership::Ban))
            | (Self::Renew, Some(Membership::Join)) => Ok(false),
            (Self::Kick, _) => Err(RoomError::forbidden("Who is not in the room cannot be removed from it.")),
            (Self::Unban, _) => Err(RoomError::forbidden("Who is not banned cannot be unbanned.")),
            (Self::Renew, _) => Err(RoomError::forbidden("Who is not in the room has no name in it.")),
        }
    }
}
