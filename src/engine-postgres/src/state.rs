//! What a group reads under the position lock, besides its rows.

use bytes::Buf;
use wardstead_engine::{EngineError, Position};

/// The server as a group finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) newest: Position,
    /// The server's clock.
    pub(crate) now_ms: u64,
    pub(crate) timeline: u32,
    /// COMMITs wait for a standby.
    pub(crate) waits_for_standby: bool,
}

impl State {
    /// Takes apart what [`crate::sql::Sql::ReadForGroup`] puts together.
    ///
    /// # Errors
    /// `Unavailable` when it is something else.
    pub(crate) fn read(mut packed: &[u8]) -> Result<Self, EngineError> {
        if packed.len() != 21 {
            return Err(EngineError::Unavailable("the database's state is of another form".to_owned()));
        }
        Ok(Self {
            newest: Position(packed.get_u64()),
            now_ms: packed.get_u64(),
            timeline: packed.get_u32(),
            waits_for_standby: packed.get_u8() != 0,
        })
    }
}
