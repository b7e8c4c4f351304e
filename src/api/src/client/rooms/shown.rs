//! Events in the form in which clients get them.

use ruma::serde::Raw;
use wardstead_accounts::Session;
use wardstead_rooms::{Membership, Seen};

use crate::{ApiError, ApiState};

/// `event` as `caller` sees it; `membership` is what the caller was in the room when it had happened, where that is known.
pub(super) fn show<T>(
    state: &ApiState,
    caller: &Session,
    event: &Seen,
    membership: Option<Membership>,
) -> Result<Raw<T>, ApiError> {
    let json = state.rooms.client_json_with_room(event, caller, membership).to_raw();
    json.map_err(|error| ApiError::internal(format!("a stored event is not JSON: {error}")))
}

/// State events, one by one.
pub(super) fn show_all<T>(state: &ApiState, caller: &Session, events: &[Seen]) -> Result<Vec<Raw<T>>, ApiError> {
    events.iter().map(|event| show(state, caller, event, None)).collect()
}

/// Events, each with what the caller was when it had happened.
pub(super) fn show_seen<T>(
    state: &ApiState,
    caller: &Session,
    events: &[(Seen, Membership)],
) -> Result<Vec<Raw<T>>, ApiError> {
    events.iter().map(|(event, membership)| show(state, caller, event, Some(*membership))).collect()
}

/// A number of events that a client asks for, which the rooms bound.
pub(super) fn count(limit: ruma::UInt) -> usize {
    usize::try_from(u64::from(limit)).unwrap_or(usize::MAX)
}
