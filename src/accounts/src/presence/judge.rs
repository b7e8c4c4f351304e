//! How a user is there, from what was said about them: a function of that and the time.

use wardstead_limits::ephemeral as limits;

use super::{PresenceState, message::Vouched};

/// What the user said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) state: PresenceState,
    pub(super) status: Option<String>,
    pub(super) at_ms: u64,
}

/// How the user is there at `now`, and when time alone may change that; `None`: never.
///
/// Offline while no node vouches for a device. Otherwise what the user said counts until a sync marks them anew; then the
/// device that is most there counts. Who is online and has not acted for long is unavailable.
pub(super) fn judge<'a>(
    devices: impl Iterator<Item = &'a Vouched>,
    said: Option<&Said>,
    active_ms: u64,
    now: u64,
) -> (PresenceState, Option<u64>) {
    let said_ms = said.map_or(0, |said| said.at_ms);
    let (mut due_ms, mut marked) = (None, None);
    for device in devices.filter(|device| device.until_ms > now) {
        due_ms = Some(due_ms.map_or(device.until_ms, |due: u64| due.min(device.until_ms)));
        if device.marked_ms > said_ms {
            marked = Some(marked.map_or(device.state, |state: PresenceState| state.min(device.state)));
        }
    }
    if due_ms.is_none() {
        return (PresenceState::Offline, None);
    }
    let state = marked.or(said.map(|said| said.state)).unwrap_or(PresenceState::Offline);
    let idle_ms = active_ms + limits::PRESENCE_IDLE_MS;
    match state {
        PresenceState::Online if idle_ms <= now => (PresenceState::Unavailable, due_ms),
        PresenceState::Online => (state, due_ms.map(|due| due.min(idle_ms))),
        _ => (state, due_ms),
    }
}

#[cfg(test)]
mod tests {
    use PresenceState::{Offline, Online, Unavailable};

    use super::*;

    const NOW: u64 = 10_000_000;

    fn device(state: PresenceState, until_ms: u64, marked_ms: u64) -> Vouched {
        Vouched { node: 1, device: 1, state, until_ms, marked_ms, active_ms: 0 }
    }

    fn said(state: PresenceState, at_ms: u64) -> Said {
        Said { state, status: None, at_ms }
    }

    #[test]
    fn the_device_that_is_most_there_counts() {
        let devices = [device(Unavailable, NOW + 5, NOW), device(Online, NOW + 9, NOW), device(Online, NOW, NOW)];
        assert_eq!(judge(devices.iter(), None, NOW, NOW), (Online, Some(NOW + 5)));
        assert_eq!(judge(devices[..1].iter(), None, NOW, NOW), (Unavailable, Some(NOW + 5)));
        assert_eq!(judge(devices[2..].iter(), None, NOW, NOW), (Offline, None));
    }

    #[test]
    fn what_was_said_counts_until_a_sync_begins() {
        let old = device(Online, NOW + 9, NOW - 5);
        for state in [Online, Unavailable, Offline] {
            assert_eq!(judge([&old].into_iter(), Some(&said(state, NOW - 5)), NOW, NOW).0, state);
            assert_eq!(judge([&old].into_iter(), Some(&said(state, NOW - 6)), NOW, NOW).0, Online);
            assert_eq!(judge([].into_iter(), Some(&said(state, NOW)), NOW, NOW), (Offline, None), "nobody is there");
        }
    }

    #[test]
    fn who_does_nothing_is_unavailable() {
        let here = device(Online, NOW + 60_000, NOW);
        let acted = NOW - limits::PRESENCE_IDLE_MS;
        assert_eq!(judge([&here].into_iter(), None, acted, NOW), (Unavailable, Some(NOW + 60_000)));
        assert_eq!(judge([&here].into_iter(), None, acted + 1, NOW), (Online, Some(NOW + 1)));
    }
}
