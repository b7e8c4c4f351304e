//! Who is told of journal entries of one kind as the tail reads them: what a node has in memory of a row that changes later.

use std::sync::Arc;

use parking_lot::RwLock;
use wardstead_engine::JournalEntry;

/// Told of entries, each once, in their order, before the position that they are at is published: whoever reads for a position that
/// the tail has reached is served by a watcher that has seen everything up to it.
pub trait Watcher: Send + Sync + 'static {
    /// Called on the tail's task, so it must be short.
    fn seen(&self, entry: &JournalEntry);
}

/// All watchers, with the kinds that they watch.
#[derive(Default)]
pub(crate) struct Watchers(RwLock<Vec<(u16, Arc<dyn Watcher>)>>);

impl Watchers {
    pub(crate) fn add(&self, kind: u16, watcher: Arc<dyn Watcher>) {
        self.0.write().push((kind, watcher));
    }

    pub(crate) fn tell<'a>(&self, entries: impl Iterator<Item = &'a JournalEntry>) {
        let watchers = self.0.read();
        for entry in entries {
            let concerned = watchers.iter().filter(|(kind, _)| *kind == entry.kind);
            concerned.for_each(|(_, watcher)| watcher.seen(entry));
        }
    }
}
