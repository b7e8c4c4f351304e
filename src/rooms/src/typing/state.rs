//! What one node remembers: for each room who types until when, and who did.

use std::collections::{BTreeMap, HashMap};

use ruma::{OwnedUserId, UserId};
use wardstead_limits::ephemeral as limits;

use super::message::Change;

/// Bytes that an entry takes beside its user id, with the overhead of the maps.
const TYPIST_BYTES: usize = 160;

/// One room at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomTyping {
    /// Short id of the room.
    pub room: u64,
    /// Short and full ids of those who type, in the order of the short ids.
    pub users: Vec<(u64, OwnedUserId)>,
    /// When the set last became another, in Unix milliseconds.
    pub changed_ms: u64,
    /// When the next of them stops if nothing is said again; `None`: nobody types.
    pub ends_ms: Option<u64>,
}

#[derive(Debug)]
struct Typist {
    user_id: OwnedUserId,
    until_ms: u64,
    said_ms: u64,
}

impl Typist {
    fn types(&self, now: u64) -> bool {
        self.until_ms > now
    }

    /// When this was last of any interest.
    fn over_ms(&self) -> u64 {
        self.until_ms.max(self.said_ms)
    }

    fn bytes(&self) -> usize {
        TYPIST_BYTES + self.user_id.as_str().len()
    }
}

#[derive(Debug, Default)]
struct Room {
    typists: BTreeMap<u64, Typist>,
    /// When a message last changed the set.
    told_ms: u64,
}

impl Room {
    /// When the set last changed: by a message, or because somebody's time was over.
    fn changed_ms(&self, now: u64) -> u64 {
        let over = self.typists.values().map(|typist| typist.until_ms).filter(|until| *until <= now).max();
        self.told_ms.max(over.unwrap_or_default())
    }

    fn at(&self, room: u64, now: u64) -> RoomTyping {
        let typing = || self.typists.iter().filter(|(_, typist)| typist.types(now));
        RoomTyping {
            room,
            users: typing().map(|(user, typist)| (*user, typist.user_id.clone())).collect(),
            changed_ms: self.changed_ms(now),
            ends_ms: typing().map(|(_, typist)| typist.until_ms).min(),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct State {
    rooms: HashMap<u64, Room>,
    bytes: usize,
    /// When what is forgotten was last looked for.
    swept_ms: u64,
    /// When room was last made.
    full_ms: u64,
    /// Nothing that happened from then on is missing, as far as this node can tell.
    whole_since_ms: u64,
}

impl State {
    /// Something that happened before `now` may be missing.
    pub(super) fn missed(&mut self, now: u64) {
        self.whole_since_ms = now;
    }

    pub(super) fn whole_since_ms(&self, now: u64) -> u64 {
        self.whole_since_ms.max(now.saturating_sub(limits::TYPING_REMEMBERED_MS))
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rooms.is_empty()
    }

    /// The change to be told when a user says so; `None` when it would tell nothing new.
    pub(super) fn next(&self, room: u64, user: u64, user_id: &UserId, until_ms: u64, now: u64) -> Option<Change> {
        let known = self.rooms.get(&room).and_then(|room| room.typists.get(&user));
        let (until, said) = known.map_or((0, 0), |known| (known.until_ms, known.said_ms));
        let types = until > now;
        let moved = match until_ms {
            0 => types,
            _ => !types || until_ms.abs_diff(until) >= limits::TYPING_MOVED_MS,
        };
        // Later than whatever was said before, on whichever node: the clocks may differ.
        moved.then(|| Change { room, user, user_id: user_id.to_owned(), until_ms, said_ms: now.max(said + 1) })
    }

    /// Whether the set of those who type in the room is another now.
    pub(super) fn apply(&mut self, change: &Change, now: u64) -> bool {
        let Change { room, user, ref user_id, until_ms, said_ms } = *change;
        if said_ms > now + limits::BUS_AHEAD_MS || said_ms + limits::TYPING_REMEMBERED_MS <= now {
            return false;
        }
        self.sweep(now);
        // Whatever is said: nobody types for longer than a request may say.
        let until_ms = until_ms.min(now + limits::TYPING_TIMEOUT_MS);
        let typist = Typist { user_id: user_id.clone(), until_ms, said_ms };
        let known = self.rooms.get(&room).and_then(|room| room.typists.get(&user));
        let known = known.map(|known| (known.said_ms, known.types(now)));
        let before = match known {
            Some((said_before_ms, _)) if said_before_ms >= said_ms => return false,
            Some((_, types)) => types,
            None if !self.fits(&typist, now) => return false,
            None => false,
        };
        let (types, bytes) = (typist.types(now), typist.bytes());
        let entry = self.rooms.entry(room).or_default();
        if before != types {
            entry.told_ms = now;
        }
        let freed = entry.typists.insert(user, typist).map_or(0, |typist| typist.bytes());
        self.bytes = self.bytes + bytes - freed;
        before != types
    }

    pub(super) fn among(&mut self, rooms: &[u64], now: u64) -> Vec<RoomTyping> {
        self.sweep(now);
        if rooms.len() <= self.rooms.len() {
            return rooms.iter().filter_map(|id| self.rooms.get(id).map(|room| room.at(*id, now))).collect();
        }
        let among = self.rooms.iter().filter(|(id, _)| rooms.binary_search(id).is_ok());
        let mut among: Vec<RoomTyping> = among.map(|(id, room)| room.at(*id, now)).collect();
        among.sort_unstable_by_key(|room| room.room);
        among
    }

    fn fits(&mut self, typist: &Typist, now: u64) -> bool {
        // Not for each of many: it looks at everybody.
        if self.bytes + typist.bytes() > limits::TYPING_BYTES && now.abs_diff(self.full_ms) >= limits::TYPING_MOVED_MS {
            self.full_ms = now;
            self.missed(now);
            // Who stopped goes before who types: some client may show somebody typing for too long.
            self.forget(|typist| typist.types(now));
        }
        let fits = self.bytes + typist.bytes() <= limits::TYPING_BYTES;
        if !fits {
            self.missed(now);
            tracing::debug!("too many users are typing; one is not shown");
        }
        fits
    }

    fn sweep(&mut self, now: u64) {
        if now.abs_diff(self.swept_ms) >= limits::TYPING_TIMEOUT_MS {
            self.swept_ms = now;
            self.forget(|typist| typist.over_ms() + limits::TYPING_REMEMBERED_MS > now);
        }
    }

    fn forget(&mut self, kept: impl Fn(&Typist) -> bool) {
        self.rooms.retain(|_, room| {
            room.typists.retain(|_, typist| {
                let keep = kept(typist);
                if !keep {
                    self.bytes -= typist.bytes();
                }
                keep
            });
            !room.typists.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000;

    fn change(user: u64, until_ms: u64, said_ms: u64) -> Change {
        let user_id = UserId::parse(format!("@user{user}:example.org")).unwrap();
        Change { room: 7, user, user_id, until_ms, said_ms }
    }

    fn users(state: &mut State, now: u64) -> Vec<u64> {
        state.among(&[7], now).iter().flat_map(|room| room.users.iter().map(|(user, _)| *user)).collect()
    }

    #[test]
    fn starts_stops_and_runs_out() {
        let mut state = State::default();
        assert!(state.is_empty());
        assert!(state.apply(&change(2, NOW + 5_000, NOW), NOW));
        assert!(state.apply(&change(1, NOW + 9_000, NOW), NOW));
        assert_eq!(users(&mut state, NOW), [1, 2]);
        assert!(!state.apply(&change(1, NOW + 9_500, NOW + 10), NOW + 10), "the same set");
        let room = state.among(&[1, 7, 9], NOW + 4_999).pop().unwrap();
        assert_eq!((room.changed_ms, room.ends_ms), (NOW, Some(NOW + 5_000)));
        assert_eq!(users(&mut state, NOW + 5_000), [1]);
        assert_eq!(state.among(&[7], NOW + 5_001)[0].changed_ms, NOW + 5_000);
        assert!(state.apply(&change(1, 0, NOW + 6_000), NOW + 6_000));
        let room = state.among(&[7], NOW + 6_001).pop().unwrap();
        assert_eq!((room.users, room.changed_ms, room.ends_ms), (vec![], NOW + 6_000, None));
        assert!(state.among(&[8], NOW).is_empty());
    }

    /// Messages overtake each other on the bus.
    #[test]
    fn the_later_said_prevails() {
        let mut state = State::default();
        assert!(state.apply(&change(1, NOW + 30_000, NOW), NOW));
        assert!(state.apply(&change(1, 0, NOW + 20), NOW + 20));
        assert!(!state.apply(&change(1, NOW + 30_000, NOW + 10), NOW + 30));
        assert_eq!(users(&mut state, NOW + 30), [0; 0]);
        // The node that speaks next is behind, and prevails all the same.
        let next = state.next(7, 1, &change(1, 0, 0).user_id, NOW + 30_000, NOW + 5).unwrap();
        assert!(state.apply(&next, NOW + 5));
        assert_eq!(users(&mut state, NOW + 30), [1]);
    }

    #[test]
    fn only_what_is_new_is_said() {
        let mut state = State::default();
        let anna = change(1, 0, 0).user_id;
        assert_eq!(state.next(7, 1, &anna, 0, NOW), None, "never typed");
        let first = state.next(7, 1, &anna, NOW + 30_000, NOW).unwrap();
        state.apply(&first, NOW);
        assert_eq!(state.next(7, 1, &anna, NOW + 30_500, NOW + 500), None);
        assert!(state.next(7, 1, &anna, NOW + 31_000, NOW + 1_000).is_some());
        assert!(state.next(7, 1, &anna, NOW + 20_000, NOW).is_some(), "shorter");
        assert!(state.next(7, 1, &anna, 0, NOW).is_some());
        assert_eq!(state.next(7, 1, &anna, 0, NOW + 40_000), None, "ran out");
    }

    #[test]
    fn times_that_cannot_be() {
        let mut state = State::default();
        assert!(!state.apply(&change(1, u64::MAX, NOW + limits::BUS_AHEAD_MS + 1), NOW));
        assert!(!state.apply(&change(1, u64::MAX, NOW - limits::TYPING_REMEMBERED_MS), NOW));
        assert!(!state.apply(&change(1, u64::MAX, u64::MAX), NOW));
        assert!(state.is_empty());
        assert!(state.apply(&change(1, u64::MAX, NOW), NOW));
        assert_eq!(users(&mut state, NOW + limits::TYPING_TIMEOUT_MS), [0; 0]);
    }

    #[test]
    fn nothing_stays_for_ever() {
        let mut state = State::default();
        state.apply(&change(1, NOW + 1_000, NOW), NOW);
        state.apply(&change(2, 0, NOW), NOW);
        let later = NOW + 1_000 + limits::TYPING_REMEMBERED_MS;
        assert_eq!(state.among(&[7], later - 1).len(), 1);
        state.swept_ms = 0;
        assert!(state.among(&[7], later).is_empty());
        assert!(state.is_empty());
        assert_eq!(state.bytes, 0);
    }

    #[test]
    fn the_bound_drops_those_who_stopped_then_refuses() {
        let mut state = State::default();
        let fit = limits::TYPING_BYTES as u64 / (TYPIST_BYTES as u64 + 20);
        for user in 0..2 * fit {
            let until = if user < fit / 2 { 0 } else { NOW + 30_000 };
            state.apply(&change(user, until, NOW), NOW + user / 20);
            assert!(state.bytes <= limits::TYPING_BYTES);
        }
        let types = users(&mut state, NOW);
        assert!(types.len() as u64 > fit / 2 && types.len() as u64 <= fit + fit / 10, "{} of {fit}", types.len());
        assert!(types.iter().all(|user| *user >= fit / 2));
        assert!(state.whole_since_ms(NOW) > NOW, "it knows that something is missing");
    }
}
