//! Messages to one device (Client-Server API, Send-to-Device messaging, Extensions to /sync).
//!
//! A device is given them a page at a time, each until it presents the token of an answer that had it. So none is lost when an
//! answer is: it comes again with the same token. The section may lag behind the others, which do not wait for it; then the token
//! has a position of its own for it.

use serde::Serialize;
use serde_json::value::RawValue;
use wardstead_accounts::Session;
use wardstead_engine::Position;
use wardstead_limits::own_data as limits;
use wardstead_store::SyncToken;

use crate::{SyncError, Syncer};

/// The section of an answer.
#[derive(Debug, Default, Serialize)]
pub(crate) struct ToDevice {
    pub(crate) events: Vec<Box<RawValue>>,
    /// Where it was cut.
    #[serde(skip)]
    pub(crate) cut: Option<Position>,
}

impl ToDevice {
    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}

/// What a device has of its messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inbox {
    /// It has them up to here.
    after: Position,
    /// More may wait than what has happened since then.
    behind: bool,
}

impl Inbox {
    /// Of a device that has none.
    pub(crate) fn unread() -> Self {
        Self { after: Position::ZERO, behind: true }
    }

    /// Of the device that presents `token`, which is true up to `reach`. The token of another device of the user says nothing
    /// about this one's messages.
    pub(crate) fn of(token: &SyncToken, by: &Session, reach: Position) -> Self {
        if token.device != by.device {
            return Self::unread();
        }
        let after = token.to_device.unwrap_or(token.position).min(reach);
        Self { after, behind: after < token.position }
    }

    /// Of a device that has them up to `after`; more may wait than what has happened since then.
    pub(crate) fn after(after: Position) -> Self {
        Self { after, behind: true }
    }

    /// The same of a device whose token is true up to `reach` alone.
    pub(crate) fn true_upto(self, reach: Position) -> Self {
        Self { after: self.after.min(reach), behind: true }
    }

    /// The same after a look that found nothing up to `upto`.
    pub(crate) fn looked(self, upto: Position) -> Self {
        Self { after: self.after.max(upto), behind: false }
    }
}

impl Syncer {
    /// Has what the device of `by` has be removed.
    pub(crate) async fn acknowledge(&self, by: &Session, inbox: Inbox) {
        if inbox.after == Position::ZERO {
            return;
        }
        if let Err(error) = self.inboxes.acknowledge(by.user, by.device, inbox.after).await {
            // Nothing depends on it: they are skipped, and the device's next token says the same again.
            tracing::debug!(%error, "messages that a device has are not removed yet");
        }
    }

    /// The next page of the messages for the device of `by` up to `upto`. No read where memory knows that there are none.
    pub(crate) async fn to_device(&self, by: &Session, inbox: Inbox, upto: Position) -> Result<ToDevice, SyncError> {
        self.to_device_page(by, inbox, upto, limits::TO_DEVICE_MESSAGES).await
    }

    /// The same of at most `most` messages.
    pub(crate) async fn to_device_page(
        &self,
        by: &Session,
        inbox: Inbox,
        upto: Position,
        most: usize,
    ) -> Result<ToDevice, SyncError> {
        let Inbox { after, behind } = inbox;
        if after >= upto || (!behind && self.store.waits_since(by.user, after) == Some(false)) {
            return Ok(ToDevice::default());
        }
        let page = self.inboxes.waiting(by.device, after, upto, most).await?;
        let (mut events, mut bytes, mut last) = (Vec::with_capacity(page.messages.len()), 0, after);
        let mut more = page.more;
        for message in page.messages {
            bytes += message.event.get().len();
            if bytes > limits::TO_DEVICE_PAGE_BYTES && !events.is_empty() {
                more = true;
                break;
            }
            last = message.position;
            events.push(message.event);
        }
        Ok(ToDevice { events, cut: more.then_some(last) })
    }
}
