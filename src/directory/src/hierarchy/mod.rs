//! The rooms in a space, and in the spaces in it (Matrix specification, Client-Server API, GET hierarchy).

mod token;
mod walk;

use std::sync::Arc;

use ruma::RoomId;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use wardstead_accounts::Session;
use wardstead_limits::directory as limits;
use wardstead_rooms::{Child, Event, Looker};

use crate::{Directory, DirectoryError, RoomEntry};
use token::Place;
use walk::Walk;

/// The request.
#[derive(Clone, Debug, Default)]
pub struct HierarchyQuery {
    /// Only what the spaces suggest.
    pub suggested_only: bool,
    /// Levels below the space; `None`: [`limits::HIERARCHY_STEPS`], which is also the most.
    pub max_depth: Option<u32>,
    /// Rooms at most; `None`: [`limits::HIERARCHY_DEFAULT_ROOMS`].
    pub limit: Option<usize>,
    /// Token of an earlier page, which was asked for with the same `suggested_only` and `max_depth`.
    pub from: Option<String>,
}

/// The answer.
#[derive(Clone, Debug, Serialize)]
pub struct Hierarchy {
    /// A page of rooms, depth first.
    pub rooms: Vec<HierarchyRoom>,
    /// Token of the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_batch: Option<String>,
}

/// A room of a hierarchy.
#[derive(Clone, Debug, Serialize)]
pub struct HierarchyRoom {
    /// The room.
    #[serde(flatten)]
    pub room: RoomEntry,
    /// What it says is in it, where it is a space.
    pub children_state: Vec<ChildState>,
    /// Short id.
    #[serde(skip)]
    short: u64,
}

/// An `m.space.child` event as stripped state with its time.
#[derive(Clone, Debug)]
pub struct ChildState(Arc<Event>);

impl Serialize for ChildState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Stripped<'a> {
            #[serde(rename = "type")]
            event_type: &'a str,
            state_key: Option<&'a str>,
            content: &'a RawValue,
            sender: &'a str,
            origin_server_ts: u64,
        }
        let event = &*self.0;
        let stripped = Stripped {
            event_type: "m.space.child",
            state_key: event.state_key.as_deref(),
            content: &event.content,
            sender: event.sender.as_str(),
            origin_server_ts: event.origin_server_ts,
        };
        stripped.serialize(serializer)
    }
}

impl HierarchyRoom {
    fn new(short: u64, room: RoomEntry, children: &[Child]) -> Self {
        let children_state = children.iter().map(|child| ChildState(Arc::clone(&child.event))).collect();
        Self { room, children_state, short }
    }

    /// Bytes of what makes it large.
    fn bytes(&self) -> usize {
        self.children_state.iter().map(|child| child.0.content.get().len()).sum()
    }
}

impl Directory {
    /// A page of the space `room_id` and what is in it, depth first, each room once, as far as `by` may see it.
    ///
    /// # Errors
    /// `Forbidden` where `by` may not see the space, or there is none; `InvalidParam` for a limit of 0, for a token that was not
    /// issued to this user for this question.
    pub async fn hierarchy(
        &self,
        by: &Session,
        room_id: &RoomId,
        query: &HierarchyQuery,
    ) -> Result<Hierarchy, DirectoryError> {
        const UNKNOWN: DirectoryError =
            DirectoryError::Forbidden("There is no such room on this server, or it is not shown to you.");
        if query.limit == Some(0) {
            return Err(DirectoryError::InvalidParam("limit is an integer above zero."));
        }
        let room = self.inner.rooms.room(room_id).await?.ok_or(UNKNOWN)?;
        let max_depth = query.max_depth.unwrap_or(limits::HIERARCHY_STEPS).min(limits::HIERARCHY_STEPS);
        let question = token::Question { root: room.short, user: by.user, max_depth, suggested: query.suggested_only };
        let from = query.from.as_deref().map(|text| question.read(self.inner.store.tokens(), text)).transpose()?;
        let first = self.inner.rooms.glimpse(Looker::User(by), &[room]).await?.pop().flatten().ok_or(UNKNOWN)?;
        let limit = query.limit.unwrap_or(limits::HIERARCHY_DEFAULT_ROOMS).min(limits::HIERARCHY_PAGE_ROOMS);
        let start = || Walk::new(&self.inner.rooms, by, question, first.clone());
        let mut walk = start();
        let mut skipped = 0;
        if let Some(place) = from {
            // Just behind the last room of the page before. If that is not there any more: behind as many rooms.
            let found = walk.skip(|room, _| room == place.after).await?;
            if !found {
                walk = start();
                walk.skip(|_, count| count == place.count).await?;
            }
            skipped = walk.count();
        }
        let (mut rooms, mut bytes) = (Vec::new(), 0);
        while let Some(room) = walk.next().await? {
            bytes += room.bytes();
            if rooms.len() == limit || (bytes > limits::HIERARCHY_PAGE_BYTES && !rooms.is_empty()) {
                return Ok(self.page(question, rooms, skipped));
            }
            rooms.push(room);
        }
        Ok(Hierarchy { rooms, next_batch: None })
    }

    /// A page that others follow.
    fn page(&self, question: token::Question, rooms: Vec<HierarchyRoom>, skipped: u32) -> Hierarchy {
        let count = skipped.saturating_add(u32::try_from(rooms.len()).unwrap_or(u32::MAX));
        let next_batch =
            rooms.last().map(|last| question.write(self.inner.store.tokens(), Place { after: last.short, count }));
        Hierarchy { rooms, next_batch }
    }
}
