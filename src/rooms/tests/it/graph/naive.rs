//! The rules and the resolution once more, as the specification tells them and without any care for speed (Matrix
//! specification, Room Version 2 to 12, Authorization rules, State resolution). Written from the text, to compare with.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use ruma::OwnedEventId;
use serde_json::Value;

use super::forge::{Forge, State};

pub type Ids = BTreeSet<OwnedEventId>;

/// A room as somebody knows it who keeps everything.
pub struct Model {
    pub version: u8,
    pub create: OwnedEventId,
    pub events: BTreeMap<OwnedEventId, Forge>,
    pub rejected: Ids,
}

type Find<'a> = dyn Fn(&str, &str) -> Option<&'a Forge> + 'a;

fn membership_in<'a>(state: &Find<'a>, user: &str) -> &'a str {
    state("m.room.member", user).and_then(|event| event.content["membership"].as_str()).unwrap_or("leave")
}

impl Model {
    fn creators(&self) -> Vec<&str> {
        let create = &self.events[&self.create];
        let more = create.content["additional_creators"].as_array();
        let more = more.into_iter().flatten().filter_map(Value::as_str);
        std::iter::once(create.sender.as_str()).chain(more).collect()
    }

    /// The level of a user. Since version 12 creators stand above all numbers.
    fn level(&self, levels: Option<&Forge>, user: &str) -> i64 {
        if self.version >= 12 && self.creators().contains(&user) {
            return i64::MAX;
        }
        match levels {
            Some(levels) => {
                let named = levels.content["users"][user].as_i64();
                named.or(levels.content["users_default"].as_i64()).unwrap_or(0)
            }
            None if self.version < 12 && self.events[&self.create].sender == user => 100,
            None => 0,
        }
    }

    fn needed_level(levels: Option<&Forge>, field: &str, default: i64) -> i64 {
        levels.and_then(|levels| levels.content[field].as_i64()).unwrap_or(default)
    }

    /// Auth events selection.
    pub fn auth_names(&self, event: &Forge) -> BTreeSet<(String, String)> {
        let mut names: BTreeSet<(&str, &str)> =
            BTreeSet::from([("m.room.power_levels", ""), ("m.room.member", event.sender.as_str())]);
        if self.version < 12 {
            names.insert(("m.room.create", ""));
        }
        if event.event_type == "m.room.member" {
            names.extend(event.state_key.as_deref().map(|key| ("m.room.member", key)));
            let membership = event.content["membership"].as_str().unwrap_or_default();
            if ["join", "invite", "knock"].contains(&membership) {
                names.insert(("m.room.join_rules", ""));
            }
            let via = event.content["join_authorised_via_users_server"].as_str();
            if let (Some(via), "join", true) = (via, membership, self.version >= 8) {
                names.insert(("m.room.member", via));
            }
        }
        names.into_iter().map(|(name, key)| (name.to_owned(), key.to_owned())).collect()
    }

    /// The rules about the auth events themselves.
    fn auth_events_allowed(&self, event: &Forge) -> bool {
        let names = self.auth_names(event);
        let mut seen = BTreeSet::new();
        for id in &event.auth {
            let auth = &self.events[id];
            let name = (auth.event_type.clone(), auth.state_key.clone().unwrap_or_default());
            let state = auth.state_key.is_some();
            if !state || !names.contains(&name) || self.rejected.contains(id) || !seen.insert(name) {
                return false;
            }
        }
        self.version >= 12 || seen.contains(&("m.room.create".to_owned(), String::new()))
    }

    /// The rules that look at state.
    pub fn allowed<'a>(&'a self, event: &Forge, state: &Find<'a>) -> bool {
        if state("m.room.create", "").is_none() {
            return false;
        }
        let levels = state("m.room.power_levels", "");
        let own = self.level(levels, &event.sender);
        if event.event_type == "m.room.member" {
            return self.member_allowed(event, state, levels, own);
        }
        if membership_in(state, &event.sender) != "join" {
            return false;
        }
        let default = if event.state_key.is_some() { ("state_default", 50) } else { ("events_default", 0) };
        let default = Self::needed_level(levels, default.0, default.1);
        let needed = levels.and_then(|levels| levels.content["events"][&event.event_type].as_i64()).unwrap_or(default);
        if needed > own {
            return false;
        }
        let others = |key: &str| key.starts_with('@') && key != event.sender;
        if event.state_key.as_deref().is_some_and(others) {
            return false;
        }
        event.event_type != "m.room.power_levels" || self.levels_allowed(event, levels, own)
    }

    fn member_allowed<'a>(&'a self, event: &Forge, state: &Find<'a>, levels: Option<&Forge>, own: i64) -> bool {
        let (Some(target), Some(membership)) = (event.state_key.as_deref(), event.content["membership"].as_str())
        else {
            return false;
        };
        let (sender, now) = (event.sender.as_str(), membership_in(state, target));
        let sender_in = membership_in(state, sender) == "join";
        let rule =
            state("m.room.join_rules", "").and_then(|event| event.content["join_rule"].as_str()).unwrap_or("none");
        let needs = |field: &str, default: i64| Self::needed_level(levels, field, default);
        let above = self.level(levels, target) < own;
        match membership {
            "join" => {
                let first = event.prev == [self.create.clone()] && self.events[&self.create].sender == target;
                if first {
                    return true;
                }
                if sender != target || now == "ban" {
                    return false;
                }
                let asked = now == "invite" || now == "join";
                match rule {
                    "public" => true,
                    "invite" => asked,
                    "knock" => asked && self.version >= 7,
                    "restricted" | "knock_restricted" => {
                        let known = self.version >= if rule == "restricted" { 8 } else { 10 };
                        let via = event.content["join_authorised_via_users_server"].as_str();
                        let by = via.is_some_and(|via| {
                            membership_in(state, via) == "join" && self.level(levels, via) >= needs("invite", 0)
                        });
                        known && (asked || by)
                    }
                    _ => false,
                }
            }
            "invite" => sender_in && now != "join" && now != "ban" && own >= needs("invite", 0),
            "leave" if sender == target => now == "invite" || now == "join" || (now == "knock" && self.version >= 7),
            "leave" => {
                let unban = now != "ban" || own >= needs("ban", 50);
                sender_in && unban && own >= needs("kick", 50) && above
            }
            "ban" => sender_in && own >= needs("ban", 50) && above,
            "knock" if self.version >= 7 => {
                let open = rule == "knock" || (rule == "knock_restricted" && self.version >= 10);
                open && sender == target && !["ban", "invite", "join"].contains(&now)
            }
            _ => false,
        }
    }

    fn levels_allowed(&self, event: &Forge, old: Option<&Forge>, own: i64) -> bool {
        let new = &event.content;
        if self.version >= 12 && self.creators().iter().any(|creator| !new["users"][*creator].is_null()) {
            return false;
        }
        let Some(old) = old.map(|old| &old.content) else { return true };
        let fields = [
            ("users_default", 0),
            ("events_default", 0),
            ("state_default", 50),
            ("ban", 50),
            ("redact", 50),
            ("kick", 50),
            ("invite", 0),
        ];
        let changed = fields.iter().filter(|(field, _)| old[*field] != new[*field]);
        let mut fine = true;
        for (field, default) in changed {
            fine &= old[*field].as_i64().unwrap_or(*default) <= own && new[*field].as_i64().unwrap_or(*default) <= own;
        }
        let maps: &[&str] = if self.version >= 6 { &["events", "notifications"] } else { &["events"] };
        for map in maps {
            for (_, before, after) in altered(&old[*map], &new[*map]) {
                fine &= before.is_none_or(|level| level <= own) && after.is_none_or(|level| level <= own);
            }
        }
        for (user, before, after) in altered(&old["users"], &new["users"]) {
            fine &= user == event.sender || before.is_none_or(|level| level < own);
            fine &= after.is_none_or(|level| level <= own);
        }
        fine
    }

    /// Whether the event counts at its place: `before` is the state there.
    pub fn accepts(&self, event: &Forge, before: &State) -> bool {
        let by_auth = |name: &str, key: &str| {
            if self.version >= 12 && name == "m.room.create" {
                return self.events.get(&self.create);
            }
            let of = |id: &&OwnedEventId| {
                let auth = &self.events[*id];
                auth.event_type == name && auth.state_key.as_deref() == Some(key)
            };
            event.auth.iter().find(of).map(|id| &self.events[id])
        };
        self.auth_events_allowed(event) && self.allowed(event, &by_auth) && self.allowed_in(event, before)
    }

    pub fn allowed_in(&self, event: &Forge, state: &State) -> bool {
        let found = |name: &str, key: &str| self.events.get(state.get(&(name.to_owned(), key.to_owned()))?);
        self.allowed(event, &found)
    }

    /// The state after `id`, before which it was `before`.
    pub fn after(&self, id: &OwnedEventId, before: &State) -> State {
        let (event, mut state) = (&self.events[id], before.clone());
        if let (Some(key), false) = (&event.state_key, self.rejected.contains(id)) {
            state.insert((event.event_type.clone(), key.clone()), id.clone());
        }
        state
    }

    fn chain(&self, ids: impl IntoIterator<Item = OwnedEventId>) -> Ids {
        let mut chain = Ids::new();
        let mut next: Vec<OwnedEventId> = ids.into_iter().collect();
        while let Some(id) = next.pop() {
            next.extend(self.events[&id].auth.iter().filter(|id| chain.insert((*id).clone())).cloned());
        }
        chain
    }

    /// State resolution, version 2, or 2.1 in rooms of version 12.
    pub fn resolve(&self, states: &[State]) -> State {
        let keys: BTreeSet<_> = states.iter().flat_map(BTreeMap::keys).cloned().collect();
        let (mut unconflicted, mut conflicted) = (State::new(), Ids::new());
        for key in keys {
            let values: BTreeSet<_> = states.iter().map(|state| state.get(&key)).collect();
            match values.iter().next() {
                Some(Some(one)) if values.len() == 1 => drop(unconflicted.insert(key, (*one).clone())),
                _ => conflicted.extend(values.into_iter().flatten().cloned()),
            }
        }
        if conflicted.is_empty() {
            return unconflicted;
        }
        let chains: Vec<Ids> = states.iter().map(|state| self.chain(state.values().cloned())).collect();
        let mut full = conflicted.clone();
        full.extend(chains.iter().flatten().filter(|id| !chains.iter().all(|chain| chain.contains(*id))).cloned());
        if self.version >= 12 {
            let reaches = |id: &OwnedEventId| {
                conflicted.contains(id) || self.chain([id.clone()]).iter().any(|id| conflicted.contains(id))
            };
            full.extend(self.chain(conflicted.iter().cloned()).into_iter().filter(reaches));
        }
        let powers: Ids = full.iter().filter(|id| self.is_power_event(id)).cloned().collect();
        let with_chains: Ids = self.chain(powers.iter().cloned()).intersection(&full).chain(&powers).cloned().collect();
        let start = if self.version >= 12 { State::new() } else { unconflicted.clone() };
        let partial = self.iterate(start, &self.by_power(&with_chains));
        let rest: Ids = full.difference(&with_chains).cloned().collect();
        let levels = partial.get(&("m.room.power_levels".to_owned(), String::new())).cloned();
        let mut resolved = self.iterate(partial, &self.by_mainline(&rest, levels));
        resolved.extend(unconflicted);
        resolved
    }

    fn is_power_event(&self, id: &OwnedEventId) -> bool {
        let event = &self.events[id];
        match event.event_type.as_str() {
            "m.room.power_levels" | "m.room.join_rules" | "m.room.create" => true,
            "m.room.member" => {
                let out = ["leave", "ban"].contains(&event.content["membership"].as_str().unwrap_or_default());
                out && event.state_key.as_deref() != Some(&event.sender)
            }
            _ => false,
        }
    }

    fn levels_of(&self, id: &OwnedEventId) -> Option<&OwnedEventId> {
        self.events[id].auth.iter().find(|id| self.events[*id].event_type == "m.room.power_levels")
    }

    /// Reverse topological power ordering: again and again the least of those before which nothing is left.
    fn by_power(&self, ids: &Ids) -> Vec<OwnedEventId> {
        let rank = |id: &OwnedEventId| {
            let event = &self.events[id];
            let level = self.level(self.levels_of(id).map(|id| &self.events[id]), &event.sender);
            (std::cmp::Reverse(level), event.ts, id.clone())
        };
        let (mut left, mut sorted) = (ids.clone(), Vec::new());
        while !left.is_empty() {
            let free = left.iter().filter(|id| !self.events[*id].auth.iter().any(|auth| left.contains(auth)));
            let next = free.min_by_key(|id| rank(id)).cloned().unwrap();
            left.remove(&next);
            sorted.push(next);
        }
        sorted
    }

    fn by_mainline(&self, ids: &Ids, levels: Option<OwnedEventId>) -> Vec<OwnedEventId> {
        let mut mainline = Vec::new();
        let mut next = levels;
        while let Some(id) = next {
            next = self.levels_of(&id).cloned();
            mainline.push(id);
        }
        let position = |id: &OwnedEventId| {
            let mut at = self.levels_of(id);
            while let Some(id) = at {
                if let Some(position) = mainline.iter().position(|main| main == id) {
                    return position;
                }
                at = self.levels_of(id);
            }
            usize::MAX
        };
        let mut sorted: Vec<OwnedEventId> = ids.iter().cloned().collect();
        sorted.sort_by(|x, y| -> Ordering {
            let later = position(y).cmp(&position(x));
            later.then(self.events[x].ts.cmp(&self.events[y].ts)).then(x.cmp(y))
        });
        sorted
    }

    fn iterate(&self, mut state: State, ids: &[OwnedEventId]) -> State {
        for id in ids {
            let event = &self.events[id];
            let find = |name: &str, key: &str| {
                if let Some(found) = state.get(&(name.to_owned(), key.to_owned())) {
                    return self.events.get(found);
                }
                let of = |id: &&OwnedEventId| {
                    let auth = &self.events[*id];
                    auth.event_type == name && auth.state_key.as_deref() == Some(key) && !self.rejected.contains(*id)
                };
                let create = (self.version >= 12 && name == "m.room.create").then_some(&self.create);
                event.auth.iter().find(of).or(create).and_then(|id| self.events.get(id))
            };
            if self.allowed(event, &find) {
                state.insert((event.event_type.clone(), event.state_key.clone().unwrap()), id.clone());
            }
        }
        state
    }
}

/// Entries of two maps that are not the same, with both values.
fn altered(old: &Value, new: &Value) -> Vec<(String, Option<i64>, Option<i64>)> {
    let keys = [old, new].into_iter().filter_map(Value::as_object).flat_map(|map| map.keys().cloned());
    let keys: BTreeSet<String> = keys.collect();
    let both = keys.into_iter().map(|key| {
        let (before, after) = (old[&key].as_i64(), new[&key].as_i64());
        (key, before, after)
    });
    both.filter(|(_, before, after)| before != after).collect()
}
