//! Whether an event that somebody else made counts (Matrix specification, Server-Server API, Checks performed on receipt of
//! a PDU, 4 to 6; Soft failure).

use std::{collections::HashMap, sync::Arc};

use ruma::{
    OwnedEventId,
    events::StateEventType,
    state_res::{check_state_dependent_auth_rules, check_state_independent_auth_rules},
};

use crate::{Event, RoomError, Status, StoredEvent, auth, auth::Named, state::Snapshot};

use super::{Grapher, grapher::create, judged::Judged};

impl Grapher<'_> {
    /// `Timeline`, `SoftFailed` or `Rejected`.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn verdict(
        &mut self,
        event: &Event,
        auth_events: &[Arc<StoredEvent>],
        before: &Snapshot,
    ) -> Result<Status, RoomError> {
        if !self.allowed_by_auth_events(event, auth_events).await? || !self.allowed_by(event, before).await? {
            return Ok(Status::Rejected);
        }
        Ok(Status::Timeline)
    }

    /// Whether the current state and this server's own policy allow what the state before it allows. Where the event attaches
    /// to all extremities, both are the same state.
    pub(super) async fn wanted(&mut self, event: &Event) -> Result<bool, RoomError> {
        let current = Arc::clone(&self.build.head.snapshot);
        if !self.allowed_by(event, &current).await? {
            return Ok(false);
        }
        match self.build.judge(&self.author, event).await {
            Ok(()) => Ok(true),
            Err(RoomError::Refused(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn allowed_by_auth_events(
        &self,
        event: &Event,
        auth_events: &[Arc<StoredEvent>],
    ) -> Result<bool, RoomError> {
        let rules = &self.room.rules.authorization;
        let mut by_id: HashMap<OwnedEventId, Judged> = HashMap::new();
        let mut by_key: HashMap<Named, Judged> = HashMap::new();
        for stored in auth_events {
            by_id.insert(stored.event_id.clone(), Judged::from(&**stored));
            if let Some(state_key) = &stored.state_key {
                by_key.insert((stored.event_type.to_string().into(), state_key.clone()), Judged::from(&**stored));
            }
        }
        if let Some(id) = self.create_event_id() {
            let loaded = self.build.inner.events.load(&self.room, &[id]).await?;
            for stored in loaded {
                by_id.insert(stored.event_id.clone(), Judged::from(&*stored));
                by_key.insert(create(), Judged::from(&*stored));
            }
        }
        let state = |event_type: &StateEventType, key: &str| by_key.get(&(event_type.clone(), key.to_owned())).cloned();
        let independent = check_state_independent_auth_rules(rules, event, |id| by_id.get(id).cloned());
        Ok(independent.is_ok() && check_state_dependent_auth_rules(rules, event, state).is_ok())
    }

    /// Whether the rules allow `event` in `state`.
    async fn allowed_by(&self, event: &Event, state: &Snapshot) -> Result<bool, RoomError> {
        let Event { event_type, sender, state_key, content, .. } = event;
        let needed = auth::needed(&self.room.rules, event_type, sender, state_key.as_deref(), content);
        let Ok(names) = needed else { return Ok(false) };
        let found: HashMap<Named, Judged> = self
            .named_state(state, names)
            .await?
            .iter()
            .map(|(name, stored)| (name.clone(), (&**stored).into()))
            .collect();
        let state = |event_type: &StateEventType, key: &str| found.get(&(event_type.clone(), key.to_owned())).cloned();
        Ok(check_state_dependent_auth_rules(&self.room.rules.authorization, event, state).is_ok())
    }
}
