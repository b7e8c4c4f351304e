//! What is counted together.

use wardstead_limits::rates;

use super::GroupRates;

/// Endpoints that are counted together. Those without a group have no limit: what tells somebody something (`/sync`, reading), what
/// is small and overwritten (receipts, typing, presence), and what ends something (leaving, logging out).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// Signing in. Nobody is known yet, so this is counted by address.
    Login,
    /// Making an account, looking for a free name, testing a registration token. By address, too.
    Registration,
    /// What is confirmed with a password: a new one, removing devices, the end of an account.
    Password,
    /// Events: messages, state, redactions, moderation.
    Send,
    /// Joining and knocking.
    Join,
    /// People invited, one by one or with a new room.
    Invite,
    /// Rooms made or upgraded.
    Create,
    /// Searching people and rooms.
    Search,
    /// Tokens for other devices and services.
    Token,
    /// New tokens for old ones, by device: each is a commit. Whose they are is known once the token has been read.
    Refresh,
    /// Files uploaded, and ids for files that come later.
    Upload,
}

impl Group {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 11] = [
        Self::Login,
        Self::Registration,
        Self::Password,
        Self::Send,
        Self::Join,
        Self::Invite,
        Self::Create,
        Self::Search,
        Self::Token,
        Self::Refresh,
        Self::Upload,
    ];

    /// As configuration and metrics call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Registration => "registration",
            Self::Password => "password",
            Self::Send => "send",
            Self::Join => "join",
            Self::Invite => "invite",
            Self::Create => "create",
            Self::Search => "search",
            Self::Token => "token",
            Self::Refresh => "refresh",
            Self::Upload => "upload",
        }
    }

    /// The rates of a hospital.
    #[must_use]
    pub fn production(self) -> GroupRates {
        let (account, address) = match self {
            Self::Login => (None, Some(rates::LOGIN_OF_ADDRESS)),
            Self::Registration => (None, Some(rates::REGISTRATION_OF_ADDRESS)),
            Self::Password => (Some(rates::PASSWORD_OF_ACCOUNT), Some(rates::PASSWORD_OF_ADDRESS)),
            Self::Send => (Some(rates::SEND_OF_ACCOUNT), None),
            Self::Join => (Some(rates::JOIN_OF_ACCOUNT), None),
            Self::Invite => (Some(rates::INVITE_OF_ACCOUNT), None),
            Self::Create => (Some(rates::CREATE_OF_ACCOUNT), None),
            Self::Search => (Some(rates::SEARCH_OF_ACCOUNT), None),
            Self::Token => (Some(rates::TOKEN_OF_ACCOUNT), None),
            Self::Refresh => (Some(rates::REFRESH_OF_DEVICE), None),
            Self::Upload => (Some(rates::UPLOAD_OF_ACCOUNT), None),
        };
        GroupRates { account, address }
    }

    pub(super) fn sentence(self) -> &'static str {
        match self {
            Self::Login => "Too many people sign in from here. Please wait a moment.",
            Self::Registration => "Too many accounts are made from here. Please wait a moment.",
            Self::Password => "Too many such changes in a short time. Please wait a moment.",
            Self::Send => "Too many events in a short time. Please wait a moment.",
            Self::Join => "Too many rooms joined in a short time. Please wait a moment.",
            Self::Invite => "Too many people invited in a short time. Please wait a moment.",
            Self::Create => "Too many rooms made in a short time. Please wait a moment.",
            Self::Search => "Too many searches in a short time. Please wait a moment.",
            Self::Token => "Too many tokens asked for in a short time. Please wait a moment.",
            Self::Refresh => "This device refreshes its token too often. Please wait a moment.",
            Self::Upload => "Too many files in a short time. Please wait a moment.",
        }
    }
}
