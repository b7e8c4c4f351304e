//! One request's turns in a room, until its event is committed or refused.

use std::{collections::VecDeque, sync::Arc};

use ruma::{EventId, OwnedEventId, UserId};
use tokio::sync::watch;
use wardstead_engine::{Cell, Expect, Key, Losing, Position};
use wardstead_limits::{rooms as limits, store::REBUILDS};
use wardstead_store::{StoreError, Submission};

use crate::{
    Inner, Room, RoomError,
    event::build::Proposal,
    graph::Grapher,
    tables::{HEADS, TRANSACTIONS, TransactionRow},
};

use super::{
    Added, Author, Build,
    chain::{Chains, Head, Looked, SlotGuard, Tip, head_key},
    layer::{Pending, Queued, Settled, changes_member, transaction},
    made::Committable,
};

/// One event that somebody wants to append.
#[derive(Debug)]
pub(crate) struct Act {
    pub(crate) author: Author,
    pub(crate) proposal: Proposal,
    /// Key of the transaction's row.
    pub(crate) transaction: Option<Key>,
}

/// What a turn came to.
enum Turn {
    /// The batch is queued.
    Queued { event_id: OwnedEventId, submission: Submission },
    /// This is the answer, from committed rows.
    Answer(OwnedEventId),
    /// This is the answer if the batch that it follows from is committed.
    After(Settled, Result<OwnedEventId, RoomError>),
    /// Once this batch has settled, another turn.
    Wait(Settled),
    /// The chain that was built on broke: another turn.
    Again,
}

/// Appends an event, or finds that it was appended before.
///
/// The answer never rests on what is not durable: neither an event id nor a refusal.
///
/// # Errors
/// The verdicts of the rules; `Busy`; the store's. After an error of the store the event may be there all the same; a
/// retry with the same transaction id finds it.
pub(crate) async fn append(inner: &Arc<Inner>, room: &Arc<Room>, act: &Act) -> Result<OwnedEventId, RoomError> {
    let slot = Chains::slot(&inner.chains, room.short);
    let mut rebuilds = 0;
    for _ in 0..limits::APPEND_TURNS {
        match take_turn(inner, room, &slot, act).await? {
            Turn::Answer(event_id) => return Ok(event_id),
            Turn::After(settled, answer) => {
                if settled.committed().await {
                    return answer;
                }
            }
            Turn::Wait(settled) => {
                settled.committed().await;
            }
            Turn::Again => {}
            Turn::Queued { event_id, submission } => match submission.await {
                Ok(_) => return Ok(event_id),
                Err(StoreError::Lost(Losing::Done(key))) => return done(inner, &key).await,
                Err(StoreError::Lost(_)) if rebuilds < REBUILDS => rebuilds += 1,
                Err(StoreError::Lost(_)) => break,
                Err(error) => return Err(error.into()),
            },
        }
    }
    Err(RoomError::Busy("others changed it too often meanwhile"))
}

async fn take_turn(inner: &Arc<Inner>, room: &Arc<Room>, slot: &SlotGuard, act: &Act) -> Result<Turn, RoomError> {
    let mut turn = slot.turn.lock().await;
    let newest = slot.chain.lock().newest();
    inner.share(room.short, &mut turn, newest).await?;
    let (generation, tip) = {
        let chain = slot.chain.lock();
        (chain.generation, chain.tip.clone())
    };
    let (pending, queue) = tip.map_or_else(Default::default, |Tip { head, queue }| (Some(head), queue));
    if let Some(turn) = wait_first(&queue, act)? {
        return Ok(turn);
    }
    let (head, done) = read(inner, room, pending, act).await?;
    if let Some(event_id) = done {
        return Ok(Turn::Answer(event_id));
    }
    let newest = queue.back().map(|queued| queued.settled.clone());
    let after = |answer: Result<OwnedEventId, RoomError>| match newest.clone() {
        Some(settled) => Ok(Turn::After(settled, answer)),
        None => answer.map(Turn::Answer),
    };

    let mut build = Build::new(inner, room.short, Some(room.room_id.clone()), &room.version, &room.rules);
    build.head = head;
    build.pending = Pending { older: queue, ..Pending::default() };
    let added = if build.head.extremities.len() > limits::PREV_EVENTS {
        // The state before the event is worked out on what is committed.
        if let Some(settled) = newest {
            return Ok(Turn::Wait(settled));
        }
        let mut grapher = Grapher::new(build, Arc::clone(room), act.author.clone());
        let added = Box::pin(grapher.add_local(&act.proposal)).await;
        build = grapher.build;
        added
    } else {
        build.add(&act.author, &act.proposal).await
    };
    let event_id = match added {
        Ok(Added::Event(event)) => event.event_id.clone(),
        Ok(Added::Same(event)) => return after(Ok(event.event_id.clone())),
        Err(error) if error.is_verdict() => return after(Err(error)),
        Err(error) => return Err(error),
    };
    put_transaction(&mut build, act, &event_id);
    build.finish();
    let queued = submit(inner, slot, generation, build)?;
    Ok(queued.map_or(Turn::Again, |submission| Turn::Queued { event_id, submission }))
}

/// Batches in the queue that this request has to see settled before anything is built.
fn wait_first(queue: &VecDeque<Arc<Queued>>, act: &Act) -> Result<Option<Turn>, RoomError> {
    if queue.len() >= limits::PENDING_PER_ROOM {
        return Err(RoomError::Busy("too many events are waiting"));
    }
    if let Some((queued, event_id)) = act.transaction.as_ref().and_then(|key| transaction(queue, key)) {
        return Ok(Some(Turn::After(queued.settled.clone(), Ok(event_id.clone()))));
    }
    // A user's membership row says when the user left before. While that is queued, nobody knows the position.
    if act.proposal.event_type == "m.room.member"
        && let Some(user_id) = act.proposal.state_key.as_deref().and_then(|user_id| UserId::parse(user_id).ok())
        && let Some(queued) = changes_member(queue, &user_id)
    {
        return Ok(Some(Turn::Wait(queued.settled.clone())));
    }
    Ok(None)
}

/// The head to build on, and the event of this transaction if it was committed before; with one read where nothing is queued.
async fn read(
    inner: &Inner,
    room: &Room,
    pending: Option<Head>,
    act: &Act,
) -> Result<(Head, Option<OwnedEventId>), RoomError> {
    let key = head_key(room.short);
    let mut keys: Vec<Key> = act.transaction.iter().cloned().collect();
    if pending.is_none() {
        keys.push(key.clone());
    }
    let mut cells = if keys.is_empty() { Vec::new() } else { inner.store.cells(&keys).await? }.into_iter();
    if let Some(transaction) = &act.transaction
        && let Some(cell) = cells.next().flatten()
    {
        let row = TRANSACTIONS.decode(transaction, &cell)?;
        return Ok((Head::default(), Some(event_id(transaction, &row)?)));
    }
    if let Some(head) = pending {
        return Ok((head, None));
    }
    let cell = cells.next().flatten().ok_or_else(|| RoomError::corrupt(&key, "a room without a head"))?;
    Ok((opened(inner, room, key, cell).await?, None))
}

/// The head in `cell`.
async fn opened(inner: &Inner, room: &Room, key: Key, cell: Cell) -> Result<Head, RoomError> {
    let mut head = Head::read(HEADS.found(key, cell)?)?;
    head.snapshot = inner.state.snapshot(&crate::state::store::Committed, room.short, head.snapshot.id).await?;
    Ok(head)
}

/// For work that is done on the committed head: waits, with the turn held, until what is queued has settled. The chain's
/// generation and the head.
pub(crate) async fn begin(
    inner: &Arc<Inner>,
    room: &Arc<Room>,
    slot: &SlotGuard,
    turn: &mut Looked,
) -> Result<(u64, Head), RoomError> {
    loop {
        let newest = slot.chain.lock().newest();
        inner.share(room.short, turn, newest).await?;
        let newest = slot.chain.lock().newest();
        match newest {
            Some(settled) => drop(settled.committed().await),
            None => break,
        }
    }
    let generation = slot.chain.lock().generation;
    let key = head_key(room.short);
    let cell = inner.store.cells(std::slice::from_ref(&key)).await?.pop().flatten();
    let cell = cell.ok_or_else(|| RoomError::corrupt(&key, "a room without a head"))?;
    Ok((generation, opened(inner, room, key, cell).await?))
}

fn put_transaction(build: &mut Build<'_>, act: &Act, event_id: &OwnedEventId) {
    let Some(key) = &act.transaction else { return };
    // Before the head's assertion, so that a repetition is told `Done` even when the room has moved on.
    build.batch.expect(key.clone(), Expect::Absent, Losing::Done(key.clone()));
    let row = TransactionRow { event_id: event_id.as_str().to_owned(), at_ms: build.now_ms };
    TRANSACTIONS.put(&mut build.batch, key.clone(), &row);
    build.pending.own.transaction = Some((key.clone(), event_id.clone()));
}

/// Queues the batch as the next of the room's chain. `None`: the chain that it was built on broke.
pub(crate) fn submit(
    inner: &Arc<Inner>,
    slot: &SlotGuard,
    generation: u64,
    build: Build<'_>,
) -> Result<Option<Submission>, RoomError> {
    let (batch, head, pending, committable) = build.into_committable();
    let mut chain = slot.chain.lock();
    if chain.generation != generation {
        return Ok(None);
    }
    let number = chain.next;
    let (settled_sender, settled) = watch::channel(None);
    let queued = Arc::new(Queued { number, layer: pending.own, settled: Settled(settled) });
    let watch = Watch {
        inner: Arc::clone(inner),
        slot: slot.clone(),
        generation,
        queued: Arc::clone(&queued),
        settled: settled_sender,
    };
    // Called even when the client has gone. Not before this turn gives back the chain.
    let submission = inner.store.submit_then(batch, move |answer| watch.settle(answer, committable))?;
    chain.next += 1;
    let tip = chain.tip.get_or_insert_with(|| Tip { head: Head::default(), queue: VecDeque::new() });
    tip.head = head;
    tip.queue.push_back(queued);
    Ok(Some(submission))
}

/// Tells the chain what became of a batch.
struct Watch {
    inner: Arc<Inner>,
    slot: SlotGuard,
    generation: u64,
    queued: Arc<Queued>,
    settled: watch::Sender<Option<bool>>,
}

impl Watch {
    fn settle(&self, answer: &Result<Vec<Position>, StoreError>, committable: Committable) {
        if let Ok(positions) = answer {
            self.inner.state.remember(&self.queued.layer.parts);
            self.inner.committed(&self.queued.layer, positions, committable);
        }
        let broke = self.slot.settle(self.generation, self.queued.number, answer.is_ok());
        if broke && matches!(answer, Err(StoreError::Lost(Losing::Rebuild))) {
            let now_ms = self.inner.store.clock().monotonic_ms();
            self.inner.chains.shares.conflict(self.slot.room(), now_ms);
        }
        self.settled.send_replace(Some(answer.is_ok()));
    }
}

/// The answer of the request that came first.
async fn done(inner: &Inner, key: &Key) -> Result<OwnedEventId, RoomError> {
    let found = inner.store.get(&TRANSACTIONS, key).await?;
    let found = found.ok_or_else(|| RoomError::corrupt(key, "a transaction that was done is missing"))?;
    event_id(key, &found.row)
}

fn event_id(key: &Key, row: &TransactionRow) -> Result<OwnedEventId, RoomError> {
    EventId::parse(row.event_id.as_str()).map_err(|_| RoomError::corrupt(key, "not an event id"))
}
