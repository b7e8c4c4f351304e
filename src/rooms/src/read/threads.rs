//! A room's threads (Matrix specification, Client-Server API, Querying threads in a room).

use std::collections::HashSet;

use ruma::{OwnedEventId, RoomId};
use wardstead_accounts::Session;
use wardstead_engine::{PageLimit, ScanRange};
use wardstead_limits::rooms as limits;
use wardstead_store::Found;

use crate::{
    Membership, RoomError, Rooms, Seen, Sight, TimelineKey,
    tables::{Spot, THREADS, ThreadRow, read_timeline_tail, thread_replies},
};

use super::places::{BOTTOM, before};

/// The request.
#[derive(Clone, Debug, Default)]
pub struct Threads {
    /// Only those in which the user said something or whose root is theirs.
    pub participated: bool,
    /// Token to start from; `None`: the thread with the newest reply.
    pub from: Option<String>,
    /// Threads at most; `None`: [`limits::THREADS_DEFAULT`].
    pub limit: Option<usize>,
}

/// The answer.
#[derive(Clone, Debug)]
pub struct ThreadsPage {
    /// Roots, that with the newest reply first.
    pub roots: Vec<(Seen, Membership)>,
    /// Where the next page starts; `None`: there is nothing more.
    pub next: Option<String>,
}

impl Rooms {
    /// A page of a room's threads. A thread stands where the newest reply stands that the user may see.
    ///
    /// # Errors
    /// As [`Self::access`]; `InvalidParam` for a token of another room or user.
    pub async fn threads(&self, by: &Session, room_id: &RoomId, request: &Threads) -> Result<ThreadsPage, RoomError> {
        let access = self.access(by, room_id).await?;
        let room = access.room.short;
        let newest = self.newest_readable(&access).await?;
        let from = self.place(by, &access.room, request.from.as_deref()).await?.map_or(newest, |from| from.min(newest));
        let mut sight = Sight::new(by, &access);
        let limit = request.limit.unwrap_or(limits::THREADS_DEFAULT).clamp(1, limits::THREADS_PAGE);
        let key = |at: TimelineKey| Spot::At(at).below(thread_replies(room)).key().successor();
        let (mut roots, mut last, mut scanned) = (Vec::new(), None, 0);
        let mut listed: HashSet<OwnedEventId> = HashSet::new();
        let mut rest = Some(ScanRange::new(key(BOTTOM), key(from)).descending()).filter(|range| range.from < range.to);
        let mut more = false;
        'walk: while let Some(range) = rest {
            let page = PageLimit::rows(limits::THREADS_ROWS);
            let (rows, resume) = self.inner.store.scan(&THREADS, &range, page).await?;
            for found in rows {
                if roots.len() >= limit || scanned >= limits::THREADS_SCANNED {
                    more = true;
                    break 'walk;
                }
                scanned += 1;
                let (at, start, reply) = reply(&found)?;
                last = Some(at);
                if !listed.contains(&start)
                    && let Some(seen) = self.thread_at(by, &mut sight, &start, &reply, request.participated).await?
                {
                    roots.push(seen);
                    listed.insert(start);
                }
            }
            rest = resume.map(|resume| range.resumed(resume));
        }
        self.bundle(by, &mut sight, &mut roots, true).await?;
        let next = last.filter(|_| more).map(|last| self.timeline_token(room, before(last)));
        Ok(ThreadsPage { roots, next })
    }

    /// The root, if `reply` is the newest reply that the user may see, and the thread is wanted.
    async fn thread_at(
        &self,
        by: &Session,
        sight: &mut Sight,
        root: &OwnedEventId,
        reply: &str,
        participated: bool,
    ) -> Result<Option<(Seen, Membership)>, RoomError> {
        let Some(root) = self.child(sight, root.as_str()).await? else { return Ok(None) };
        let view = self.thread_views(by, sight, std::slice::from_ref(&root.0)).await?.pop().flatten();
        let listed = view.is_some_and(|view| view.latest.0.event_id == reply && (!participated || view.participated()));
        Ok(listed.then_some(root))
    }
}

fn reply(found: &Found<ThreadRow>) -> Result<(TimelineKey, OwnedEventId, String), RoomError> {
    let corrupt = || RoomError::corrupt(&found.key, "not a reply in a thread");
    let at = read_timeline_tail(&found.key).ok_or_else(corrupt)?;
    match &found.row {
        ThreadRow::Reply { root, event_id } => {
            Ok((at, OwnedEventId::try_from(root.as_str()).map_err(|_| corrupt())?, event_id.clone()))
        }
        _ => Err(corrupt()),
    }
}
