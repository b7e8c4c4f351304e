//! Up to where a lane's or slot's rows are done, so that a look does not pass over what was removed: engines keep the traces of removed
//! rows for some time, and reading over them costs more than the rows did.

use std::collections::HashMap;

use parking_lot::Mutex;
use wardstead_engine::Key;
use wardstead_limits::store as limits;

/// In memory and of one node. A floor is only used with rows of which this node was told: what it was not told of may lie below, and is
/// found by looking everywhere.
#[derive(Debug, Default)]
pub(crate) struct Floors(Mutex<HashMap<u64, Key>>);

impl Floors {
    /// Of the lane or slot `of` nothing is left below `floor`.
    pub(crate) fn set(&self, of: u64, floor: Key) {
        let mut floors = self.0.lock();
        // Without a floor a lane is read from its beginning.
        if floors.len() >= limits::WORK_FLOORS && !floors.contains_key(&of) {
            floors.clear();
        }
        floors.insert(of, floor);
    }

    /// A row was written under `key`.
    pub(crate) fn lower(&self, of: u64, key: &Key) {
        if let Some(floor) = self.0.lock().get_mut(&of)
            && *floor > *key
        {
            *floor = key.clone();
        }
    }

    /// Where to begin.
    pub(crate) fn get(&self, of: u64) -> Option<Key> {
        self.0.lock().get(&of).cloned()
    }
}

#[cfg(test)]
mod tests {
    use wardstead_engine::{AccessPattern, TableId};

    use super::*;

    fn key(number: u64) -> Key {
        Key::build(TableId::new(AccessPattern::Churn, 1), 0).u64(number).key()
    }

    #[test]
    fn a_floor_is_lowered_by_what_is_written_below() {
        let floors = Floors::default();
        floors.lower(1, &key(3));
        assert_eq!(floors.get(1), None, "nothing is known to be done");
        floors.set(1, key(5));
        floors.lower(1, &key(7));
        assert_eq!(floors.get(1), Some(key(5)));
        floors.lower(1, &key(3));
        assert_eq!((floors.get(1), floors.get(2)), (Some(key(3)), None));
    }

    #[test]
    fn floors_are_bounded() {
        let floors = Floors::default();
        for lane in 0..=limits::WORK_FLOORS as u64 {
            floors.set(lane, key(lane));
        }
        assert_eq!(floors.0.lock().len(), 1);
    }
}
