//! States of presence, between ruma's type and ours.

use ruma::presence::PresenceState as Named;
use wardstead_accounts::PresenceState;

use crate::ApiError;

/// The state that a client names.
pub(super) fn state(named: &Named) -> Result<PresenceState, ApiError> {
    match named {
        Named::Online => Ok(PresenceState::Online),
        Named::Unavailable => Ok(PresenceState::Unavailable),
        Named::Offline => Ok(PresenceState::Offline),
        _ => Err(ApiError::invalid_param("There is no such state of presence.")),
    }
}

/// The name of a state.
pub(super) fn named(state: PresenceState) -> Named {
    match state {
        PresenceState::Online => Named::Online,
        PresenceState::Unavailable => Named::Unavailable,
        PresenceState::Offline => Named::Offline,
    }
}
