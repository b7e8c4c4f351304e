//! The event nearest to a time (Matrix specification, Client-Server API, GET `timestamp_to_event`).
//!
//! Times do not follow the order of a timeline: other servers' clocks differ, bridges bring old conversations with their dates. So an
//! index tells which blocks of the timeline hold events of which quarter of an hour; it is walked away from the time asked for until
//! one of a quarter's events is one that the user may see.

use std::collections::HashMap;

use ruma::RoomId;
use wardstead_accounts::Session;
use wardstead_engine::{PageLimit, ScanRange};
use wardstead_limits::rooms as limits;

use crate::{
    EventFilter, RoomError, Rooms, Seen, Sight, TimelineKey,
    tables::{MOMENTS, Moment, part_of},
};

use super::{
    places::{BOTTOM, before},
    timeline::Stretch,
};

/// Looks for one event.
struct Search<'a> {
    rooms: &'a Rooms,
    sight: Sight,
    at_ms: u64,
    backwards: bool,
    /// What the user may read at most.
    newest: TimelineKey,
    /// Blocks that were looked at: their visible events on the right side of the time, in the direction of the search.
    blocks: HashMap<u64, Vec<Seen>>,
    looked: usize,
}

impl Rooms {
    /// The event that the user may see with the time nearest to `at_ms` (milliseconds since 1970): at it or before it when going back,
    /// at it or after it otherwise. Of several with one time the nearest in the timeline. Looks at about [`limits::TIME_EVENTS`] events
    /// at most, which only who may not see most of a large room comes to.
    ///
    /// # Errors
    /// As [`Self::access`]; `NotFound`.
    pub async fn event_near(
        &self,
        by: &Session,
        room_id: &RoomId,
        at_ms: u64,
        backwards: bool,
    ) -> Result<Seen, RoomError> {
        let access = self.access(by, room_id).await?;
        let newest = self.newest_readable(&access).await?;
        let sight = Sight::new(by, &access);
        let blocks = HashMap::new();
        let mut search = Search { rooms: self, sight, at_ms, backwards, newest, blocks, looked: 0 };
        let found = search.run(access.room.short).await?;
        found.ok_or_else(|| RoomError::NotFound("There is no event on that side of that time.".into()))
    }
}

impl Search<'_> {
    async fn run(&mut self, room: u64) -> Result<Option<Seen>, RoomError> {
        let whole = ScanRange::scope(MOMENTS.id(), room);
        let part = part_of(self.at_ms);
        let range = if self.backwards {
            ScanRange::new(whole.from, Moment { part, block: u64::MAX }.key(room).successor()).descending()
        } else {
            ScanRange::new(Moment { part, block: 0 }.key(room), whole.to)
        };
        // The best of the part that is being looked at.
        let mut best: Option<(u64, Seen)> = None;
        let mut rest = Some(range);
        while let Some(range) = rest {
            let (rows, resume) =
                self.rooms.inner.store.scan(&MOMENTS, &range, PageLimit::rows(limits::TIME_ROWS)).await?;
            for found in &rows {
                let moment =
                    Moment::read(&found.key).ok_or_else(|| RoomError::corrupt(&found.key, "not a part and a block"))?;
                if let Some((part, event)) = best.take() {
                    if part != moment.part {
                        return Ok(Some(event));
                    }
                    best = Some((part, event));
                }
                self.look_at(moment, &mut best).await?;
                if self.looked >= limits::TIME_EVENTS {
                    return Ok(best.map(|(_, event)| event));
                }
            }
            rest = resume.map(|resume| range.resumed(resume));
        }
        Ok(best.map(|(_, event)| event))
    }

    /// Takes what is nearer in `moment` than the `best` of its part so far.
    async fn look_at(&mut self, moment: Moment, best: &mut Option<(u64, Seen)>) -> Result<(), RoomError> {
        if !self.blocks.contains_key(&moment.block) {
            let events = self.block(moment).await?;
            self.blocks.insert(moment.block, events);
        }
        let at_ms = self.at_ms;
        let away = |event: &Seen| event.origin_server_ts.abs_diff(at_ms);
        for event in self.blocks.get(&moment.block).into_iter().flatten() {
            let nearer = best.as_ref().is_none_or(|(_, best)| away(event) < away(best));
            if nearer && part_of(event.origin_server_ts) == moment.part {
                *best = Some((moment.part, event.clone()));
            }
        }
        Ok(())
    }

    async fn block(&mut self, moment: Moment) -> Result<Vec<Seen>, RoomError> {
        let (first, last) = moment.depths();
        let backwards = self.backwards;
        let above = if first == 0 { BOTTOM } else { before(TimelineKey { depth: first, order: i64::MIN }) };
        let upto = TimelineKey { depth: last, order: i64::MAX }.min(self.newest);
        let (mut rest, mut events) = (Stretch { above, upto, backwards }, Vec::new());
        loop {
            let walked =
                self.rooms.walk(rest, &mut self.sight, &EventFilter::default(), limits::TIME_PAGE_EVENTS).await?;
            let at_ms = self.at_ms;
            let fits = |event: &Seen| {
                if backwards { event.origin_server_ts <= at_ms } else { event.origin_server_ts >= at_ms }
            };
            events.extend(walked.events.into_iter().map(|(event, _)| event).filter(fits));
            self.looked += limits::TIME_PAGE_EVENTS;
            match walked.last {
                Some(last) if walked.more && backwards => rest = Stretch { upto: before(last), ..rest },
                Some(last) if walked.more => rest = Stretch { above: last, ..rest },
                _ => return Ok(events),
            }
        }
    }
}
