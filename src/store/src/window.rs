//! The change window: which rooms and users changed since a position, without reading the journal again.
//!
//! It holds the last position of each room and user that changed after its floor F. Bounded in bytes: reaching the bound
//! raises F. It is empty at start (F is the newest position then) and nothing is replayed. Who asks from before F reads
//! the cells of the user's rooms instead.

use std::collections::{BTreeMap, HashMap};

use parking_lot::RwLock;
use wardstead_engine::Position;

use crate::kind::ScopeOf;

/// Bytes of one entry in both maps, with their overhead.
const ENTRY_BYTES: usize = 96;

/// What changed after a position, up to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changes {
    /// All rooms that changed, each once, in order of their last change.
    Rooms(Vec<u64>),
    /// More than the caller wished to look at one by one.
    Many,
    /// The position lies before the window's floor.
    Unknown,
}

#[derive(Debug, Default)]
struct Side {
    last: HashMap<u64, Position>,
    by_position: BTreeMap<Position, u64>,
}

impl Side {
    fn moved(&mut self, scope: u64, position: Position) {
        if let Some(before) = self.last.insert(scope, position) {
            self.by_position.remove(&before);
        }
        self.by_position.insert(position, scope);
    }

    fn drop_oldest(&mut self) {
        if let Some((_, scope)) = self.by_position.pop_first() {
            self.last.remove(&scope);
        }
    }

    fn since(&self, since: Position, most: usize) -> Changes {
        let scopes = self.by_position.range(since.next()..).map(|(_, scope)| *scope);
        let scopes: Vec<u64> = scopes.take(most + 1).collect();
        if scopes.len() > most { Changes::Many } else { Changes::Rooms(scopes) }
    }
}

#[derive(Debug)]
struct Inner {
    floor: Position,
    rooms: Side,
    receipts: Side,
    users: Side,
}

impl Inner {
    fn len(&self) -> usize {
        self.rooms.last.len() + self.receipts.last.len() + self.users.last.len()
    }

    fn side(&mut self, of: ScopeOf) -> &mut Side {
        match of {
            ScopeOf::Room => &mut self.rooms,
            ScopeOf::Receipts => &mut self.receipts,
            ScopeOf::User => &mut self.users,
        }
    }

    /// Forgets what changed longest ago, and raises the floor to it.
    fn drop_oldest(&mut self) {
        let oldest = |side: &Side| side.by_position.first_key_value().map(|(position, _)| *position);
        let sides = [(ScopeOf::Room, &self.rooms), (ScopeOf::Receipts, &self.receipts), (ScopeOf::User, &self.users)];
        let oldest = sides.into_iter().filter_map(|(of, side)| Some((oldest(side)?, of))).min_by_key(|(at, _)| *at);
        if let Some((position, of)) = oldest {
            self.side(of).drop_oldest();
            self.floor = self.floor.max(position);
        }
    }
}

/// See the module's description. Moved by the tail alone.
#[derive(Debug)]
pub(crate) struct Window {
    inner: RwLock<Inner>,
    entries: usize,
}

impl Window {
    /// An empty window above `floor`, of at most `bytes`.
    pub(crate) fn new(floor: Position, bytes: usize) -> Self {
        let (rooms, receipts, users) = (Side::default(), Side::default(), Side::default());
        let inner = Inner { floor, rooms, receipts, users };
        Self { inner: RwLock::new(inner), entries: (bytes / ENTRY_BYTES).max(1) }
    }

    /// Bytes of what it holds.
    pub(crate) fn bytes(&self) -> usize {
        self.inner.read().len() * ENTRY_BYTES
    }

    /// `scope` changed at `position`, which is above every earlier one.
    pub(crate) fn moved(&self, of: ScopeOf, scope: u64, position: Position) {
        let mut inner = self.inner.write();
        inner.side(of).moved(scope, position);
        while inner.len() > self.entries {
            inner.drop_oldest();
        }
    }

    /// Rooms that changed after `since`, unless there are more than `most`. What changed after the caller's own upper
    /// position may be among them.
    pub(crate) fn rooms_since(&self, since: Position, most: usize) -> Changes {
        let inner = self.inner.read();
        if since < inner.floor { Changes::Unknown } else { inner.rooms.since(since, most) }
    }

    /// Rooms whose receipts moved after `since`; as [`Self::rooms_since`].
    pub(crate) fn receipts_since(&self, since: Position, most: usize) -> Changes {
        let inner = self.inner.read();
        if since < inner.floor { Changes::Unknown } else { inner.receipts.since(since, most) }
    }

    /// Whether `user`'s own scope changed after `since`; `None` when `since` lies before the floor.
    pub(crate) fn user_changed(&self, user: u64, since: Position) -> Option<bool> {
        let inner = self.inner.read();
        (since >= inner.floor).then(|| inner.users.last.get(&user).is_some_and(|last| *last > since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(entries: usize) -> Window {
        Window::new(Position(10), entries * ENTRY_BYTES)
    }

    #[test]
    fn names_each_changed_room_once() {
        let window = window(8);
        for (room, position) in [(1, 11), (2, 12), (1, 13), (3, 14)] {
            window.moved(ScopeOf::Room, room, Position(position));
        }
        assert_eq!(window.rooms_since(Position(10), 8), Changes::Rooms(vec![2, 1, 3]));
        assert_eq!(window.rooms_since(Position(12), 8), Changes::Rooms(vec![1, 3]));
        assert_eq!(window.rooms_since(Position(14), 8), Changes::Rooms(vec![]));
        assert_eq!(window.rooms_since(Position(10), 2), Changes::Many);
        assert_eq!(window.rooms_since(Position(9), 8), Changes::Unknown);
    }

    #[test]
    fn receipts_are_no_change_of_the_room() {
        let window = window(8);
        window.moved(ScopeOf::Receipts, 1, Position(11));
        window.moved(ScopeOf::Room, 2, Position(12));
        assert_eq!(window.rooms_since(Position(10), 8), Changes::Rooms(vec![2]));
        assert_eq!(window.receipts_since(Position(10), 8), Changes::Rooms(vec![1]));
        assert_eq!(window.receipts_since(Position(11), 8), Changes::Rooms(vec![]));
        assert_eq!(window.receipts_since(Position(10), 0), Changes::Many);
        assert_eq!(window.receipts_since(Position(9), 8), Changes::Unknown);
    }

    /// Reaching the bound raises the floor to what was forgotten: no answer is ever incomplete.
    #[test]
    fn the_bound_raises_the_floor() {
        let window = window(2);
        window.moved(ScopeOf::User, 7, Position(11));
        window.moved(ScopeOf::Room, 1, Position(12));
        window.moved(ScopeOf::Room, 2, Position(13));
        assert_eq!(window.user_changed(7, Position(10)), None);
        assert_eq!(window.user_changed(7, Position(11)), Some(false));
        assert_eq!(window.rooms_since(Position(10), 8), Changes::Unknown);
        assert_eq!(window.rooms_since(Position(11), 8), Changes::Rooms(vec![1, 2]));
        window.moved(ScopeOf::User, 7, Position(14));
        assert_eq!(window.rooms_since(Position(11), 8), Changes::Unknown);
        assert_eq!(window.rooms_since(Position(12), 8), Changes::Rooms(vec![2]));
        assert_eq!(window.user_changed(7, Position(12)), Some(true));
        window.moved(ScopeOf::Receipts, 2, Position(15));
        assert_eq!(window.receipts_since(Position(12), 8), Changes::Unknown, "room 2 was forgotten");
        assert_eq!(window.receipts_since(Position(13), 8), Changes::Rooms(vec![2]));
    }
}
