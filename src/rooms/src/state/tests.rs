//! The pure parts of state against a map that does the same naively.

use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::*;
use wardstead_limits::rooms as limits;

use super::{
    Base, Change, Chunk, ChunkRef, Chunks, Entry, Piece, Snapshot, View, diff, merge, needed_chunks, snapshot,
};

type Naive = BTreeMap<u64, u64>;

/// A room's history: its state now, and kept moments with the naive map at the same time.
#[derive(Default)]
struct History {
    chunks: Chunks,
    bases: Vec<Base>,
    now: Snapshot,
    naive: Naive,
    moments: Vec<(Snapshot, Naive)>,
    next_id: u64,
}

impl History {
    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn base(&self, id: u64) -> Base {
        self.bases.iter().find(|base| base.id == id).cloned().unwrap_or_default()
    }

    fn change(&mut self, change: Entry) {
        if change.event == 0 {
            self.naive.remove(&change.key);
        } else {
            self.naive.insert(change.key, change.event);
        }
        let delta = self.now.delta_with(&[change]);
        let (id, base) = (self.id(), self.now.base);
        self.now = if delta.len() <= limits::SNAPSHOT_DELTA_ENTRIES {
            Snapshot { id, base, delta }
        } else {
            Snapshot { id, base: self.merge(base, &delta), delta: Vec::new() }
        };
    }

    fn keep(&mut self) {
        self.moments.push((self.now.clone(), self.naive.clone()));
    }

    fn merge(&mut self, base: u64, delta: &[Entry]) -> u64 {
        let pieces = merge(&self.base(base), &self.chunks, delta).unwrap();
        let mut chunks = Vec::new();
        for piece in pieces {
            chunks.push(match piece {
                Piece::Kept(chunk) => chunk,
                Piece::New(entries) => {
                    assert!(!entries.is_empty() && entries.len() <= limits::SNAPSHOT_CHUNK_ENTRIES);
                    let (id, first) = (self.id(), entries[0].key);
                    self.chunks.insert(id, Arc::new(Chunk { id, entries }));
                    ChunkRef { first, id }
                }
            });
        }
        assert!(chunks.is_sorted_by_key(|chunk| chunk.first));
        let id = self.id();
        self.bases.push(Base { id, chunks });
        id
    }

    fn list(&self, at: usize, keys: &std::ops::RangeInclusive<u64>) -> Vec<Entry> {
        let (snapshot, _) = &self.moments[at];
        let base = self.base(snapshot.base);
        // Only what the range needs.
        let chunks = base.chunks_in(keys).into_iter().map(|id| (id, Arc::clone(&self.chunks[&id]))).collect();
        snapshot::list(snapshot, &base, &chunks, keys)
    }

    /// The difference, seeing only the chunks that it asked for, and how many those were.
    fn diff(&self, a: usize, b: usize) -> (Vec<Change>, usize) {
        let (a, b) = (&self.moments[a].0, &self.moments[b].0);
        let (base_a, base_b) = (self.base(a.base), self.base(b.base));
        let (a, b) = (View { snapshot: a, base: &base_a }, View { snapshot: b, base: &base_b });
        let needed = needed_chunks(&a, &b);
        let chunks = needed.iter().map(|id| (*id, Arc::clone(&self.chunks[id]))).collect();
        (diff(&a, &b, &chunks), needed.len())
    }
}

fn naive_diff(a: &Naive, b: &Naive) -> Vec<Change> {
    let mut keys: Vec<u64> = a.keys().chain(b.keys()).copied().collect();
    keys.sort_unstable();
    keys.dedup();
    let value = |map: &Naive, key| map.get(&key).copied().unwrap_or(0);
    keys.into_iter()
        .map(|key| Change { key, before: value(a, key), after: value(b, key) })
        .filter(|change| change.before != change.after)
        .collect()
}

fn entries(naive: &Naive) -> Vec<Entry> {
    naive.iter().map(|(key, event)| Entry { key: *key, event: *event }).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Lists and differences of any two moments are those of the naive maps. A first large batch of members makes many
    /// chunks, random changes and removals follow; event 0 removes.
    #[test]
    fn as_a_naive_map(
        members in 0_u64..2_500,
        changes in prop::collection::vec((0_u64..3_000, 0_u64..5), 0..400),
        pairs in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 12),
        bounds: (u16, u16),
    ) {
        let mut history = History::default();
        history.change(Entry { key: 1, event: 1 });
        (0..members).for_each(|member| history.change(Entry { key: 2 * member, event: 7 }));
        history.keep();
        for (number, (key, event)) in changes.iter().enumerate() {
            history.change(Entry { key: *key, event: *event });
            if number % 13 == 0 {
                history.keep();
            }
        }
        history.keep();
        let count = history.moments.len();
        for (a, b) in pairs {
            let (a, b) = (a.index(count), b.index(count));
            prop_assert_eq!(history.list(a, &(0..=u64::MAX)), entries(&history.moments[a].1));
            prop_assert_eq!(history.diff(a, b).0, naive_diff(&history.moments[a].1, &history.moments[b].1));
        }
        let keys = u64::from(bounds.0.min(bounds.1))..=u64::from(bounds.0.max(bounds.1));
        let expected: Vec<_> =
            history.moments[count - 1].1.range(keys.clone()).map(|(key, event)| Entry { key: *key, event: *event }).collect();
        prop_assert_eq!(history.list(count - 1, &keys), expected);
    }
}

/// In a room of 100,000 members one change costs one delta; a merge rewrites at most as many chunks as the delta has
/// entries; and a difference across the merge loads only those.
#[test]
fn a_large_room_shares_its_chunks() {
    let mut history = History::default();
    (0..100_000).for_each(|member| history.change(Entry { key: member, event: 1 }));
    history.keep();
    let before = history.chunks.len();
    for number in 0..=limits::SNAPSHOT_DELTA_ENTRIES as u64 {
        history.change(Entry { key: (number * 7_919) % 100_000, event: 2 });
        assert!(history.now.weight() < 2_048);
    }
    history.keep();
    let rewritten = history.chunks.len() - before;
    assert!(rewritten <= limits::SNAPSHOT_DELTA_ENTRIES + 1, "{rewritten} chunks rewritten");
    let (changes, loaded) = history.diff(0, 1);
    assert_eq!(changes, naive_diff(&history.moments[0].1, &history.moments[1].1));
    assert!(loaded <= 4 * (limits::SNAPSHOT_DELTA_ENTRIES + 1), "{loaded} chunks loaded");
}
