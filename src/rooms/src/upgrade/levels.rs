//! Power levels from one room to its replacement, as functions without I/O.

use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, Int, OwnedUserId, UserId, int, room_version_rules::AuthorizationRules,
};

/// Fields that hold a level.
const FIELDS: [&str; 7] = ["ban", "events_default", "invite", "kick", "redact", "state_default", "users_default"];
/// Fields that hold a level for each of something.
const MAPS: [&str; 3] = ["events", "notifications", "users"];
fn level(value: &CanonicalJsonValue) -> Option<Int> {
    match value {
        CanonicalJsonValue::Integer(level) => Some(*level),
        // Before version 10 a level could be a string.
        CanonicalJsonValue::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn field(levels: &CanonicalJsonObject, name: &str) -> Option<Int> {
    levels.get(name).and_then(level)
}

fn users(levels: &mut CanonicalJsonObject, change: impl FnOnce(&mut CanonicalJsonObject)) {
    let users = levels.entry("users".to_owned()).or_insert_with(|| CanonicalJsonObject::new().into());
    if let CanonicalJsonValue::Object(users) = users {
        change(users);
    }
}

/// The levels of the old room, in the form that the new one takes: integers, of users by their ids, without those who stand above
/// all levels in it.
pub(super) fn transferred(
    old: &CanonicalJsonObject,
    creators: &[OwnedUserId],
    rules: &AuthorizationRules,
) -> CanonicalJsonObject {
    let mut new = CanonicalJsonObject::new();
    for name in FIELDS {
        if let Some(level) = field(old, name) {
            new.insert(name.to_owned(), level.into());
        }
    }
    for name in MAPS {
        let Some(CanonicalJsonValue::Object(of)) = old.get(name) else { continue };
        let of = of.iter().filter(|(key, _)| name != "users" || UserId::parse(key.as_str()).is_ok());
        let of: CanonicalJsonObject = of.filter_map(|(key, value)| Some((key.clone(), level(value)?.into()))).collect();
        new.insert(name.to_owned(), of.into());
    }
    if rules.explicitly_privilege_room_creators {
        users(&mut new, |users| users.retain(|user_id, _| !creators.iter().any(|creator| creator == user_id)));
        let events = new.entry("events".to_owned()).or_insert_with(|| CanonicalJsonObject::new().into());
        if let CanonicalJsonValue::Object(events) = events {
            // Above all that admins of old rooms have: creators can always do it.
            let stated = field(events, "m.room.tombstone").unwrap_or_default();
            events.insert("m.room.tombstone".to_owned(), stated.max(int!(150)).into());
        }
    }
    new
}

/// Gives those power by name who had all of it without: for everything that the levels ask for, and above everybody else who is listed.
pub(super) fn list(levels: &mut CanonicalJsonObject, creators: &[OwnedUserId]) {
    let is_creator = |user_id: &str| creators.iter().any(|creator| creator == user_id);
    let mut highest = int!(100);
    let mut see = |level: Int| highest = highest.max(level);
    for (name, value) in &*levels {
        match value {
            CanonicalJsonValue::Object(of) if name == "users" => {
                let others = of.iter().filter(|(user_id, _)| !is_creator(user_id));
                others
                    .filter_map(|(_, value)| level(value))
                    .for_each(|level| see(level.checked_add(int!(1)).unwrap_or(Int::MAX)));
            }
            CanonicalJsonValue::Object(of) => of.values().filter_map(level).for_each(&mut see),
            value => level(value).into_iter().for_each(&mut see),
        }
    }
    users(levels, |users| {
        for user_id in creators {
            users.insert(user_id.to_string(), highest.into());
        }
    });
}

/// The first levels of the new room: as `last`, but that `maker` can do whatever has to be done until those are set.
pub(super) fn first(last: &CanonicalJsonObject, maker: &UserId, rules: &AuthorizationRules) -> CanonicalJsonObject {
    let mut first = last.clone();
    if rules.explicitly_privilege_room_creators {
        return first;
    }
    let mut highest = int!(100);
    let mut see = |value: &CanonicalJsonValue| highest = level(value).map_or(highest, |level| level.max(highest));
    for value in last.values() {
        match value {
            CanonicalJsonValue::Object(of) => of.values().for_each(&mut see),
            value => see(value),
        }
    }
    users(&mut first, |users| drop(users.insert(maker.to_string(), highest.into())));
    first
}

/// The levels of a room that is not to be used any more; `None` where they are so already.
pub(super) fn closed(levels: &CanonicalJsonObject) -> Option<CanonicalJsonObject> {
    let above = field(levels, "users_default").unwrap_or_default().checked_add(int!(1)).unwrap_or(Int::MAX);
    let least = above.max(int!(50));
    let mut closed = levels.clone();
    for name in ["events_default", "invite"] {
        if field(levels, name).unwrap_or_default() < least {
            closed.insert(name.to_owned(), least.into());
        }
    }
    (closed != *levels).then_some(closed)
}

#[cfg(test)]
mod tests {
    use ruma::{RoomVersionId, owned_user_id, user_id};
    use serde_json::{Value, json};

    use super::*;

    fn object(value: Value) -> CanonicalJsonObject {
        serde_json::from_value(value).unwrap()
    }

    fn shown(levels: &CanonicalJsonObject) -> Value {
        serde_json::to_value(levels).unwrap()
    }

    #[test]
    fn into_version_12_without_creators() {
        let rules = RoomVersionId::V12.rules().unwrap().authorization;
        let old = object(json!({
            "ban": "50", "users": { "@ada:a": 100, "@ben:a": 50, "nobody": 1 },
            "events": { "m.room.tombstone": 100, "m.room.name": 50 }, "odd": []
        }));
        let creators = [owned_user_id!("@ada:a")];
        let new = transferred(&old, &creators, &rules);
        let expected = json!({
            "ban": 50, "users": { "@ben:a": 50 }, "events": { "m.room.tombstone": 150, "m.room.name": 50 }
        });
        assert_eq!(shown(&new), expected);
        assert_eq!(first(&new, &creators[0], &rules), new);
    }

    #[test]
    fn whoever_makes_the_room_has_the_power_to_do_so() {
        let rules = RoomVersionId::V11.rules().unwrap().authorization;
        let old = object(json!({ "users": { "@ada:a": 150, "@ben:a": 50 }, "events": { "m.room.name": 120 } }));
        let ben = user_id!("@ben:a");
        let new = transferred(&old, &[ben.to_owned()], &rules);
        assert_eq!(new["users"], old["users"]);
        assert_eq!(shown(&first(&new, ben, &rules))["users"], json!({ "@ada:a": 150, "@ben:a": 150 }));
        // From a room whose creators are not listed.
        let mut new = transferred(&object(json!({ "users": {} })), &[ben.to_owned()], &rules);
        list(&mut new, &[ben.to_owned()]);
        assert_eq!(shown(&new)["users"], json!({ "@ben:a": 100 }));
    }

    #[test]
    fn creators_can_do_in_an_older_version_what_they_could() {
        let rules = RoomVersionId::V11.rules().unwrap().authorization;
        let creators = [owned_user_id!("@ada:a"), owned_user_id!("@eve:a")];
        let listed = |old: Value| {
            let mut new = transferred(&object(old), &creators[..1], &rules);
            list(&mut new, &creators);
            shown(&new)["users"].clone()
        };
        let upgrade = json!({ "events": { "m.room.tombstone": 150 }, "users": { "@ben:a": 50 } });
        assert_eq!(listed(upgrade), json!({ "@ada:a": 150, "@eve:a": 150, "@ben:a": 50 }));
        assert_eq!(listed(json!({ "ban": 200 })), json!({ "@ada:a": 200, "@eve:a": 200 }));
        let admin = json!({ "users": { "@ben:a": 100 } });
        assert_eq!(listed(admin), json!({ "@ada:a": 101, "@eve:a": 101, "@ben:a": 100 }));
    }

    #[test]
    fn a_closed_room_is_for_moderators() {
        assert_eq!(shown(&closed(&object(json!({}))).unwrap()), json!({ "events_default": 50, "invite": 50 }));
        let odd = object(json!({ "users_default": 60, "invite": 80 }));
        let expected = json!({ "users_default": 60, "invite": 80, "events_default": 61 });
        assert_eq!(shown(&closed(&odd).unwrap()), expected);
        assert_eq!(closed(&object(json!({ "events_default": 50, "invite": 50 }))), None);
    }
}
