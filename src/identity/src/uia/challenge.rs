//! The 401 that tells a client how to authenticate.

use serde_json::Value;

/// What a client has to do before its request is done: the body of the 401.
#[derive(Clone, Debug, PartialEq)]
pub struct Challenge {
    /// The flows on offer, each a list of stages, to be completed in order.
    pub flows: Vec<Vec<&'static str>>,
    /// Parameters of stages, by stage.
    pub params: Vec<(&'static str, Value)>,
    /// To be sent with the next attempt.
    pub session: String,
    /// Stages that are done, in the order in which they were.
    pub completed: Vec<&'static str>,
    /// What was wrong with the attempt; `None` when nothing was.
    pub failure: Option<Failure>,
}

/// What was wrong with an attempt to authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The registration token is unknown, used up or past.
    InvalidToken,
    /// The password is wrong.
    WrongPassword,
    /// The stage is not on offer.
    UnknownStage,
    /// Another stage comes first.
    WrongOrder,
    /// The session is unknown, past or another act's; the challenge carries a new one.
    InvalidSession,
    /// The session has served its act; the challenge carries a new one.
    SessionUsed,
}

impl Failure {
    /// A sentence for people.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::InvalidToken => "The registration token is not valid",
            Self::WrongPassword => "The password is wrong",
            Self::UnknownStage => "This authentication stage is not offered",
            Self::WrongOrder => "Another authentication stage comes first",
            Self::InvalidSession => "The authentication session is unknown, has expired or belongs to another request",
            Self::SessionUsed => "This authentication session was used already",
        }
    }
}
