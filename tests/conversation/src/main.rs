//! Two people talk through a client library that others wrote: 200 messages, with a restart of the server in the middle.
//!
//! Both follow `/sync` while both write. At the end each has heard every message once and in order; paging back through the
//! room gives the same, and so does a device that signs in afterwards.

mod person;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::{Launch, Scratch, Server, environment};
use matrix_sdk::Room;
use matrix_sdk::ruma::OwnedEventId;
use matrix_sdk::ruma::events::room::message::RoomMessageEventContent;

use person::{Heard, Person};

/// Messages, half of them by each.
const MESSAGES: usize = 200;
/// The server restarts after this many.
const RESTART_AFTER: usize = 100;
/// Bound of all that is waited for. The whole conversation takes seconds.
const PATIENCE: Duration = Duration::from_mins(3);

#[tokio::main]
async fn main() -> Result<()> {
    let (sdk, ruma) = (environment::locked_version("matrix-sdk")?, environment::locked_version("ruma")?);
    println!("conversation: through matrix-sdk {sdk} (with ruma {ruma})");
    let folder = Scratch::new()?;
    let result = tokio::time::timeout(PATIENCE, talk(folder.path())).await.context("the conversation stands still");
    folder.settle(result.flatten())
}

async fn talk(folder: &Path) -> Result<()> {
    let launch = Launch::new(folder)?;
    let server = launch.start()?;
    let alice = Person::register(&launch.address(), "alice").await?;
    let bob = Person::register(&launch.address(), "bob").await?;
    let of_alice = alice.make_room_for(&bob).await?;
    let of_bob = bob.accept(of_alice.room_id()).await?;

    let listeners = [
        tokio::spawn(alice.clone().listen(of_alice.room_id().to_owned(), MESSAGES)),
        tokio::spawn(bob.clone().listen(of_alice.room_id().to_owned(), MESSAGES)),
    ];
    let (said, server) = speak(&launch, server, [&of_alice, &of_bob]).await?;
    for listener in listeners {
        ensure!(listener.await?? == said, "what was heard is not what was said");
    }
    for room in [&of_alice, &of_bob] {
        ensure!(person::page_back(room, None).await? == said, "paging back gives another conversation");
    }
    let later = Person::sign_in(&launch.address(), "bob").await?;
    ensure!(later.listen(of_alice.room_id().to_owned(), MESSAGES).await? == said, "a new device hears something else");
    server.stop()?;
    println!(
        "conversation: {MESSAGES} messages, a restart after {RESTART_AFTER}, nothing missing, doubled or out of order"
    );
    Ok(())
}

/// Both speak in turn; what was acknowledged, in order.
async fn speak(launch: &Launch, mut server: Server, rooms: [&Room; 2]) -> Result<(Heard, Server)> {
    let mut said = Vec::new();
    for number in 0..MESSAGES {
        if number == RESTART_AFTER {
            server.stop()?;
            server = launch.start()?;
        }
        let body = format!("message {number}");
        let transaction = format!("transaction-{number}");
        let content = RoomMessageEventContent::text_plain(&body);
        let sent = rooms[number % 2].send(content).with_transaction_id(transaction.into()).await?;
        let event: OwnedEventId = sent.response.event_id;
        said.push((event, body));
    }
    Ok((said, server))
}
