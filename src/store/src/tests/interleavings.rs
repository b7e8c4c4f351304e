//! A node's own commit is never advertised over a foreign one, in whatever order committers and tails get on.

use wardstead_engine_memory::CommitFault;

use super::{
    explore::{Every, Seeded},
    world::{TailOf, World},
};

/// Timers can be made, and never fire: time stands still.
fn without_time<T>(act: impl FnOnce() -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _entered = runtime.enter();
    act()
}

/// Runs `world` under every schedule; returns how many there are, or what did not hold under one.
fn every(mut schedule: Every, mut world: impl FnMut() -> World) -> Result<usize, String> {
    without_time(|| {
        let mut runs = 1;
        loop {
            world().run(&mut schedule).map_err(|error| format!("schedule {runs}: {error}"))?;
            if !schedule.next() {
                return Ok(runs);
            }
            runs += 1;
        }
    })
}

fn two_committers(tail_of: TailOf) -> World {
    let world = World::new(2, 1, tail_of);
    world.submit(0, 1);
    world.submit(1, 2);
    world
}

/// All schedules that there are.
#[test]
fn two_committers_and_a_delayed_tail() {
    let runs = every(Every::default(), || two_committers(TailOf::Store)).unwrap();
    println!("{runs} schedules");
    assert!(runs > 1_000, "{runs}");
}

/// All schedules with few cuts.
#[test]
fn a_client_that_asks_what_to_answer_with() {
    let runs = every(Every::with_cuts(2), || {
        let mut world = World::new(2, 1, TailOf::Store);
        world.client(0, [1]);
        world.submit(1, 2);
        world
    })
    .unwrap();
    println!("{runs} schedules");
    assert!(runs > 1_000, "{runs}");
}

/// The search finds what it looks for: a node that takes the position of its own commit for its own advertises it before it
/// has seen the foreign one below.
#[test]
fn a_tail_that_believes_hints_is_found() {
    let found = every(Every::default(), || two_committers(TailOf::Believing)).unwrap_err();
    assert!(found.contains("it has seen"), "{found}");
}

/// Longer: three nodes with several clients, commits of unknown outcome among others' commits.
#[test]
fn longer_schedules_from_seeds() {
    let (mut acknowledged, mut refused) = (0, 0);
    without_time(|| {
        for seed in 0..1_000 {
            let mut schedule = Seeded::new(seed);
            let mut world = World::new(3, 3, TailOf::Store);
            for client in 0..5 {
                let first = 100 * client;
                world.client(usize::try_from(client % 3).unwrap(), first..first + 4);
            }
            // One at most: time stands still, so that nobody looks for an outcome a second time.
            for _ in 0..schedule.number(2) {
                let fault = [CommitFault::UnknownAfter, CommitFault::UnknownBefore][schedule.number(2)];
                world.engine.faults().fail_commit(1 + schedule.number(12) as u64, fault);
            }
            if let Err(error) = world.run(&mut schedule) {
                panic!("seed {seed}: {error}");
            }
            let told = world.told();
            assert_eq!(told.0 + told.1, 20, "seed {seed}: a client waits for ever");
            (acknowledged, refused) = (acknowledged + told.0, refused + told.1);
        }
    });
    println!("{acknowledged} acknowledged, {refused} refused");
    assert!(acknowledged > 10 * refused && refused > 50);
}
