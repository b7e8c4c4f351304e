//! Two people talk encrypted through a client library that others wrote.
//!
//! They verify each other, write both ways, the keys are backed up; a device more of one of them is given the recovery key and reads what
//! was written before it was there; it is removed, and what is written then is not for it. `MESSAGES` is how much they write.

mod person;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use harness::{Launch, Scratch, environment};
use matrix_sdk::Room;
use matrix_sdk::encryption::verification::{SasVerification, Verification};

use person::{Person, Read};

/// Bound of all that is waited for. All of it takes seconds.
const PATIENCE: Duration = Duration::from_mins(5);
/// Rounds of syncs in which something must have come about.
const ROUNDS: usize = 60;

#[tokio::main]
async fn main() -> Result<()> {
    let (sdk, crypto) = (environment::locked_version("matrix-sdk")?, environment::locked_version("matrix-sdk-crypto")?);
    println!("encrypted: through matrix-sdk {sdk} (matrix-sdk-crypto {crypto})");
    let messages = environment::number("MESSAGES", 6)?;
    let folder = Scratch::new()?;
    let result = tokio::time::timeout(PATIENCE, talk(folder.path(), messages)).await.context("nothing moves");
    folder.settle(result.flatten())?;
    println!("encrypted: {messages} messages, verified, restored from the backup, a device removed");
    Ok(())
}

async fn talk(folder: &Path, messages: usize) -> Result<()> {
    let launch = Launch::new(folder)?;
    let server = launch.start()?;
    let mut alice = Person::new(&launch, "alice").await?;
    let mut bob = Person::new(&launch, "bob").await?;
    let rooms = meet(&mut alice, &mut bob).await?;
    verify(&mut alice, &mut bob).await?;

    let said = speak([&mut alice, &mut bob], &rooms, 0..messages).await?;
    for person in [&alice, &bob] {
        ensure!(person.read == said, "{} read {:?}, not {said:?}", person.name, person.read);
    }

    let key = alice.back_up().await?;
    let mut later = Person::sign_in(&launch, "alice").await?;
    // It has no key of what was written before it was there.
    later.sync().await?;
    ensure!(!later.unread.is_empty() && later.read.is_empty(), "the new device reads without keys");
    later.restore(&key, rooms[0].room_id()).await?;
    let history = later.page_back(rooms[0].room_id()).await?;
    ensure!(history == said, "the new device reads {history:?}, not {said:?}");
    until(&mut [&mut bob, &mut alice], async |people| people[0].trusts(&later).await)
        .await
        .context("bob trusts the new device")?;
    let more = speak([&mut alice, &mut bob], &rooms, messages..messages + 2).await?;
    later.sync().await?;
    ensure!(more.iter().all(|(event, text)| later.read.get(event) == Some(text)), "the new device hears nothing");

    alice.remove(&later).await?;
    until(&mut [&mut bob], async |people| people[0].does_not_know(&later).await)
        .await
        .context("bob hears of the removal")?;
    let sent = bob.send(&rooms[1], "not for the removed device").await?;
    until(&mut [&mut alice], async |people| Ok(people[0].read.contains_key(&sent))).await.context("alice reads on")?;
    ensure!(later.sync().await.is_err(), "the removed device still syncs");
    ensure!(!later.read.contains_key(&sent), "the removed device read on");
    ensure!(alice.unread.is_empty() && bob.unread.is_empty(), "not read: {:?} {:?}", alice.unread, bob.unread);
    server.stop()
}

/// A room of the two, encrypted.
async fn meet(alice: &mut Person, bob: &mut Person) -> Result<[Room; 2]> {
    let of_alice = alice.client.create_dm(bob.id()?).await.context("createRoom")?;
    let id = of_alice.room_id().to_owned();
    until(&mut [&mut *bob], async |people| Ok(people[0].is_invited(&id))).await.context("an invitation")?;
    let of_bob = bob.client.get_room(&id).context("invited")?;
    of_bob.join().await.context("join")?;
    // Each learns of the other, and of the other's devices.
    alice.sync().await?;
    bob.sync().await?;
    alice.sync().await?;
    ensure!(of_alice.encryption_state().is_encrypted(), "the room is not encrypted");
    Ok([of_alice, of_bob])
}

/// Both compare what their devices show (Client-Server API, Short Authentication String verification).
async fn verify(alice: &mut Person, bob: &mut Person) -> Result<()> {
    let identity = alice.client.encryption().request_user_identity(bob.id()?).await?.context("bob's keys")?;
    let asked = identity.request_verification().await.context("request")?;
    let (flow, from, to) = (asked.flow_id().to_owned(), alice.id()?.to_owned(), bob.id()?.to_owned());
    let mut answered = None;
    for _ in 0..ROUNDS {
        bob.sync().await?;
        answered = bob.client.encryption().get_verification_request(&from, &flow).await;
        if answered.is_some() {
            break;
        }
    }
    answered.context("the request comes")?.accept().await.context("accept")?;
    for _ in 0..ROUNDS {
        alice.sync().await?;
        if asked.is_ready() {
            break;
        }
    }
    let of_alice = asked.start_sas().await?.context("both can compare")?;
    let mut of_bob = None;
    for _ in 0..ROUNDS {
        bob.sync().await?;
        of_bob = sas(bob, &from, &flow).await;
        if of_bob.is_some() {
            break;
        }
    }
    let of_bob = of_bob.context("the comparison comes")?;
    of_bob.accept().await.context("accept")?;
    for _ in 0..ROUNDS {
        alice.sync().await?;
        bob.sync().await?;
        if of_alice.can_be_presented() && of_bob.can_be_presented() {
            break;
        }
    }
    ensure!(of_alice.decimals().is_some() && of_alice.decimals() == of_bob.decimals(), "they see different numbers");
    of_alice.confirm().await?;
    of_bob.confirm().await?;
    for _ in 0..ROUNDS {
        alice.sync().await?;
        bob.sync().await?;
        if of_alice.is_done() && of_bob.is_done() {
            break;
        }
    }
    ensure!(of_alice.is_done() && of_bob.is_done(), "the comparison does not end");
    // Each is told of the signature that the other uploaded, and fetches it.
    until(&mut [alice, bob], async |people| {
        Ok(people[0].has_verified(&to).await? && people[1].has_verified(&from).await?)
    })
    .await
    .context("both see that they verified each other")
}

async fn sas(person: &Person, other: &matrix_sdk::ruma::UserId, flow: &str) -> Option<SasVerification> {
    match person.client.encryption().get_verification(other, flow).await? {
        Verification::SasV1(sas) => Some(sas),
        _ => None,
    }
}

/// Both write in turn, each after a look at what the other wrote, until both have read it all.
async fn speak(mut people: [&mut Person; 2], rooms: &[Room; 2], numbers: std::ops::Range<usize>) -> Result<Read> {
    let mut said = BTreeMap::new();
    for number in numbers {
        let text = format!("message {number}");
        let writer = &mut *people[number % 2];
        // A timeline has room for some messages. A long conversation that nobody looked at would come with a gap.
        writer.sync().await?;
        said.insert(writer.send(&rooms[number % 2], &text).await?, text);
    }
    until(&mut people, async |people| {
        Ok(said.keys().all(|event| people.iter().all(|person| person.read.contains_key(event))))
    })
    .await
    .context("both read everything")?;
    Ok(said)
}

/// Everybody syncs in turn until `done`.
async fn until(people: &mut [&mut Person], done: impl AsyncFn(&[&mut Person]) -> Result<bool>) -> Result<()> {
    for _ in 0..ROUNDS {
        if done(people).await? {
            return Ok(());
        }
        for person in people.iter_mut() {
            person.sync().await?;
        }
    }
    bail!("not after {ROUNDS} rounds")
}
