//! Who may do what in a room, asked without doing it (Matrix specification, Client-Server API, `m.room.power_levels`).

use ruma::{
    OwnedUserId, UserId,
    events::{
        StateEventType,
        room::power_levels::{RoomPowerLevels, RoomPowerLevelsEventContent, RoomPowerLevelsSource},
    },
};
use serde::Deserialize;

use crate::{Inner, Room, RoomError, StoredEvent, state::key};

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
        let (create, levels) = (events.next().flatten(), events.next().flatten());
        let Some(create) = create else { return Ok(false) };
        let levels = match levels {
            None => RoomPowerLevelsSource::None,
            // What cannot be read gives nobody any power.
            Some(levels) => match serde_json::from_str::<RoomPowerLevelsEventContent>(levels.content.get()) {
                Ok(levels) => RoomPowerLevelsSource::Original(levels),
                Err(_) => return Ok(false),
            },
        };
        let levels = RoomPowerLevels::new(levels, &room.rules.authorization, creators(room, &create));
        Ok(levels.user_can_send_state(user_id, event_type))
    }
}

/// Who made the room: one user, until version 12 lets there be more.
fn creators(room: &Room, create: &StoredEvent) -> Vec<OwnedUserId> {
    #[derive(Default, Deserialize)]
    struct Content {
        creator: Option<OwnedUserId>,
        #[serde(default)]
        additional_creators: Vec<OwnedUserId>,
    }
    let stated: Content = serde_json::from_str(create.content.get()).unwrap_or_default();
    let rules = &room.rules.authorization;
    let first = if rules.use_room_create_sender { None } else { stated.creator };
    let mut all = vec![first.unwrap_or_else(|| create.sender.clone())];
    if rules.additional_room_creators {
        all.extend(stated.additional_creators);
    }
    all
}
