//! What is shown with an event of the events that relate to it (Matrix specification, Client-Server API, Aggregations of child
//! events): a thread's summary, the newest edit, references. What the viewer may not see has no part in it.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use ruma::{EventId, OwnedEventId};
use wardstead_accounts::Session;
use wardstead_engine::{PageLimit, Position, ScanRange};
use wardstead_limits::rooms as limits;
use wardstead_store::Found;

use crate::{
    Membership, RoomError, Rooms, Seen, Sight,
    event::{
        Marks,
        relation::{REFERENCE, REPLACE, THREAD},
    },
    tables::{
        RELATIONS, RelationRow, THREADS, Thread, ThreadRow, read_timeline_tail, relations_of, speaker_key, thread_key,
    },
};

/// A thread as one user sees it.
pub(super) struct ThreadView {
    pub(super) latest: (Seen, Membership),
    replies: u64,
    participated: bool,
}

impl ThreadView {
    pub(super) fn participated(&self) -> bool {
        self.participated
    }
}

impl Rooms {
    /// Adds to each of `events` what is shown with it. Events without children that are shown cost nothing; state events have none.
    ///
    /// # Errors
    /// The store's.
    pub async fn bundle(
        &self,
        by: &Session,
        sight: &mut Sight,
        events: &mut [(Seen, Membership)],
        with_room_id: bool,
    ) -> Result<(), RoomError> {
        self.bundle_marked(by, sight, events, with_room_id, u8::MAX).await
    }

    async fn bundle_marked(
        &self,
        by: &Session,
        sight: &mut Sight,
        events: &mut [(Seen, Membership)],
        with_room_id: bool,
        marks: u8,
    ) -> Result<(), RoomError> {
        let wanted = |event: &Seen| event.marks.has(marks) && event.state_key.is_none();
        let with: Vec<usize> = (0..events.len()).filter(|at| wanted(&events[*at].0)).collect();
        if with.is_empty() {
            return Ok(());
        }
        let of_thread = |at: &usize| marks & Marks::THREAD != 0 && events[*at].0.marks.has(Marks::THREAD);
        let roots: Vec<usize> = with.iter().copied().filter(of_thread).collect();
        let roots_seen: Vec<Seen> = roots.iter().map(|at| events[*at].0.clone()).collect();
        let views = self.thread_views(by, sight, &roots_seen).await?;
        let mut views: Vec<Option<ThreadView>> = views.into_iter().collect();
        // Replies start no threads, so this ends.
        let mut latest: Vec<(Seen, Membership)> = views.iter().flatten().map(|view| view.latest.clone()).collect();
        let rest = marks & !Marks::THREAD;
        if marks & Marks::THREAD != 0 {
            Box::pin(self.bundle_marked(by, sight, &mut latest, with_room_id, rest)).await?;
        }
        let mut latest = latest.into_iter();
        for view in views.iter_mut().flatten() {
            if let Some(bundled) = latest.next() {
                view.latest = bundled;
            }
        }
        let mut views = roots.into_iter().zip(views).collect::<std::collections::HashMap<_, _>>();
        let children = self.children_of(sight, &with, events).await?;
        for (at, children) in with.into_iter().zip(children) {
            let mut parts = Vec::new();
            if let Some(Some(view)) = views.remove(&at) {
                parts.push(self.thread_json(by, &view, with_room_id));
            }
            if let Some(edit) = self.newest_edit(sight, &events[at].0, children.edits).await? {
                let json = self.written(&edit.0, by, Some(edit.1), with_room_id).to_json();
                parts.push(format!("\"{REPLACE}\":{json}"));
            }
            parts.extend(self.references(sight, &children.references).await?);
            if !parts.is_empty() {
                events[at].0.show_with(parts.join(","));
            }
        }
        Ok(())
    }

    fn thread_json(&self, by: &Session, view: &ThreadView, with_room_id: bool) -> String {
        let ThreadView { latest: (latest, membership), replies, participated } = view;
        let latest = self.written(latest, by, Some(*membership), with_room_id).to_json();
        format!(
            "\"{THREAD}\":{{\"latest_event\":{latest},\"count\":{replies},\"current_user_participated\":{participated}}}"
        )
    }

    /// Edits and references of those of `events` that are marked to have some, several reads side by side.
    async fn children_of(
        &self,
        sight: &Sight,
        with: &[usize],
        events: &[(Seen, Membership)],
    ) -> Result<Vec<Children>, RoomError> {
        let room = sight.room().short;
        let scans = with.iter().map(|at| {
            let event = events[*at].0.clone();
            async move {
                // A redacted event is shown without its edits.
                let edited = event.marks.has(Marks::REPLACE) && event.redaction.is_none();
                let edits = if edited {
                    self.relation_rows(room, &event.event_id, REPLACE, true, limits::EDIT_EVENTS_SCANNED).await?
                } else {
                    Vec::new()
                };
                let references = if event.marks.has(Marks::REFERENCE) {
                    self.relation_rows(room, &event.event_id, REFERENCE, false, limits::REFERENCE_IDS).await?
                } else {
                    Vec::new()
                };
                Ok::<_, RoomError>(Children { edits, references })
            }
        });
        let scans: Vec<_> = scans.collect();
        stream::iter(scans).buffered(limits::BUNDLED_EVENTS_AT_ONCE).try_collect().await
    }

    /// The newest valid replacement (Event replacements, Validity of replacement events).
    async fn newest_edit(
        &self,
        sight: &mut Sight,
        event: &Seen,
        rows: Vec<Found<RelationRow>>,
    ) -> Result<Option<(Seen, Membership)>, RoomError> {
        let is_edit = crate::event::relation::relation(event).is_some_and(|relation| relation.rel_type == REPLACE);
        let event_type = event.event_type.to_string();
        let valid = |row: &RelationRow| {
            row.replaces && !is_edit && row.sender == event.sender.as_str() && row.event_type == event_type
        };
        let mut edits: Vec<RelationRow> = rows.into_iter().map(|found| found.row).filter(valid).collect();
        edits.sort_by(|a, b| (b.origin_server_ts, &b.event_id).cmp(&(a.origin_server_ts, &a.event_id)));
        for edit in edits {
            if let Some(seen) = self.child(sight, &edit.event_id).await? {
                return Ok(Some(seen));
            }
        }
        Ok(None)
    }

    async fn references(&self, sight: &mut Sight, rows: &[Found<RelationRow>]) -> Result<Option<String>, RoomError> {
        let mut chunk = Vec::new();
        for found in rows {
            if sight.sees(self, found.row.state_before, position_of(found)).await? {
                chunk.push(serde_json::json!({ "event_id": found.row.event_id }).to_string());
            }
        }
        Ok((!chunk.is_empty()).then(|| format!("\"{REFERENCE}\":{{\"chunk\":[{}]}}", chunk.join(","))))
    }

    /// The threads below `roots`, in their order; `None` where `sight` sees no reply.
    pub(super) async fn thread_views(
        &self,
        by: &Session,
        sight: &mut Sight,
        roots: &[Seen],
    ) -> Result<Vec<Option<ThreadView>>, RoomError> {
        if roots.is_empty() {
            return Ok(Vec::new());
        }
        let room = sight.room().short;
        let mut keys = Vec::with_capacity(2 * roots.len());
        for root in roots {
            keys.push(thread_key(room, root.event_id.as_str()));
            keys.push(speaker_key(room, root.event_id.as_str(), by.user));
        }
        let mut found = self.inner.store.get_many(&THREADS, &keys).await?.into_iter();
        let mut views = Vec::with_capacity(roots.len());
        for root in roots {
            let (thread, speaker) = (found.next().flatten(), found.next().flatten());
            let participated = speaker.is_some() || root.sender == by.user_id;
            let view = match thread.map(|found| found.row) {
                Some(ThreadRow::Thread(thread)) => {
                    self.thread_view(sight, &root.event_id, &thread, participated).await?
                }
                _ => None,
            };
            views.push(view);
        }
        Ok(views)
    }

    async fn thread_view(
        &self,
        sight: &mut Sight,
        start: &EventId,
        thread: &Thread,
        participated: bool,
    ) -> Result<Option<ThreadView>, RoomError> {
        // Whoever is in the room sees every reply, unless some was made for fewer.
        if sight.is_joined()
            && !thread.restricted
            && let Some(latest) = self.child(sight, &thread.latest).await?
        {
            return Ok(Some(ThreadView { latest, replies: thread.replies, participated }));
        }
        let room = sight.room().short;
        let rows = self.relation_rows(room, start, THREAD, true, limits::THREAD_EVENTS_SCANNED).await?;
        let (mut latest, mut replies) = (None, 0);
        for found in &rows {
            if sight.sees(self, found.row.state_before, position_of(found)).await? {
                replies += 1;
                if latest.is_none() {
                    latest = self.child(sight, &found.row.event_id).await?;
                }
            }
        }
        Ok(latest.map(|latest| ThreadView { latest, replies, participated }))
    }

    /// The event of a relation's row, if `sight` sees it.
    pub(super) async fn child(
        &self,
        sight: &mut Sight,
        event_id: &str,
    ) -> Result<Option<(Seen, Membership)>, RoomError> {
        let Ok(event_id) = OwnedEventId::try_from(event_id) else { return Ok(None) };
        match self.look_at(sight, &event_id).await {
            Ok(seen) => Ok(Some(seen)),
            Err(RoomError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// At most `limit` rows of what relates to `parent` so, the oldest or the newest first.
    async fn relation_rows(
        &self,
        room: u64,
        parent: &EventId,
        rel_type: &str,
        newest_first: bool,
        limit: usize,
    ) -> Result<Vec<Found<RelationRow>>, RoomError> {
        let range = ScanRange::prefix(relations_of(room, parent.as_str(), rel_type).key());
        let range = if newest_first { range.descending() } else { range };
        Ok(self.inner.store.scan(&RELATIONS, &range, PageLimit::rows(limit)).await?.0)
    }
}

struct Children {
    edits: Vec<Found<RelationRow>>,
    references: Vec<Found<RelationRow>>,
}

/// The position of a live event by the key of its row; zero for others.
pub(super) fn position_of(found: &Found<RelationRow>) -> Position {
    let order = read_timeline_tail(&found.key).map_or(0, |key| key.order);
    Position(u64::try_from(order).unwrap_or_default())
}
