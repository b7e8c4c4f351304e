//! Redactions (Matrix specification, Client-Server API, Redactions; Room Version 3, Handling redactions).

use ruma::{
    CanonicalJsonObject, EventId,
    canonical_json::redact_in_place,
    events::TimelineEventType,
    state_res::events::{RoomCreateEvent, RoomPowerLevelsEvent, RoomPowerLevelsIntField},
};

use crate::{
    Event, RoomError,
    append::Build,
    event::relation::redacts,
    state::key,
    tables::{Content, ORIGINALS, OriginalRow, Status, event_key},
};

use super::Stored;

impl Build<'_> {
    /// Prunes the event that `redaction` names. What the event said goes to a table that no client reads; the rows that follow from
    /// its relation go.
    pub(super) async fn redact(&mut self, redaction: &Event) -> Result<(), RoomError> {
        if redaction.event_type != TimelineEventType::RoomRedaction || redaction.state_key.is_some() {
            return Ok(());
        }
        let target = redacts(redaction, self.rules)
            .ok_or_else(|| RoomError::BadJson("A redaction says with an event id what it redacts.".into()))?;
        let missing = || RoomError::NotFound("There is no such event in this room.".into());
        let Some(mut stored) = self.stored(&target).await? else {
            // Refused or, when another server made it, kept until the event comes.
            self.await_redaction(&target, &redaction.event_id).await?;
            return Err(missing());
        };
        if !matches!(stored.row.status, Status::Timeline | Status::Backfilled) {
            return Err(missing());
        }
        let event = self.opened(&target, &stored)?;
        self.check_redaction(redaction, &event).await?;
        // The first one stays the reason that clients are shown.
        if stored.row.redacted_by.is_some() {
            return Ok(());
        }
        let pruned = self.pruned(&target, &stored)?;
        let original = OriginalRow {
            pdu: std::mem::replace(&mut stored.row.pdu, pruned),
            redacted_by: redaction.event_id.as_str().to_owned(),
            at_ms: self.now_ms,
        };
        ORIGINALS.put(&mut self.batch, ORIGINALS.key(self.room).text(target.as_str()).key(), &original);
        stored.row.redacted_by = Some(redaction.event_id.as_str().to_owned());
        if let Some(at) = stored.spot(event.depth) {
            self.unrelate(&event, at).await?;
        }
        // State is shown by what replaces it, a redaction by what it redacted.
        let shown = event.state_key.is_some() || event.event_type == TimelineEventType::RoomRedaction;
        self.change(target, stored, shown);
        Ok(())
    }

    fn opened(&self, id: &EventId, stored: &Stored) -> Result<Event, RoomError> {
        let room_id = self.room_id.clone().ok_or_else(|| corrupt(self.room, id))?;
        Event::parse(id.to_owned(), room_id, &stored.row.pdu.0).map_err(|_| corrupt(self.room, id))
    }

    fn pruned(&self, id: &EventId, stored: &Stored) -> Result<Content, RoomError> {
        let corrupt = || corrupt(self.room, id);
        let mut object: CanonicalJsonObject = serde_json::from_slice(&stored.row.pdu.0).map_err(|_| corrupt())?;
        redact_in_place(&mut object, &self.rules.redaction, None).map_err(|_| corrupt())?;
        Ok(Content(serde_json::to_vec(&object).map_err(|_| corrupt())?.into()))
    }

    /// One's own events, and with the power to redact those of others.
    async fn check_redaction(&self, redaction: &Event, target: &Event) -> Result<(), RoomError> {
        let rules_of_room = [TimelineEventType::RoomCreate, TimelineEventType::RoomServerAcl];
        if target.state_key.as_deref() == Some("") && rules_of_room.contains(&target.event_type) {
            let sentence =
                "What makes the room, and which servers may take part in it, is not redacted: the room would be lost.";
            return Err(RoomError::forbidden(sentence));
        }
        if target.sender == redaction.sender || self.has_power_to_redact(redaction).await? {
            return Ok(());
        }
        Err(RoomError::forbidden("You may redact only your own events in this room."))
    }

    async fn has_power_to_redact(&self, redaction: &Event) -> Result<bool, RoomError> {
        let rules = &self.rules.authorization;
        let unreadable = |why: String| RoomError::Forbidden(format!("Not allowed in this room: {why}."));
        let mut state = self.current(&[key::CREATE, key::POWER_LEVELS]).await?.into_iter();
        let (create, levels) = (state.next().flatten(), state.next().flatten());
        let create = create.ok_or_else(|| unreadable("it has no beginning".to_owned()))?;
        let creators = RoomCreateEvent::new(&*create).creators(rules).map_err(unreadable)?;
        let is_creator = creators.contains(&redaction.sender);
        if rules.explicitly_privilege_room_creators && is_creator {
            return Ok(true);
        }
        let Some(levels) = levels else { return Ok(is_creator) };
        let levels = RoomPowerLevelsEvent::new(&*levels);
        let own = levels.user_power_level(&redaction.sender, rules).map_err(unreadable)?;
        let needed = levels.get_as_int_or_default(RoomPowerLevelsIntField::Redact, rules).map_err(unreadable)?;
        Ok(own >= needed)
    }
}

fn corrupt(room: u64, id: &EventId) -> RoomError {
    RoomError::corrupt(&event_key(room, id.as_str()), "not an event that can be redacted")
}
