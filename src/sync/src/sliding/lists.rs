//! Which rooms the lists and subscriptions of a request show, and how.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use quick_cache::sync::Cache;
use ruma::OwnedRoomId;
use wardstead_accounts::Session;
use wardstead_engine::Position;
use wardstead_limits::{sliding as limits, sync};
use wardstead_rooms::{Face, Membership, UserRoom};

use super::{
    order::Placed,
    personal::Personal,
    request::{Filters, List, Required, RoomConfig, SlidingBody, Wants, hash},
};
use crate::{SyncError, Syncer, filter::Filter};

/// What rooms are, by room: as of when something last happened in them.
pub(crate) struct Facts(Cache<u64, (Position, Arc<Face>)>);

impl Facts {
    pub(crate) fn new() -> Self {
        Self(Cache::new(usize::try_from(limits::FACTS_CACHE_BYTES / limits::FACTS_ENTRY_BYTES).unwrap_or(usize::MAX)))
    }

    /// Name, bytes and bound in bytes.
    pub(crate) fn figures(&self) -> (&'static str, u64, u64) {
        ("sliding_facts", self.0.len() as u64 * limits::FACTS_ENTRY_BYTES, limits::FACTS_CACHE_BYTES)
    }
}

/// One way of showing rooms.
#[derive(Clone, Debug)]
struct Config {
    limit: u32,
    required: Arc<Required>,
    hash: u32,
}

impl Config {
    fn new(limit: u64, required: Required) -> Self {
        let limit = u32::try_from(limit.min(sync::TIMELINE_MAX as u64)).unwrap_or_default();
        let hash = u32::try_from(hash(&format!("{required:?}")) >> 32).unwrap_or_default();
        Self { limit, required: Arc::new(required), hash }
    }
}

/// A request's lists and subscriptions, ready for use.
#[derive(Debug)]
pub(super) struct Rules {
    lists: Vec<(String, List, Config)>,
    subscriptions: HashMap<OwnedRoomId, Config>,
}

/// A room that is shown.
#[derive(Clone, Debug)]
pub(super) struct InView {
    pub(super) placed: Arc<Placed>,
    /// Events of its timeline, at most.
    pub(super) limit: u32,
    /// Hashes of what is wanted of its state.
    pub(super) configs: Vec<u32>,
    pub(super) wants: Wants,
    /// Names of the lists that show it.
    pub(super) lists: Vec<String>,
    pub(super) subscribed: bool,
}

/// All that are shown.
#[derive(Debug, Default)]
pub(super) struct View {
    /// How many rooms each list has.
    pub(super) counts: BTreeMap<String, u64>,
    /// The one in which something happened last first.
    pub(super) rooms: Vec<InView>,
}

impl Rules {
    pub(super) fn new(body: &SlidingBody, by: &Session) -> Self {
        let config = |limit, required| Config::new(limit, Required::new(required, &by.user_id));
        let lists = body
            .lists
            .iter()
            .map(|(name, list)| (name.clone(), list.clone(), config(list.timeline_limit, &list.required_state)));
        let subscriptions = body.room_subscriptions.iter().map(|(room, wanted)| {
            let RoomConfig { timeline_limit, required_state } = wanted;
            (room.clone(), config(*timeline_limit, required_state))
        });
        Self { lists: lists.collect(), subscriptions: subscriptions.collect() }
    }
}

impl InView {
    fn new(placed: &Arc<Placed>) -> Self {
        let (wants, lists) = (Wants::default(), Vec::new());
        Self { placed: Arc::clone(placed), limit: 0, configs: Vec::new(), wants, lists, subscribed: false }
    }

    /// One that the user has left, which no list shows.
    pub(super) fn of_left(room: &UserRoom) -> Self {
        let UserRoom { room, room_id, membership, position, .. } = room.clone();
        let placed = Placed { room, room_id, membership, active: position, position, invited: None };
        Self { limit: 1, ..Self::new(&Arc::new(placed)) }
    }

    /// Shows what `config` wants, too.
    fn add(&mut self, config: &Config) {
        self.limit = self.limit.max(config.limit);
        if !self.configs.contains(&config.hash) {
            self.configs.push(config.hash);
            self.wants.0.push(Arc::clone(&config.required));
        }
    }

    fn finish(mut self) -> Self {
        self.configs.sort_unstable();
        if self.configs.len() > limits::CONFIG_HASHES {
            self.configs = vec![u32::try_from(hash(&self.configs) >> 32).unwrap_or_default()];
        }
        self
    }
}

impl Syncer {
    /// What `rules` show of `order`, the user's rooms at `upto`.
    pub(super) async fn view(
        &self,
        rules: &Rules,
        filter: &Filter,
        order: &[Arc<Placed>],
        personal: &Personal,
        upto: Position,
    ) -> Result<View, SyncError> {
        let unwelcome = |placed: &Placed| {
            let by = placed.invited.as_ref().and_then(|invited| invited.by.as_deref());
            placed.membership == Membership::Invite
                && (filter.blocks_invitations() || by.is_some_and(|by| filter.ignored().contains(by)))
        };
        let mut view = View::default();
        let mut shown: BTreeMap<usize, InView> = BTreeMap::new();
        for (name, list, config) in &rules.lists {
            let children = self.children(&list.filters, order, upto).await?;
            let mut place = 0;
            for (at, placed) in order.iter().enumerate() {
                if unwelcome(placed) || !self.passes(&list.filters, placed, personal, children.as_ref(), upto).await? {
                    continue;
                }
                if list.shows(place) {
                    let room = shown.entry(at).or_insert_with(|| InView::new(placed));
                    room.add(config);
                    room.lists.push(name.clone());
                }
                place += 1;
            }
            view.counts.insert(name.clone(), place as u64);
        }
        if !rules.subscriptions.is_empty() {
            for (at, placed) in order.iter().enumerate().filter(|(_, placed)| !unwelcome(placed)) {
                if let Some(config) = rules.subscriptions.get(&placed.room_id) {
                    let room = shown.entry(at).or_insert_with(|| InView::new(placed));
                    room.add(config);
                    room.subscribed = true;
                }
            }
        }
        view.rooms = shown.into_values().map(InView::finish).collect();
        Ok(view)
    }

    /// Whether a list with these filters has the room. Reads only what memory does not have.
    async fn passes(
        &self,
        filters: &Filters,
        placed: &Placed,
        personal: &Personal,
        children: Option<&HashSet<String>>,
        upto: Position,
    ) -> Result<bool, SyncError> {
        let is = |wanted: Option<bool>, so: bool| wanted.is_none_or(|wanted| wanted == so);
        if !is(filters.is_invite, placed.membership == Membership::Invite)
            || !is(filters.is_dm, personal.direct.contains(placed.room_id.as_str()))
            || children.is_some_and(|children| !children.contains(placed.room_id.as_str()))
        {
            return Ok(false);
        }
        if filters.needs_tags() {
            let tags = personal.tags.get(&placed.room).map_or(&[][..], Vec::as_slice);
            let any = |wanted: &Vec<String>| tags.iter().any(|tag| wanted.contains(tag));
            if filters.not_tags.as_ref().is_some_and(any) || filters.tags.as_ref().is_some_and(|tags| !any(tags)) {
                return Ok(false);
            }
        }
        if !filters.needs_facts() {
            return Ok(true);
        }
        let face = self.face_of(placed, upto).await?;
        let among = |types: &Vec<Option<String>>| types.contains(&face.room_type);
        Ok(is(filters.is_encrypted, face.encrypted)
            && filters.room_types.as_ref().is_none_or(among)
            && !filters.not_room_types.as_ref().is_some_and(among))
    }

    async fn face_of(&self, placed: &Placed, upto: Position) -> Result<Arc<Face>, SyncError> {
        if let Some(invited) = &placed.invited {
            return Ok(Arc::new(invited.face.clone()));
        }
        let known = self.sliding.facts.0.get(&placed.room);
        if let Some((_, face)) = known.filter(|(active, _)| *active == placed.active && placed.active <= upto) {
            return Ok(face);
        }
        let until = if placed.membership == Membership::Join { upto } else { placed.position };
        let mut room = self.rooms.rooms_by_short_id(&[placed.room]).await?;
        let Some(room) = room.pop() else { return Ok(Arc::default()) };
        let state = self.rooms.snapshot_at(placed.room, until).await?;
        let face = Arc::new(self.rooms.face(&room, state.snapshot).await?);
        if placed.membership == Membership::Join && placed.active <= upto {
            self.sliding.facts.0.insert(placed.room, (placed.active, Arc::clone(&face)));
        }
        Ok(face)
    }

    /// The rooms in the spaces of a filter that the user is in; `None`: it names none.
    async fn children(
        &self,
        filters: &Filters,
        order: &[Arc<Placed>],
        upto: Position,
    ) -> Result<Option<HashSet<String>>, SyncError> {
        let Some(spaces) = &filters.spaces else { return Ok(None) };
        let mut children = HashSet::new();
        let joined = order.iter().filter(|placed| placed.membership == Membership::Join);
        for placed in joined.filter(|placed| spaces.iter().any(|space| space == placed.room_id.as_str())) {
            let rooms = self.rooms.rooms_by_short_id(&[placed.room]).await?;
            let state = self.rooms.snapshot_at(placed.room, upto).await?;
            for space in &rooms {
                children.extend(self.rooms.space_children(space, state.snapshot).await?);
            }
        }
        Ok(Some(children))
    }
}
