//! The change window: which rooms and users changed since a position, without reading the journal again.
//!
//! It holds the last position of each room and user that changed after its floor F. Bounded in bytes: reaching the bound
//! raises F. It is empty at start (F is the newest position then) and nothing is replayed. Who asks from before F reads
//! the cells of the user's rooms instead.

use std::collections::{BTreeSet, HashMap};

use parking_lot::RwLock;
use wardstead_engine::Position;

/// Bytes of one entry in both maps, with their overhead.
const ENTRY_BYTES: usize = 96;

/// Of what the last positions are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Rooms: events, and the state.
    Rooms,
    /// Rooms: receipts that all members are shown.
    Receipts,
    /// Users: what is in their own scope.
    Users,
    /// Users whose devices or keys changed.
    Lists,
    /// Rooms and users: who came into which room or left, and who signed somebody's keys. Short ids are given once, whatever they are of.
    Company,
    /// Users, for whose devices a message waits, and devices with other keys to give away.
    Waiting,
}

impl Side {
    const ALL: [Self; 6] = [Self::Rooms, Self::Receipts, Self::Users, Self::Lists, Self::Company, Self::Waiting];
}

/// What changed after a position, up to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changes {
    /// All rooms that changed (or users, where those are asked for), each once, in order of their last change.
    Rooms(Vec<u64>),
    /// More than the caller wished to look at one by one.
    Many,
    /// The position lies before the window's floor.
    Unknown,
}

#[derive(Debug, Default)]
struct Last {
    last: HashMap<u64, Position>,
    by_position: BTreeSet<(Position, u64)>,
}

impl Last {
    fn moved(&mut self, scope: u64, position: Position) {
        if let Some(before) = self.last.insert(scope, position) {
            self.by_position.remove(&(before, scope));
        }
        self.by_position.insert((position, scope));
    }

    fn drop_oldest(&mut self) {
        if let Some((_, scope)) = self.by_position.pop_first() {
            self.last.remove(&scope);
        }
    }

    fn since(&self, since: Position, most: usize) -> Changes {
        let scopes = self.by_position.range((since.next(), 0)..).map(|(_, scope)| *scope);
        let scopes: Vec<u64> = scopes.take(most + 1).collect();
        if scopes.len() > most { Changes::Many } else { Changes::Rooms(scopes) }
    }
}

#[derive(Debug)]
struct Inner {
    floor: Position,
    sides: [Last; Side::ALL.len()],
}

impl Inner {
    fn len(&self) -> usize {
        self.sides.iter().map(|side| side.last.len()).sum()
    }

    fn side(&self, side: Side) -> &Last {
        &self.sides[side as usize]
    }

    /// Forgets what changed longest ago, and raises the floor to it.
    fn drop_oldest(&mut self) {
        let oldest = |side: &Last| side.by_position.first().map(|(position, _)| *position);
        let oldest = self.sides.iter_mut().filter_map(|side| Some((oldest(side)?, side))).min_by_key(|(at, _)| *at);
        if let Some((position, side)) = oldest {
            side.drop_oldest();
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
        let inner = Inner { floor, sides: std::array::from_fn(|_| Last::default()) };
        Self { inner: RwLock::new(inner), entries: (bytes / ENTRY_BYTES).max(1) }
    }

    /// Bytes of what it holds.
    pub(crate) fn bytes(&self) -> usize {
        self.inner.read().len() * ENTRY_BYTES
    }

    /// `scope` changed at `position`, which is above every earlier one but those of the same journal entry.
    pub(crate) fn moved(&self, side: Side, scope: u64, position: Position) {
        let mut inner = self.inner.write();
        inner.sides[side as usize].moved(scope, position);
        while inner.len() > self.entries {
            inner.drop_oldest();
        }
    }

    /// What of `side` changed after `since`, unless it is more than `most`. What changed after the caller's own upper position may be
    /// among it.
    pub(crate) fn since(&self, side: Side, since: Position, most: usize) -> Changes {
        let inner = self.inner.read();
        if since < inner.floor { Changes::Unknown } else { inner.side(side).since(since, most) }
    }

    /// When `scope` last changed in `side`, as far back as memory reaches.
    pub(crate) fn last(&self, side: Side, scope: u64) -> Option<Position> {
        self.inner.read().side(side).last.get(&scope).copied()
    }

    /// Whether `scope` changed after `since` in `side`; `None` when `since` lies before the floor.
    pub(crate) fn changed(&self, side: Side, scope: u64, since: Position) -> Option<bool> {
        let inner = self.inner.read();
        (since >= inner.floor).then(|| inner.side(side).last.get(&scope).is_some_and(|last| *last > since))
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
            window.moved(Side::Rooms, room, Position(position));
        }
        assert_eq!(window.since(Side::Rooms, Position(10), 8), Changes::Rooms(vec![2, 1, 3]));
        assert_eq!(window.since(Side::Rooms, Position(12), 8), Changes::Rooms(vec![1, 3]));
        assert_eq!(window.since(Side::Rooms, Position(14), 8), Changes::Rooms(vec![]));
        assert_eq!(window.since(Side::Rooms, Position(10), 2), Changes::Many);
        assert_eq!(window.since(Side::Rooms, Position(9), 8), Changes::Unknown);
    }

    #[test]
    fn receipts_are_no_change_of_the_room() {
        let window = window(8);
        window.moved(Side::Receipts, 1, Position(11));
        window.moved(Side::Rooms, 2, Position(12));
        assert_eq!(window.since(Side::Rooms, Position(10), 8), Changes::Rooms(vec![2]));
        assert_eq!(window.since(Side::Receipts, Position(10), 8), Changes::Rooms(vec![1]));
        assert_eq!(window.since(Side::Receipts, Position(11), 8), Changes::Rooms(vec![]));
        assert_eq!(window.since(Side::Receipts, Position(10), 0), Changes::Many);
        assert_eq!(window.since(Side::Receipts, Position(9), 8), Changes::Unknown);
    }

    /// A membership moves the room and the user, at one position.
    #[test]
    fn two_may_change_at_once() {
        let window = window(8);
        window.moved(Side::Company, 7, Position(11));
        window.moved(Side::Company, 1, Position(11));
        assert_eq!(window.since(Side::Company, Position(10), 8), Changes::Rooms(vec![1, 7]));
        window.moved(Side::Company, 1, Position(12));
        assert_eq!(window.since(Side::Company, Position(10), 8), Changes::Rooms(vec![7, 1]));
        assert_eq!(window.changed(Side::Company, 7, Position(10)), Some(true));
        assert_eq!(window.changed(Side::Lists, 7, Position(10)), Some(false));
    }

    /// Reaching the bound raises the floor to what was forgotten: no answer is ever incomplete.
    #[test]
    fn the_bound_raises_the_floor() {
        let window = window(2);
        window.moved(Side::Users, 7, Position(11));
        window.moved(Side::Rooms, 1, Position(12));
        window.moved(Side::Rooms, 2, Position(13));
        assert_eq!(window.changed(Side::Users, 7, Position(10)), None);
        assert_eq!(window.changed(Side::Users, 7, Position(11)), Some(false));
        assert_eq!(window.since(Side::Rooms, Position(10), 8), Changes::Unknown);
        assert_eq!(window.since(Side::Rooms, Position(11), 8), Changes::Rooms(vec![1, 2]));
        window.moved(Side::Users, 7, Position(14));
        assert_eq!(window.since(Side::Rooms, Position(11), 8), Changes::Unknown);
        assert_eq!(window.since(Side::Rooms, Position(12), 8), Changes::Rooms(vec![2]));
        assert_eq!(window.changed(Side::Users, 7, Position(12)), Some(true));
        window.moved(Side::Receipts, 2, Position(15));
        assert_eq!(window.since(Side::Receipts, Position(12), 8), Changes::Unknown, "room 2 was forgotten");
        assert_eq!(window.since(Side::Receipts, Position(13), 8), Changes::Rooms(vec![2]));
    }
}
