//! Snapshots that are worked out but perhaps never stored.

use std::collections::{HashMap, HashSet};

use crate::state::{Local, Part, Snapshot};

/// New parts of the state. Only what [`Self::reach`] gives has to be stored.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    parts: HashMap<u64, Part>,
    reached: HashSet<u64>,
}

impl Scratch {
    pub(crate) fn add(&mut self, parts: Vec<(u64, Part)>) {
        self.parts.extend(parts);
    }

    /// The new parts of which `snapshot` is made, each given once.
    pub(crate) fn reach(&mut self, snapshot: &Snapshot) -> Vec<(u64, Part)> {
        let mut ids = vec![snapshot.id, snapshot.base];
        if let Some(Part::Base(base)) = self.parts.get(&snapshot.base) {
            ids.extend(base.chunks.iter().map(|chunk| chunk.id));
        }
        let new = ids.into_iter().filter_map(|id| Some((id, self.parts.get(&id)?.clone())));
        new.filter(|(id, _)| self.reached.insert(*id)).collect()
    }
}

impl Local for Scratch {
    fn part(&self, id: u64) -> Option<Part> {
        self.parts.get(&id).cloned()
    }
}
