//! One look for something to tell, and the answer.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use ruma::OwnedRoomId;
use serde_json::value::RawValue;
use wardstead_accounts::Session;
use wardstead_e2ee::KeyCounts;
use wardstead_engine::Position;
use wardstead_limits::sync;
use wardstead_store::{SyncToken, Token};

use super::{
    Asked, Look,
    answer::{Answer, Count, E2eeTold, ExtensionsTold, OfRooms, RoomTold},
    connection::{Delta, Rooms},
    extensions::{Scope, account_data_told, typing_told},
    plan::{Known, Plans, entry_after},
    tables::Generation,
    told::{Common, Told},
};
use crate::{
    DeviceLists, SyncError, Syncer, changes::OwnRooms, ephemeral::Ephemeral, ignored::is_unwelcome,
    key_counts::KeyCountsTold, lazy::Lazy, own::OwnNews, response::Events, to_device::ToDevice, wait::Range,
};

/// What the client is taken to have.
struct Start {
    rooms: Arc<Rooms>,
    exact: bool,
    since: Position,
    /// Nothing of its account was told, or not to all that it asks now.
    anew: bool,
    /// Up to here what it was told is true, where a restore took back what came later.
    restored: Option<Position>,
}

/// All that one look found.
struct Found {
    counts: BTreeMap<String, u64>,
    told: Vec<Told>,
    delta: Delta,
    scopes: BTreeMap<OwnedRoomId, Scope>,
    members: Vec<u64>,
    global: Events,
    /// There is something to tell of rooms.
    news: bool,
}

/// What it found beside rooms.
struct Beside {
    to_device: Option<ToDevice>,
    device_lists: DeviceLists,
    key_counts: Option<Arc<KeyCounts>>,
    ready: bool,
}

impl Syncer {
    pub(super) async fn slide(&self, by: &Session, asked: &mut Asked) -> Result<Look, SyncError> {
        asked.filter.ignore(self.ignored(by, asked.upto).await?);
        let start = start(asked);
        let found = Box::pin(self.rooms_found(by, asked, &start)).await?;
        let beside = self.beside(by, asked, &start).await?;
        let mut ephemeral = self.ephemeral(by, asked.told, &asked.filter, found.news).await?;
        let account_data = asked.body.extensions.account_data.is_on() && !found.global.events.is_empty();
        let at_once = asked.last || start.anew || !start.exact;
        if at_once || found.news || account_data || beside.ready || ephemeral.ready {
            ephemeral.presence.clear();
            return Box::pin(self.respond_sliding(by, asked, &start, found, beside, ephemeral)).await.map(Look::Found);
        }
        asked.told = ephemeral.looked;
        Ok(Look::Nothing(ephemeral.again))
    }

    async fn rooms_found(&self, by: &Session, asked: &Asked, start: &Start) -> Result<Found, SyncError> {
        let Asked { rules, filter, upto, .. } = asked;
        let range = Range { since: start.since.min(*upto), upto: *upto };
        let order = self.order(by.user, *upto).await?;
        let personal = self.personal(by.user, *upto).await?;
        let view = self.view(rules, filter, &order, &personal, *upto).await?;
        let counts = view.counts.clone();
        let scopes = view.rooms.iter().map(|room| (room.placed.room_id.clone(), Scope::from(room))).collect();
        let known = Known { by, rooms: &start.rooms, exact: start.exact, range, personal: &personal };
        let mut own = OwnNews::default();
        let mut changed = Vec::new();
        if range.since < range.upto && !start.anew {
            own = self.own_news(by, range).await?;
            let rooms = OwnRooms { all: own.rooms(), ..OwnRooms::default() };
            changed = self.changed_rooms(by.user, range, &rooms, true).await?;
            changed.retain(|changed| !is_unwelcome(&changed.room, by, filter));
        }
        let Plans { rooms: plans, mut delta, more } = self.plans(&known, view, changed, &mut own).await?;
        if start.anew {
            own = self.own_news(by, Range { since: Position::ZERO, upto: *upto }).await?;
        }
        let global = own.of_no_room(filter)?;
        let lazy = Lazy::new(Arc::clone(&asked.has));
        let since = if start.anew { Position::ZERO } else { range.since };
        let common = Common { by, filter, lazy: &lazy, upto: *upto, since, form: asked.form, rooms: plans.len() };
        let shorts: Vec<u64> = plans.iter().map(|plan| plan.view.placed.room).collect();
        let mut named = Vec::with_capacity(shorts.len());
        for shorts in shorts.chunks(wardstead_limits::engine::GET_KEYS) {
            named.extend(self.rooms.rooms_by_short_id(shorts).await?);
        }
        let rooms = &start.rooms;
        let personal = &personal;
        let told = stream::iter(plans.into_iter().zip(named)).map(|(plan, room)| async move {
            let (short, view) = (room.short, plan.view.clone());
            let told = self.told(common, plan, room).await?;
            let direct = personal.direct.contains(view.placed.room_id.as_str());
            let entry = entry_after(rooms.get(&short), &view, direct, &told);
            Ok::<_, SyncError>((short, entry, told))
        });
        let told: Vec<_> = told.buffered(sync::ROOMS_AT_ONCE).try_collect().await?;
        let mut shown = Vec::with_capacity(told.len());
        for (short, entry, told) in told {
            if rooms.get(&short) != entry.as_ref() {
                delta.insert(short, entry);
            }
            shown.push(told);
        }
        if start.anew {
            // What the connection knows and this request does not start from.
            for room in asked.base.rooms.keys() {
                delta.entry(*room).or_insert(None);
            }
        }
        let news = more || shown.iter().any(|told| told.is_news(asked));
        let members = lazy.into_told();
        Ok(Found { counts, told: shown, delta, scopes, members, global, news })
    }

    async fn beside(&self, by: &Session, asked: &Asked, start: &Start) -> Result<Beside, SyncError> {
        let upto = asked.upto;
        let to_device = self.to_device_told(by, asked).await?;
        let mut beside = Beside { to_device, device_lists: DeviceLists::default(), key_counts: None, ready: false };
        if asked.body.extensions.e2ee.is_on() {
            let range = Range { since: start.since.min(upto), upto };
            let changed = if start.since == Position::ZERO { None } else { self.key_counts_news(by, range).await? };
            beside.device_lists = match start.restored {
                Some(true_upto) => self.all_device_lists(by, Range { since: true_upto.min(upto), upto }).await?,
                None if start.since == Position::ZERO => DeviceLists::default(),
                None if start.anew => self.all_device_lists(by, range).await?,
                None => self.device_lists(by, range).await?,
            };
            beside.ready = changed.is_some() || !beside.device_lists.is_empty();
            beside.key_counts = Some(match changed {
                Some(changed) => changed,
                None => self.key_counts(by).await?,
            });
        }
        beside.ready |= beside.to_device.as_ref().is_some_and(|section| !section.is_empty());
        Ok(beside)
    }

    async fn respond_sliding(
        &self,
        by: &Session,
        asked: &Asked,
        start: &Start,
        found: Found,
        beside: Beside,
        ephemeral: Ephemeral,
    ) -> Result<Bytes, SyncError> {
        let Found { counts, told, delta, scopes, members, mut global, .. } = found;
        let extensions = &asked.body.extensions;
        if let (Some(true_upto), true) = (start.restored, extensions.account_data.is_on()) {
            let range = Range { since: true_upto.min(asked.upto), upto: asked.upto };
            global.events.extend(self.removed_account_data(by.user, range, &asked.filter).await?.events);
        }
        let (mut rooms, mut account_data) = (BTreeMap::<OwnedRoomId, RoomTold>::new(), BTreeMap::new());
        let mut receipts = BTreeMap::<OwnedRoomId, Box<RawValue>>::new();
        for told in told {
            let of = |wanted| scopes.get(&told.room_id).is_some_and(|scope| scope.is_in(wanted, told.room_id.as_str()));
            if of(&extensions.account_data) && !told.account_data.is_empty() {
                account_data.insert(told.room_id.clone(), told.account_data);
            }
            if let Some(event) = told.receipts.filter(|_| of(&extensions.receipts)) {
                receipts.insert(told.room_id.clone(), event);
            }
            if let Some(room) = told.room {
                rooms.insert(told.room_id, room);
            }
        }
        let global = if extensions.account_data.is_on() { global.events } else { Vec::new() };
        let Beside { to_device, device_lists, key_counts, .. } = beside;
        let key_counts = key_counts.as_deref().map(KeyCountsTold::new);
        let extensions = ExtensionsTold {
            to_device: to_device.map(|section| self.to_device_written(by, section, asked.upto)),
            e2ee: key_counts.map(|key_counts| E2eeTold { device_lists, key_counts }),
            account_data: account_data_told(global, account_data),
            receipts: (!receipts.is_empty()).then_some(OfRooms { rooms: receipts }),
            typing: typing_told(ephemeral.typing, &scopes, &extensions.typing),
        };
        let epoch = u32::try_from(self.store.epoch()).unwrap_or(u32::MAX);
        let next = Generation {
            epoch,
            position: asked.upto.0,
            extensions: asked.body.extensions.scope(),
            ..Generation::default()
        };
        let connections = &self.sliding.connections;
        let generation = connections.answered(asked.name, &asked.base, delta, next).await?;
        let token = SyncToken {
            epoch,
            position: asked.upto,
            typing: ephemeral.told.typing,
            ephemeral_s: ephemeral.told.ephemeral_s,
            presence_s: ephemeral.told.answered_s,
            user: by.user,
            device: by.device,
            to_device: None,
            sliding: Some(asked.base.pos(&generation)),
        };
        let pos = self.store.tokens().write(&Token::Sync(token));
        self.members.told(asked.name.hash(), asked.pos.as_deref(), &pos, members);
        let lists = counts.iter().map(|(name, count)| (name.as_str(), Count { count: *count })).collect();
        let txn_id = asked.body.txn_id.as_deref();
        Ok(serde_json::to_vec(&Answer { pos, txn_id, lists, rooms, extensions })?.into())
    }
}

impl Told {
    /// Whether it is a reason to answer.
    fn is_news(&self, asked: &Asked) -> bool {
        let extensions = &asked.body.extensions;
        self.room.is_some()
            || extensions.account_data.is_on() && !self.account_data.is_empty()
            || extensions.receipts.is_on() && self.receipts.is_some()
    }
}

/// What the client has, but for what it asks anew.
fn start(asked: &Asked) -> Start {
    let base = &asked.base;
    let since = Position(base.generation.position);
    let begins = base.generation.id == 0;
    let restored = asked.reach.err();
    let other = base.generation.extensions != asked.body.extensions.scope();
    if begins || other || restored.is_some() {
        let since = if begins { Position::ZERO } else { since };
        return Start { rooms: Arc::default(), exact: base.exact, since, anew: true, restored };
    }
    Start { rooms: Arc::clone(&base.rooms), exact: base.exact, since, anew: false, restored: None }
}
