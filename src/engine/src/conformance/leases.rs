//! Leases and their fencing numbers.

use super::{
    Bench,
    bench::{is_won, point, put},
};
use crate::{Batch, EngineError, Expect, Lease, LeaseRequest, Losing, Position, system};

cases!("leases":
    a_free_lease_is_taken_for_its_time,
    nobody_else_gets_a_held_one,
    a_renewal_keeps_the_number_and_moves_the_end,
    it_ends_by_the_engines_own_clock,
    each_new_owner_gets_a_larger_number,
    an_owner_who_let_it_lapse_gets_a_larger_number,
    giving_it_back_frees_it_at_once,
    only_the_holder_gives_it_back,
    a_batch_of_a_former_holder_loses,
    names_are_leases_of_their_own,
    a_lease_takes_no_position,
    of_many_who_ask_at_once_one_gets_it,
    too_long_a_name_is_invalid,
    it_outlives_the_process,
);

const TTL_MS: u64 = 10_000;

async fn ask(bench: &Bench, owner: u64, ttl_ms: u64) -> Option<Lease> {
    let request = LeaseRequest { name: "sealer".into(), owner, ttl_ms };
    bench.engine().lease(request).await.unwrap()
}

async fn take(bench: &Bench, owner: u64) -> Lease {
    ask(bench, owner, TTL_MS).await.unwrap()
}

/// Whether a batch that asserts the fencing number wins.
async fn still_holds(bench: &Bench, fencing: u64) -> bool {
    let mut batch = put(&point(fencing));
    batch.expect(system::lease_key("sealer"), Expect::Version(fencing), Losing::Rebuild);
    is_won(&bench.commit(vec![batch]).await.outcomes[0])
}

async fn a_free_lease_is_taken_for_its_time(bench: Bench) {
    assert_eq!(take(&bench, 1).await, Lease { fencing: 1, expires_ms: 1_000_000 + TTL_MS });
}

async fn nobody_else_gets_a_held_one(bench: Bench) {
    take(&bench, 1).await;
    assert_eq!(ask(&bench, 2, TTL_MS).await, None);
    bench.clock.advance_ms(TTL_MS - 1);
    assert_eq!(ask(&bench, 2, TTL_MS).await, None);
}

async fn a_renewal_keeps_the_number_and_moves_the_end(bench: Bench) {
    let first = take(&bench, 1).await;
    for _ in 0..5 {
        bench.clock.advance_ms(TTL_MS - 1);
        assert_eq!(take(&bench, 1).await.fencing, first.fencing);
    }
    bench.clock.advance_ms(TTL_MS - 1);
    assert_eq!(ask(&bench, 2, TTL_MS).await, None, "renewed until after this");
    assert!(still_holds(&bench, first.fencing).await);
}

async fn it_ends_by_the_engines_own_clock(bench: Bench) {
    take(&bench, 1).await;
    bench.clock.advance_ms(TTL_MS);
    let expires_ms = 1_000_000 + 2 * TTL_MS;
    assert_eq!(take(&bench, 2).await, Lease { fencing: 2, expires_ms });
    assert_eq!(ask(&bench, 1, TTL_MS).await, None, "now the other holds it");
}

async fn each_new_owner_gets_a_larger_number(bench: Bench) {
    let mut last = 0;
    for owner in [1, 2, 1, 3, 2] {
        let lease = take(&bench, owner).await;
        assert!(lease.fencing > last);
        last = lease.fencing;
        bench.clock.advance_ms(TTL_MS);
    }
}

async fn an_owner_who_let_it_lapse_gets_a_larger_number(bench: Bench) {
    let first = take(&bench, 1).await;
    bench.clock.advance_ms(TTL_MS);
    assert!(take(&bench, 1).await.fencing > first.fencing, "somebody may have worked in between");
}

async fn giving_it_back_frees_it_at_once(bench: Bench) {
    let first = take(&bench, 1).await;
    assert!(ask(&bench, 1, 0).await.is_some());
    let second = take(&bench, 2).await;
    assert!(second.fencing > first.fencing);
}

async fn only_the_holder_gives_it_back(bench: Bench) {
    assert_eq!(ask(&bench, 2, 0).await, None, "there is nothing to give back");
    take(&bench, 1).await;
    assert_eq!(ask(&bench, 2, 0).await, None);
    assert_eq!(ask(&bench, 2, TTL_MS).await, None, "the holder still has it");
    bench.clock.advance_ms(TTL_MS);
    take(&bench, 2).await;
    assert_eq!(ask(&bench, 1, 0).await, None);
    assert_eq!(ask(&bench, 1, TTL_MS).await, None);
}

async fn a_batch_of_a_former_holder_loses(bench: Bench) {
    let first = take(&bench, 1).await;
    assert!(still_holds(&bench, first.fencing).await);
    bench.clock.advance_ms(TTL_MS);
    let second = take(&bench, 2).await;
    assert!(!still_holds(&bench, first.fencing).await && !bench.exists(&point(0)).await);
    assert!(still_holds(&bench, second.fencing).await);
}

async fn names_are_leases_of_their_own(bench: Bench) {
    for (owner, name) in [(1, ""), (2, "a"), (3, "a\0"), (4, "ab")] {
        let request = LeaseRequest { name: name.into(), owner, ttl_ms: TTL_MS };
        let lease = bench.engine().lease(request).await.unwrap().unwrap();
        assert_eq!(lease.fencing, 1);
    }
}

async fn a_lease_takes_no_position(bench: Bench) {
    take(&bench, 1).await;
    assert_eq!(bench.position().await, Position::ZERO);
    assert!(bench.journal().await.is_empty());
}

async fn of_many_who_ask_at_once_one_gets_it(bench: Bench) {
    for round in 1..=10 {
        let asking: Vec<_> = (0..16)
            .map(|owner| {
                let engine = bench.engine();
                let request = LeaseRequest { name: "sealer".into(), owner, ttl_ms: TTL_MS };
                tokio::spawn(async move { engine.lease(request).await.unwrap() })
            })
            .collect();
        let mut leases = Vec::new();
        for asked in asking {
            leases.extend(asked.await.unwrap());
        }
        assert_eq!(leases.iter().map(|lease| lease.fencing).collect::<Vec<_>>(), [round]);
        bench.clock.advance_ms(TTL_MS);
    }
}

async fn too_long_a_name_is_invalid(bench: Bench) {
    let request = LeaseRequest { name: "x".repeat(2_000), owner: 1, ttl_ms: TTL_MS };
    let answer = bench.engine().lease(request).await;
    assert!(matches!(answer, Err(EngineError::Invalid(_))), "{answer:?}");
}

async fn it_outlives_the_process(mut bench: Bench) {
    let first = take(&bench, 1).await;
    bench.reopen().await;
    assert_eq!(ask(&bench, 2, TTL_MS).await, None);
    assert_eq!(take(&bench, 1).await.fencing, first.fencing);
    bench.clock.advance_ms(TTL_MS);
    bench.reopen().await;
    assert!(take(&bench, 2).await.fencing > first.fencing);
    let mut batch = Batch::new();
    batch.expect(system::lease_key("sealer"), Expect::Version(first.fencing), Losing::Rebuild);
    assert!(!is_won(&bench.commit(vec![batch]).await.outcomes[0]));
}
