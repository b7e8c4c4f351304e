//! The request: token, looking, waiting, looking again.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use ruma::api::client::filter::FilterDefinition;
use wardstead_accounts::{Accounts, Presence, PresenceState, Session};
use wardstead_engine::Position;
use wardstead_limits::sync as limits;
use wardstead_rooms::{Rooms, Typing};
use wardstead_store::{Listener, Store, SyncToken, Token, Woken};

use crate::{
    SyncError,
    ephemeral::{Ephemeral, Told},
    filter::Filter,
    joined::Joined,
    response::{Response, Sections},
};

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
    /// How the sync shows its user; `Offline` leaves that alone.
    pub set_presence: PresenceState,
}

/// Answers syncs. Cheap to clone.
#[derive(Clone)]
pub struct Syncer {
    pub(crate) store: Store,
    pub(crate) accounts: Accounts,
    pub(crate) rooms: Rooms,
    pub(crate) typing: Typing,
    pub(crate) presence: Presence,
    pub(crate) joined: Arc<Joined>,
}

impl std::fmt::Debug for Syncer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Syncer").finish_non_exhaustive()
    }
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
    /// Answers from `store`, `accounts`, `rooms`, and what this node knows of who is typing and who is there.
    #[must_use]
    pub fn new(store: Store, accounts: Accounts, rooms: Rooms, typing: Typing, presence: Presence) -> Self {
        Self { store, accounts, rooms, typing, presence, joined: Arc::new(Joined::new()) }
    }

    /// Who is typing.
    #[must_use]
    pub fn typing(&self) -> &Typing {
        &self.typing
    }

    /// Who is there.
    #[must_use]
    pub fn presence(&self) -> &Presence {
        &self.presence
    }

    /// The JSON of the answer. Waits up to the request's timeout for something to tell; returns at once for an initial
    /// sync, for `full_state`, and when the server shuts down.
    ///
    /// # Errors
    /// [`SyncError`]; the client may repeat the request with the same token.
    pub async fn sync(&self, by: &Session, request: SyncRequest) -> Result<Bytes, SyncError> {
        let filter = Filter::new(request.filter);
        let token = request.since.as_deref().map(|since| self.since(by, since)).transpose()?;
        let _present = self.presence.syncing(by, request.set_presence);
        // Before the first look: what is committed from here on wakes it.
        let listener = self.store.listen(by.user);
        let upto = self.store.caught_up().await?;
        let Some(token) = token else {
            let ephemeral = self.ephemeral(by, Told::default(), &filter, false).await?;
            return self.respond(by, upto, self.initial(by, upto, &filter).await?, ephemeral);
        };
        let timeout = if request.full_state { 0 } else { request.timeout_ms.min(limits::TIMEOUT_MS) };
        let asked = Asked { filter: &filter, full_state: request.full_state, timeout: Duration::from_millis(timeout) };
        self.wait(by, token, asked, listener, upto).await
    }

    async fn wait(
        &self,
        by: &Session,
        token: SyncToken,
        asked: Asked<'_>,
        mut listener: Listener,
        mut upto: Position,
    ) -> Result<Bytes, SyncError> {
        let Asked { filter, full_state, timeout } = asked;
        let mut told = Told::from(token);
        let (mut epoch, mut since, mut good_at) = (u64::from(token.epoch), token.position, token.position);
        let mut last = timeout.is_zero();
        let timeout = tokio::time::sleep(timeout);
        tokio::pin!(timeout);
        loop {
            // The epoch may end while the client waits.
            if let Err(true_upto) = self.reach(epoch, since) {
                let ephemeral = self.ephemeral(by, told, filter, true).await?;
                return self.respond(by, upto, Box::pin(self.gappy(by, true_upto, upto, filter)).await?, ephemeral);
            }
            let sections = self.incremental(by, Range { since: since.min(upto), upto }, filter, full_state).await?;
            let ephemeral = self.ephemeral(by, told, filter, !sections.is_empty()).await?;
            if !sections.is_empty() || ephemeral.ready || last {
                return self.respond(by, upto, sections, ephemeral);
            }
            self.still_good(by, &mut good_at, upto).await?;
            // Nothing up to here concerns this user: the next look starts where this one ended.
            (epoch, since, told) = (self.store.epoch(), upto, ephemeral.looked);
            tokio::select! {
                biased;
                // First: news that the filter hides must not keep the client waiting for ever. One more look: it moves the
                // token of a client that nothing wakes, and finds what a lost wake-up was about.
                () = &mut timeout => last = true,
                woken = listener.woken() => if woken == Woken::Ended {
                    return self.respond(by, upto, sections, Ephemeral::nothing(told));
                },
                () = self.until(ephemeral.again_ms) => {}
            }
            upto = self.store.position();
            self.still_good(by, &mut good_at, upto).await?;
        }
    }

    /// That the session has not ended, where its user, device or tokens may have changed between `good_at` and `upto`.
    async fn still_good(&self, by: &Session, good_at: &mut Position, upto: Position) -> Result<(), SyncError> {
        if self.store.user_changed(by.user, *good_at) != Some(false) {
            self.accounts.check(by).await?;
        }
        *good_at = upto;
        Ok(())
    }

    /// Returns at a Unix millisecond; `None`: never.
    async fn until(&self, ms: Option<u64>) {
        match ms {
            None => std::future::pending().await,
            Some(ms) => {
                let pause = ms.saturating_sub(self.store.clock().now_ms()).max(1);
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
        }
    }

    fn since(&self, by: &Session, since: &str) -> Result<SyncToken, SyncError> {
        let token = self.store.tokens().read_sync(since).map_err(|_| SyncError::Since)?;
        if token.user == by.user { Ok(token) } else { Err(SyncError::Since) }
    }

    fn respond(
        &self,
        by: &Session,
        upto: Position,
        sections: Sections,
        ephemeral: Ephemeral,
    ) -> Result<Bytes, SyncError> {
        let token = SyncToken {
            epoch: u32::try_from(self.store.epoch()).unwrap_or(u32::MAX),
            position: upto,
            typing: ephemeral.told.typing,
            ephemeral_s: ephemeral.told.ephemeral_s,
            presence_s: ephemeral.told.answered_s,
            user: by.user,
            device: by.device,
            to_device: None,
        };
        let Sections { mut rooms, account_data } = sections;
        let presence = ephemeral.add_to(&mut rooms);
        let next_batch = self.store.tokens().write(&Token::Sync(token));
        Ok(serde_json::to_vec(&Response { next_batch, account_data, rooms, presence })?.into())
    }
}

/// The rest of a request with a token.
#[derive(Clone, Copy)]
struct Asked<'a> {
    filter: &'a Filter,
    full_state: bool,
    timeout: Duration,
}
