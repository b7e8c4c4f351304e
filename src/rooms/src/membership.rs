//! Small closed sets of values that rooms are made of.

use serde::{Deserialize, Serialize};

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
