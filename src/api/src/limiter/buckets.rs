//! Many buckets in a bounded number of bytes.

use std::{collections::HashMap, hash::Hash, mem};

use wardstead_limits::{
    Rate,
    api::{RATE_LIMIT_BYTES, RATE_LIMIT_ENTRY_BYTES},
};

/// Buckets in two generations. One that is taken from moves into the younger; when that is full the older one is dropped with all that
/// nobody has taken from since. What is forgotten is full again: too many at once make a limit laxer, and refuse nobody.
#[derive(Debug)]
pub(super) struct Buckets<K> {
    young: HashMap<K, u64>,
    old: HashMap<K, u64>,
    /// Of each generation.
    most: usize,
}

impl<K> Default for Buckets<K> {
    fn default() -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), most: RATE_LIMIT_BYTES / RATE_LIMIT_ENTRY_BYTES / 2 }
    }
}

impl<K: Eq + Hash> Buckets<K> {
    /// As [`Rate::take`], from the bucket of `key`.
    pub(super) fn take(&mut self, rate: Rate, key: K, now_us: u64, count: u64) -> Result<(), u64> {
        let full_us = self.young.get(&key).or_else(|| self.old.get(&key)).copied().unwrap_or(0);
        let full_us = rate.take(full_us, now_us, count)?;
        if self.young.len() >= self.most && !self.young.contains_key(&key) {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(key, full_us);
        Ok(())
    }

    /// Undoes a [`Self::take`].
    pub(super) fn give_back(&mut self, rate: Rate, key: &K, count: u64) {
        if let Some(full_us) = self.young.get_mut(key) {
            *full_us = rate.give_back(*full_us, count);
        }
    }

    /// What they take up.
    pub(super) fn bytes(&self) -> usize {
        (self.young.len() + self.old.len()) * RATE_LIMIT_ENTRY_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who is refused again and again is forgotten by nobody's coming; the bytes stay within their bound.
    #[test]
    fn strangers_do_not_drive_out_who_is_active() {
        let (rate, now_us) = (Rate::per_minute(1, 2), 1);
        let mut buckets = Buckets { most: 10, ..Buckets::default() };
        for stranger in 1..1_000_u64 {
            buckets.take(rate, stranger, now_us, 1).unwrap();
            assert!(buckets.bytes() <= 20 * RATE_LIMIT_ENTRY_BYTES);
            if stranger % 5 == 0 {
                let again = buckets.take(rate, 0, now_us + stranger * 60_000_000, 1);
                assert!(again.is_ok(), "one a minute");
                let full_us = buckets.young.get(&0).copied();
                assert!(full_us.is_some_and(|full_us| full_us > now_us), "it is remembered");
            }
        }
        assert!(buckets.young.len() <= 10 && buckets.old.len() <= 10);
    }

    #[test]
    fn what_is_given_back_can_be_taken() {
        let rate = Rate::per_minute(1, 2);
        let mut buckets = Buckets::default();
        buckets.take(rate, 1, 1, 2).unwrap();
        assert!(buckets.take(rate, 1, 1, 1).is_err());
        buckets.give_back(rate, &1, 1);
        assert!(buckets.take(rate, 1, 1, 1).is_ok() && buckets.take(rate, 1, 1, 1).is_err());
    }

    /// The bound is one on what the maps take up: a key of the larger kind, with what the map adds as it grows.
    #[test]
    fn an_entry_weighs_no_more_than_is_counted() {
        let entry = size_of::<((super::super::Group, wardstead_accounts::Network), u64)>() + 1;
        assert!(entry * 16 / 7 <= RATE_LIMIT_ENTRY_BYTES, "{entry}");
    }
}
