//! The event nearest to a time (Matrix specification, Client-Server API, GET `timestamp_to_event`).
//!
//! There is no index by time: times rise with the depth of the timeline, nearly, so halving finds the depth, and the events around it
//! are looked at one by one. What other servers date far from its neighbours is not found by its date.

use std::sync::Arc;

use ruma::RoomId;
use wardstead_accounts::Session;
use wardstead_limits::rooms as limits;

use crate::{EventFilter, RoomError, Rooms, Seen, Sight, TimelineKey};

use super::{places::TOP, timeline::Stretch};

impl Rooms {
    /// The event that the user may see with the time nearest to `at_ms` (milliseconds since 1970): at it or before it when going back,
    /// at it or after it otherwise. Of several with one time the nearest in the timeline.
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
        let room = Arc::clone(&access.room);
        let depth = self.depth_at(&room, at_ms, backwards).await?;
        let newest = self.newest_readable(&access).await?;
        // Some neighbours on the other side too: clocks of several servers differ.
        let slack = limits::TIME_SLACK_STEPS;
        let stretch = if backwards {
            let upto = TimelineKey { depth: depth.saturating_add(slack), order: i64::MAX }.min(newest);
            Stretch { above: super::places::BOTTOM, upto, backwards }
        } else {
            let above = TimelineKey { depth: depth.saturating_sub(slack + 1), order: i64::MAX };
            Stretch { above, upto: TOP.min(newest), backwards }
        };
        let mut sight = Sight::new(by, &access);
        let fits = |event: &Seen| {
            if backwards { event.origin_server_ts <= at_ms } else { event.origin_server_ts >= at_ms }
        };
        let (mut rest, mut best): (_, Option<Seen>) = (stretch, None);
        for _ in 0..limits::TIME_PAGES {
            let walked = self.walk(rest, &mut sight, &EventFilter::default(), limits::TIME_PAGE_EVENTS).await?;
            for (event, _) in walked.events {
                let nearer =
                    |best: &Seen| event.origin_server_ts.abs_diff(at_ms) < best.origin_server_ts.abs_diff(at_ms);
                if fits(&event) && best.as_ref().is_none_or(nearer) {
                    best = Some(event);
                }
            }
            match walked.last {
                Some(last) if walked.more && best.is_none() => {
                    rest = if backwards {
                        Stretch { upto: super::places::before(last), ..rest }
                    } else {
                        Stretch { above: last, ..rest }
                    };
                }
                _ => break,
            }
        }
        best.ok_or_else(|| RoomError::NotFound("There is no event on that side of that time.".into()))
    }

    /// About the smallest depth from which on events are of `at_ms` or later; going back, later than that.
    async fn depth_at(&self, room: &crate::Room, at_ms: u64, backwards: bool) -> Result<u64, RoomError> {
        let (mut low, mut high) = (0, self.top_depth(room).await?.saturating_add(1));
        while low < high {
            let middle = low + (high - low) / 2;
            let from = TimelineKey { depth: middle, order: i64::MIN };
            let is_later = match self.nearest(room, from, false).await? {
                Some(event) if backwards => event.origin_server_ts > at_ms,
                Some(event) => event.origin_server_ts >= at_ms,
                None => true,
            };
            if is_later { high = middle } else { low = middle + 1 }
        }
        Ok(low)
    }
}
