//! What one node makes of what it hears.

use std::time::Duration;

use ruma::UserId;
use wardstead_engine::Batch;
use wardstead_limits::{Clock, ephemeral as limits};
use wardstead_store::testing;

use crate::{Accounts, NewAccount};

use super::{
    Presence,
    PresenceState::{self, Offline, Online, Unavailable},
    message::{Entry, Vouched, What},
    state::State,
};

const NOW: u64 = 1_000_000_000;

fn entry(user: u64, said_ms: u64, what: What) -> Entry {
    Entry { user, user_id: UserId::parse(format!("@user{user}:example.org")).unwrap(), said_ms, what }
}

fn vouched(user: u64, node: u64, state: PresenceState, said_ms: u64, until_ms: u64) -> Entry {
    let device = Vouched { node, device: 5, state, until_ms, marked_ms: said_ms, active_ms: said_ms };
    entry(user, said_ms, What::Device(device))
}

fn says(user: u64, state: PresenceState, status: &str, said_ms: u64) -> Entry {
    entry(user, said_ms, What::Said { state, status: Some(status.to_owned()) })
}

fn state_of(state: &mut State, user: u64, now: u64) -> PresenceState {
    state.of(user, now).map_or(Offline, |of| of.state)
}

#[test]
fn vouching_runs_out_and_is_taken_back() {
    let mut state = State::default();
    state.apply(&vouched(1, 1, Online, NOW, NOW + 90_000), NOW);
    state.apply(&vouched(1, 2, Unavailable, NOW + 1, NOW + 50_000), NOW + 1);
    assert_eq!(state_of(&mut state, 1, NOW + 2), Online);
    state.apply(&vouched(1, 1, Online, NOW + 40_000, NOW + 40_000), NOW + 40_000);
    assert_eq!(state_of(&mut state, 1, NOW + 40_000), Unavailable);
    assert_eq!(state_of(&mut state, 1, NOW + 50_000), Offline);
    assert_eq!(state.of(1, NOW + 50_001).unwrap().changed_ms, NOW + 50_000);
}

/// Messages overtake each other on the bus.
#[test]
fn the_later_said_prevails() {
    let mut state = State::default();
    state.apply(&vouched(1, 1, Online, NOW + 10, NOW + 10), NOW + 10);
    state.apply(&vouched(1, 1, Online, NOW, NOW + 90_000), NOW + 20);
    assert_eq!(state_of(&mut state, 1, NOW + 20), Offline);
    state.apply(&vouched(1, 1, Online, NOW + 30, NOW + 90_000), NOW + 30);
    state.apply(&says(1, Unavailable, "later", NOW + 50), NOW + 50);
    state.apply(&says(1, Online, "earlier", NOW + 40), NOW + 60);
    let of = state.of(1, NOW + 60).unwrap();
    assert_eq!((of.state, of.status.as_deref()), (Unavailable, Some("later")));
}

/// Every node says the same of the same messages, whenever it heard them; one that was late says when it heard.
#[test]
fn changes_are_dated_alike() {
    let entries = [vouched(1, 1, Online, NOW, NOW + 30_000), says(1, Unavailable, "", NOW + 900)];
    let mut dates = Vec::new();
    for late in [0, 700, limits::BUS_LATE_MS] {
        let mut state = State::default();
        for entry in &entries {
            state.apply(entry, entry.said_ms + late);
        }
        dates.push(state.of(1, NOW + 5_000).unwrap().changed_ms);
        assert_eq!(state.changed(NOW + 900, NOW + 901, NOW + 5_000).len(), 1);
        assert!(state.changed(NOW, NOW + 900, NOW + 5_000).is_empty(), "only the last change of each");
        let over = NOW + 30_000;
        let changed = state.changed(NOW + 901, over + 1, over + limits::BUS_LATE_MS);
        assert_eq!(changed, [(over, 1)]);
    }
    assert_eq!(dates, [NOW + 900; 3]);
    let mut state = State::default();
    let late = NOW + limits::BUS_LATE_MS + 1;
    state.apply(&entries[0], late);
    assert_eq!(state.of(1, late).unwrap().changed_ms, late);
}

#[test]
fn what_does_not_change_the_state_is_no_change() {
    let mut state = State::default();
    state.apply(&vouched(1, 1, Online, NOW, NOW + 90_000), NOW);
    state.apply(&vouched(1, 1, Online, NOW + 60_000, NOW + 150_000), NOW + 60_000);
    state.apply(&entry(1, NOW + 61_000, What::Acted), NOW + 61_000);
    assert_eq!(state.of(1, NOW + 70_000).unwrap().changed_ms, NOW);
    assert_eq!(state.of(1, NOW + 70_000).unwrap().active_ago_ms, Some(9_000));
    state.apply(&says(1, Online, "a message", NOW + 71_000), NOW + 71_000);
    assert_eq!(state.of(1, NOW + 71_000).unwrap().changed_ms, NOW + 71_000);
}

#[test]
fn times_that_cannot_be() {
    let mut state = State::default();
    state.apply(&vouched(1, 1, Online, NOW + limits::BUS_AHEAD_MS + 1, u64::MAX), NOW);
    state.apply(&vouched(1, 1, Online, u64::MAX, u64::MAX), NOW);
    assert!(state.of(1, NOW).is_none());
    let device =
        Vouched { node: 1, device: 5, state: Online, until_ms: u64::MAX, marked_ms: u64::MAX, active_ms: u64::MAX };
    state.apply(&entry(1, NOW, What::Device(device)), NOW);
    assert_eq!(state_of(&mut state, 1, NOW), Online);
    let over = NOW + limits::PRESENCE_VOUCHED_MS + limits::BUS_LATE_MS;
    assert_eq!(state_of(&mut state, 1, over), Offline);
    assert_eq!(state.of(1, over).unwrap().active_ago_ms, Some(over - NOW));
}

#[test]
fn a_user_has_a_bounded_number_of_devices() {
    let mut state = State::default();
    for node in 0..2 * limits::PRESENCE_ENTRIES_PER_USER as u64 {
        state.apply(&vouched(1, node, Online, NOW + node, NOW + 90_000), NOW + node);
    }
    assert_eq!(state.until_ms(1, (0, 5)), 0, "the first is forgotten");
    assert_eq!(state.until_ms(1, (limits::PRESENCE_ENTRIES_PER_USER as u64, 5)), NOW + 90_000);
}

#[test]
fn nothing_stays_for_ever() {
    let mut state = State::default();
    state.apply(&vouched(1, 1, Online, NOW, NOW + 1_000), NOW);
    state.apply(&says(2, Offline, "on leave", NOW), NOW);
    assert_eq!(state.of(1, NOW + 1_500).unwrap().changed_ms, NOW + 1_000);
    let later = NOW + limits::PRESENCE_REMEMBERED_MS;
    assert!(state.of(1, later - 1).is_some() && state.of(2, later - 1).is_some());
    let later = later + 1_000 + limits::PRESENCE_VOUCHED_MS;
    assert!(state.of(1, later).is_none() && state.of(2, later).is_none());
    assert_eq!(state.bytes(), 0);
    assert!(state.changed(0, u64::MAX, later).is_empty());
}

#[test]
fn the_bound_drops_the_offline_then_refuses() {
    let mut state = State::default();
    let users = 2 * limits::PRESENCE_BYTES as u64 / 400;
    for user in 0..users {
        let until_ms = if user % 2 == 0 { NOW } else { NOW + 90_000 };
        state.apply(&vouched(user, 1, Online, NOW, until_ms), NOW + user / 100);
        assert!(state.bytes() <= limits::PRESENCE_BYTES);
    }
    let here = (0..users).filter(|user| state_of(&mut state, *user, NOW) == Online).count();
    assert!(here > 20_000, "{here}");
    assert!(state.of(users - 1, NOW).is_none(), "there was no room");
}

/// Who waits for a change from a moment on is told of one of that very moment, once it is settled, and of none before it.
#[tokio::test(start_paused = true)]
async fn who_waits_is_told_when_a_change_is_settled() {
    let (engine, clock) = testing::engine();
    let store = testing::over(engine, "example.org", clock.clone(), 1).await.unwrap();
    let accounts = Accounts::new(store.clone(), "example.org".try_into().unwrap());
    let new = NewAccount { username: Some("anna".to_owned()), ..NewAccount::default() };
    let anna = accounts.register(new, Batch::new()).await.unwrap().session;
    let presence = Presence::start(store, true);
    let pass = async |ms: u64| {
        clock.advance_ms(ms);
        tokio::time::sleep(Duration::from_millis(2 * limits::PRESENCE_TICK_MS)).await;
    };
    let told = async |from_ms: u64| {
        tokio::time::timeout(Duration::from_millis(1), presence.settled_since(from_ms)).await.is_ok()
    };
    assert!(!told(1).await, "nobody ever changed");
    let at_ms = clock.now_ms();
    presence.set(&anna, Online, None);
    // The change is that of the last moment of what is not settled.
    pass(limits::BUS_LATE_MS).await;
    assert!(!told(at_ms).await);
    pass(1_000).await;
    assert_eq!((told(at_ms).await, told(at_ms + 1).await), (true, false));
    // Another wakes those who waited on.
    let later = async {
        pass(5_000).await;
        presence.set(&anna, Unavailable, None);
        pass(limits::BUS_LATE_MS + 1_000).await;
    };
    let (waited, ()) =
        tokio::join!(tokio::time::timeout(Duration::from_secs(30), presence.settled_since(at_ms + 1)), later);
    assert!(waited.is_ok());
}
