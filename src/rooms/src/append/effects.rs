//! What follows from an event beyond state: it redacts another one, it relates to one. All of it is in the event's own batch.
//!
//! An ordinary message has none of this, and costs nothing here. What the rows mean: `docs/design/13-reading.md`.

use ruma::{EventId, OwnedEventId};
use wardstead_engine::{PageLimit, PositionSlot, ScanRange};
use wardstead_store::kind;

use crate::{
    Event, HistoryVisibility, RoomError, TimelineKey,
    event::{
        Marks,
        content::history_visibility,
        relation::{Relation, THREAD, may_replace, relation},
    },
    events::changed_key,
    state::key,
    tables::{
        AWAITED, AwaitedRow, EVENTS, EventRow, RELATIONS, RelationRow, Spot, THREADS, Thread, ThreadRow, event_key,
        read_timeline_tail, relations_of, speaker_key, thread_key, thread_replies,
    },
};

use super::{Author, Build, layer::Changed};

mod redaction;

/// What an event's place is needed for.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    relation: Option<Relation>,
}

/// A stored event's row as the batch finds it.
pub(super) struct Stored {
    pub(super) row: EventRow,
    pub(super) positions: Vec<PositionSlot>,
}

impl Stored {
    /// Where the event stands, which states `depth`.
    fn spot(&self, depth: u64) -> Option<TimelineKey> {
        let depth = self.row.clipped.unwrap_or(depth);
        let order = match self.positions.first() {
            Some(PositionSlot::Known(position)) => crate::events::order_of(*position),
            Some(PositionSlot::Entry(_)) => return None,
            None => self.row.order,
        };
        Some(TimelineKey { depth, order })
    }
}

impl Build<'_> {
    /// What follows from `event`, and whether it may. What is known without the event's place is in the batch afterwards. `author`:
    /// who asked this server for it; `None` for an event of another server, which is never refused here: what it may not do or cannot
    /// do yet is left undone.
    ///
    /// # Errors
    /// `BadJson`, `NotFound` and `Forbidden` for a redaction, `Unsupported` for a thread that cannot be; the store's.
    pub(crate) async fn effects(&mut self, author: Option<&Author>, event: &Event) -> Result<Effects, RoomError> {
        match self.redact(event).await {
            Err(error) if author.is_none() && error.is_verdict() => {}
            other => other?,
        }
        let Some(relation) = relation(event) else { return Ok(Effects::default()) };
        match self.mark_parent(&relation).await {
            Err(error) if author.is_none() && error.is_verdict() => return Ok(Effects::default()),
            other => other?,
        }
        if relation.rel_type == THREAD {
            self.grow_thread(author, event, &relation.parent).await?;
        }
        Ok(Effects { relation: Some(relation) })
    }

    /// Adds the rows under the event's place.
    pub(crate) fn put_effects(&mut self, effects: Effects, event: &Event, spot: Spot, state_before: u64) {
        let Some(Relation { rel_type, parent }) = effects.relation else { return };
        let event_id = event.event_id.as_str().to_owned();
        let row = RelationRow {
            event_id: event_id.clone(),
            event_type: event.event_type.to_string(),
            sender: event.sender.as_str().to_owned(),
            origin_server_ts: event.origin_server_ts,
            state_before,
            replaces: may_replace(event),
        };
        let key = spot.below(relations_of(self.room, parent.as_str(), &rel_type));
        RELATIONS.put(&mut self.batch, key, &row);
        if rel_type == THREAD {
            let row = ThreadRow::Reply { root: parent.as_str().to_owned(), event_id };
            THREADS.put(&mut self.batch, spot.below(thread_replies(self.room)), &row);
        }
    }

    /// The row of a committed event of the room, as queued batches leave it.
    async fn stored(&self, event_id: &EventId) -> Result<Option<Stored>, RoomError> {
        if let Some(changed) = self.pending.changed(event_id) {
            return Ok(Some(Stored { row: changed.row.clone(), positions: changed.positions.clone() }));
        }
        let found = self.inner.store.get(&EVENTS, &event_key(self.room, event_id.as_str())).await?;
        Ok(found.map(|found| Stored {
            positions: found.positions.iter().map(|position| PositionSlot::Known(*position)).collect(),
            row: found.row,
        }))
    }

    /// Writes a stored event anew, and tells all nodes.
    fn change(&mut self, event_id: OwnedEventId, stored: Stored, shown: bool) {
        let Stored { row, positions } = stored;
        let key = event_key(self.room, event_id.as_str());
        EVENTS.put_with(&mut self.batch, key, 0, &positions, &row);
        self.journal(kind::EVENT_CHANGED, self.room, changed_key(&event_id, shown));
        self.pending.own.changed.push(Changed { event_id, row, positions, shown });
    }

    /// Gives an event that has come late what waited for it: marks for its children, a redaction. `row` and `positions` are as they
    /// stand in the batch.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn settle_awaited(
        &mut self,
        event_id: &EventId,
        mut row: EventRow,
        positions: Vec<PositionSlot>,
    ) -> Result<(), RoomError> {
        let key = AWAITED.key(self.room).text(event_id.as_str()).key();
        let Some(awaited) = self.inner.store.get(&AWAITED, &key).await?.map(|found| found.row) else { return Ok(()) };
        self.batch.delete(key);
        row.marks |= awaited.marks;
        self.change(event_id.to_owned(), Stored { row, positions }, false);
        let Some(redaction) = awaited.redacted_by.and_then(|id| EventId::parse(id).ok()) else { return Ok(()) };
        let room = self.room_row().await?;
        let Some(redaction) = self.inner.events.find(&room, &[redaction]).await?.pop().flatten() else { return Ok(()) };
        if !redaction.is_shown() {
            return Ok(());
        }
        match self.redact(&redaction.event).await {
            Err(error) if error.is_verdict() => Ok(()),
            other => other,
        }
    }

    /// Has the parent say that it has children of this kind, once.
    async fn mark_parent(&mut self, relation: &Relation) -> Result<(), RoomError> {
        let mark = relation.mark();
        if mark == 0 {
            return Ok(());
        }
        let room = self.room_row().await?;
        let parent = self.inner.events.find(&room, std::slice::from_ref(&relation.parent)).await?.pop().flatten();
        let Some(parent) = parent else { return self.await_marks(&relation.parent, mark).await };
        // Server behaviour, Validation of m.thread relationships.
        if mark == Marks::THREAD && crate::event::relation::relation(&parent.event).is_some() {
            let sentence = "A thread cannot start from an event that itself relates to another one.";
            return Err(RoomError::Unsupported(sentence.into()));
        }
        if parent.marks.has(mark) {
            return Ok(());
        }
        let Some(mut stored) = self.stored(&relation.parent).await? else { return Ok(()) };
        if stored.row.marks & mark == 0 {
            stored.row.marks |= mark;
            self.change(relation.parent.clone(), stored, false);
        }
        Ok(())
    }

    /// Notes the mark for a parent that is not here.
    async fn await_marks(&mut self, parent: &EventId, mark: u8) -> Result<(), RoomError> {
        let key = AWAITED.key(self.room).text(parent.as_str()).key();
        let mut row = self.inner.store.get(&AWAITED, &key).await?.map_or_else(AwaitedRow::default, |found| found.row);
        if row.marks & mark == 0 {
            row.marks |= mark;
            AWAITED.put(&mut self.batch, key, &row);
        }
        Ok(())
    }

    /// Notes a redaction of an event that is not here.
    async fn await_redaction(&mut self, target: &EventId, redaction: &EventId) -> Result<(), RoomError> {
        let key = AWAITED.key(self.room).text(target.as_str()).key();
        let mut row = self.inner.store.get(&AWAITED, &key).await?.map_or_else(AwaitedRow::default, |found| found.row);
        row.redacted_by.get_or_insert_with(|| redaction.as_str().to_owned());
        AWAITED.put(&mut self.batch, key, &row);
        Ok(())
    }

    /// One more reply in the thread below `root`.
    async fn grow_thread(&mut self, author: Option<&Author>, event: &Event, root: &EventId) -> Result<(), RoomError> {
        let visibility = self.current(&[key::HISTORY_VISIBILITY]).await?.pop().flatten();
        let visibility = history_visibility(visibility.as_deref());
        let open = matches!(visibility, HistoryVisibility::Shared | HistoryVisibility::WorldReadable);
        let mut thread = self.thread(root).await?.unwrap_or_default();
        thread.replies += 1;
        thread.restricted |= !open;
        if thread.replies == 1 || event.depth >= thread.depth {
            (thread.latest, thread.depth) = (event.event_id.as_str().to_owned(), event.depth);
        }
        self.put_thread(thread_key(self.room, root.as_str()), Some(ThreadRow::Thread(thread)));
        let user = match author {
            Some(author) => Some(author.user),
            None => self.inner.accounts.user_short_id(&event.sender).await?,
        };
        match user {
            Some(user) => self.count_speaker(root, user, true).await,
            None => Ok(()),
        }
    }

    async fn thread(&self, root: &EventId) -> Result<Option<Thread>, RoomError> {
        match self.thread_row(&thread_key(self.room, root.as_str())).await? {
            Some(ThreadRow::Thread(thread)) => Ok(Some(thread)),
            _ => Ok(None),
        }
    }

    async fn thread_row(&self, key: &wardstead_engine::Key) -> Result<Option<ThreadRow>, RoomError> {
        if let Some(row) = self.pending.thread(key) {
            return Ok(row.clone());
        }
        Ok(self.inner.store.get(&THREADS, key).await?.map(|found| found.row))
    }

    fn put_thread(&mut self, key: wardstead_engine::Key, row: Option<ThreadRow>) {
        match &row {
            Some(row) => THREADS.put(&mut self.batch, key.clone(), row),
            None => drop(self.batch.delete(key.clone())),
        }
        self.pending.own.threads.push((key, row));
    }

    async fn count_speaker(&mut self, root: &EventId, user: u64, more: bool) -> Result<(), RoomError> {
        let key = speaker_key(self.room, root.as_str(), user);
        let before = match self.thread_row(&key).await? {
            Some(ThreadRow::Speaker(count)) => count,
            _ => 0,
        };
        let count = if more { before + 1 } else { before.saturating_sub(1) };
        self.put_thread(key, (count > 0).then_some(ThreadRow::Speaker(count)));
        Ok(())
    }

    /// Takes a redacted event, which stood at `at`, out of what it related to.
    async fn unrelate(&mut self, event: &Event, at: TimelineKey) -> Result<(), RoomError> {
        let Some(Relation { rel_type, parent: root }) = relation(event) else { return Ok(()) };
        let spot = Spot::At(at);
        let key = spot.below(relations_of(self.room, root.as_str(), &rel_type)).key().clone();
        self.batch.delete(key.clone());
        if rel_type != THREAD {
            return Ok(());
        }
        self.batch.delete(spot.below(thread_replies(self.room)).key().clone());
        if let Some(user) = self.inner.accounts.user_short_id(&event.sender).await? {
            self.count_speaker(&root, user, false).await?;
        }
        let Some(mut thread) = self.thread(&root).await? else { return Ok(()) };
        thread.replies = thread.replies.saturating_sub(1);
        if thread.latest == event.event_id.as_str() {
            // Nothing newer is queued, or this would not be the newest.
            let below = relations_of(self.room, root.as_str(), THREAD).key();
            let range = ScanRange::new(below, key).descending();
            let (rows, _) = self.inner.store.scan(&RELATIONS, &range, PageLimit::rows(1)).await?;
            match rows.first() {
                Some(found) => {
                    let at = read_timeline_tail(&found.key)
                        .ok_or_else(|| RoomError::corrupt(&found.key, "no timeline key in the key"))?;
                    (thread.latest, thread.depth) = (found.row.event_id.clone(), at.depth);
                }
                None => thread.replies = 0,
            }
        }
        let row = (thread.replies > 0).then_some(ThreadRow::Thread(thread));
        self.put_thread(thread_key(self.room, root.as_str()), row);
        Ok(())
    }

    /// What never changes about the room.
    async fn room_row(&self) -> Result<std::sync::Arc<crate::Room>, RoomError> {
        let room = self.inner.names.by_short(&[self.room]).await?.pop();
        room.ok_or_else(|| RoomError::corrupt(&super::head_key(self.room), "a room without a name"))
    }
}
