//! The events that relate to an event (Matrix specification, Client-Server API, Relationships API).

use std::{collections::HashSet, sync::Arc};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use ruma::{EventId, OwnedEventId, RoomId};
use wardstead_accounts::Session;
use wardstead_engine::{Key, KeyReader, PageLimit, ScanRange};
use wardstead_limits::rooms as limits;
use wardstead_store::Found;

use crate::{
    Membership, RoomError, Rooms, Seen, Sight, TimelineKey,
    tables::{RELATIONS, RelationRow, Spot, read_timeline_tail, relations_of},
};

use super::places::{BOTTOM, TOP, before};

/// The request.
#[derive(Clone, Debug)]
pub struct Relations {
    /// The event that is related to.
    pub parent: OwnedEventId,
    /// How; `None`: in any way.
    pub rel_type: Option<String>,
    /// Of which type; `None`: of any.
    pub event_type: Option<String>,
    /// Token to start from, of a timeline or of a sync. `None`: the newest event when going back, else the oldest.
    pub from: Option<String>,
    /// Token to stop at.
    pub to: Option<String>,
    /// Whether to go back in time.
    pub backwards: bool,
    /// Events at most; `None`: [`limits::RELATED_EVENTS_DEFAULT`].
    pub limit: Option<usize>,
    /// Also what relates to those, [`limits::RELATION_STEPS`] levels down.
    pub recurse: bool,
}

/// The answer.
#[derive(Clone, Debug)]
pub struct RelationsPage {
    /// Events in the order asked for.
    pub events: Vec<(Seen, Membership)>,
    /// Where the next page starts; `None`: there is nothing more.
    pub next: Option<String>,
    /// Where this one started; `None`: it is the first.
    pub previous: Option<String>,
    /// How many levels down was looked, where that was asked for.
    pub depth: Option<usize>,
}

/// A child: where it stands, and what its row says.
type Child = (TimelineKey, RelationRow);

/// Rows of one stretch: above a place, up to another.
struct Range {
    low: TimelineKey,
    high: TimelineKey,
    backwards: bool,
}

impl Rooms {
    /// A page of the events that relate to one.
    ///
    /// # Errors
    /// As [`Self::access`]; `NotFound` for an event that the user may not see; `InvalidParam` for a token of another room or user.
    pub async fn relations(
        &self,
        by: &Session,
        room_id: &RoomId,
        request: &Relations,
    ) -> Result<RelationsPage, RoomError> {
        let access = self.access(by, room_id).await?;
        let mut sight = Sight::new(by, &access);
        self.look_at(&mut sight, &request.parent).await?;
        let from = self.place(by, &access.room, request.from.as_deref()).await?;
        let to = self.place(by, &access.room, request.to.as_deref()).await?;
        let newest = self.newest_readable(&access).await?;
        let (low, high) = if request.backwards { (to, from) } else { (from, to) };
        let range =
            Range { low: low.unwrap_or(BOTTOM), high: high.unwrap_or(TOP).min(newest), backwards: request.backwards };
        let limit = request.limit.unwrap_or(limits::RELATED_EVENTS_DEFAULT).clamp(1, limits::RELATED_EVENTS_PAGE);
        let room = access.room.short;
        let (mut children, mut more, depth) = if request.recurse {
            (self.descendants(room, request).await?, false, Some(limits::RELATION_STEPS))
        } else {
            let (children, more) = self.related(room, request, &range, limit).await?;
            (children, more, None)
        };
        children.retain(|(at, _)| range.low < *at && *at <= range.high);
        children.sort_by_key(|(at, _)| *at);
        if request.backwards {
            children.reverse();
        }
        let (mut events, mut last) = (Vec::new(), None);
        for (at, row) in children {
            if events.len() >= limit {
                more = true;
                break;
            }
            last = Some(at);
            let wanted = request.event_type.as_ref().is_none_or(|event_type| row.event_type == *event_type);
            if wanted && let Some(seen) = self.child(&mut sight, &row.event_id).await? {
                events.push(seen);
            }
        }
        self.bundle(by, &mut sight, &mut events, true).await?;
        let next = last.filter(|_| more).map(|last| if request.backwards { before(last) } else { last });
        let next = next.map(|key| self.timeline_token(room, key));
        Ok(RelationsPage { events, next, previous: request.from.clone(), depth })
    }

    /// The direct children in `range`, of each type as many as may be needed; and whether there are more. In the order of the timeline
    /// nothing is missing between those that are given.
    async fn related(
        &self,
        room: u64,
        request: &Relations,
        range: &Range,
        limit: usize,
    ) -> Result<(Vec<Child>, bool), RoomError> {
        let types = match &request.rel_type {
            Some(rel_type) => vec![rel_type.clone()],
            None => self.relation_types(room, &request.parent).await?,
        };
        // What an event type hides is looked over.
        let rows = if request.event_type.is_some() { limits::RELATED_EVENTS_SCANNED } else { limit + 1 };
        let (mut children, mut reached) = (Vec::new(), None::<TimelineKey>);
        for rel_type in types {
            let prefix = relations_of(room, request.parent.as_str(), &rel_type);
            let key = |at: TimelineKey| Spot::At(at).below(prefix.clone()).key().successor();
            let scan = ScanRange::new(key(range.low), key(range.high));
            if scan.from >= scan.to {
                continue;
            }
            let scan = if range.backwards { scan.descending() } else { scan };
            let (found, resume) = self.inner.store.scan(&RELATIONS, &scan, PageLimit::rows(rows)).await?;
            let of_type = found.into_iter().map(child).collect::<Result<Vec<_>, _>>()?;
            if let (Some(_), Some((last, _))) = (resume, of_type.last()) {
                let nearer = |so_far: TimelineKey| if range.backwards { so_far.max(*last) } else { so_far.min(*last) };
                reached = Some(reached.map_or(*last, nearer));
            }
            children.extend(of_type);
        }
        if let Some(reached) = reached {
            children.retain(|(at, _)| if range.backwards { *at >= reached } else { *at <= reached });
        }
        Ok((children, reached.is_some()))
    }

    /// In which ways something relates to `parent`: one read each.
    async fn relation_types(&self, room: u64, parent: &EventId) -> Result<Vec<String>, RoomError> {
        let whole = ScanRange::prefix(RELATIONS.key(room).text(parent.as_str()).key());
        let (mut types, mut from): (Vec<String>, Key) = (Vec::new(), whole.from.clone());
        while types.len() < limits::RELATION_TYPE_KEYS {
            let range = ScanRange::new(from, whole.to.clone());
            let (rows, _) = self.inner.store.scan(&RELATIONS, &range, PageLimit::rows(1)).await?;
            let Some(found) = rows.first() else { break };
            let mut reader = KeyReader::new(&found.key);
            let rel_type = reader.text().and_then(|_| reader.text());
            let rel_type = rel_type.ok_or_else(|| RoomError::corrupt(&found.key, "no relation in the key"))?;
            from = ScanRange::prefix(relations_of(room, parent.as_str(), &rel_type).key()).to;
            types.push(rel_type);
        }
        Ok(types)
    }

    /// Children, their children and so on, through those alone that the request is about; [`limits::RELATED_EVENTS_SCANNED`] at most.
    async fn descendants(&self, room: u64, request: &Relations) -> Result<Vec<Child>, RoomError> {
        let mut level = vec![request.parent.as_str().to_owned()];
        let (mut known, mut all) = (HashSet::new(), Vec::new());
        for _ in 0..limits::RELATION_STEPS {
            let prefixes = level.iter().map(|parent| match &request.rel_type {
                Some(rel_type) => relations_of(room, parent, rel_type).key(),
                None => RELATIONS.key(room).text(parent).key(),
            });
            let store = Arc::new(self.inner.store.clone());
            let scans: Vec<_> = prefixes
                .map(|prefix| {
                    let (store, range) = (Arc::clone(&store), ScanRange::prefix(prefix));
                    async move { store.scan(&RELATIONS, &range, PageLimit::rows(limits::RELATED_EVENTS_SCANNED)).await }
                })
                .collect();
            let pages: Vec<_> = stream::iter(scans).buffered(limits::BUNDLED_EVENTS_AT_ONCE).try_collect().await?;
            level.clear();
            for found in pages.into_iter().flat_map(|(rows, _)| rows) {
                let wanted = request.event_type.as_ref().is_none_or(|event_type| found.row.event_type == *event_type);
                if all.len() >= limits::RELATED_EVENTS_SCANNED || !wanted || !known.insert(found.row.event_id.clone()) {
                    continue;
                }
                level.push(found.row.event_id.clone());
                all.push(child(found)?);
            }
        }
        Ok(all)
    }
}

fn child(found: Found<RelationRow>) -> Result<Child, RoomError> {
    let at = read_timeline_tail(&found.key);
    let at = at.ok_or_else(|| RoomError::corrupt(&found.key, "no timeline key in the key"))?;
    Ok((at, found.row))
}
