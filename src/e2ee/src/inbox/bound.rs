//! The bound of what waits for a device that does not come.
//!
//! Counting each message would cost each a read and a write. So now and then, by chance, a message has what came since the last count
//! counted: a page at most, in the message's own commit. Whoever fetches their messages starts at nothing again, so that what is counted is
//! what a device has let lie.

use wardstead_engine::{Batch, KeyReader, PageLimit, ScanRange};
use wardstead_limits::e2ee as limits;
use wardstead_store::StoreError;

use super::{
    Inboxes, place,
    tables::{COUNTS, INBOXES},
};

impl Inboxes {
    /// Now and then adds to `batch`, which sends the device a message, that what waits for it was counted, and the removal of the
    /// oldest messages where that is more than the bound.
    pub(super) async fn keep_bounded(&self, batch: &mut Batch, device: u64) -> Result<(), StoreError> {
        if !self.store.rng().next_u64().is_multiple_of(limits::INBOX_UNCOUNTED_MESSAGES) {
            return Ok(());
        }
        let key = COUNTS.key(device).key();
        let mut count = self.store.get(&COUNTS, &key).await?.map(|found| found.row).unwrap_or_default();
        let all = ScanRange::scope(INBOXES.id(), device);
        let new = ScanRange { from: place(device, count.upto().next()), ..all.clone() };
        let (rows, _) = self.store.scan(&INBOXES, &new, PageLimit::rows(limits::INBOX_COUNTED_MESSAGES)).await?;
        for found in &rows {
            count.messages += 1;
            count.bytes += found.row.0.len() as u64;
        }
        if let Some(last) = rows.last().and_then(|found| KeyReader::new(&found.key).position()) {
            count.upto = last.0;
        }
        if count.messages > limits::INBOX_MESSAGES || count.bytes > limits::INBOX_BYTES {
            let (oldest, _) = self.store.scan(&INBOXES, &all, PageLimit::rows(limits::INBOX_COUNTED_MESSAGES)).await?;
            if let Some(last) = oldest.last() {
                let bytes: u64 = oldest.iter().map(|found| found.row.0.len() as u64).sum();
                batch.delete_range(all.from, last.key.successor());
                count.messages = count.messages.saturating_sub(oldest.len() as u64);
                count.bytes = count.bytes.saturating_sub(bytes);
                tracing::warn!(
                    device,
                    messages = oldest.len(),
                    "a device does not fetch its messages: the oldest are removed"
                );
            }
        }
        COUNTS.put(batch, key, &count);
        Ok(())
    }
}
