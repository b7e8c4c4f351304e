//! State resolution (Matrix specification, Room Version 2 and Room Version 12, State resolution) over snapshots.
//!
//! What differs is found on short ids, without looking at what the snapshots share; ruma is given the conflicted keys and
//! what their authorisation needs. It silently leaves out an event that its lookup does not give: so everything that it may
//! ask for is loaded first, and a miss fails.

use std::{
    cell::Cell,
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use ruma::{
    EventId, OwnedEventId,
    events::StateEventType,
    state_res::{self, StateMap, utils::event_id_set::EventIdSet},
};

use crate::{
    Event, RoomError, StoredEvent,
    append::head_key,
    auth::{self, Named},
    state::{Entry, Snapshot},
};

use super::{Grapher, chains::Chains, judged::Judged};

/// States that differ.
struct Conflict {
    /// Keys under which they do.
    keys: Vec<u64>,
    /// For each state, the short ids of the events under those keys; 0: none.
    values: Vec<Vec<u64>>,
    /// The events that stand in them, by short id.
    events: HashMap<u64, Arc<StoredEvent>>,
}

impl Conflict {
    fn ids_of(&self, state: usize) -> impl Iterator<Item = &OwnedEventId> {
        let events = self.values[state].iter().filter_map(|short| self.events.get(short));
        events.map(|event| &event.event_id)
    }

    fn ids(&self) -> HashSet<OwnedEventId> {
        self.events.values().map(|event| event.event_id.clone()).collect()
    }
}

impl Grapher<'_> {
    /// The resolution of `states`. One of them when it equals it; otherwise a new snapshot, in the scratch.
    ///
    /// # Errors
    /// The store's, `Corrupt` also when an event that the resolution asks for is missing.
    pub(super) async fn resolve(&mut self, states: &[Arc<Snapshot>]) -> Result<Arc<Snapshot>, RoomError> {
        let Some(first) = states.first() else { return Ok(Arc::default()) };
        let conflict = self.conflict(states).await?;
        if conflict.keys.is_empty() {
            return Ok(Arc::clone(first));
        }
        let mut chains = Chains::default();
        let (inner, room) = (self.build.inner, Arc::clone(&self.room));
        if let Some(fresh) = &self.fresh {
            chains.insert(fresh);
            chains.load(inner, &room, fresh.auth_events.iter().cloned()).await?;
        }
        chains.load(inner, &room, conflict.ids()).await?;
        let difference = self.auth_difference(first, &conflict, &mut chains).await?;
        let unconflicted = self.needed_unconflicted(first, &conflict, &chains, &difference).await?;
        chains.load(inner, &room, unconflicted.values().map(|event| event.event_id.clone())).await?;
        self.load_create(&mut chains).await?;
        let resolved = self.ask(&conflict, &chains, &difference, &unconflicted)?;
        let entries = self.entries(first, &conflict, &chains, &unconflicted, resolved).await?;
        // Equal to one of them: no new snapshot.
        for (state, values) in states.iter().zip(&conflict.values) {
            let same = entries.iter().all(|entry| {
                let at = conflict.keys.binary_search(&entry.key);
                at.is_ok_and(|at| values[at] == entry.event)
            });
            if same {
                return Ok(Arc::clone(state));
            }
        }
        self.advance(first, &entries).await
    }

    async fn conflict(&self, states: &[Arc<Snapshot>]) -> Result<Conflict, RoomError> {
        let (inner, room) = (self.build.inner, self.room.short);
        let mut keys = BTreeSet::new();
        for other in states.iter().skip(1) {
            let changes = inner.state.diff(&self.scratch, room, &states[0], other).await?;
            keys.extend(changes.into_iter().map(|change| change.key));
        }
        let keys: Vec<u64> = keys.into_iter().collect();
        let (mut values, mut events) = (Vec::with_capacity(states.len()), HashMap::new());
        for state in states {
            let shorts = inner.state.get(&self.scratch, room, state, &keys).await?;
            let wanted: BTreeSet<u64> = shorts.iter().copied().filter(|short| *short != 0).collect();
            let wanted: Vec<u64> = wanted.into_iter().filter(|short| !events.contains_key(short)).collect();
            let loaded = self.load_short(&wanted).await?;
            events.extend(wanted.into_iter().zip(loaded));
            values.push(shorts);
        }
        Ok(Conflict { keys, values, events })
    }

    /// What does not stand in the auth chain of every state. Events in the chain of what is the same in all states stand in
    /// all chains; that is looked at only while something is left that could be one of those.
    async fn auth_difference(
        &self,
        first: &Snapshot,
        conflict: &Conflict,
        chains: &mut Chains,
    ) -> Result<HashSet<OwnedEventId>, RoomError> {
        let mut count: HashMap<&OwnedEventId, usize> = HashMap::new();
        for state in 0..conflict.values.len() {
            for id in chains.chain(conflict.ids_of(state)) {
                *count.entry(id).or_default() += 1;
            }
        }
        let states = conflict.values.len();
        let mut left: HashSet<OwnedEventId> =
            count.into_iter().filter(|(_, count)| *count < states).map(|(id, _)| id.clone()).collect();
        if left.is_empty() {
            return Ok(left);
        }
        let (inner, room) = (self.build.inner, &self.room);
        let all = inner.state.list(&self.scratch, room.short, first, 0..=u64::MAX).await?;
        let same = all.into_iter().filter(|entry| conflict.keys.binary_search(&entry.key).is_err());
        let shorts: Vec<u64> = same.map(|entry| entry.event).collect();
        for shorts in shorts.chunks(wardstead_limits::engine::GET_KEYS) {
            let events = self.load_short(shorts).await?;
            let ids: Vec<OwnedEventId> = events.iter().map(|event| event.event_id.clone()).collect();
            chains.load(inner, room, ids.iter().cloned()).await?;
            let shared = chains.chain(&ids);
            left.retain(|id| !shared.contains(id));
            if left.is_empty() {
                break;
            }
        }
        Ok(left)
    }

    /// The events of unconflicted keys that the authorisation of what is to be resolved may ask for.
    async fn needed_unconflicted(
        &self,
        first: &Snapshot,
        conflict: &Conflict,
        chains: &Chains,
        difference: &HashSet<OwnedEventId>,
    ) -> Result<StateMap<Arc<StoredEvent>>, RoomError> {
        let rules = &self.room.rules;
        let ids = conflict.ids();
        let mut names: BTreeSet<Named> = BTreeSet::new();
        names.insert((StateEventType::RoomCreate, String::new()));
        names.insert((StateEventType::RoomPowerLevels, String::new()));
        for id in ids.iter().chain(difference).chain(chains.between(&ids)) {
            let Some(event) = chains.get(id) else { continue };
            let Event { event_type, sender, state_key, content, .. } = &*event.event;
            // What names no auth events is left out by the algorithm too.
            names.extend(auth::needed(rules, event_type, sender, state_key.as_deref(), content).unwrap_or_default());
        }
        let mut found = Vec::new();
        for name in names {
            if let Some(key) = self.known_key(&name.0.to_string(), &name.1).await?
                && conflict.keys.binary_search(&key).is_err()
            {
                found.push((name, key));
            }
        }
        let keys: Vec<u64> = found.iter().map(|(_, key)| *key).collect();
        let events = self.state_in(first, &keys).await?;
        let found = found.into_iter().zip(events);
        Ok(found.filter_map(|((name, _), event)| Some((name, event?))).collect())
    }

    /// Since version 12 no event names the create event; the room's id does.
    async fn load_create(&self, chains: &mut Chains) -> Result<(), RoomError> {
        match self.create_event_id() {
            Some(id) => chains.load(self.build.inner, &self.room, [id]).await,
            None => Ok(()),
        }
    }

    fn ask(
        &self,
        conflict: &Conflict,
        chains: &Chains,
        difference: &HashSet<OwnedEventId>,
        unconflicted: &StateMap<Arc<StoredEvent>>,
    ) -> Result<StateMap<OwnedEventId>, RoomError> {
        let corrupt = |what: &str| RoomError::corrupt(&head_key(self.room.short), what);
        let rules = &self.room.rules;
        let state_res = rules.state_res.v2_rules().ok_or_else(|| corrupt("a version without resolution"))?;
        let mut maps: Vec<StateMap<OwnedEventId>> = Vec::new();
        let mut auth_chains: Vec<EventIdSet<OwnedEventId>> = Vec::new();
        for state in 0..conflict.values.len() {
            let mut map: StateMap<OwnedEventId> =
                unconflicted.iter().map(|(name, event)| (name.clone(), event.event_id.clone())).collect();
            for event in conflict.values[state].iter().filter_map(|short| conflict.events.get(short)) {
                map.insert(name_of(event), event.event_id.clone());
            }
            maps.push(map);
            // Of the chains only the difference counts.
            let chain = chains.chain(conflict.ids_of(state)).into_iter();
            auth_chains.push(chain.filter(|id| difference.contains(*id)).cloned().collect());
        }
        let missed = Cell::new(false);
        let fetch = |id: &EventId| {
            let found = chains.get(id).map(|event| Judged::from(&**event));
            missed.set(missed.get() || found.is_none());
            found
        };
        let subgraph = |conflicted: &StateMap<Vec<OwnedEventId>>| {
            let ids: HashSet<OwnedEventId> = conflicted.values().flatten().cloned().collect();
            Some(chains.between(&ids).into_iter().cloned().collect())
        };
        let resolved = state_res::resolve(&rules.authorization, state_res, &maps, auth_chains, fetch, subgraph);
        let resolved = resolved.map_err(|error| corrupt(&format!("its state cannot be resolved: {error}")))?;
        if missed.get() {
            return Err(corrupt("the resolution asked for an event that was not loaded"));
        }
        Ok(resolved)
    }

    /// What `resolved` says about the keys that are not the same in all states.
    async fn entries(
        &mut self,
        first: &Snapshot,
        conflict: &Conflict,
        chains: &Chains,
        unconflicted: &StateMap<Arc<StoredEvent>>,
        resolved: StateMap<OwnedEventId>,
    ) -> Result<Vec<Entry>, RoomError> {
        let mut entries: Vec<Entry> = conflict.keys.iter().map(|key| Entry { key: *key, event: 0 }).collect();
        for (name, id) in resolved {
            if unconflicted.contains_key(&name) {
                continue;
            }
            let missing = || RoomError::corrupt(&head_key(self.room.short), "resolved to an event that was not loaded");
            let short = chains.get(&id).ok_or_else(missing)?.short;
            let key = self.state_key(&name.0.to_string(), &name.1).await?;
            match entries.iter_mut().find(|entry| entry.key == key) {
                Some(entry) => entry.event = short,
                // In the auth difference, under a key that is the same in all states: that one stays. Under one that no
                // state has, it is new.
                None if self.state_shorts(first, &[key]).await? == [0] => entries.push(Entry { key, event: short }),
                None => {}
            }
        }
        Ok(entries)
    }
}

fn name_of(event: &StoredEvent) -> Named {
    (event.event_type.to_string().into(), event.state_key.clone().unwrap_or_default())
}
