//! Walking through a space, depth first.

use std::{collections::HashSet, sync::Arc, vec};

use ruma::OwnedRoomId;
use wardstead_accounts::Session;
use wardstead_limits::directory as limits;
use wardstead_rooms::{Child, Glimpse, Looker, Room, Rooms};

use super::{HierarchyRoom, token::Question};
use crate::{DirectoryError, RoomEntry};

/// A walk that gives each room once: where it meets it first.
pub(super) struct Walk<'a> {
    rooms: &'a Rooms,
    by: &'a Session,
    question: Question,
    seen: HashSet<u64>,
    /// What is still to be visited, the deepest level last.
    levels: Vec<vec::IntoIter<Glimpse>>,
}

impl<'a> Walk<'a> {
    /// A walk from `root`.
    pub(super) fn new(rooms: &'a Rooms, by: &'a Session, question: Question, root: Glimpse) -> Self {
        Self { rooms, by, question, seen: HashSet::new(), levels: vec![vec![root].into_iter()] }
    }

    /// How many rooms it has given.
    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.seen.len()).unwrap_or(u32::MAX)
    }

    /// Goes on until `last`, asked with a room's short id and the count up to it, says that it is the one. Whether it came so far.
    pub(super) async fn skip(&mut self, last: impl Fn(u64, u32) -> bool) -> Result<bool, DirectoryError> {
        while let Some((glimpse, _)) = self.step().await? {
            if last(glimpse.overview.room.short, self.count()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The next room.
    pub(super) async fn next(&mut self) -> Result<Option<HierarchyRoom>, DirectoryError> {
        let Some((glimpse, children)) = self.step().await? else { return Ok(None) };
        let short = glimpse.overview.room.short;
        Ok(Some(HierarchyRoom::new(short, RoomEntry::summary(glimpse.overview), &children)))
    }

    async fn step(&mut self) -> Result<Option<(Glimpse, Vec<Child>)>, DirectoryError> {
        if self.seen.len() >= limits::HIERARCHY_ROOMS {
            return Ok(None);
        }
        while let Some(level) = self.levels.last_mut() {
            let Some(glimpse) = level.next() else {
                self.levels.pop();
                continue;
            };
            if !self.seen.insert(glimpse.overview.room.short) {
                continue;
            }
            let mut children = self.rooms.children(&glimpse.overview).await?;
            children.retain(|child| child.suggested || !self.question.suggested);
            let depth = u32::try_from(self.levels.len()).unwrap_or(u32::MAX).saturating_sub(1);
            if depth < self.question.max_depth {
                self.go_down(&children).await?;
            }
            return Ok(Some((glimpse, children)));
        }
        Ok(None)
    }

    /// Those of `children` that this server knows and the user may see are to be visited next.
    async fn go_down(&mut self, children: &[Child]) -> Result<(), DirectoryError> {
        let ids: Vec<OwnedRoomId> = children.iter().map(|child| child.room_id.clone()).collect();
        let known = self.rooms.rooms_by_id(&ids).await?.into_iter().flatten();
        let known: Vec<Arc<Room>> = known.filter(|room| !self.seen.contains(&room.short)).collect();
        let glimpses = self.rooms.glimpse(Looker::User(self.by), &known).await?;
        let shown: Vec<Glimpse> = glimpses.into_iter().flatten().collect();
        if !shown.is_empty() {
            self.levels.push(shown.into_iter());
        }
        Ok(())
    }
}
