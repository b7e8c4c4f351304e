//! Events in the form in which clients get them.

use std::sync::Arc;

use ruma::serde::Raw;
use wardstead_accounts::Session;
use wardstead_rooms::{Membership, StoredEvent};

use crate::{ApiError, ApiState};

/// `event` as `caller` sees it; `membership` is what the caller was in the room when it had happened, where that is known.
pub(super) fn show<T>(
    state: &ApiState,
    caller: &Session,
    event: &StoredEvent,
    membership: Option<Membership>,
) -> Result<Raw<T>, ApiError> {
    let json = state.rooms.client_json_with_room(event, caller, membership).to_raw();
    json.map_err(|error| ApiError::internal(format!("a stored event is not JSON: {error}")))
}

/// State events, one by one.
pub(super) fn show_all<T>(
    state: &ApiState,
    caller: &Session,
    events: &[Arc<StoredEvent>],
) -> Result<Vec<Raw<T>>, ApiError> {
    events.iter().map(|event| show(state, caller, event, None)).collect()
}
