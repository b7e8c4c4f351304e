//! What the caches hold, for the metrics (promise P6).

use crate::Rooms;

impl Rooms {
    /// Name, bytes and bound in bytes of each cache.
    #[must_use]
    pub fn caches(&self) -> Vec<(&'static str, u64, u64)> {
        let inner = &self.inner;
        let mut caches = inner.events.cache().weights();
        caches.extend(inner.names.caches());
        caches.push(inner.state.cache());
        caches.push(inner.people.cache());
        caches
    }
}
