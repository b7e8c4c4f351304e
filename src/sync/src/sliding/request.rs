//! What a client asks ([MSC4186](https://github.com/matrix-org/matrix-spec-proposals/blob/main/proposals/4186-simplified-sliding-sync.md)):
//! the form that was accepted, and the one of before, which clients use.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher as _},
};

use ruma::{OwnedRoomId, OwnedUserId, UserId};
use serde::Deserialize;
use wardstead_limits::sliding as limits;
use wardstead_rooms::Event;

/// The body of a request, of either form.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct SlidingBody {
    /// The name of the connection.
    pub conn_id: Option<String>,
    /// The token of the last answer, in the accepted form.
    pub pos: Option<String>,
    /// Milliseconds to wait, in the accepted form.
    pub timeout: Option<u64>,
    /// How the sync shows its user, in the accepted form.
    pub set_presence: Option<String>,
    /// Said again in the answer.
    pub txn_id: Option<String>,
    /// Lists of rooms, by the client's names.
    pub lists: BTreeMap<String, List>,
    /// Rooms that are wanted wherever they stand.
    pub room_subscriptions: BTreeMap<OwnedRoomId, RoomConfig>,
    /// What else is wanted.
    pub extensions: Extensions,
}

/// How much of a room is wanted.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct RoomConfig {
    /// Events at most.
    pub(super) timeline_limit: u64,
    #[serde(default)]
    pub(super) required_state: RequiredState,
}

/// Some of the user's rooms.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct List {
    pub(super) timeline_limit: u64,
    #[serde(default)]
    pub(super) required_state: RequiredState,
    /// Places, both included; none: all. The name of before.
    ranges: Option<Vec<(u64, u64)>>,
    range: Option<(u64, u64)>,
    #[serde(default)]
    pub(super) filters: Filters,
}

impl List {
    /// Whether the room at this place is wanted.
    pub(super) fn shows(&self, place: usize) -> bool {
        let place = place as u64;
        let mut ranges = self.ranges.iter().flatten().chain(&self.range).peekable();
        let all = self.ranges.is_none() && self.range.is_none();
        all || ranges.any(|(from, to)| (*from..=*to).contains(&place))
    }
}

/// Which rooms a list is of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Filters {
    pub(super) is_dm: Option<bool>,
    pub(super) spaces: Option<Vec<String>>,
    pub(super) is_encrypted: Option<bool>,
    #[serde(alias = "is_invited")]
    pub(super) is_invite: Option<bool>,
    pub(super) room_types: Option<Vec<Option<String>>>,
    pub(super) not_room_types: Option<Vec<Option<String>>>,
    pub(super) tags: Option<Vec<String>>,
    pub(super) not_tags: Option<Vec<String>>,
}

impl Filters {
    /// Whether what a room is has to be known.
    pub(super) fn needs_facts(&self) -> bool {
        self.is_encrypted.is_some() || self.room_types.is_some() || self.not_room_types.is_some()
    }

    /// Whether the user's account data has to be.
    pub(super) fn needs_tags(&self) -> bool {
        self.tags.is_some() || self.not_tags.is_some()
    }
}

/// Which state is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(untagged)]
pub(super) enum RequiredState {
    /// Pairs of type and state key, as of before.
    Pairs(Vec<(String, String)>),
    Elements {
        #[serde(default)]
        include: Vec<Element>,
        #[serde(default)]
        exclude: Vec<Element>,
        #[serde(default)]
        lazy_members: bool,
    },
}

impl Default for RequiredState {
    fn default() -> Self {
        Self::Pairs(Vec::new())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
pub(super) struct Element {
    r#type: Option<String>,
    state_key: Option<String>,
}

impl Element {
    fn is(&self, event_type: &str, state_key: &str) -> bool {
        self.r#type.as_deref().is_none_or(|own| own == event_type)
            && self.state_key.as_deref().is_none_or(|own| own == state_key)
    }
}

const MEMBER: &str = "m.room.member";

/// The state that one list or subscription wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Required {
    include: Vec<Element>,
    exclude: Vec<Element>,
    lazy: bool,
}

impl Required {
    pub(super) fn new(stated: &RequiredState, me: &UserId) -> Self {
        match stated {
            RequiredState::Elements { include, exclude, lazy_members } => {
                Self { include: include.clone(), exclude: exclude.clone(), lazy: *lazy_members }
            }
            RequiredState::Pairs(pairs) => {
                let lazy = pairs.iter().any(|(event_type, key)| event_type == MEMBER && key == "$LAZY");
                let any = |text: &str| (text != "*").then(|| text.to_owned());
                let pairs = pairs.iter().filter(|(_, key)| key != "$LAZY");
                let include = pairs.map(|(event_type, key)| Element {
                    r#type: any(event_type),
                    state_key: if key == "$ME" { Some(me.as_str().to_owned()) } else { any(key) },
                });
                Self { include: include.collect(), exclude: Vec::new(), lazy }
            }
        }
    }

    fn passes(&self, event_type: &str, state_key: &str) -> bool {
        if event_type == MEMBER && self.lazy {
            return true;
        }
        let is = |element: &Element| element.is(event_type, state_key);
        self.include.iter().any(is) && !self.exclude.iter().any(is)
    }

    /// Whether it wants all members, whoever is shown.
    fn all_members(&self) -> bool {
        self.include.iter().any(|element| {
            let named = element.r#type.as_deref() == Some(MEMBER);
            element.state_key.is_none() && (named || element.r#type.is_none() && !self.lazy)
        })
    }
}

/// The state that all those want together which a room is in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wants(pub(super) Vec<std::sync::Arc<Required>>);

impl Wants {
    /// Whether a state event is among it.
    pub(crate) fn passes(&self, event: &Event) -> bool {
        let event_type = event.event_type.to_string();
        let Some(state_key) = event.state_key.as_deref() else { return false };
        self.0.iter().any(|required| required.passes(&event_type, state_key))
    }

    /// Whether all members are.
    pub(super) fn all_members(&self) -> bool {
        self.0.iter().any(|required| required.all_members())
    }

    /// Users whose members are, whoever is shown.
    pub(crate) fn members(&self) -> Vec<OwnedUserId> {
        let elements = self.0.iter().flat_map(|required| &required.include);
        let members = elements.filter(|element| element.r#type.as_deref().is_none_or(|own| own == MEMBER));
        members.filter_map(|element| UserId::parse(element.state_key.as_deref()?).ok()).collect()
    }
}

/// What is wanted beside rooms.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct Extensions {
    pub(super) to_device: ToDeviceWanted,
    pub(super) e2ee: Enabled,
    pub(super) account_data: OfRooms,
    pub(super) receipts: OfRooms,
    pub(super) typing: OfRooms,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub(super) struct ToDeviceWanted {
    enabled: Option<bool>,
    pub(super) limit: Option<u64>,
    pub(super) since: Option<String>,
}

impl ToDeviceWanted {
    pub(super) fn is_on(&self) -> bool {
        self.enabled == Some(true)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub(super) struct Enabled {
    enabled: Option<bool>,
}

impl Enabled {
    pub(super) fn is_on(&self) -> bool {
        self.enabled == Some(true)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub(super) struct OfRooms {
    enabled: Option<bool>,
    /// Of the rooms of these lists; none: of all.
    lists: Option<BTreeSet<String>>,
    /// Of these subscriptions; none: of all.
    rooms: Option<BTreeSet<String>>,
}

impl OfRooms {
    pub(super) fn is_on(&self) -> bool {
        self.enabled == Some(true)
    }

    /// Whether it is wanted of a room that is in `lists`, and that the client subscribes to or does not.
    pub(super) fn is_of(&self, room: &str, lists: &[&str], subscribed: bool) -> bool {
        let all = |names: &BTreeSet<String>| names.contains("*");
        let by_list =
            self.lists.as_ref().is_none_or(|names| all(names) || lists.iter().any(|list| names.contains(*list)));
        let by_room = self.rooms.as_ref().is_none_or(|rooms| all(rooms) || rooms.contains(room));
        self.is_on() && (by_list && !lists.is_empty() || by_room && subscribed)
    }
}

impl Extensions {
    /// What of rooms and of the account is told: where that changes, it is told from the start.
    pub(super) fn scope(&self) -> u64 {
        hash(&(&self.e2ee, &self.account_data, &self.receipts))
    }
}

impl SlidingBody {
    /// Whether it is within the bounds of [`limits`].
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        let name = |name: &String| name.len() <= limits::NAME_BYTES;
        let named = self.conn_id.iter().chain(&self.txn_id).chain(self.lists.keys()).all(name);
        let patterns = |state: &RequiredState| match state {
            RequiredState::Pairs(pairs) => pairs.len(),
            RequiredState::Elements { include, exclude, .. } => include.len() + exclude.len(),
        };
        let states = self.lists.values().map(|list| &list.required_state);
        let mut states = states.chain(self.room_subscriptions.values().map(|config| &config.required_state));
        let filters = |list: &List| {
            let Filters { spaces, room_types, not_room_types, tags, not_tags, .. } = &list.filters;
            let texts = [tags, not_tags].into_iter().flatten().map(Vec::len);
            let types = [room_types, not_room_types].into_iter().flatten().map(Vec::len);
            texts.chain(types).all(|len| len <= limits::PATTERN_ENTRIES)
                && spaces.as_ref().is_none_or(|spaces| spaces.len() <= limits::SPACE_ROOMS)
                && list.ranges.as_ref().is_none_or(|ranges| ranges.len() <= limits::RANGE_PAIRS)
        };
        named
            && self.lists.len() <= limits::LIST_KEYS
            && self.room_subscriptions.len() <= limits::SUBSCRIBED_ROOMS
            && states.all(|state| patterns(state) <= limits::PATTERN_ENTRIES)
            && self.lists.values().all(filters)
    }
}

/// The same on every node of one version; another version tells a room's state once more.
pub(super) fn hash(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}
