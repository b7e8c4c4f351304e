//! What must be true after a restart.

use anyhow::{Context, Result};
use harness::user::text;
use harness::{Message, Reader, Rng, User, check, promised};
use serde_json::Value;

use crate::ward::Ward;

/// Events a page of `/messages`: small enough that every room takes several.
const PAGE: usize = 50;
/// Twelve times the longest that a lost wake-up may delay a message.
const PATIENCE_MS: u64 = 3_000;

/// Demands every promise of the rounds so far. Guests before number `first_guest` were looked at before.
pub async fn everything(ward: &mut Ward, rng: &mut Rng, first_guest: usize) -> Result<()> {
    tokens(ward).await?;
    for room in ward.rooms.clone() {
        let history = backwards(&ward.readers[0].user, &room).await?;
        check::messages(&messages(&history), &ward.writers, &room, false).context("before the retries")?;
    }
    retries(ward, rng).await?;
    for room in ward.rooms.clone() {
        histories(ward, &room).await?;
    }
    readers(ward).await?;
    ward.founder.verify(first_guest).await
}

/// Access tokens from before the kill are still good.
async fn tokens(ward: &Ward) -> Result<()> {
    let writers = ward.writers.iter().map(|writer| &writer.user);
    let readers = ward.readers.iter().map(|reader| &reader.user);
    for user in writers.chain(readers).chain([&ward.founder.user]) {
        let answer = user.get("/account/whoami").await?;
        promised!(answer.status == 200, "the account {} or its token: {}", user.id, answer.body);
        promised!(answer.body["user_id"] == user.id.as_str(), "whose token is it: {}", answer.body);
    }
    Ok(())
}

/// A transaction id that was acknowledged names the same event for ever; one that was not names one event from now on.
async fn retries(ward: &mut Ward, rng: &mut Rng) -> Result<()> {
    for writer in &mut ward.writers {
        let newest = writer.sent.len().saturating_sub(3)..writer.sent.len();
        let any = usize::try_from(rng.range(0, writer.sent.len() as u64))?;
        for sequence in newest.chain([any]) {
            let label = writer.label(sequence);
            let event = writer.user.must_send(&writer.room, &label, &label).await?;
            if let Some(promised) = &writer.sent[sequence] {
                promised!(*promised == event, "{label} was acknowledged as {promised}, and is now {event}");
            }
            writer.sent[sequence] = Some(event);
        }
    }
    Ok(())
}

/// The whole history of a room, in both directions.
async fn histories(ward: &Ward, room: &str) -> Result<()> {
    let user = &ward.readers[0].user;
    let back = backwards(user, room).await?;
    let forth = user.history(room, "f", PAGE).await?;
    let ids =
        |events: &[Value]| -> Result<Vec<String>> { events.iter().map(|event| text(event, "event_id")).collect() };
    promised!(ids(&back)? == ids(&forth)?, "{room} is another room when it is read forwards");
    promised!(back.first().is_some_and(|event| event["type"] == "m.room.create"), "the beginning of {room}");
    check::messages(&messages(&back), &ward.writers, room, true)
}

/// All events of `room`, oldest first, read from the newest.
async fn backwards(user: &User, room: &str) -> Result<Vec<Value>> {
    let mut events = user.history(room, "b", PAGE).await?;
    events.reverse();
    Ok(events)
}

fn messages(events: &[Value]) -> Vec<Message> {
    events.iter().filter_map(Message::from_event).collect()
}

/// Those who followed `/sync` have everything, with the tokens they had at the kill and with older ones.
async fn readers(ward: &mut Ward) -> Result<()> {
    let mut readers = ward.readers.clone();
    for reader in &mut readers {
        complete(reader, ward).await.context("from the token at the kill")?;
    }
    for mut reader in ward.earlier.clone() {
        complete(&mut reader, ward).await.context("from an older token")?;
    }
    ward.readers = readers;
    Ok(())
}

/// A reader without a token gets everything too.
pub async fn afresh(ward: &Ward) -> Result<()> {
    for reader in &ward.readers {
        complete(&mut Reader::new(&reader.user, reader.limit), ward).await.context("without a token")?;
    }
    Ok(())
}

/// Syncs until the reader has everything. A sync may come before the wake-up that follows a commit, so only one that waited
/// and brought nothing is the last word.
async fn complete(reader: &mut Reader, ward: &Ward) -> Result<()> {
    loop {
        reader.catch_up().await?;
        let Err(missing) = check_reader(reader, ward) else { return Ok(()) };
        if reader.step(PATIENCE_MS).await? == 0 {
            return Err(missing);
        }
    }
}

fn check_reader(reader: &Reader, ward: &Ward) -> Result<()> {
    for room in &ward.rooms {
        check::messages(reader.messages(room), &ward.writers, room, true)
            .with_context(|| format!("sync of {}", reader.user.id))?;
    }
    Ok(())
}
