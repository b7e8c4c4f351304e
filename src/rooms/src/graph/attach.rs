//! Storing an event that was judged: its rows, the extremities, the current state.

use std::sync::Arc;

use bytes::Bytes;
use ruma::OwnedEventId;
use wardstead_engine::{Expect, Losing, PageLimit, Position, PositionSlot, ScanRange};
use wardstead_limits::rooms as limits;
use wardstead_store::kind;

use crate::{
    Event, Replaced, RoomError, Status, StoredEvent, TimelineKey,
    append::Made,
    events::short_key,
    state::{Entry, Snapshot},
    tables::{
        Content, EVENTS, EventRow, MOMENTS, Moment, MomentRow, STATE_EVENTS, Spot, StateEventRow, TIMELINE,
        TimelineRow, event_key, read_timeline_key, timeline_key,
    },
};

use super::{Grapher, gaps::Awaited};

/// An event with what was found out about it.
pub(super) struct Attached<'a> {
    pub(super) event: &'a Arc<Event>,
    pub(super) pdu: Bytes,
    pub(super) status: Status,
    /// The same event, as it was stored before.
    pub(super) stored: Option<&'a StoredEvent>,
    /// The events before it that are here.
    pub(super) prev: &'a [Arc<StoredEvent>],
    /// Those that are not.
    pub(super) missing: &'a [OwnedEventId],
    /// The state before it.
    pub(super) before: Arc<Snapshot>,
    /// A request of this server made it.
    pub(super) local: bool,
    /// The sending device and its transaction id.
    pub(super) transaction: Option<(u64, String)>,
}

impl Grapher<'_> {
    /// Adds `attached` to the batch.
    pub(super) async fn attach(&mut self, attached: Attached<'_>) -> Result<(), RoomError> {
        let event = attached.event;
        let key = event_key(self.room.short, event.event_id.as_str());
        if attached.stored.is_none() {
            // An outlier may have been stored meanwhile.
            self.build.batch.expect(key, Expect::Absent, Losing::Rebuild);
        }
        let awaited = self.awaited(&event.event_id).await?;
        if let Some(awaited) = &awaited {
            self.arrived(&event.event_id, awaited).await?;
        }
        self.keep(&attached.before);
        let counts = matches!(attached.status, Status::Timeline | Status::Backfilled);
        let depth = self.timeline_depth(&attached, awaited.as_ref());
        let short = self.put_state_event(event, attached.stored).await?;
        let replaced = if counts { self.replaced(event, &attached.before).await? } else { None };
        let entry = (attached.status == Status::Timeline)
            .then(|| self.build.journal(kind::ROOM_EVENT, self.room.short, Vec::new()));
        let made = Made {
            event: Arc::clone(event),
            short,
            state_before: attached.before.id,
            depth,
            gap: counts && !attached.missing.is_empty(),
            replaced: replaced.as_deref().map(Replaced::of),
            transaction: attached.transaction.clone(),
            entry: entry.unwrap_or_default(),
        };
        let stored = made.stored(&self.room.rules, self.room.short, attached.status, Position::ZERO);
        self.fresh = Some(Arc::new(stored));
        if counts {
            self.open_gap(&event.event_id, depth, attached.missing).await?;
        }
        // What follows from the event beyond state; judged, like the event, before the state moves on.
        let author = attached.local.then(|| self.author.clone());
        let effects = if counts { Some(self.build.effects(author.as_ref(), event).await?) } else { None };
        let (row, spot, positions) = if let Some(entry) = entry {
            let row = self.build.put_event(&made, attached.pdu.clone());
            (row, Spot::Live { depth, entry }, vec![PositionSlot::Entry(entry)])
        } else {
            let row = self.put_quietly(&made, &attached).await?;
            let order = row.order;
            (row, Spot::At(TimelineKey { depth, order }), Vec::new())
        };
        if let Some(effects) = effects {
            self.build.put_effects(effects, event, spot, made.state_before);
            self.build.settle_awaited(&event.event_id, row, positions).await?;
        }
        self.move_head(&attached, awaited.is_some(), short, entry).await?;
        if let Some(entry) = entry {
            self.build.head.depth = self.build.head.depth.max(depth);
            self.build.follow_event(&self.author.clone(), event, replaced.as_ref(), None, entry).await?;
            self.build.add_made(made);
        }
        Ok(())
    }

    /// The extremities after the event, and the state that is their resolution.
    async fn move_head(
        &mut self,
        attached: &Attached<'_>,
        awaited: bool,
        short: u64,
        entry: Option<usize>,
    ) -> Result<(), RoomError> {
        let (event, status) = (attached.event, attached.status);
        let counts = matches!(status, Status::Timeline | Status::Backfilled);
        // What stands before an event that others named stands before those others.
        let covered = (counts || awaited) && self.cover(&event.prev_events).await?;
        let newest = status == Status::Timeline && !awaited;
        if newest {
            self.build.head.extremities.push((event.event_id.clone(), event.depth));
        }
        if !newest && !covered {
            return Ok(());
        }
        let current = if newest {
            let mut after = Arc::clone(&attached.before);
            if let Some(state_key) = &event.state_key {
                let key = self.state_key(&event.event_type.to_string(), state_key).await?;
                after = self.advance(&after, &[Entry { key, event: short }]).await?;
            }
            self.resolved_head(Some((&event.event_id, &after))).await?
        } else {
            self.resolved_head(None).await?
        };
        let differs = current.id != self.build.head.snapshot.id
            && !self.same_state(&Arc::clone(&self.build.head.snapshot), &current).await?;
        if differs {
            let entry = match entry {
                Some(entry) => entry,
                None => self.build.journal_state(),
            };
            self.move_state(&current, entry).await?;
        }
        Ok(())
    }

    async fn same_state(&self, one: &Snapshot, other: &Snapshot) -> Result<bool, RoomError> {
        Ok(self.build.inner.state.diff(&self.scratch, self.room.short, one, other).await?.is_empty())
    }

    /// Depth in the timeline: as stated, but below all that it follows, at most so far below as the bound says, and not
    /// below what is known to follow it.
    fn timeline_depth(&self, attached: &Attached<'_>, awaited: Option<&Awaited>) -> u64 {
        let follows = attached.prev.iter().map(|event| event.timeline_key.depth).max();
        let (least, most) = match follows {
            Some(depth) => (depth + 1, depth + limits::DEPTH_JUMP),
            None => (0, self.build.head.depth + limits::DEPTH_JUMP),
        };
        let most = awaited.map_or(most, |awaited| most.min(awaited.depth).max(least));
        attached.event.depth.clamp(least, most)
    }

    async fn put_state_event(&mut self, event: &Arc<Event>, stored: Option<&StoredEvent>) -> Result<u64, RoomError> {
        if event.state_key.is_none() {
            return Ok(0);
        }
        let short = match stored {
            Some(stored) if stored.short != 0 => stored.short,
            _ => self.build.inner.store.next_id().await?,
        };
        let row = StateEventRow { event_id: event.event_id.as_str().to_owned() };
        STATE_EVENTS.put(&mut self.build.batch, short_key(self.room.short, short), &row);
        self.build.pending.own.events.push((short, Arc::clone(event)));
        Ok(short)
    }

    async fn replaced(&self, event: &Event, before: &Snapshot) -> Result<Option<Arc<Event>>, RoomError> {
        let Some(state_key) = &event.state_key else { return Ok(None) };
        let Some(key) = self.known_key(&event.event_type.to_string(), state_key).await? else { return Ok(None) };
        let found = self.state_in(before, &[key]).await?.pop().flatten();
        Ok(found.map(|stored| Arc::clone(&stored.event)))
    }

    /// The rows of an event without a position.
    async fn put_quietly(&mut self, made: &Made, attached: &Attached<'_>) -> Result<EventRow, RoomError> {
        let (room, event) = (self.room.short, attached.event);
        let event_id = event.event_id.as_str();
        let mut order = 0;
        if attached.status == Status::Backfilled {
            order = self.next_order(made.depth).await?;
            let key = timeline_key(room, TimelineKey { depth: made.depth, order });
            TIMELINE.put(&mut self.build.batch, key, &TimelineRow { event_id: event_id.to_owned() });
            MOMENTS.put(&mut self.build.batch, Moment::of(event, made.depth).key(room), &MomentRow);
        }
        let row = EventRow {
            status: attached.status,
            short: made.short,
            state_before: made.state_before,
            clipped: made.clipped(),
            order,
            gap: made.gap,
            replaces: made.replaced.as_ref().map(|replaced| replaced.event_id.as_str().to_owned()),
            transaction: None,
            marks: 0,
            redacted_by: None,
            pdu: Content(attached.pdu.clone()),
        };
        EVENTS.put(&mut self.build.batch, event_key(room, event_id), &row);
        Ok(row)
    }

    /// One below the lowest order at `depth`.
    async fn next_order(&self, depth: u64) -> Result<i64, RoomError> {
        let room = self.room.short;
        let from = timeline_key(room, TimelineKey { depth, order: i64::MIN });
        let range = ScanRange::new(from, timeline_key(room, TimelineKey { depth, order: 0 }));
        let (rows, _) = self.build.inner.store.scan(&TIMELINE, &range, PageLimit::rows(1)).await?;
        let lowest = rows.first().and_then(|found| read_timeline_key(&found.key)).map_or(0, |key| key.order);
        Ok(lowest - 1)
    }
}
