//! What a room is called and what it is, at a moment.

use serde::Deserialize;

use crate::{
    Room, RoomError, Rooms, StoredEvent,
    state::{key, store::Committed},
};

/// What lists of rooms show and choose by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Face {
    /// `m.room.name`; `None` where it is empty, too.
    pub name: Option<String>,
    /// `m.room.avatar`; `None` where it is empty, too.
    pub avatar: Option<String>,
    /// Whether there is an `m.room.encryption`.
    pub encrypted: bool,
    /// The type that `m.room.create` states.
    pub room_type: Option<String>,
}

impl Rooms {
    /// What `room` is in `snapshot`.
    ///
    /// # Errors
    /// The store's.
    pub async fn face(&self, room: &Room, snapshot: u64) -> Result<Face, RoomError> {
        #[derive(Default, Deserialize)]
        struct Content {
            name: Option<String>,
            url: Option<String>,
            r#type: Option<String>,
        }
        let snapshot = self.inner.state.snapshot(&Committed, room.short, snapshot).await?;
        let keys = [key::NAME, key::AVATAR, key::ENCRYPTION, key::CREATE];
        let events = self.inner.state_of(room, &snapshot, &keys).await?;
        let content = |at: usize| -> Content {
            let event: Option<&StoredEvent> = events[at].as_deref();
            // What is no name is none.
            event.and_then(|event| serde_json::from_str(event.content.get()).ok()).unwrap_or_default()
        };
        let some = |text: Option<String>| text.filter(|text| !text.is_empty());
        Ok(Face {
            name: some(content(0).name),
            avatar: some(content(1).url),
            encrypted: events[2].is_some(),
            room_type: content(3).r#type,
        })
    }

    /// The rooms that the space `space` states in `snapshot` to have, by `m.space.child` events with a `via`.
    ///
    /// # Errors
    /// The store's.
    pub async fn space_children(&self, space: &Room, snapshot: u64) -> Result<Vec<String>, RoomError> {
        #[derive(Deserialize)]
        struct Content {
            via: Vec<String>,
        }
        let snapshot = self.inner.state.snapshot(&Committed, space.short, snapshot).await?;
        let entries = self.inner.state.list(&Committed, space.short, &snapshot, 0..=key::MEMBERS - 1).await?;
        let shorts: Vec<u64> = entries.into_iter().map(|entry| entry.event).collect();
        let events = self.inner.events.load_short(space, &shorts).await?;
        let children = events.iter().filter(|event| event.event_type.to_string() == "m.space.child");
        let stated = children.filter(|event| {
            serde_json::from_str::<Content>(event.content.get()).is_ok_and(|content| !content.via.is_empty())
        });
        Ok(stated.filter_map(|event| event.state_key.clone()).collect())
    }
}
