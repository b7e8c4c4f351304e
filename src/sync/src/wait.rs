//! The request: token, looking, waiting, looking again.

use std::time::Duration;

use bytes::Bytes;
use ruma::api::client::filter::FilterDefinition;
use wardstead_accounts::Session;
use wardstead_engine::Position;
use wardstead_limits::sync as limits;
use wardstead_rooms::Rooms;
use wardstead_store::{Store, SyncToken, Token, Woken};

use crate::{SyncError, filter::Filter, response::Response, response::Rooms as RoomsSection};

/// What a client asks.
#[derive(Clone, Debug, Default)]
pub struct SyncRequest {
    /// The token of its last answer; none for an initial sync.
    pub since: Option<String>,
    /// Milliseconds to wait when there is nothing new, at most [`limits::TIMEOUT_MS`].
    pub timeout_ms: u64,
    /// All state of all joined rooms, whatever was sent before.
    pub full_state: bool,
    /// What to leave out.
    pub filter: FilterDefinition,
}

/// Answers syncs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Syncer {
    pub(crate) store: Store,
    pub(crate) rooms: Rooms,
}

/// Where a client stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    /// It has everything up to here.
    pub(crate) since: Position,
    /// It is given everything up to here.
    pub(crate) upto: Position,
}

impl Syncer {
    /// Answers from `store` and `rooms`.
    #[must_use]
    pub fn new(store: Store, rooms: Rooms) -> Self {
        Self { store, rooms }
    }

    /// The JSON of the answer. Waits up to the request's timeout for something to tell; returns at once for an initial
    /// sync, for `full_state`, and when the server shuts down.
    ///
    /// # Errors
    /// [`SyncError`]; the client may repeat the request with the same token.
    pub async fn sync(&self, by: &Session, request: SyncRequest) -> Result<Bytes, SyncError> {
        let filter = Filter::new(request.filter);
        let since = request.since.as_deref().map(|since| self.since(by, since)).transpose()?;
        // Before the first look: what is committed from here on wakes it.
        let mut listener = self.store.listen(by.user);
        let mut upto = self.store.caught_up().await?;
        let Some(since) = since else {
            return self.respond(by, upto, self.initial(by, upto, &filter).await?);
        };
        // A position from before a failover can be beyond the newest.
        let mut since = since.position.min(upto);
        let timeout = tokio::time::sleep(Duration::from_millis(request.timeout_ms.min(limits::TIMEOUT_MS)));
        tokio::pin!(timeout);
        let mut last = request.full_state || request.timeout_ms == 0;
        loop {
            let rooms = self.incremental(by, Range { since, upto }, &filter, request.full_state).await?;
            if !rooms.is_empty() || last {
                return self.respond(by, upto, rooms);
            }
            // Nothing up to here concerns this user: the next look starts where this one ended.
            since = upto;
            tokio::select! {
                biased;
                // First: news that the filter hides must not keep the client waiting for ever. One more look: it moves the
                // token of a client that nothing wakes, and finds what a lost wake-up was about.
                () = &mut timeout => last = true,
                woken = listener.woken() => if woken == Woken::Ended {
                    return self.respond(by, upto, rooms);
                },
            }
            upto = self.store.position();
        }
    }

    fn since(&self, by: &Session, since: &str) -> Result<SyncToken, SyncError> {
        let token = self.store.tokens().read_sync(since).map_err(|_| SyncError::Since)?;
        if token.user == by.user { Ok(token) } else { Err(SyncError::Since) }
    }

    fn respond(&self, by: &Session, upto: Position, rooms: RoomsSection) -> Result<Bytes, SyncError> {
        let token = SyncToken {
            epoch: u32::try_from(self.store.epoch()).unwrap_or(u32::MAX),
            position: upto,
            user: by.user,
            device: by.device,
            ..SyncToken::default()
        };
        let next_batch = self.store.tokens().write(&Token::Sync(token));
        Ok(serde_json::to_vec(&Response { next_batch, rooms })?.into())
    }
}
