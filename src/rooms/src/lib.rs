//! Rooms: events, authorisation, state, append, membership, history.
//!
//! The way of a message: [`Rooms::send`] takes a turn in the room ([`append`]), makes the event ([`event`]), has it judged by
//! the state before it ([`auth`], [`state`]), and queues one batch with all rows that follow from it ([`tables`]). Formats
//! and reasons: `docs/design/03-rooms.md`.

mod acts;
mod aliases;
mod append;
mod auth;
mod caches;
mod change;
mod create;
mod error;
pub mod event;
mod events;
mod glimpse;
mod graph;
mod hooks;
mod keyring;
mod membership;
mod mutual;
mod names;
mod people;
mod power;
mod read;
mod receipts;
mod report;
mod send;
mod shared;
pub mod signing;
pub mod state;
pub mod sync;
mod tables;
mod typing;
mod upgrade;
mod version;

use std::sync::{Arc, atomic::AtomicU64};

use ruma::{OwnedServerName, RoomVersionId, ServerName};
use wardstead_accounts::Accounts;
use wardstead_store::Store;

pub use change::{
    Act, AdministrativeAct, EventAppended, MembershipChanged, PowerSource, ReceiptMoved, RoomChange, RoomCreated,
    StateResolved,
};
pub use create::{InitialState, NewRoom, Preset};
pub use error::RoomError;
pub use event::content::lets_guests_in;
pub use event::{ClientEvent, Event, Replaced, StoredEvent, TimelineKey, client::Viewer};
pub use glimpse::{Child, Glimpse, JoinRule, Looker, Overview};
pub use graph::{Incoming, Received, StatedState};
pub use hooks::{Hooks, Proposed, RoomPolicy, StateBefore, Verdict};
pub use membership::{HistoryVisibility, Membership};
pub use mutual::MutualRooms;
pub use names::Room;
pub use read::{
    Access, Asked, Context, EventFilter, Messages, MessagesPage, Reach, Relations, RelationsPage, Seen, Sight, Slice,
    Threads, ThreadsPage, matches,
};
pub use receipts::{Marks, Receipt, ReceiptMark, Receipts};
pub use report::Complaint;
pub use send::Draft;
pub use signing::{Keyring, Rotated, SigningKey};
pub use sync::{Face, LastMoved, MembershipMove, StateAt, Summary, UserRoom};
pub use tables::Status;
pub use typing::{RoomTyping, Typing};
pub use upgrade::{GoesAlong, Mover};
pub use version::{OLD_ROOM_VERSIONS, ROOM_VERSIONS, rules};

use append::Chains;
use events::Events;
use names::Names;
use people::People;
use state::StateStore;

/// The rooms of this server. Cheap to clone.
#[derive(Clone)]
pub struct Rooms {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    store: Store,
    accounts: Accounts,
    server_name: OwnedServerName,
    keys: Keyring,
    default_version: RoomVersionId,
    names: Names,
    events: Events,
    state: StateStore,
    chains: Arc<Chains>,
    people: People,
    hooks: Hooks,
    /// When the last room was made: no two create events of this process have the same time.
    last_created_ms: AtomicU64,
}

impl std::fmt::Debug for Rooms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rooms").field("server_name", &self.inner.server_name).finish_non_exhaustive()
    }
}

impl Rooms {
    /// The rooms in `store` of the server `server_name`, whose events `keys` sign ([`signing::load_or_create`]). New rooms
    /// have `default_version` when their creator names none.
    #[must_use]
    pub fn new(
        store: Store,
        accounts: Accounts,
        server_name: OwnedServerName,
        keys: Keyring,
        default_version: RoomVersionId,
    ) -> Self {
        Self::with_hooks(store, accounts, server_name, keys, default_version, Hooks::default())
    }

    /// The same, with what the binary wires into each commit.
    #[must_use]
    pub fn with_hooks(
        store: Store,
        accounts: Accounts,
        server_name: OwnedServerName,
        keys: Keyring,
        default_version: RoomVersionId,
        hooks: Hooks,
    ) -> Self {
        let inner = Inner {
            accounts,
            server_name,
            keys,
            default_version,
            names: Names::new(store.clone()),
            events: Events::new(store.clone()),
            state: StateStore::new(store.clone()),
            chains: Arc::new(Chains::new(store.leases().clone())),
            people: People::new(),
            hooks,
            last_created_ms: AtomicU64::new(0),
            store,
        };
        Self { inner: Arc::new(inner) }
    }

    /// The name of this server.
    #[must_use]
    pub fn server_name(&self) -> &ServerName {
        &self.inner.server_name
    }

    /// The version of rooms whose creator names none.
    #[must_use]
    pub fn default_version(&self) -> &RoomVersionId {
        &self.inner.default_version
    }

    /// How many rooms have a request or a queued batch of this node in flight, for metrics.
    #[must_use]
    pub fn busy_rooms(&self) -> usize {
        self.inner.chains.len()
    }
}
