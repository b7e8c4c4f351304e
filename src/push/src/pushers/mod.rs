//! Pushers: where users want to be told of events when no client of theirs is at work (Client-Server API, Push Notifications).
//!
//! An event that notifies somebody leaves a row in its own commit; one node hands it to the pushers concerned, each of which keeps what
//! waits for it; a timer of each pusher has it sent. Formats and reasons: `docs/design/27-pushers.md`.

mod body;
mod deliver;
mod edit;
mod expand;
mod figures;
mod gateway;
mod hosts;
mod http;
mod keeper;
pub(crate) mod tables;
mod without;

use std::sync::Arc;

use serde_json::{Map, Value};
use wardstead_accounts::{Accounts, Session};
use wardstead_engine::Losing;
use wardstead_limits::{pushers as limits, store::REBUILDS};
use wardstead_rooms::{EventAppended, Rooms};
use wardstead_store::{Contribution, Store, StoreError, kind};

use crate::{
    Push, PushError,
    pushers::{
        deliver::{Clerk, Desk},
        edit::Edit,
        expand::Expander,
        figures::PusherFigures,
        tables::{EVENTS, EventRow, TIMERS},
        without::Without,
    },
};

pub use figures::Notifications;
pub use gateway::{Gateway, GatewayAnswer, GatewayPolicy};
pub use http::HttpGateway;
pub use keeper::PusherKeeper;

/// Pushers of this server. Cheap to clone.
#[derive(Clone)]
pub struct Pushers {
    push: Push,
    policy: Arc<GatewayPolicy>,
    figures: Arc<PusherFigures>,
    without: Arc<Without>,
}

impl std::fmt::Debug for Pushers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pushers")
    }
}

/// A pusher of kind `http`, as its user describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pusher {
    /// Names the app; at most [`limits::APP_ID_CHARS`] characters.
    pub app_id: String,
    /// What the gateway knows the device by; at most [`limits::PUSHKEY_BYTES`].
    pub pushkey: String,
    /// What the user calls the app.
    pub app_display_name: String,
    /// What the user calls the device.
    pub device_display_name: String,
    /// Which set of rules of the device's own it is for.
    pub profile_tag: Option<String>,
    /// The user's language.
    pub lang: String,
    /// Where the gateway is told.
    pub url: String,
    /// `data` without the URL.
    pub data: Map<String, Value>,
}

impl Pushers {
    /// The pushers of those whose counts `push` knows, at gateways that `policy` allows.
    #[must_use]
    pub fn new(push: &Push, policy: GatewayPolicy) -> Self {
        Self { push: push.clone(), policy: Arc::new(policy), figures: Arc::default(), without: Arc::default() }
    }

    /// Hands events to pushers and tells `gateway` of them from now on, wherever this node gets the leases. Called once, when the parts
    /// are wired, on every node.
    pub fn run(&self, rooms: &Rooms, gateway: Arc<dyn Gateway>) {
        self.store().watch(kind::PUSHER_SET, Arc::clone(&self.without) as _);
        let desk = Desk::new(self.clone(), rooms.clone(), gateway);
        self.store().run_queue(&EVENTS, Arc::new(Expander(Arc::clone(&desk))));
        self.store().run_timers(&TIMERS, Arc::new(Clerk(desk)));
    }

    /// Looks how many pushers have something to send, up to [`limits::COUNTED_ENTRIES`], for [`Self::notifications`]: for the metrics.
    ///
    /// # Errors
    /// The store's.
    pub async fn look(&self) -> Result<(), PushError> {
        self.figures.waiting(TIMERS.count(self.store(), limits::COUNTED_ENTRIES).await?);
        Ok(())
    }

    /// Name, bytes and bound in bytes of what it remembers, for the metrics (promise P6).
    #[must_use]
    pub fn caches(&self) -> Vec<(&'static str, u64, u64)> {
        vec![self.without.figures()]
    }

    /// What this node has sent since its start, for the metrics.
    #[must_use]
    pub fn notifications(&self) -> Notifications {
        self.figures.read()
    }

    fn store(&self) -> &Store {
        &self.push.core.store
    }

    fn accounts(&self) -> &Accounts {
        &self.push.core.accounts
    }

    /// The pushers of `user`, in the order in which they were first set.
    ///
    /// # Errors
    /// The store's; `Corrupt` where one of them cannot be read, which is not left out.
    pub async fn list(&self, user: u64) -> Result<Vec<Pusher>, PushError> {
        let (row, _) = edit::pushers(self.store(), user).await?;
        Ok(row.pushers.into_iter().map(|row| Pusher::of(user, row)).collect::<Result<_, _>>()?)
    }

    /// Sets a pusher of the session's user, which goes with the session's device; one of the same app and push key is replaced. Without
    /// `append` other users lose theirs of the same app and push key, in the same commit.
    ///
    /// # Errors
    /// `BadPusher` for a field beyond its bound or a gateway that is not allowed; `TooLarge` for more pushers than there may be; `Busy`; the accounts' and the store's.
    pub async fn set(&self, by: &Session, pusher: &Pusher, append: bool) -> Result<(), PushError> {
        check(pusher)?;
        self.policy.check(&pusher.url).map_err(PushError::BadPusher)?;
        let fresh = self.store().next_id().await?;
        for _ in 0..=REBUILDS {
            let mut edit = Edit::new(self.store());
            self.accounts().assert_device(&mut edit.batch, by).await?;
            edit.set(by, pusher, append, fresh).await?;
            match self.store().commit(edit.finish(self.push.core.version())).await {
                Ok(_) => return Ok(()),
                Err(StoreError::Lost(Losing::Rebuild)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(PushError::Busy)
    }

    /// Removes a pusher of `user`, if there is one of this app and push key, with what waits for it.
    ///
    /// # Errors
    /// `Busy`, and the store's.
    pub async fn remove(&self, user: u64, app_id: &str, pushkey: &str) -> Result<(), PushError> {
        for _ in 0..=REBUILDS {
            let mut edit = Edit::new(self.store());
            if !edit.remove(user, |pusher| pusher.is(app_id, pushkey)).await? {
                return Ok(());
            }
            match self.store().commit(edit.finish(self.push.core.version())).await {
                Ok(_) => return Ok(()),
                Err(StoreError::Lost(Losing::Rebuild)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(PushError::Busy)
    }
}

/// That `appended` is to be handed to pushers, where it `tells` somebody something; and that its sender has read something by it.
pub(crate) fn queued(appended: &EventAppended, tells: bool, spoke: Option<u64>) -> Contribution {
    let event_id = || appended.event.event_id.as_str().to_owned();
    let row = match (tells, spoke) {
        (true, spoke) => EventRow::Event { event_id: event_id(), spoke },
        (false, Some(user)) => EventRow::Read { user },
        (false, None) => return Contribution::nothing(),
    };
    let room = appended.room;
    Contribution::new(move |batch, entry| EVENTS.push(batch, room, entry, &row))
}

/// That `user` has read something in `room`.
pub(crate) fn queued_read(room: u64, user: u64) -> Contribution {
    Contribution::new(move |batch, entry| EVENTS.push(batch, room, entry, &EventRow::Read { user }))
}

fn check(pusher: &Pusher) -> Result<(), PushError> {
    let data: usize = serde_json::to_vec(&pusher.data).map_or(usize::MAX, |data| data.len());
    let bounds = [
        ("app_id", pusher.app_id.chars().count(), limits::APP_ID_CHARS),
        ("pushkey", pusher.pushkey.len(), limits::PUSHKEY_BYTES),
        ("app_display_name", pusher.app_display_name.len(), limits::NAME_BYTES),
        ("device_display_name", pusher.device_display_name.len(), limits::NAME_BYTES),
        ("profile_tag", pusher.profile_tag.as_ref().map_or(0, String::len), limits::NAME_BYTES),
        ("lang", pusher.lang.len(), limits::LANG_BYTES),
        ("data.url", pusher.url.len(), limits::URL_BYTES),
        ("data", data, limits::DATA_BYTES),
    ];
    match bounds.into_iter().find(|(_, has, most)| has > most) {
        Some((field, _, most)) => Err(PushError::BadPusher(format!("`{field}` is longer than {most}."))),
        None => Ok(()),
    }
}
