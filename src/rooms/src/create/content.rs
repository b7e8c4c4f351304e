//! The first events of a room, in the order that the specification gives.

use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, Int, RoomAliasId, RoomVersionId, UserId, int,
    room_version_rules::RoomVersionRules,
};

use crate::{
    Membership, NewRoom, Preset, RoomError,
    aliases::{canonical_content, check_initial},
    event::{build::Proposal, content::canonical},
    membership::MembershipChange,
};

/// Create, creator's join, power levels, canonical alias, preset, initial state, name, topic, invitations.
pub(super) fn proposals(
    creator: &UserId,
    request: &NewRoom,
    alias: Option<&RoomAliasId>,
    version: &RoomVersionId,
    rules: &RoomVersionRules,
) -> Result<Vec<Proposal>, RoomError> {
    let preset = request.preset.unwrap_or(if request.public { Preset::PublicChat } else { Preset::PrivateChat });
    let join = MembershipChange::to(Membership::Join).content();
    let mut all = vec![
        Proposal::state("m.room.create", "", create(creator, request, preset, version, rules)?),
        Proposal::state("m.room.member", creator.as_str(), join),
        Proposal::state("m.room.power_levels", "", power_levels(creator, request, preset, rules)?),
    ];
    if let Some(alias) = alias {
        all.push(Proposal::state("m.room.canonical_alias", "", canonical_content(alias)));
    }
    let given = |event_type: &str| {
        request.initial_state.iter().any(|state| state.event_type == event_type && state.state_key.is_empty())
    };
    let from_preset = preset_state(preset).into_iter().filter(|(event_type, ..)| !given(event_type));
    all.extend(from_preset.map(|(event_type, field, value)| Proposal::state(event_type, "", object(field, value))));
    for state in &request.initial_state {
        let content = canonical(&state.content)?;
        if state.event_type == "m.room.canonical_alias" {
            check_initial(&content, alias)?;
        }
        all.push(Proposal::state(&state.event_type, &state.state_key, content));
    }
    if let Some(name) = &request.name {
        all.push(Proposal::state("m.room.name", "", object("name", name.as_str())));
    }
    if let Some(topic) = &request.topic {
        all.push(Proposal::state("m.room.topic", "", topic_content(topic)));
    }
    let mut invited: Vec<&UserId> = Vec::new();
    for user_id in request.invite.iter().filter(|user_id| *user_id != creator) {
        if !invited.contains(&&**user_id) {
            invited.push(user_id);
        }
    }
    let invite = MembershipChange { is_direct: request.is_direct, ..MembershipChange::to(Membership::Invite) };
    let invite = invite.content();
    all.extend(invited.into_iter().map(|user_id| Proposal::state("m.room.member", user_id.as_str(), invite.clone())));
    Ok(all)
}

fn create(
    creator: &UserId,
    request: &NewRoom,
    preset: Preset,
    version: &RoomVersionId,
    rules: &RoomVersionRules,
) -> Result<CanonicalJsonObject, RoomError> {
    let mut content = request.creation_content.as_deref().map(canonical).transpose()?.unwrap_or_default();
    for (field, is, what) in [
        ("m.federate", matches!(content.get("m.federate"), None | Some(CanonicalJsonValue::Bool(_))), "true or false"),
        ("type", matches!(content.get("type"), None | Some(CanonicalJsonValue::String(_))), "a string"),
        ("predecessor", matches!(content.get("predecessor"), None | Some(CanonicalJsonValue::Object(_))), "an object"),
    ] {
        if !is {
            return Err(RoomError::BadJson(format!("{field} of the creation content is {what}.")));
        }
    }
    content.remove("creator");
    if !rules.authorization.use_room_create_sender {
        content.insert("creator".to_owned(), creator.as_str().into());
    }
    content.insert("room_version".to_owned(), version.as_str().into());
    if preset == Preset::TrustedPrivateChat && rules.authorization.additional_room_creators {
        let creators = content.entry("additional_creators".to_owned()).or_insert_with(|| Vec::new().into());
        // What is no array is refused by the rules.
        if let CanonicalJsonValue::Array(creators) = creators {
            for user_id in request.invite.iter().map(|user_id| CanonicalJsonValue::from(user_id.as_str())) {
                if !creators.contains(&user_id) {
                    creators.push(user_id);
                }
            }
        }
    }
    Ok(content)
}

fn power_levels(
    creator: &UserId,
    request: &NewRoom,
    preset: Preset,
    rules: &RoomVersionRules,
) -> Result<CanonicalJsonObject, RoomError> {
    // Since version 12 creators stand above all levels, and must not be listed.
    let creators_are_above = rules.authorization.explicitly_privilege_room_creators;
    let mut users = CanonicalJsonObject::new();
    if !creators_are_above {
        users.insert(creator.as_str().to_owned(), int!(100).into());
        if preset == Preset::TrustedPrivateChat {
            users.extend(request.invite.iter().map(|user_id| (user_id.as_str().to_owned(), int!(100).into())));
        }
    }
    let tombstone = if creators_are_above { int!(150) } else { int!(100) };
    let events = [
        ("m.room.avatar", int!(50)),
        ("m.room.canonical_alias", int!(50)),
        ("m.room.encryption", int!(100)),
        ("m.room.history_visibility", int!(100)),
        ("m.room.name", int!(50)),
        ("m.room.power_levels", int!(100)),
        ("m.room.server_acl", int!(100)),
        ("m.room.tombstone", tombstone),
    ];
    let levels: [(&str, Int); 7] = [
        ("ban", int!(50)),
        ("events_default", int!(0)),
        ("invite", if preset == Preset::PublicChat { int!(50) } else { int!(0) }),
        ("kick", int!(50)),
        ("redact", int!(50)),
        ("state_default", int!(50)),
        ("users_default", int!(0)),
    ];
    let map = |levels: &[(&str, Int)]| -> CanonicalJsonObject {
        levels.iter().map(|(name, level)| ((*name).to_owned(), (*level).into())).collect()
    };
    let mut content = map(&levels);
    content.insert("events".to_owned(), map(&events).into());
    content.insert("users".to_owned(), users.into());
    if let Some(given) = request.power_level_content_override.as_deref() {
        content.extend(canonical(given)?);
    }
    Ok(content)
}

/// Type, field and value of the state that a preset gives.
fn preset_state(preset: Preset) -> [(&'static str, &'static str, &'static str); 3] {
    let (join_rule, guest_access) = match preset {
        Preset::PublicChat => ("public", "forbidden"),
        Preset::PrivateChat | Preset::TrustedPrivateChat => ("invite", "can_join"),
    };
    [
        ("m.room.join_rules", "join_rule", join_rule),
        ("m.room.history_visibility", "history_visibility", "shared"),
        ("m.room.guest_access", "guest_access", guest_access),
    ]
}

/// A topic as plain text, for clients that read `m.topic` and those that do not.
fn topic_content(topic: &str) -> CanonicalJsonObject {
    let text = CanonicalJsonValue::Object(object("body", topic));
    let mut content = object("topic", topic);
    content.insert("m.topic".to_owned(), CanonicalJsonObject::from([("m.text".to_owned(), vec![text].into())]).into());
    content
}

fn object(field: &str, value: &str) -> CanonicalJsonObject {
    CanonicalJsonObject::from([(field.to_owned(), value.into())])
}
