//! Users of whom this node knows that they have no pusher, so that an event in a large room does not have all its members looked up.

use std::collections::HashSet;

use parking_lot::Mutex;
use wardstead_engine::JournalEntry;
use wardstead_limits::pushers as limits;
use wardstead_store::Watcher;

/// Told of each pusher that is set, as the tail reads it: for an event at a position that the tail has reached nobody is missed who had a
/// pusher by then.
#[derive(Debug, Default)]
pub(crate) struct Without(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    users: HashSet<u64>,
    /// Pushers that were set since the start.
    set: u64,
}

/// When rows were read: what is read before a pusher is set does not count after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment(u64);

impl Without {
    /// Those of `users` who may have pushers, and the moment to read their rows at. The tail has reached the event that they are asked for.
    pub(crate) fn others(&self, users: Vec<u64>) -> (Vec<u64>, Moment) {
        let known = self.0.lock();
        let users = users.into_iter().filter(|user| !known.users.contains(user)).collect();
        (users, Moment(known.set))
    }

    /// Rows that were read after `moment` said that `users` have none.
    pub(crate) fn add(&self, users: impl Iterator<Item = u64>, moment: Moment) {
        let mut known = self.0.lock();
        if known.set != moment.0 {
            return;
        }
        for user in users {
            if known.users.len() >= limits::WITHOUT_ENTRIES {
                known.users.clear();
            }
            known.users.insert(user);
        }
    }

    /// Name, bytes and bound in bytes, for the metrics (promise P6).
    pub(crate) fn figures(&self) -> (&'static str, u64, u64) {
        let bytes = |users: usize| (users * limits::WITHOUT_ENTRY_BYTES) as u64;
        ("users_without_pushers", bytes(self.0.lock().users.len()), bytes(limits::WITHOUT_ENTRIES))
    }
}

impl Watcher for Without {
    fn seen(&self, entry: &JournalEntry) {
        let mut known = self.0.lock();
        known.set += 1;
        known.users.remove(&entry.scope);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(without: &Without, user: u64) {
        without.seen(&JournalEntry { kind: 0, scope: user, key: bytes::Bytes::new() });
    }

    #[test]
    fn who_sets_a_pusher_is_looked_up_again() {
        let without = Without::default();
        let (users, moment) = without.others(vec![1, 2, 3]);
        assert_eq!(users, [1, 2, 3]);
        without.add([1, 3].into_iter(), moment);
        assert_eq!(without.others(vec![1, 2, 3]).0, [2]);
        set(&without, 3);
        assert_eq!(without.others(vec![1, 2, 3]).0, [2, 3]);
    }

    #[test]
    fn what_was_read_before_a_pusher_was_set_is_not_remembered() {
        let without = Without::default();
        let (_, moment) = without.others(vec![1]);
        set(&without, 1);
        without.add([1].into_iter(), moment);
        assert_eq!(without.others(vec![1]).0, [1]);
    }

    #[test]
    fn it_is_bounded() {
        let without = Without::default();
        let (_, moment) = without.others(Vec::new());
        without.add(0..=limits::WITHOUT_ENTRIES as u64, moment);
        let (_, bytes, most) = without.figures();
        assert!(0 < bytes && bytes <= most);
    }
}
