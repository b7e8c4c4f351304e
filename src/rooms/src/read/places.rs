//! Places in a room's timeline, and the tokens that stand for them.

use wardstead_accounts::Session;
use wardstead_store::{TimelineToken, Token};

use crate::{Access, Reach, Room, RoomError, Rooms, TimelineKey};

/// Before every event.
pub(super) const BOTTOM: TimelineKey = TimelineKey { depth: 0, order: i64::MIN };
/// After every event.
pub(super) const TOP: TimelineKey = TimelineKey { depth: u64::MAX, order: i64::MAX };

/// The place just before the event with `key`.
pub(super) fn before(key: TimelineKey) -> TimelineKey {
    match key.order.checked_sub(1) {
        Some(order) => TimelineKey { order, ..key },
        None => TimelineKey { depth: key.depth.saturating_sub(1), order: i64::MAX },
    }
}

impl Rooms {
    /// The token of the place just after the event with `key`, or where it would be.
    #[must_use]
    pub fn timeline_token(&self, room: u64, key: TimelineKey) -> String {
        let token = TimelineToken { room, depth: key.depth, order: key.order };
        self.inner.store.tokens().write(&Token::Timeline(token))
    }

    /// The timeline key that `token`, one of a timeline or of a sync, stands just after.
    pub(super) async fn place(
        &self,
        by: &Session,
        room: &Room,
        token: Option<&str>,
    ) -> Result<Option<TimelineKey>, RoomError> {
        let Some(text) = token else { return Ok(None) };
        let invalid = || RoomError::InvalidParam("The token is not one of this room and user.".into());
        match self.inner.store.tokens().read(text).map_err(|_| invalid())? {
            Token::Timeline(token) if token.room == room.short => {
                Ok(Some(TimelineKey { depth: token.depth, order: token.order }))
            }
            Token::Sync(token) if token.user == by.user => {
                Ok(Some(self.key_at(room, token.position).await?.unwrap_or(BOTTOM)))
            }
            _ => Err(invalid()),
        }
    }

    /// The newest place that whoever has `access` may read.
    pub(super) async fn newest_readable(&self, access: &Access) -> Result<TimelineKey, RoomError> {
        match access.reach {
            Reach::Now => Ok(TOP),
            Reach::Until(left) => Ok(self.key_at(&access.room, left).await?.unwrap_or(BOTTOM)),
        }
    }
}
