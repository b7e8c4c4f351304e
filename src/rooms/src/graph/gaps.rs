//! Gaps: events before an appended or backfilled one that are not here.
//!
//! The event's own row says for ever that it did not follow what had arrived before it; the rows here say what is missing
//! still. Storing the last missing event deletes them.

use ruma::{EventId, OwnedEventId};
use wardstead_engine::Key;
use wardstead_limits::rooms as limits;

use crate::{
    RoomError, Rooms, StoredEvent,
    tables::{GAPS, GapRow, MISSING, MissingRow},
};

use super::Grapher;

/// An event that others wait for.
#[derive(Clone, Debug)]
pub(super) struct Awaited {
    /// Smallest depth in the timeline of those that name it.
    pub(super) depth: u64,
    waiting: Vec<String>,
}

fn missing_key(room: u64, event_id: &str) -> Key {
    MISSING.key(room).text(event_id).key()
}

fn gap_key(room: u64, event_id: &str) -> Key {
    GAPS.key(room).text(event_id).key()
}

impl Grapher<'_> {
    /// Whether events of the timeline name `event_id` and it was not here.
    pub(super) async fn awaited(&self, event_id: &EventId) -> Result<Option<Awaited>, RoomError> {
        let found = self.build.inner.store.get(&MISSING, &missing_key(self.room.short, event_id.as_str())).await?;
        Ok(found.map(|found| Awaited { depth: found.row.depth, waiting: found.row.waiting }))
    }

    /// `event_id` is here: whoever waited for it waits for one event less.
    pub(super) async fn arrived(&mut self, event_id: &EventId, awaited: &Awaited) -> Result<(), RoomError> {
        let room = self.room.short;
        self.build.batch.delete(missing_key(room, event_id.as_str()));
        for waiting in &awaited.waiting {
            let key = gap_key(room, waiting);
            let Some(mut found) = self.build.inner.store.get(&GAPS, &key).await? else { continue };
            found.row.missing.retain(|missing| missing != event_id.as_str());
            if found.row.missing.is_empty() {
                self.build.batch.delete(key);
            } else {
                GAPS.put(&mut self.build.batch, key, &found.row);
            }
        }
        Ok(())
    }

    /// `event_id`, at `depth` of the timeline, came without the events `missing` before it.
    pub(super) async fn open_gap(
        &mut self,
        event_id: &EventId,
        depth: u64,
        missing: &[OwnedEventId],
    ) -> Result<(), RoomError> {
        if missing.is_empty() {
            return Ok(());
        }
        let room = self.room.short;
        for id in missing {
            let awaited = self.awaited(id).await?;
            let mut waiting = awaited.as_ref().map(|awaited| awaited.waiting.clone()).unwrap_or_default();
            // More than that wait only for the same event of a server that makes trouble; the first ones tell enough.
            if waiting.len() < limits::WAITING_EVENTS {
                waiting.push(event_id.as_str().to_owned());
            }
            let depth = awaited.map_or(depth, |awaited| awaited.depth.min(depth));
            MISSING.put(&mut self.build.batch, missing_key(room, id.as_str()), &MissingRow { depth, waiting });
        }
        let missing = missing.iter().map(|id| id.as_str().to_owned()).collect();
        GAPS.put(&mut self.build.batch, gap_key(room, event_id.as_str()), &GapRow { depth, missing });
        Ok(())
    }
}

impl Rooms {
    /// Whether events before `event` are still not here. One read, and none for an event that never lacked any.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn gap_is_open(&self, event: &StoredEvent) -> Result<bool, RoomError> {
        if !event.gap {
            return Ok(false);
        }
        Ok(self.inner.store.get(&GAPS, &gap_key(event.room, event.event_id.as_str())).await?.is_some())
    }
}
