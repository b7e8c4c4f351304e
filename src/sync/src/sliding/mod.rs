//! Sliding sync ([MSC4186](https://github.com/matrix-org/matrix-spec-proposals/blob/main/proposals/4186-simplified-sliding-sync.md)):
//! another assembly of the sections of `/sync`, for the rooms that a client looks at. See `docs/design/28-sliding-sync.md`.

mod answer;
mod connection;
mod extensions;
mod keeper;
mod lists;
mod look;
mod order;
mod personal;
mod plan;
mod request;
mod tables;
mod told;

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use wardstead_accounts::{PresenceState, Present, Session};
use wardstead_engine::Position;
use wardstead_limits::{sliding as limits, sync};
use wardstead_store::{Listener, Store};

pub use answer::SlidingForm;
pub use keeper::ConnectionKeeper;
pub use request::SlidingBody;
pub(crate) use request::Wants;

use connection::{Base, Connections, Name};
use lists::{Facts, Rules};
use order::Orders;
use personal::Personals;

use crate::{
    SyncError, SyncFilter, Syncer,
    ephemeral::{Again, Told},
    filter::Filter,
    members::Members,
    to_device::Inbox,
    wait::Rested,
};

/// What a client asks.
#[derive(Clone, Debug, Default)]
pub struct SlidingRequest {
    /// The body.
    pub body: SlidingBody,
    /// The token of the last answer; none: the connection begins.
    pub pos: Option<String>,
    /// Milliseconds to wait when there is nothing new, at most [`sync::TIMEOUT_MS`].
    pub timeout_ms: u64,
    /// How the sync shows its user; `Offline` leaves that alone.
    pub set_presence: PresenceState,
    /// Of which names the answer is.
    pub form: SlidingForm,
}

/// What a node remembers for sliding syncs. All of it can be read again.
pub(crate) struct Sliding {
    pub(crate) connections: Connections,
    pub(crate) orders: Orders,
    pub(crate) personals: Personals,
    pub(crate) facts: Facts,
}

impl Sliding {
    pub(crate) fn new(store: &Store) -> Self {
        Self {
            connections: Connections::new(store.clone()),
            orders: Orders::new(),
            personals: Personals::new(),
            facts: Facts::new(),
        }
    }
}

/// A request, and all that is kept while it waits.
struct Asked {
    name: Name,
    pos: Option<String>,
    body: SlidingBody,
    form: SlidingForm,
    rules: Rules,
    filter: Filter,
    base: Base,
    /// Up to here what the client was told is true; `Err`: a restore took back what came later.
    reach: Result<Position, Position>,
    told: Told,
    inbox: Option<Inbox>,
    has: Members,
    upto: Position,
    good_at: Position,
    timeout: Instant,
    /// There is an answer to the next look, whatever it finds.
    last: bool,
    listener: Listener,
    _present: Present,
}

/// What a look found.
enum Look {
    Found(Bytes),
    Nothing(Again),
}

impl Syncer {
    /// The JSON of the answer to a sliding sync. Waits up to the request's timeout for something to tell; returns at once for a new
    /// connection, and when the server shuts down.
    ///
    /// # Errors
    /// `UnknownPos` where nothing is known of the connection; [`SyncError`]: the client may repeat the request with the same token.
    pub async fn sliding_sync(&self, by: &Session, request: SlidingRequest) -> Result<Bytes, SyncError> {
        // What surrounds the wait is in places of its own, which are given back before it.
        let mut asked = Box::pin(self.asked(by, request)).await?;
        loop {
            let again = match Box::pin(self.slide(by, &mut asked)).await? {
                Look::Found(answer) => return Ok(answer),
                Look::Nothing(again) => again,
            };
            match self.rest(&mut asked.listener, asked.timeout, again).await {
                Rested::Enough => {
                    asked.last = true;
                    if by.expires_ms.is_some() {
                        Box::pin(self.accounts.check(by)).await?;
                    }
                }
                Rested::Ended => asked.last = true,
                Rested::News => {}
            }
            asked.upto = self.store.position();
            if self.store.user_changed(by.user, asked.good_at) != Some(false) {
                Box::pin(self.accounts.check(by)).await?;
            }
            asked.good_at = asked.upto;
        }
    }

    async fn asked(&self, by: &Session, request: SlidingRequest) -> Result<Box<Asked>, SyncError> {
        let SlidingRequest { body, pos, timeout_ms, set_presence, form } = request;
        let token = pos.as_deref().map(|pos| self.store.tokens().read_sync(pos)).transpose();
        let own = |token: &wardstead_store::SyncToken| {
            token.user == by.user && token.device == by.device && token.sliding.is_some()
        };
        let token = match token {
            Ok(Some(token)) if own(&token) => Some(token),
            Ok(None) => None,
            _ => return Err(SyncError::UnknownPos),
        };
        let present = self.presence.syncing(by, set_presence);
        // Before the first look: what is committed from here on wakes it.
        let listener = self.store.listen(by.user);
        let upto = self.store.caught_up().await?;
        let name = Name::new(by.device, body.conn_id.as_deref());
        let now_ms = self.store.clock().now_ms();
        let fresh = token.is_some_and(|token| u64::from(token.presence_s) * 1_000 + limits::FRESH_MS > now_ms);
        let sliding = token.and_then(|token| token.sliding);
        let base = self.sliding.connections.base(name, sliding, fresh).await?.ok_or(SyncError::UnknownPos)?;
        let reach = self.reach(u64::from(base.generation.epoch), Position(base.generation.position));
        let reach = if base.generation.id == 0 { Ok(Position::ZERO) } else { reach };
        let inbox = self.inbox_of(by, &body)?;
        if let Some(inbox) = inbox {
            self.acknowledge(by, inbox).await;
        }
        let timeout_ms = if token.is_some() { timeout_ms.min(sync::TIMEOUT_MS) } else { 0 };
        // Nobody is told anything for a token that has expired meanwhile.
        let good_ms = by.expires_ms.map_or(u64::MAX, |ms| ms.saturating_sub(now_ms));
        let timeout = tokio::time::sleep(Duration::from_millis(timeout_ms.min(good_ms))).deadline();
        let told = token.map(Told::from).unwrap_or_default();
        let has = pos.as_deref().filter(|_| base.exact);
        let has = has.map(|pos| self.members.known(name.hash(), pos)).unwrap_or_default();
        let (rules, filter) = (Rules::new(&body, by), Filter::new(filter_of(&body)?, &by.user_id));
        let last = timeout_ms == 0;
        let asked = Asked {
            name,
            pos,
            body,
            form,
            rules,
            filter,
            base,
            reach,
            told,
            inbox,
            has,
            upto,
            good_at: upto,
            timeout,
            last,
            listener,
            _present: present,
        };
        Ok(Box::new(asked))
    }
}

/// Rooms are chosen by the lists; presence is no part of it.
fn filter_of(body: &SlidingBody) -> Result<SyncFilter, SyncError> {
    let silent =
        if body.extensions.typing.is_on() { "" } else { r#","room":{"ephemeral":{"not_types":["m.typing"]}}"# };
    Ok(SyncFilter::parse(&format!(r#"{{"presence":{{"types":[]}}{silent}}}"#))?)
}
