//! Paging through a room's timeline (Matrix specification, Client-Server API, GET messages).

use ruma::RoomId;
use wardstead_accounts::Session;
use wardstead_limits::rooms as limits;

use crate::{EventFilter, Membership, Room, RoomError, Rooms, Seen, Sight, TimelineKey};

use super::{
    places::{BOTTOM, TOP, before},
    timeline::{Stretch, Walked},
};

/// The request.
#[derive(Clone, Debug, Default)]
pub struct Messages {
    /// Token to start from, of a timeline or of a sync. `None`: the newest event when going back, else the oldest.
    pub from: Option<String>,
    /// Token to stop at.
    pub to: Option<String>,
    /// Whether to go back in time.
    pub backwards: bool,
    /// Events at most; `None`: [`limits::MESSAGES_DEFAULT`].
    pub limit: Option<usize>,
    /// Which events, and whether the member events of their senders are wanted.
    pub filter: EventFilter,
}

/// The answer.
#[derive(Clone, Debug)]
pub struct MessagesPage {
    /// Events in the order asked for, and what the user was when each had happened.
    pub events: Vec<(Seen, Membership)>,
    /// Where the page starts.
    pub start: String,
    /// Where the next page starts; `None`: there is nothing more.
    pub end: Option<String>,
    /// Where the filter asks for them, the member events of the senders.
    pub state: Vec<Seen>,
}

impl Rooms {
    /// A page of a room's timeline.
    ///
    /// # Errors
    /// As [`Self::access`]; `InvalidParam` for a token of another room or user, or that was not issued here.
    pub async fn messages(
        &self,
        by: &Session,
        room_id: &RoomId,
        request: &Messages,
    ) -> Result<MessagesPage, RoomError> {
        let access = self.access(by, room_id).await?;
        let from = self.place(by, &access.room, request.from.as_deref()).await?;
        let to = self.place(by, &access.room, request.to.as_deref()).await?;
        let newest = self.newest_readable(&access).await?;
        let backwards = request.backwards;
        let (low, high) = if backwards { (to, from) } else { (from, to) };
        let stretch = Stretch { above: low.unwrap_or(BOTTOM), upto: high.unwrap_or(TOP).min(newest), backwards };
        let limit = request.limit.unwrap_or(limits::MESSAGES_DEFAULT).clamp(1, limits::MESSAGES_PAGE);
        let mut sight = Sight::new(by, &access);
        let mut walked = self.walk(stretch, &mut sight, &request.filter, limit).await?;
        self.bundle(by, &mut sight, &mut walked.events, true).await?;
        let state = if request.filter.lazy_members() { self.senders(&mut sight, &walked).await? } else { Vec::new() };
        Ok(self.page(&access.room, request, from, walked, state))
    }

    /// The member events of those who sent `walked`, as they were just before its newest event.
    async fn senders(&self, sight: &mut Sight, walked: &Walked) -> Result<Vec<Seen>, RoomError> {
        let newest = walked.events.iter().max_by_key(|(event, _)| event.timeline_key);
        let Some((newest, _)) = newest else { return Ok(Vec::new()) };
        let senders = walked.events.iter().map(|(event, _)| &*event.sender);
        self.members_among(sight, newest.state_before, senders, |_| false).await
    }

    fn page(
        &self,
        room: &Room,
        request: &Messages,
        from: Option<TimelineKey>,
        walked: Walked,
        state: Vec<Seen>,
    ) -> MessagesPage {
        let first = walked.first.unwrap_or(BOTTOM);
        let at_start = match (from, request.backwards) {
            (Some(from), _) => from,
            (None, true) => first,
            (None, false) => BOTTOM,
        };
        // A token stands just after the event with its key. Going back, the next page starts just before the last event seen.
        let at_end = walked.last.map(|last| if request.backwards { before(last) } else { last });
        // The page that reaches the room's beginning has an end too, and the one after it is empty and has none: there are
        // clients that drop a page without an end, and with it the oldest messages.
        let more = walked.more || !walked.events.is_empty();
        MessagesPage {
            events: walked.events,
            start: request.from.clone().unwrap_or_else(|| self.timeline_token(room.short, at_start)),
            end: at_end.filter(|_| more).map(|key| self.timeline_token(room.short, key)),
            state,
        }
    }
}
