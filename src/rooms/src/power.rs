//! Who may do what in a room, asked without doing it (Matrix specification, Client-Server API, `m.room.power_levels`).

use ruma::{
    OwnedUserId, UserId,
    events::{
        StateEventType,
        room::power_levels::{RoomPowerLevels, RoomPowerLevelsEventContent, RoomPowerLevelsSource},
    },
    room_version_rules::AuthorizationRules,
};
use serde::Deserialize;

use crate::{Event, Inner, Room, RoomError, state::key};

impl Inner {
    /// Whether the power levels of now let `user_id` send state of this type. Says nothing of the user's membership.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn may_set_state(
        &self,
        room: &Room,
        user_id: &UserId,
        event_type: StateEventType,
    ) -> Result<bool, RoomError> {
        let snapshot = self.current_snapshot(room).await?;
        let mut events = self.state_of(room, &snapshot, &[key::CREATE, key::POWER_LEVELS]).await?.into_iter();
        let (create, stated) = (events.next().flatten(), events.next().flatten());
        let Some(create) = create else { return Ok(false) };
        let stated = stated.as_ref().map(|stated| &*stated.event);
        let levels = levels(&create, stated, &room.rules.authorization);
        Ok(levels.is_some_and(|levels| levels.user_can_send_state(user_id, event_type)))
    }
}

/// The power levels of a room made by `create`; `None` where `stated` cannot be read, which gives nobody any power.
pub(crate) fn levels(create: &Event, stated: Option<&Event>, rules: &AuthorizationRules) -> Option<RoomPowerLevels> {
    let levels = match stated {
        None => RoomPowerLevelsSource::None,
        Some(levels) => match serde_json::from_str::<RoomPowerLevelsEventContent>(levels.content.get()) {
            Ok(levels) => RoomPowerLevelsSource::Original(levels),
            Err(_) => return None,
        },
    };
    Some(RoomPowerLevels::new(levels, rules, creators(rules, create)))
}

/// Who made the room: one user, until version 12 lets there be more.
pub(crate) fn creators(rules: &AuthorizationRules, create: &Event) -> Vec<OwnedUserId> {
    #[derive(Default, Deserialize)]
    struct Content {
        creator: Option<OwnedUserId>,
        #[serde(default)]
        additional_creators: Vec<OwnedUserId>,
    }
    let stated: Content = serde_json::from_str(create.content.get()).unwrap_or_default();
    let first = if rules.use_room_create_sender { None } else { stated.creator };
    let mut all = vec![first.unwrap_or_else(|| create.sender.clone())];
    if rules.additional_room_creators {
        all.extend(stated.additional_creators);
    }
    all
}
