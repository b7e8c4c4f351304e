//! Which rooms an answer tells, and what its client has of rooms afterwards.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use wardstead_accounts::Session;
use wardstead_engine::Position;
use wardstead_limits::sliding as limits;
use wardstead_rooms::{Membership, UserRoom};

use super::{
    connection::{Delta, Rooms},
    lists::{InView, View},
    order::Placed,
    personal::Personal,
    request::{Required, RequiredState, Wants},
    tables::Entry,
    told::{Plan, Told, Why},
};
use crate::{
    SyncError, Syncer,
    changes::{ChangedRoom, News, Stay},
    own::{OwnNews, OwnRoomNews},
    rooms::Again,
    wait::Range,
};

/// What the plan is made of.
pub(super) struct Known<'a> {
    pub(super) by: &'a Session,
    /// What the client has.
    pub(super) rooms: &'a Rooms,
    /// It may have more: what changed is told from the start.
    pub(super) exact: bool,
    pub(super) range: Range,
    pub(super) personal: &'a Personal,
}

/// What is told.
#[derive(Default)]
pub(super) struct Plans {
    pub(super) rooms: Vec<Plan>,
    /// What becomes of rooms of which nothing is told.
    pub(super) delta: Delta,
    /// More is to be told than fits.
    pub(super) more: bool,
}

impl Syncer {
    /// What `view` shows and the client does not have, and what it has to know of the other rooms that it has.
    pub(super) async fn plans(
        &self,
        known: &Known<'_>,
        view: View,
        changed: Vec<ChangedRoom>,
        own: &mut OwnNews,
    ) -> Result<Plans, SyncError> {
        let mut plans = Plans::default();
        let mut changed: BTreeMap<u64, ChangedRoom> = changed.into_iter().map(|room| (room.room.room, room)).collect();
        let (mut new, mut grown) = (Vec::new(), Vec::new());
        for view in view.rooms {
            let room = view.placed.room;
            let happened = changed.remove(&room);
            let Some(entry) = known.rooms.get(&room) else {
                new.push(view);
                continue;
            };
            if entry.behind == Some(0) || !known.exact && (happened.is_some() || entry.behind.is_some()) {
                new.push(view);
                continue;
            }
            let again = Again {
                state: view.configs.iter().any(|config| !entry.configs.contains(config)),
                timeline: view.limit > entry.limit,
            };
            let direct = known.personal.direct.contains(view.placed.room_id.as_str());
            let told_direct = (direct != entry.direct).then_some(direct);
            let joined = view.placed.membership == Membership::Join;
            if let Some(behind) = entry.behind {
                plans.rooms.extend(self.behind(known, view, Position(behind), again, told_direct).await?);
            } else if let Some(changed) = happened {
                let own = Some(own.room(room));
                let why = Why::Changed { changed, since: known.range.since, again, own };
                plans.rooms.push(Plan { view, why, direct: told_direct });
            } else if joined && (again.state || again.timeline) {
                grown.push((view, again, told_direct));
            } else if told_direct.is_some() {
                plans.rooms.push(Plan { view, why: Why::Beside, direct: told_direct });
            } else if entry.configs != view.configs {
                // Less is wanted than before.
                plans.delta.insert(room, Some(Entry { configs: view.configs, ..entry.clone() }));
            }
        }
        plans.more = new.len() > limits::NEW_ROOMS;
        new.truncate(limits::NEW_ROOMS);
        self.add_new(known, new, &mut plans).await?;
        self.add_grown(known, grown, &mut plans).await?;
        if !known.exact {
            // It may have been shown since then what it is behind with here.
            for (room, entry) in known.rooms.iter().filter(|(_, entry)| entry.behind.is_some_and(|behind| behind > 0)) {
                plans.delta.insert(*room, Some(Entry { behind: Some(0), ..entry.clone() }));
            }
        }
        add_unseen(known, changed, &mut plans);
        Ok(plans)
    }

    /// A room of which the client was not shown what happened after `behind`.
    async fn behind(
        &self,
        known: &Known<'_>,
        view: InView,
        behind: Position,
        again: Again,
        direct: Option<bool>,
    ) -> Result<Option<Plan>, SyncError> {
        let range = Range { since: behind, upto: known.range.upto };
        let rows = self.rooms.user_rooms_among(known.by.user, &[view.placed.room]).await?;
        let candidates = rows.into_iter().map(|row| (News::ALL, row)).collect();
        let changed = self.as_of(known.by.user, range, candidates, &BTreeSet::new()).await?.pop();
        let Some(changed) = changed else { return Ok(None) };
        let own: OwnRoomNews = self.own_news(known.by, range).await?.room(view.placed.room);
        let why = Why::Changed { changed, since: behind, again, own: Some(own) };
        Ok(Some(Plan { view, why, direct }))
    }

    async fn add_new(&self, known: &Known<'_>, new: Vec<InView>, plans: &mut Plans) -> Result<(), SyncError> {
        let mut rows = self.rows_at(known, &new).await?;
        for view in new {
            let Some(row) = rows.remove(&view.placed.room) else { continue };
            let direct = known.personal.direct.contains(view.placed.room_id.as_str());
            plans.rooms.push(Plan { view, why: Why::New(row), direct: Some(direct) });
        }
        Ok(())
    }

    async fn add_grown(
        &self,
        known: &Known<'_>,
        grown: Vec<(InView, Again, Option<bool>)>,
        plans: &mut Plans,
    ) -> Result<(), SyncError> {
        let rooms: Vec<InView> = grown.iter().map(|(view, ..)| view.clone()).collect();
        let mut rows = self.rows_at(known, &rooms).await?;
        for (view, again, direct) in grown {
            let Some(room) = rows.remove(&view.placed.room) else { continue };
            let news = News { events: true, receipts: false };
            let changed = ChangedRoom { room, stay: Stay::UNMOVED, news, archived: false };
            let why = Why::Changed { changed, since: known.range.since, again, own: None };
            plans.rooms.push(Plan { view, why, direct });
        }
        Ok(())
    }

    /// What the user was at the end of the range in rooms that are in the order of then.
    async fn rows_at(&self, known: &Known<'_>, rooms: &[InView]) -> Result<HashMap<u64, UserRoom>, SyncError> {
        let ids: Vec<u64> = rooms.iter().map(|view| view.placed.room).collect();
        let memberships: HashMap<u64, &Placed> = rooms.iter().map(|view| (view.placed.room, &*view.placed)).collect();
        let mut rows = HashMap::new();
        for mut row in self.rooms.user_rooms_among(known.by.user, &ids).await? {
            if let Some(placed) = memberships.get(&row.room).filter(|_| row.position > known.range.upto) {
                row.membership = placed.membership;
                row.position = placed.position.min(known.range.upto);
                if placed.membership == Membership::Ban {
                    row.left = self.rooms.left_before(known.by.user, row.room, known.range.upto).await?;
                }
            }
            rows.insert(row.room, row);
        }
        Ok(rows)
    }
}

/// What happened in rooms that are not shown: who left one is told that; of the others the client is behind from now on.
fn add_unseen(known: &Known<'_>, changed: BTreeMap<u64, ChangedRoom>, plans: &mut Plans) {
    for (room, changed) in changed {
        let Some(entry) = known.rooms.get(&room) else { continue };
        let since = entry.behind.filter(|behind| *behind > 0).map_or(known.range.since, Position);
        if matches!(changed.room.membership, Membership::Leave | Membership::Ban) {
            let mut view = InView::of_left(&changed.room);
            view.wants = Wants(vec![Required::new(&own_member(), &known.by.user_id).into()]);
            let why = Why::Changed { changed, since, again: Again::default(), own: None };
            plans.rooms.push(Plan { view, why, direct: None });
        } else if entry.behind.is_none() || !known.exact {
            // Of who may have more it is not known where to go on.
            let behind = if known.exact { since.0 } else { 0 };
            let entry = Entry { behind: Some(behind), ..entry.clone() };
            plans.delta.insert(room, Some(entry));
        }
    }
}

/// What becomes of the room of a plan, once it is told.
pub(super) fn entry_after(before: Option<&Entry>, view: &InView, direct: bool, told: &Told) -> Option<Entry> {
    if told.membership == Membership::Leave {
        return None;
    }
    let limit = match before {
        Some(before) if !told.limited => before.limit,
        _ => view.limit,
    };
    Some(Entry { behind: None, limit, configs: view.configs.clone(), direct })
}

fn own_member() -> RequiredState {
    RequiredState::Pairs(vec![("m.room.member".to_owned(), "$ME".to_owned())])
}
