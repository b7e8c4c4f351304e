//! Which one-time keys are just being claimed on this node, so that claims of one device at once do not all try the same key. It decides
//! nothing: the commit asserts that the key is still there.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use parking_lot::Mutex;
use wardstead_engine::Key;

/// By device and algorithm.
type Claiming = HashMap<(u64, String), HashSet<Key>>;

#[derive(Clone, Debug, Default)]
pub(super) struct InFlight(Arc<Mutex<Claiming>>);

impl InFlight {
    /// How many keys are being claimed.
    pub(super) fn count(&self, device: u64, algorithm: &str) -> usize {
        self.0.lock().get(&(device, algorithm.to_owned())).map_or(0, HashSet::len)
    }

    /// The place of the first of `keys` that nobody is claiming, until the reservation is dropped.
    pub(super) fn reserve<'a>(
        &self,
        device: u64,
        algorithm: &str,
        keys: impl Iterator<Item = &'a Key>,
    ) -> Option<(usize, Reserved)> {
        let of = (device, algorithm.to_owned());
        let mut claiming = self.0.lock();
        let taken = claiming.entry(of.clone()).or_default();
        let first = keys.enumerate().find(|(_, key)| !taken.contains(*key));
        let Some((at, key)) = first else {
            if taken.is_empty() {
                claiming.remove(&of);
            }
            return None;
        };
        taken.insert(key.clone());
        Some((at, Reserved { of, key: key.clone(), all: self.clone() }))
    }
}

/// A key that is being claimed.
#[derive(Debug)]
pub(super) struct Reserved {
    of: (u64, String),
    key: Key,
    all: InFlight,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let mut claiming = self.all.0.lock();
        if let Some(taken) = claiming.get_mut(&self.of) {
            taken.remove(&self.key);
            if taken.is_empty() {
                claiming.remove(&self.of);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::tables::fallback_key_key;

    #[test]
    fn a_key_is_tried_by_one_at_a_time() {
        let all = InFlight::default();
        let keys = [fallback_key_key(1, "a"), fallback_key_key(1, "b")];
        let (first, held) = all.reserve(1, "x", keys.iter()).unwrap();
        let (second, held_too) = all.reserve(1, "x", keys.iter()).unwrap();
        assert_eq!((first, second, all.count(1, "x")), (0, 1, 2));
        assert!(all.reserve(1, "x", keys.iter()).is_none());
        assert_eq!(all.reserve(2, "x", keys.iter()).map(|(at, _)| at), Some(0));
        drop(held);
        assert_eq!(all.reserve(1, "x", keys.iter()).map(|(at, _)| at), Some(0));
        drop(held_too);
        assert!(all.0.lock().is_empty(), "what nobody claims any more takes no memory");
    }
}
