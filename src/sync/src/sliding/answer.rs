//! The answer's JSON, in the form that was accepted and in that of before.

use std::collections::BTreeMap;

use ruma::{OwnedRoomId, OwnedUserId};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{DeviceLists, key_counts::KeyCountsTold, unread::Numbers};

/// Which names the parts of an answer have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SlidingForm {
    /// Those of the accepted proposal.
    #[default]
    Accepted,
    /// Those under which clients know it.
    Unstable,
}

#[derive(Debug, Serialize)]
pub(super) struct Answer<'a> {
    pub(super) pos: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) txn_id: Option<&'a str>,
    pub(super) lists: BTreeMap<&'a str, Count>,
    pub(super) rooms: BTreeMap<OwnedRoomId, RoomTold>,
    pub(super) extensions: ExtensionsTold<'a>,
}

#[derive(Debug, Serialize)]
pub(super) struct Count {
    pub(super) count: u64,
}

type Events = Vec<Box<RawValue>>;

/// What is told of a room.
#[expect(clippy::option_option, reason = "that there is no name any more is another thing than that it is the same")]
#[derive(Debug, Default, Serialize)]
pub(super) struct RoomTold {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) initial: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) membership: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) lists: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) avatar: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) heroes: Option<Vec<Hero>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) is_dm: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bump_stamp: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) joined_count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) invited_count: Option<u32>,
    #[serde(flatten)]
    pub(super) unread: Option<Numbers>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) required_state: Events,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) prev_batch: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) limited: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) num_live: Option<u64>,
    #[serde(flatten)]
    pub(super) named: Option<Named>,
}

/// What has another name in each form.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Named {
    Accepted {
        #[serde(skip_serializing_if = "Vec::is_empty")]
        timeline_events: Events,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        expanded_timeline: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        stripped_state: Option<Events>,
    },
    Unstable {
        #[serde(skip_serializing_if = "Vec::is_empty")]
        timeline: Events,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        unstable_expanded_timeline: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        invite_state: Option<Events>,
    },
}

impl Named {
    pub(super) fn new(form: SlidingForm, timeline: Events, expanded: bool, stripped: Option<Events>) -> Self {
        match form {
            SlidingForm::Accepted => {
                Self::Accepted { timeline_events: timeline, expanded_timeline: expanded, stripped_state: stripped }
            }
            SlidingForm::Unstable => {
                Self::Unstable { timeline, unstable_expanded_timeline: expanded, invite_state: stripped }
            }
        }
    }
}

/// A member that a room is called by.
#[derive(Debug, Serialize)]
pub(super) struct Hero {
    pub(super) user_id: OwnedUserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) displayname: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) avatar_url: Option<String>,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct ExtensionsTold<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) to_device: Option<ToDeviceTold>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) e2ee: Option<E2eeTold<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) account_data: Option<AccountDataTold>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) receipts: Option<OfRooms<Box<RawValue>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) typing: Option<OfRooms<Typing>>,
}

#[derive(Debug, Serialize)]
pub(super) struct ToDeviceTold {
    pub(super) next_batch: String,
    pub(super) events: Events,
}

#[derive(Debug, Serialize)]
pub(super) struct E2eeTold<'a> {
    #[serde(skip_serializing_if = "DeviceLists::is_empty")]
    pub(super) device_lists: DeviceLists,
    #[serde(flatten)]
    pub(super) key_counts: KeyCountsTold<'a>,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct AccountDataTold {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) global: Events,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) rooms: BTreeMap<OwnedRoomId, Events>,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct OfRooms<T> {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) rooms: BTreeMap<OwnedRoomId, T>,
}

/// `m.typing`.
#[derive(Debug, Serialize)]
#[serde(tag = "type", content = "content")]
pub(super) enum Typing {
    #[serde(rename = "m.typing")]
    Users { user_ids: Vec<OwnedUserId> },
}
