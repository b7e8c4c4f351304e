//! Tables of pushers (numbers 0x0f0–0x0f9) and their rows. Formats and why: `docs/design/27-pushers.md`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use wardstead_engine::{AccessPattern, Key};
use wardstead_store::{Queue, StoreError, Table, Timers, row};

use crate::error::corrupt;

/// The pushers of users, by user; versioned.
pub(crate) const PUSHERS: Table<PushersRow> = Table::new(AccessPattern::Point, 0x0f0, "pushers", "push");
/// Users with a pusher of this app and push key, by the hash of both; versioned.
pub(crate) const PUSHKEYS: Table<PushkeyRow> = Table::new(AccessPattern::Point, 0x0f1, "pushkeys", "push");
/// Events that notify somebody and are not handed to pushers yet, and what else changes badges; the lane is the room.
pub(crate) static EVENTS: Queue<EventRow> = Queue::new(Table::new(AccessPattern::Churn, 0x0f2, "push_events", "push"));
/// What waits for a pusher, and how its gateway does, by user and pusher; versioned. There as long as the pusher.
pub(crate) const STATES: Table<StateRow> = Table::new(AccessPattern::Point, 0x0f3, "pusher_states", "push");
/// When pushers have something to send.
pub(crate) static TIMERS: Timers<TimerRow> =
    Timers::new(Table::new(AccessPattern::Churn, 0x0f4, "pusher_timers", "push"));

/// A pusher (Client-Server API, Push Notifications).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PusherRow {
    /// Short id; a pusher that is removed and set again is another one.
    pub(crate) number: u64,
    /// Short id of the device that set it.
    pub(crate) device: u64,
    pub(crate) app_id: String,
    pub(crate) pushkey: String,
    pub(crate) app_display_name: String,
    pub(crate) device_display_name: String,
    pub(crate) profile_tag: Option<String>,
    pub(crate) lang: String,
    pub(crate) url: String,
    /// JSON: `data` without the URL.
    pub(crate) data: String,
    /// When it was last set, in milliseconds since 1970.
    pub(crate) set_ms: u64,
}

impl PusherRow {
    pub(crate) fn is(&self, app_id: &str, pushkey: &str) -> bool {
        self.app_id == app_id && self.pushkey == pushkey
    }

    /// `data` without the URL; `user` has the pusher.
    ///
    /// # Errors
    /// `Corrupt`: it was written as an object.
    pub(crate) fn data(&self, user: u64) -> Result<Map<String, Value>, StoreError> {
        serde_json::from_str(&self.data).map_err(|_| corrupt(&pushers_key(user), "a pusher's data is no object"))
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PushersRow {
    /// In the order in which they were first set.
    pub(crate) pushers: Vec<PusherRow>,
}
row!(PushersRow, 1);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PushkeyRow {
    pub(crate) users: Vec<u64>,
}
row!(PushkeyRow, 1);

/// What may concern pushers. Its position says which event it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum EventRow {
    /// An event that is something to somebody.
    Event {
        event_id: String,
        /// Short id of who read something by sending it.
        spoke: Option<u64>,
    },
    /// Less is unread for this user.
    Read { user: u64 },
}
row!(EventRow, 1);

/// An event that waits for a pusher.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Waiting {
    /// Short id of the room.
    pub(crate) room: u64,
    pub(crate) position: u64,
    pub(crate) event_id: String,
    /// When it was handed to the pusher.
    pub(crate) since_ms: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StateRow {
    /// When its timer is due; `None`: it has none.
    pub(crate) due_ms: Option<u64>,
    /// The oldest first.
    pub(crate) waiting: Vec<Waiting>,
    /// Whether the gateway is to be told what is unread, with an event or without.
    pub(crate) badge: bool,
    /// Whether there were events that are not told by themselves any more.
    pub(crate) dropped: bool,
    /// What the gateway was last told to be unread.
    pub(crate) told: Option<u64>,
    /// Failures since the gateway last answered.
    pub(crate) failures: u32,
    /// Since when it has failed.
    pub(crate) failing_since_ms: Option<u64>,
    /// By room, up to where its events were handed to the pusher; the last first.
    pub(crate) handed: Vec<(u64, u64)>,
}
row!(StateRow, 1);

/// Whose timer it is; its id is the pusher's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TimerRow {
    pub(crate) user: u64,
}
row!(TimerRow, 1);

pub(crate) fn pushers_key(user: u64) -> Key {
    PUSHERS.key(user).key()
}

pub(crate) fn state_key(user: u64, pusher: u64) -> Key {
    STATES.key(user).u64(pusher).key()
}

pub(crate) fn pushkey_key(app_id: &str, pushkey: &str) -> Key {
    let mut hash = Sha256::new();
    hash.update((app_id.len() as u64).to_be_bytes());
    hash.update(app_id);
    hash.update(pushkey);
    PUSHKEYS.key(0).fixed(&hash.finalize()).key()
}
