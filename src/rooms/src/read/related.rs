//! Events to which something relates, by a filter (MSC3440, `related_by_rel_types` and `related_by_senders`): the roots of threads, say.

use wardstead_engine::{Key, PageLimit, ScanRange};
use wardstead_limits::rooms as limits;

use super::{bundle::position_of, filter::Related};
use crate::{
    EventFilter, RoomError, Rooms, Seen, Sight,
    event::{
        Marks,
        relation::{REFERENCE, REPLACE, THREAD},
    },
    tables::{RELATIONS, relations_of},
};

impl Rooms {
    /// Whether `filter` lets `event` pass. What `sight` does not see relates to nothing. An event of which no filter asks what relates to it
    /// costs no read.
    pub(super) async fn passes(
        &self,
        filter: &EventFilter,
        event: &Seen,
        sight: &mut Sight,
    ) -> Result<bool, RoomError> {
        if !filter.passes(event) {
            return Ok(false);
        }
        let Some(related) = filter.related() else { return Ok(true) };
        let parent = event.event_id.as_str();
        let room = sight.room().short;
        let Some(rel_types) = &related.rel_types else {
            return self.is_related(RELATIONS.key(room).text(parent).key(), related, sight).await;
        };
        // Whether it has children of a kind stands in the event itself.
        let possible = |rel_type: &&String| match rel_type.as_str() {
            THREAD => event.marks.has(Marks::THREAD),
            REPLACE => event.marks.has(Marks::REPLACE),
            REFERENCE => event.marks.has(Marks::REFERENCE),
            _ => true,
        };
        for rel_type in rel_types.iter().take(limits::RELATED_BY_TYPE_KEYS).filter(possible) {
            if self.is_related(relations_of(room, parent, rel_type).key(), related, sight).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a row of the relations that begin with `prefix` is of somebody who is wanted, and of an event that `sight` sees.
    async fn is_related(&self, prefix: Key, related: &Related, sight: &mut Sight) -> Result<bool, RoomError> {
        let wanted = |sender: &str| match &related.senders {
            None => true,
            Some(senders) => senders.iter().any(|wanted| wanted.as_str() == sender),
        };
        let (mut scanned, mut rest) = (0, Some(ScanRange::prefix(prefix)));
        while let Some(range) = rest.take().filter(|_| scanned < limits::THREAD_EVENTS_SCANNED) {
            let page = PageLimit::rows(limits::MESSAGES_LEAST_ROWS);
            let (rows, resume) = self.inner.store.scan(&RELATIONS, &range, page).await?;
            scanned += rows.len();
            for found in rows {
                if wanted(&found.row.sender) && sight.sees(self, found.row.state_before, position_of(&found)).await? {
                    return Ok(true);
                }
            }
            rest = resume.map(|resume| range.resumed(resume));
        }
        Ok(false)
    }
}
