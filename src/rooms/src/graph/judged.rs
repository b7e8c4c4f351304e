//! An event together with what was found about it, as the rules and the state resolution read it.

use std::sync::Arc;

use ruma::{
    MilliSecondsSinceUnixEpoch, OwnedEventId, RoomId, UserId, events::TimelineEventType, state_res::Event as Rules,
};
use serde_json::value::RawValue;

use crate::{Event, Status, StoredEvent};

/// An event that counts, or does not.
#[derive(Clone, Debug)]
pub(crate) struct Judged {
    pub(crate) event: Arc<Event>,
    pub(crate) rejected: bool,
}

impl From<&StoredEvent> for Judged {
    fn from(stored: &StoredEvent) -> Self {
        Self { event: Arc::clone(&stored.event), rejected: stored.status == Status::Rejected }
    }
}

impl Rules for Judged {
    type Id = OwnedEventId;

    fn event_id(&self) -> &OwnedEventId {
        Rules::event_id(&*self.event)
    }

    fn room_id(&self) -> Option<&RoomId> {
        Rules::room_id(&*self.event)
    }

    fn sender(&self) -> &UserId {
        Rules::sender(&*self.event)
    }

    fn origin_server_ts(&self) -> MilliSecondsSinceUnixEpoch {
        Rules::origin_server_ts(&*self.event)
    }

    fn event_type(&self) -> &TimelineEventType {
        Rules::event_type(&*self.event)
    }

    fn content(&self) -> &RawValue {
        Rules::content(&*self.event)
    }

    fn state_key(&self) -> Option<&str> {
        Rules::state_key(&*self.event)
    }

    fn prev_events(&self) -> Box<dyn DoubleEndedIterator<Item = &OwnedEventId> + '_> {
        Rules::prev_events(&*self.event)
    }

    fn auth_events(&self) -> Box<dyn DoubleEndedIterator<Item = &OwnedEventId> + '_> {
        Rules::auth_events(&*self.event)
    }

    fn redacts(&self) -> Option<&OwnedEventId> {
        Rules::redacts(&*self.event)
    }

    fn rejected(&self) -> bool {
        self.rejected
    }
}
