//! Whether the data can be reached: known to whoever watches the engine, and asked by every request that waits for it.

use tokio::sync::watch;

/// Tells the requests under way when the data cannot be reached. What a request waits for in the meantime may have no end of
/// its own (a lock that another request holds while it waits for the database), so each waits for this as well.
#[derive(Clone, Debug, Default)]
pub struct Availability(Option<watch::Receiver<bool>>);

impl Availability {
    /// As `available` says from now on.
    #[must_use]
    pub fn watching(available: watch::Receiver<bool>) -> Self {
        Self(Some(available))
    }

    /// Returns once the data cannot be reached; at once when that is so already. Never where nobody watches.
    pub(crate) async fn lost(&self) {
        if let Some(mut available) = self.0.clone() {
            // An error: nobody watches any more.
            if available.wait_for(|available| !available).await.is_ok() {
                return;
            }
        }
        std::future::pending::<()>().await;
    }
}
