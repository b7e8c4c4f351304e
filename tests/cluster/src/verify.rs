//! What must be true when all is sent.

use anyhow::{Context, Result};
use harness::{Message, Reader, Rng, User, check, promised};
use tokio::task::JoinSet;

use crate::ward::{Ward, all};

/// Events a page of `/messages`.
const PAGE: usize = 50;
/// Forty times the longest that a lost wake-up may delay a message.
const PATIENCE_MS: u64 = 10_000;
/// Transaction ids that are tried again of each writer, beside the newest.
const RETRIES: u64 = 3;

/// Every room has each acknowledged message once and in its writer's order; every member was sent the same in the same order;
/// transaction ids are remembered. Moves the readers on.
pub async fn everything(ward: &mut Ward, rng: &mut Rng) -> Result<()> {
    retries(ward, rng).await?;
    let readers = std::mem::take(&mut ward.readers);
    let mut completing = JoinSet::new();
    for reader in readers {
        completing.spawn(complete(reader, ward.rooms.clone(), counts(ward)));
    }
    ward.readers = all(completing).await?;
    ward.readers.sort_by(|one, other| one.user.id.cmp(&other.user.id));
    for room in ward.rooms.clone() {
        one_room(ward, &room).await?;
    }
    Ok(())
}

/// Messages of each room.
fn counts(ward: &Ward) -> Vec<usize> {
    let sent =
        |room: &String| ward.writers.iter().filter(|writer| writer.room == *room).map(|writer| writer.sent.len()).sum();
    ward.rooms.iter().map(sent).collect()
}

async fn one_room(ward: &Ward, room: &str) -> Result<()> {
    let mut members = ward.readers.iter().filter(|reader| reader.rooms.contains_key(room));
    let first = members.next().context("a room has members")?;
    let history = history(&first.user, room).await?;
    check::messages(&history, &ward.writers, room, true).context("/messages")?;
    same(first, &history, room, "/messages")?;
    for member in members {
        same(member, first.messages(room), room, &first.user.id)?;
    }
    Ok(())
}

/// `reader` was sent `messages` of `room` in this order.
fn same(reader: &Reader, messages: &[Message], room: &str, whose: &str) -> Result<()> {
    let got = reader.messages(room);
    let names =
        |messages: &[Message]| messages.iter().map(|message| message.body.clone()).collect::<Vec<_>>().join(" ");
    promised!(
        got == messages,
        "{} got {room} otherwise than {whose}:\n{}\n{}",
        reader.user.id,
        names(got),
        names(messages)
    );
    Ok(())
}

/// The messages of `room`, oldest first, as `/messages` has them.
pub async fn history(user: &User, room: &str) -> Result<Vec<Message>> {
    let mut events = user.history(room, "b", PAGE).await?;
    events.reverse();
    Ok(events.iter().filter_map(Message::from_event).collect())
}

/// A transaction id that was acknowledged names the same event for ever, at every node.
async fn retries(ward: &Ward, rng: &mut Rng) -> Result<()> {
    let mut retrying = JoinSet::new();
    for writer in ward.writers.clone() {
        let count = writer.sent.len() as u64;
        let mut sequences = vec![count - 1];
        sequences.extend((0..RETRIES).map(|_| rng.range(0, count)));
        retrying.spawn(async move {
            for sequence in sequences {
                let sequence = usize::try_from(sequence)?;
                let label = writer.label(sequence);
                let event = writer.user.must_send(&writer.room, &label, &label).await?;
                promised!(
                    writer.sent[sequence].as_ref() == Some(&event),
                    "{label} was acknowledged as {:?} and is now {event}",
                    writer.sent[sequence]
                );
            }
            anyhow::Ok(())
        });
    }
    all(retrying).await.map(drop)
}

/// Syncs until `reader` has as many messages as were sent. A sync may come before the wake-up that follows a commit, so only
/// one that waited and brought nothing is the last word; what is missing then is told by the comparison.
async fn complete(mut reader: Reader, rooms: Vec<String>, counts: Vec<usize>) -> Result<Reader> {
    loop {
        reader.catch_up().await.with_context(|| format!("sync of {}", reader.user.id))?;
        let mut own = rooms.iter().zip(&counts).filter(|(room, _)| reader.rooms.contains_key(*room));
        if own.all(|(room, count)| reader.messages(room).len() >= *count) || reader.step(PATIENCE_MS).await? == 0 {
            return Ok(reader);
        }
    }
}
