//! Moving receipts.

use std::{collections::HashMap, sync::Arc};

use ruma::{EventId, OwnedEventId, RoomId};
use serde::Deserialize;
use wardstead_accounts::{AccountData, Accounts, Session};
use wardstead_engine::{Batch, Expect, JournalEntry, Key, Losing, PositionSlot};
use wardstead_limits::{rooms as limits, store::REBUILDS};
use wardstead_store::{Found, Overlay, StoreError, kind};

use crate::{Access, Membership, ReceiptMoved, Room, RoomChange, RoomError, Rooms, Sight, StoredEvent, TimelineKey};

use super::{
    MAIN, Marks, ReceiptMark, cell_key, log_key,
    read::live,
    receipt_key,
    tables::{RECEIPT_CELLS, RECEIPT_LOG, RECEIPTS, ReceiptCellRow, ReceiptLogRow, ReceiptRow},
};

/// The account data under which the fully read marker is kept.
const FULLY_READ: &str = "m.fully_read";

/// A receipt that is to stand at an event.
struct Wanted {
    private: bool,
    thread: Option<String>,
    event: Arc<StoredEvent>,
    key: Key,
}

impl Rooms {
    /// Moves `by`'s receipts and fully read marker to events that they may see, as one batch, and returns when that is durable. What
    /// stands there, or at something later, stays.
    ///
    /// # Errors
    /// `Forbidden` for who is not in the room; `NotFound` for events that the user may not see; `InvalidParam` for a thread that
    /// the event does not belong to; `Busy` when other devices of the user moved the same receipts too often meanwhile.
    pub async fn mark_read(&self, by: &Session, room_id: &RoomId, marks: &Marks) -> Result<(), RoomError> {
        let access = self.access(by, room_id).await?;
        if access.membership != Some(Membership::Join) {
            return Err(RoomError::not_in_room());
        }
        let room = &access.room;
        let events = self.marked(by, &access, marks).await?;
        let mut wanted = Vec::new();
        for (private, mark) in [(false, &marks.read), (true, &marks.private)] {
            if let Some(ReceiptMark { event_id, thread }) = mark
                && let Some(event) = events.get(event_id)
            {
                if let Some(thread) = thread {
                    self.check_thread(room, event, thread).await?;
                }
                let key = receipt_key(room.short, by.user, private, thread.as_deref());
                wanted.push(Wanted { private, thread: thread.clone(), event: Arc::clone(event), key });
            }
        }
        let fully_read = marks.fully_read.as_ref().and_then(|event_id| events.get(event_id));
        for _ in 0..=REBUILDS {
            let Some(batch) = self.build_marks(by, room, &wanted, fully_read).await? else { return Ok(()) };
            match self.inner.store.commit(batch).await {
                Ok(_) => return Ok(()),
                // Another device moved one of them.
                Err(StoreError::Lost(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(RoomError::Busy("your other devices mark it as read too often"))
    }

    /// The events that `marks` name, each looked at once.
    async fn marked(
        &self,
        by: &Session,
        access: &Access,
        marks: &Marks,
    ) -> Result<HashMap<OwnedEventId, Arc<StoredEvent>>, RoomError> {
        let receipts = [&marks.read, &marks.private].into_iter().flatten();
        for thread in receipts.clone().filter_map(|mark| mark.thread.as_deref()) {
            if thread.is_empty() || thread.len() > limits::IDENTIFIER_BYTES {
                return Err(RoomError::InvalidParam(format!("thread_id is {MAIN} or the id of an event of the room.")));
            }
        }
        let (mut sight, mut events) = (Sight::new(by, access), HashMap::new());
        for event_id in receipts.map(|mark| &mark.event_id).chain(&marks.fully_read) {
            if !events.contains_key(event_id) {
                let (event, _) = self.look_at(&mut sight, event_id).await?;
                events.insert(event_id.clone(), Arc::clone(event.event()));
            }
        }
        Ok(events)
    }

    /// The batch that moves what is not where it is wanted, or beyond; `None`: nothing.
    async fn build_marks(
        &self,
        by: &Session,
        room: &Room,
        wanted: &[Wanted],
        fully_read: Option<&Arc<StoredEvent>>,
    ) -> Result<Option<Batch>, RoomError> {
        let keys: Vec<Key> = wanted.iter().map(|wanted| wanted.key.clone()).collect();
        let found = if keys.is_empty() { Vec::new() } else { self.inner.store.get_many(&RECEIPTS, &keys).await? };
        let (mut batch, mut marks) = (Batch::new(), Vec::new());
        for (wanted, found) in wanted.iter().zip(found) {
            if found.as_ref().is_none_or(|found| stands_at(&found.row) < wanted.event.timeline_key) {
                put(&mut batch, by, room, wanted, found.as_ref(), self.inner.store.clock().now_ms());
                marks.push((wanted.thread.clone(), live(wanted.event.timeline_key.order)));
            }
        }
        let contributors = &self.inner.hooks.contributors;
        if !marks.is_empty() && !contributors.is_empty() {
            let moved = RoomChange::Read(ReceiptMoved { room: room.short, user: by.user, marks });
            let nothing_queued = Overlay::new(&self.inner.store, Vec::new());
            // The journal's first entry is the first receipt's.
            contributors.contribute(&moved, &nothing_queued, &mut batch, 0).await?;
        }
        if let Some(event) = fully_read {
            let before = self.inner.accounts.account_data(by.user, room.short, FULLY_READ).await?;
            if self.is_before(room, before.as_ref(), event.timeline_key).await? {
                let content = serde_json::json!({ "event_id": event.event_id });
                let content = serde_json::value::to_raw_value(&content)
                    .map_err(|error| RoomError::BadJson(format!("The marker cannot be stored: {error}.")))?;
                let content = Some(&*content);
                Accounts::put_account_data(&mut batch, by.user, room.short, FULLY_READ, content, before.as_ref());
            }
        }
        Ok((!batch.journal.is_empty()).then_some(batch))
    }

    /// Whether the fully read marker stands before `wanted`, or nowhere.
    async fn is_before(
        &self,
        room: &Room,
        marker: Option<&AccountData>,
        wanted: TimelineKey,
    ) -> Result<bool, RoomError> {
        #[derive(Deserialize)]
        struct Marker {
            event_id: OwnedEventId,
        }
        let content = marker.and_then(|marker| marker.content.as_deref());
        let Some(Ok(marker)) = content.map(|content| serde_json::from_str::<Marker>(content.get())) else {
            return Ok(true);
        };
        let found = self.inner.events.find(room, &[marker.event_id]).await?;
        Ok(found.into_iter().flatten().all(|event| event.timeline_key < wanted))
    }
}

fn stands_at(row: &ReceiptRow) -> TimelineKey {
    TimelineKey { depth: row.depth, order: row.order }
}

/// Adds a receipt's rows to `batch`; it stands where `found` says so far.
fn put(batch: &mut Batch, by: &Session, room: &Room, wanted: &Wanted, found: Option<&Found<ReceiptRow>>, at_ms: u64) {
    let Wanted { private, ref thread, ref event, ref key } = *wanted;
    let event_id = event_text(&event.event_id);
    let version = found.map_or(0, |found| found.version);
    let expect = if version == 0 { Expect::Absent } else { Expect::Version(version) };
    batch.expect(key.clone(), expect, Losing::Rebuild);
    let (kind, scope, named) =
        if private { (kind::PRIVATE_RECEIPT, by.user, room.short) } else { (kind::RECEIPT, room.short, by.user) };
    let entry = batch.journal(JournalEntry { kind, scope, key: named.to_be_bytes().to_vec().into() });
    let at = [PositionSlot::Entry(entry)];
    let TimelineKey { depth, order } = event.timeline_key;
    let row = ReceiptRow { event_id: event_id.clone(), depth, order, at_ms };
    RECEIPTS.put_with(batch, key.clone(), version + 1, &at, &row);
    if let Some(found) = found {
        batch.delete(log_key(private, room.short, by.user).position(found.position()).key());
    }
    let user_id = by.user_id.as_str().to_owned();
    let row = ReceiptLogRow { room: room.short, user: by.user, user_id, thread: thread.clone(), event_id, at_ms };
    RECEIPT_LOG.put(batch, log_key(private, room.short, by.user).slot(entry).template(), &row);
    if !private {
        RECEIPT_CELLS.put_with(batch, cell_key(room.short), 0, &at, &ReceiptCellRow);
    }
}

fn event_text(event_id: &EventId) -> String {
    event_id.as_str().to_owned()
}
