//! What one node remembers of all users.

use std::collections::{BTreeSet, HashMap};

use ruma::OwnedUserId;
use wardstead_limits::ephemeral as limits;

use super::{
    PresenceOf, PresenceState,
    judge::{Said, judge},
    message::{Entry, Vouched, What},
};

/// Bytes that a user takes beside the texts, with the overhead of the maps; and each device.
const USER_BYTES: usize = 320;
const DEVICE_BYTES: usize = 96;

struct Known {
    user_id: OwnedUserId,
    /// With the time of the entry.
    devices: Vec<(u64, Vouched)>,
    said: Option<Said>,
    active_ms: u64,
    shown: PresenceState,
    changed_ms: u64,
    due_ms: Option<u64>,
}

impl Known {
    fn bytes(&self) -> usize {
        let status = self.status().map_or(0, String::len);
        USER_BYTES + self.user_id.as_str().len() + status + DEVICE_BYTES * self.devices.len()
    }

    fn status(&self) -> Option<&String> {
        self.said.as_ref().and_then(|said| said.status.as_ref())
    }

    fn device(&self, node: u64, device: u64) -> Option<&Vouched> {
        self.devices.iter().map(|(_, vouched)| vouched).find(|other| (other.node, other.device) == (node, device))
    }

    fn shown(&self, user: u64, now: u64) -> PresenceOf {
        PresenceOf {
            user,
            user_id: self.user_id.clone(),
            state: self.shown,
            status: self.status().cloned(),
            active_ago_ms: (self.active_ms > 0).then(|| now.saturating_sub(self.active_ms)),
            changed_ms: self.changed_ms,
        }
    }

    /// Whether anything of it is new.
    fn take(&mut self, entry: &Entry, now: u64) -> bool {
        match &entry.what {
            What::Device(device) => {
                let key = (device.node, device.device);
                if self.devices.iter().any(|(said_ms, d)| (d.node, d.device) == key && *said_ms >= entry.said_ms) {
                    return false;
                }
                self.devices.retain(|(_, d)| (d.node, d.device) != key && d.until_ms > now);
                if self.devices.len() >= limits::PRESENCE_ENTRIES_PER_USER {
                    self.devices.remove(0);
                }
                // Whatever is said: nobody vouches for longer than this, and nobody acts in the future.
                let until_ms = device.until_ms.min(now + limits::PRESENCE_VOUCHED_MS + limits::BUS_LATE_MS);
                self.devices.push((entry.said_ms, Vouched { until_ms, ..*device }));
                self.active_ms = self.active_ms.max(device.active_ms.min(now));
            }
            What::Said { state, status } => {
                if self.said.as_ref().is_some_and(|said| said.at_ms >= entry.said_ms) {
                    return false;
                }
                self.said = Some(Said { state: *state, status: status.clone(), at_ms: entry.said_ms });
            }
            What::Acted => self.active_ms = self.active_ms.max(entry.said_ms.min(now)),
            // Itself it is nothing that is kept here; heard twice it is told at the same time.
            What::Renamed => {}
        }
        true
    }
}

#[derive(Default)]
pub(super) struct State {
    users: HashMap<u64, Known>,
    /// By when they last changed.
    changed: BTreeSet<(u64, u64)>,
    /// By when time alone may change them.
    due: BTreeSet<(u64, u64)>,
    bytes: usize,
    swept_ms: u64,
    /// When room was last made.
    full_ms: u64,
}

impl State {
    pub(super) fn apply(&mut self, entry: &Entry, now: u64) {
        if entry.said_ms > now + limits::BUS_AHEAD_MS {
            return;
        }
        self.advance(now);
        if !self.users.contains_key(&entry.user) && !self.admit(entry, now) {
            return;
        }
        let Some(user) = self.users.get_mut(&entry.user) else { return };
        let (before, status) = (user.bytes(), user.status().cloned());
        let new = user.take(entry, now);
        let restated = status.as_ref() != user.status() || entry.what == What::Renamed;
        self.bytes = self.bytes + user.bytes() - before;
        if new {
            let said_ms = if now.abs_diff(entry.said_ms) <= limits::BUS_LATE_MS { entry.said_ms } else { now };
            self.judge(entry.user, said_ms, restated, now);
        }
    }

    /// What time alone has changed up to `now`.
    pub(super) fn advance(&mut self, now: u64) {
        while let Some((due_ms, user)) = self.due.first().copied().filter(|(due_ms, _)| *due_ms <= now) {
            self.due.remove(&(due_ms, user));
            let at_ms = if now - due_ms <= limits::BUS_LATE_MS { due_ms } else { now };
            self.judge(user, at_ms, false, now);
        }
        if now.abs_diff(self.swept_ms) >= limits::PRESENCE_VOUCHED_MS {
            self.swept_ms = now;
            self.forget(|user| user.due_ms.is_some() || user.changed_ms + limits::PRESENCE_REMEMBERED_MS > now);
        }
    }

    pub(super) fn of(&mut self, user: u64, now: u64) -> Option<PresenceOf> {
        self.advance(now);
        self.users.get(&user).map(|known| known.shown(user, now))
    }

    /// When somebody last changed before `to_ms`; 0: nobody ever.
    pub(super) fn newest_ms(&mut self, to_ms: u64, now: u64) -> u64 {
        self.advance(now);
        self.changed.range(..(to_ms, 0)).next_back().map_or(0, |(changed_ms, _)| *changed_ms)
    }

    pub(super) fn changed(&mut self, from_ms: u64, to_ms: u64, now: u64) -> Vec<(u64, u64)> {
        self.advance(now);
        if from_ms >= to_ms {
            return Vec::new();
        }
        self.changed.range((from_ms, 0)..(to_ms, 0)).rev().take(limits::PRESENCE_USERS).copied().collect()
    }

    /// What the user last said about it, and when.
    pub(super) fn said(&self, user: u64) -> (Option<String>, u64) {
        let said = self.users.get(&user).and_then(|user| user.said.as_ref());
        said.map_or((None, 0), |said| (said.status.clone(), said.at_ms))
    }

    /// What the user said, to be said again.
    pub(super) fn repeated(&self, user: u64) -> Option<(u64, What)> {
        let said = self.users.get(&user)?.said.clone()?;
        Some((said.at_ms, What::Said { state: said.state, status: said.status }))
    }

    /// When a node says something of a device now: later than what it said before.
    pub(super) fn next_ms(&self, user: u64, (node, device): (u64, u64), now: u64) -> u64 {
        let said = self.users.get(&user).into_iter().flat_map(|user| &user.devices);
        let mut said = said.filter(|(_, other)| (other.node, other.device) == (node, device));
        said.next().map_or(now, |(said_ms, _)| now.max(said_ms + 1))
    }

    /// Until when a node vouches for a device; 0: it does not.
    pub(super) fn until_ms(&self, user: u64, (node, device): (u64, u64)) -> u64 {
        self.users.get(&user).and_then(|user| user.device(node, device)).map_or(0, |device| device.until_ms)
    }

    /// Whether the others have to be told that a sync of the device begins, which shows the user as `state`.
    pub(super) fn is_news(&self, user: u64, (node, device): (u64, u64), state: PresenceState, now: u64) -> bool {
        let Some(user) = self.users.get(&user) else { return true };
        let said_ms = user.said.as_ref().map_or(0, |said| said.at_ms);
        user.device(node, device).is_none_or(|device| {
            device.state != state || device.until_ms < now + limits::PRESENCE_RENEWED_MS || device.marked_ms <= said_ms
        })
    }

    /// Whether an act of the user now is worth telling: they are there, and have not acted of late.
    pub(super) fn is_worth_telling(&self, user: u64, now: u64) -> bool {
        self.users
            .get(&user)
            .is_some_and(|user| user.due_ms.is_some() && user.active_ms + limits::PRESENCE_ACT_MS <= now)
    }

    /// What a node says that vouches for a device from now on.
    pub(super) fn vouch(
        &self,
        user: u64,
        (node, device): (u64, u64),
        state: PresenceState,
        marks: bool,
        now: u64,
    ) -> Vouched {
        let known = self.users.get(&user);
        let said_ms = known.and_then(|user| user.said.as_ref()).map_or(0, |said| said.at_ms);
        let before = known.and_then(|user| user.device(node, device));
        let marked_ms = match before {
            Some(before) if !marks => before.marked_ms,
            _ => now.max(said_ms + 1),
        };
        // Who was not there until now has done something: came.
        let active_ms = known.filter(|user| user.due_ms.is_some()).map_or(now, |user| user.active_ms);
        Vouched { node, device, state, until_ms: now + limits::PRESENCE_VOUCHED_MS, marked_ms, active_ms }
    }

    /// What a node says that does not vouch for a device any more; `None`: it did not.
    pub(super) fn taken_back(&self, user: u64, (node, device): (u64, u64), now: u64) -> Option<Vouched> {
        let device = self.users.get(&user)?.device(node, device).filter(|device| device.until_ms > now)?;
        Some(Vouched { until_ms: now, ..*device })
    }

    /// Whether anything is known of the user.
    pub(super) fn knows(&self, user: u64) -> bool {
        self.users.contains_key(&user)
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    fn judge(&mut self, user: u64, at_ms: u64, restated: bool, now: u64) {
        let Some(known) = self.users.get_mut(&user) else { return };
        if let Some(due_ms) = known.due_ms.take() {
            self.due.remove(&(due_ms, user));
        }
        let devices = known.devices.iter().map(|(_, device)| device);
        let (shown, due_ms) = judge(devices, known.said.as_ref(), known.active_ms, now);
        known.due_ms = due_ms;
        self.due.extend(due_ms.map(|due_ms| (due_ms, user)));
        if shown != known.shown || restated {
            self.changed.remove(&(known.changed_ms, user));
            (known.shown, known.changed_ms) = (shown, at_ms);
            self.changed.insert((at_ms, user));
        }
    }

    /// Makes room for a user; `false`: there is none.
    fn admit(&mut self, entry: &Entry, now: u64) -> bool {
        let user = Known {
            user_id: entry.user_id.clone(),
            devices: Vec::new(),
            said: None,
            active_ms: 0,
            shown: PresenceState::Offline,
            changed_ms: now,
            due_ms: None,
        };
        // With a status message and some devices it will take more.
        let bytes = user.bytes() + limits::PRESENCE_STATUS_BYTES;
        // Not for each of many: it looks at everybody.
        if self.bytes + bytes > limits::PRESENCE_BYTES && now.abs_diff(self.full_ms) >= limits::PRESENCE_TICK_MS {
            self.full_ms = now;
            self.forget(|user| user.due_ms.is_some());
        }
        if self.bytes + bytes > limits::PRESENCE_BYTES {
            tracing::debug!("too many users are there; one is not shown");
            return false;
        }
        self.bytes += user.bytes();
        self.users.insert(entry.user, user);
        true
    }

    fn forget(&mut self, kept: impl Fn(&Known) -> bool) {
        self.users.retain(|id, user| {
            let keep = kept(user);
            if !keep {
                self.bytes -= user.bytes();
                self.changed.remove(&(user.changed_ms, *id));
            }
            keep
        });
    }
}
