//! Nodes on one memory engine, and what must hold after each of their steps.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, sync::Arc};

use async_trait::async_trait;
use futures::FutureExt;
use tokio::sync::watch;
use wardstead_engine::{
    Batch, Cell, Engine, EngineError, EngineLimits, Group, GroupOutcome, JournalEntry, JournalRow, Key, Lease,
    LeaseRequest, Page, PageLimit, Position, ScanRange, journal,
};
use wardstead_engine_memory::MemoryEngine;
use wardstead_limits::ManualClock;

use super::explore::{Executor, Schedule, Step};
use crate::{
    Changes, Figures, StoreError,
    commit::{Committer, Entrance},
    epochs::SeenEpochs,
    hint::Hint,
    kind,
    notify::Notifier,
    tail::{Reached, Tail},
    window::{Side, Window},
    work::Wakers,
};

/// Others may have their turn before and after each call takes effect.
struct Stepping(Arc<MemoryEngine>);

#[async_trait]
impl Engine for Stepping {
    async fn get_many(&self, at: Position, keys: &[Key]) -> Result<Vec<Option<Cell>>, EngineError> {
        self.0.get_many(at, keys).await
    }

    async fn scan(&self, at: Position, range: &ScanRange, page: PageLimit) -> Result<Page, EngineError> {
        Step::default().await;
        let page = self.0.scan(at, range, page).await;
        Step::default().await;
        page
    }

    async fn commit_group(&self, group: Group) -> Result<GroupOutcome, EngineError> {
        Step::default().await;
        let outcome = self.0.commit_group(group).await;
        Step::default().await;
        outcome
    }

    async fn position(&self) -> Result<Position, EngineError> {
        let position = self.0.position().await;
        Step::default().await;
        position
    }

    async fn lease(&self, request: LeaseRequest) -> Result<Option<Lease>, EngineError> {
        self.0.lease(request).await
    }

    fn limits(&self) -> EngineLimits {
        self.0.limits()
    }
}

/// Which tail the nodes have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TailOf {
    /// The real one.
    Store,
    /// One that takes a hint's word for where it has arrived: a fault, to see that it is found.
    Believing,
}

/// The memory of one node.
pub struct Node {
    pub entrance: Entrance,
    pub hint: Hint,
    pub reached: Reached,
    at: watch::Receiver<Position>,
    window: Arc<Window>,
    has_tail: bool,
    /// Held, so that nothing ends.
    _stop: watch::Sender<bool>,
}

/// What clients were told and saw.
#[derive(Default)]
pub struct Told {
    /// Rooms of commits that were acknowledged, with their position.
    acknowledged: Vec<(u64, Position)>,
    /// Rooms of commits that did not take effect.
    refused: Vec<u64>,
    /// Advertised positions, with the number of journal rows up to each at that time.
    advertised: BTreeMap<Position, usize>,
}

pub struct World {
    pub engine: Arc<MemoryEngine>,
    pub executor: Executor,
    pub nodes: Vec<Rc<Node>>,
    told: Rc<RefCell<Told>>,
    before: Vec<Position>,
    newest: Position,
}

impl World {
    /// `nodes` nodes on an empty engine; each has a committer, the first `tails` a tail too.
    pub fn new(nodes: u64, tails: u64, tail_of: TailOf) -> Self {
        let clock = ManualClock::new(0);
        let engine = Arc::new(MemoryEngine::new(Arc::new(clock.clone())));
        let (executor, told) = (Executor::default(), Rc::default());
        let (nodes_made, before, newest) = (Vec::new(), Vec::new(), Position::ZERO);
        let mut world = Self { engine, executor, nodes: nodes_made, told, before, newest };
        for number in 0..nodes {
            world.add_node(number + 1, &clock, number < tails, tail_of);
        }
        world
    }

    fn add_node(&mut self, incarnation: u64, clock: &ManualClock, has_tail: bool, tail_of: TailOf) {
        let engine: Arc<dyn Engine> = Arc::new(Stepping(Arc::clone(&self.engine)));
        let hint = Hint::new(Position::ZERO);
        let (committer, entrance, _) = Committer::new(
            Arc::clone(&engine),
            incarnation,
            0,
            hint.clone(),
            Wakers::default(),
            Arc::new(clock.clone()),
            Figures::default(),
        );
        let window = Arc::new(Window::new(Position::ZERO, 1 << 20));
        let (tail, reached) = Tail::new(
            Arc::clone(&engine),
            Position::ZERO,
            Arc::clone(&window),
            Arc::default(),
            Arc::new(Notifier::new(Figures::default().woken.clone())),
            SeenEpochs::default(),
            hint.clone(),
        );
        let (stop_sender, stop) = watch::channel(false);
        self.executor.spawn(committer.run(stop.clone()));
        let mut at = reached.watch();
        match tail_of {
            TailOf::Store if has_tail => self.executor.spawn(tail.run(stop)),
            TailOf::Believing if has_tail => {
                let (published, receiver) = watch::channel(Position::ZERO);
                at = receiver;
                let hint = hint.clone();
                self.executor.spawn(async move {
                    let (real, stop) = (tail, stop);
                    futures::future::join(real.run(stop), async {
                        loop {
                            hint.given().await;
                            published.send_replace(hint.newest());
                            hint.look();
                            Step::default().await;
                        }
                    })
                    .await;
                });
            }
            _ => {}
        }
        self.before.push(Position::ZERO);
        self.nodes.push(Rc::new(Node { entrance, hint, reached, at, window, has_tail, _stop: stop_sender }));
    }

    /// A client of node `node` that commits in `rooms`, one after the other, and asks after each for a position to
    /// answer with.
    pub fn client(&mut self, node: usize, rooms: impl IntoIterator<Item = u64> + 'static) {
        let (node, told, engine) = (Rc::clone(&self.nodes[node]), Rc::clone(&self.told), Arc::clone(&self.engine));
        self.executor.spawn(async move {
            for room in rooms {
                let submission = node.entrance.submit(change(room)).unwrap();
                match submission.await {
                    Ok(positions) => told.borrow_mut().acknowledged.push((room, positions[0])),
                    Err(StoreError::Engine(EngineError::Unavailable(_))) => told.borrow_mut().refused.push(room),
                    Err(error) => panic!("{error}"),
                }
                let visible = engine.position().now_or_never().unwrap().unwrap();
                let upto = node.reached.caught_up().await.unwrap();
                assert!(upto >= visible, "an answer for {upto} to a request made at {visible}");
            }
        });
    }

    /// One batch in `node`'s queue that nobody waits for.
    pub fn submit(&self, node: usize, room: u64) {
        drop(self.nodes[node].entrance.submit(change(room)).unwrap());
    }

    /// Runs until nobody can get on, then lets every tail look once more; checks after each step.
    ///
    /// # Errors
    /// What did not hold.
    pub fn run(&mut self, schedule: &mut impl Schedule) -> Result<(), String> {
        for _ in 0..2 {
            let mut last = None;
            loop {
                let mut runnable = self.executor.runnable();
                if runnable.is_empty() {
                    break;
                }
                let goes_on = runnable.iter().position(|number| Some(*number) == last);
                if let Some(at) = goes_on {
                    runnable[..=at].rotate_right(1);
                }
                let next = runnable[schedule.choose(runnable.len(), goes_on.is_some())];
                self.executor.step(next);
                self.check()?;
                last = Some(next);
            }
            for node in &self.nodes {
                node.hint.look();
            }
        }
        self.check_end()
    }

    fn journal(&self) -> Vec<JournalRow> {
        let newest = self.engine.position().now_or_never().unwrap().unwrap();
        let range = ScanRange::new(journal::key(Position::ZERO), journal::key(newest.next()));
        let page = self.engine.scan(newest, &range, PageLimit::default()).now_or_never().unwrap().unwrap();
        page.rows.iter().map(|(key, cell)| JournalRow::read(key, cell).unwrap()).collect()
    }

    /// Every position that a node could advertise now: what is up to it was seen, in order, without a hole.
    fn check(&mut self) -> Result<(), String> {
        let newest = self.engine.position().now_or_never().unwrap().unwrap();
        let moved = |(node, before): (&Rc<Node>, &Position)| *node.at.borrow() != *before;
        if newest == self.newest && !self.nodes.iter().zip(&self.before).any(moved) {
            return Ok(());
        }
        self.newest = newest;
        let journal = self.journal();
        for (number, node) in self.nodes.iter().enumerate() {
            let at = *node.at.borrow();
            let before = std::mem::replace(&mut self.before[number], at);
            if at < before {
                return Err(format!("node {number} went back from {before} to {at}"));
            }
            let upto: Vec<u64> = journal.iter().filter(|row| row.position <= at).map(|row| row.entry.scope).collect();
            if let Changes::Rooms(seen) = node.window.since(Side::Rooms, Position::ZERO, usize::MAX - 1)
                && seen != upto
            {
                return Err(format!("node {number} is at {at}; there are {upto:?}, it has seen {seen:?}"));
            }
            if *self.told.borrow_mut().advertised.entry(at).or_insert(upto.len()) != upto.len() {
                return Err(format!("something came up below {at} after it was advertised"));
            }
        }
        Ok(())
    }

    /// What was acknowledged is there, once; what was refused is not; every tail has arrived.
    fn check_end(&self) -> Result<(), String> {
        let journal = self.journal();
        let told = self.told.borrow();
        let at = |room: u64| -> Vec<Position> {
            journal.iter().filter(|row| row.entry.scope == room).map(|row| row.position).collect()
        };
        if let Some((room, position)) = told.acknowledged.iter().find(|(room, position)| at(*room) != [*position]) {
            return Err(format!("room {room} was acknowledged at {position} and is at {:?}", at(*room)));
        }
        if let Some(room) = told.refused.iter().find(|room| !at(**room).is_empty()) {
            return Err(format!("room {room} was refused and is at {:?}", at(*room)));
        }
        let newest = journal.last().map(|row| row.position).unwrap_or_default();
        let late = self.nodes.iter().position(|node| node.has_tail && *node.at.borrow() < newest);
        match late {
            Some(late) => Err(format!("node {late} is not at {newest}")),
            None => Ok(()),
        }
    }

    /// How many commits were acknowledged and refused.
    pub fn told(&self) -> (usize, usize) {
        let told = self.told.borrow();
        (told.acknowledged.len(), told.refused.len())
    }
}

fn change(room: u64) -> Batch {
    let mut batch = Batch::new();
    batch.journal(JournalEntry { kind: kind::ROOM_EVENT, scope: room, key: Vec::new().into() });
    batch
}
