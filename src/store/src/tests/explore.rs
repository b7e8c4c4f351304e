//! A deterministic executor: futures are polled in an order that the test chooses, one step at a time.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use wardstead_limits::{Rng, SeededRng};

/// Pending once: another future may have its turn here.
#[derive(Default)]
pub struct Step(bool);

impl Future for Step {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Whether a future may get on.
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

struct Task {
    future: Pin<Box<dyn Future<Output = ()>>>,
    woken: Arc<Flag>,
    ended: bool,
}

/// Futures that are polled when they were woken, in a chosen order.
#[derive(Default)]
pub struct Executor(Vec<Task>);

impl Executor {
    /// Adds a future, to be polled for the first time when it is chosen.
    pub fn spawn(&mut self, future: impl Future<Output = ()> + 'static) {
        self.0.push(Task { future: Box::pin(future), woken: Arc::new(Flag(AtomicBool::new(true))), ended: false });
    }

    /// Numbers of the futures that may get on.
    pub fn runnable(&self) -> Vec<usize> {
        let may = |number: &usize| !self.0[*number].ended && self.0[*number].woken.0.load(Ordering::SeqCst);
        (0..self.0.len()).filter(may).collect()
    }

    /// Polls one of them.
    pub fn step(&mut self, number: usize) {
        let task = &mut self.0[number];
        task.woken.0.store(false, Ordering::SeqCst);
        let waker = Waker::from(Arc::clone(&task.woken));
        task.ended = task.future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
    }
}

/// Decides who is next.
pub trait Schedule {
    /// One of `0..of`. `goes_on`: 0 is whoever had the last turn.
    fn choose(&mut self, of: usize, goes_on: bool) -> usize;
}

/// Goes through all schedules, one run after the other; with a bound, through those in which at most so many turns end before
/// whoever has them must wait. Faults of concurrency need few such ends.
#[derive(Default)]
pub struct Every {
    /// What was chosen in this run, and out of how many.
    path: Vec<(usize, usize)>,
    depth: usize,
    cuts: usize,
    most_cuts: Option<usize>,
}

impl Schedule for Every {
    fn choose(&mut self, of: usize, goes_on: bool) -> usize {
        let of = if goes_on && self.most_cuts == Some(self.cuts) { 1 } else { of };
        if self.depth == self.path.len() {
            self.path.push((0, of));
        }
        let (chosen, before) = self.path[self.depth];
        assert_eq!(before, of, "the same choices lead to the same place");
        self.depth += 1;
        self.cuts += usize::from(goes_on && chosen > 0);
        chosen
    }
}

impl Every {
    /// All schedules with at most `cuts` turns cut short.
    pub fn with_cuts(cuts: usize) -> Self {
        Self { most_cuts: Some(cuts), ..Self::default() }
    }

    /// Prepares the next run; `false`: that was the last.
    pub fn next(&mut self) -> bool {
        (self.depth, self.cuts) = (0, 0);
        while let Some((chosen, of)) = self.path.pop() {
            if chosen + 1 < of {
                self.path.push((chosen + 1, of));
                return true;
            }
        }
        false
    }
}

/// Chooses by a seed. Now and then somebody is left standing for long.
pub struct Seeded {
    rng: SeededRng,
    /// Who is not chosen, and for how many choices.
    standing: (usize, u64),
}

impl Seeded {
    pub fn new(seed: u64) -> Self {
        Self { rng: SeededRng::new(seed), standing: (0, 0) }
    }

    /// One of `0..of`.
    pub fn number(&mut self, of: usize) -> usize {
        usize::try_from(self.rng.next_u64() % of as u64).unwrap()
    }
}

impl Schedule for Seeded {
    fn choose(&mut self, of: usize, _: bool) -> usize {
        if self.standing.1 == 0 && self.number(8) == 0 {
            self.standing = (self.number(of), self.rng.next_u64() % 40);
        }
        let chosen = self.number(of);
        self.standing.1 = self.standing.1.saturating_sub(1);
        if of > 1 && self.standing.1 > 0 && chosen == self.standing.0 { (chosen + 1) % of } else { chosen }
    }
}
