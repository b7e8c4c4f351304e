//! Who is in a room, as the notifier remembers it.

use std::sync::Arc;

use quick_cache::Weighter;

/// Short ids of users, ascending: eight bytes each, whatever the size of the room.
#[derive(Clone, Debug, Default)]
pub(super) struct Members(Vec<u64>);

impl Members {
    /// In whatever order.
    pub(super) fn new(mut users: Vec<u64>) -> Self {
        users.sort_unstable();
        users.dedup();
        Self(users)
    }

    /// Ascending.
    pub(super) fn as_slice(&self) -> &[u64] {
        &self.0
    }

    pub(super) fn contains(&self, user: u64) -> bool {
        self.0.binary_search(&user).is_ok()
    }

    pub(super) fn add(&mut self, user: u64) {
        if let Err(at) = self.0.binary_search(&user) {
            self.0.insert(at, user);
        }
    }

    pub(super) fn remove(&mut self, user: u64) {
        if let Ok(at) = self.0.binary_search(&user) {
            self.0.remove(at);
        }
    }
}

#[derive(Clone)]
pub(super) struct Bytes;

impl Weighter<u64, Arc<Members>> for Bytes {
    fn weight(&self, _: &u64, members: &Arc<Members>) -> u64 {
        64 + 8 * members.0.capacity() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sorted_set() {
        let mut members = Members::new(vec![5, 1, 3, 3]);
        members.add(4);
        members.add(1);
        members.remove(3);
        members.remove(9);
        assert_eq!(members.as_slice(), [1, 4, 5]);
        assert!(members.contains(4) && !members.contains(3));
    }
}
