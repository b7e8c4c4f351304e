//! Whose bucket is taken from.

use wardstead_limits::ManualClock;

use super::*;

fn client(address: &str) -> Client {
    Client::new(address.parse().unwrap(), None)
}

fn limiter(account: Option<Rate>, address: Option<Rate>) -> (Limiter, ManualClock) {
    let clock = ManualClock::new(0);
    let limits = RateLimits::default().with(Group::Send, GroupRates { account, address });
    (Limiter::new(limits, Arc::new(clock.clone())), clock)
}

#[test]
fn accounts_and_addresses_have_their_own() {
    let (limiter, clock) = limiter(Some(Rate::per_second(1, 2)), Some(Rate::per_second(1, 3)));
    let send = |account, address| limiter.count(Group::Send, &client(address), Some(account), 1).is_ok();
    assert!(send(1, "192.0.2.1") && send(1, "192.0.2.1"));
    assert!(!send(1, "192.0.2.1") && !send(1, "192.0.2.2"), "the account's");
    assert!(send(2, "192.0.2.1"), "what was refused took nothing from the address");
    assert!(!send(2, "192.0.2.1") && !send(3, "192.0.2.1"), "the address's");
    assert!(send(2, "192.0.2.2"), "what was refused took nothing from the account");
    assert!(limiter.count(Group::Join, &client("192.0.2.1"), Some(1), 1).is_ok(), "another group");
    clock.advance_ms(1_000);
    assert!(send(1, "192.0.2.1") && !send(1, "192.0.2.1"));
}

#[test]
fn without_rates_nothing_is_counted() {
    let limiter = Limiter::new(RateLimits::default(), Arc::new(ManualClock::new(0)));
    for group in Group::ALL {
        for _ in 0..10_000 {
            assert!(limiter.count(group, &Client::unknown(), Some(1), 1_000).is_ok());
        }
    }
    assert_eq!(limiter.cache().1, 0);
}

#[test]
fn groups_have_their_names_and_numbers() {
    for (number, group) in Group::ALL.into_iter().enumerate() {
        assert_eq!(group as usize, number);
        assert_eq!(RateLimits::production().of(group), group.production());
        assert_ne!(group.production(), GroupRates::default(), "{group:?} has no limit");
        assert!(Group::ALL.iter().filter(|other| other.name() == group.name()).count() == 1);
    }
}
