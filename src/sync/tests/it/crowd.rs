//! A room of 10,000 members: what does not grow with it.

use futures::{StreamExt, stream};
use ruma::OwnedRoomId;
use wardstead_accounts::Session;
use wardstead_engine::counting::Reading;
use wardstead_rooms::Membership;

use crate::support::{Server, server};

/// Bytes of the first cached snapshot for each entry of the state, and of each further snapshot, at most.
const ENTRY_BYTES: u64 = 20;
const FURTHER_BYTES: u64 = 16 * 1024;

/// Lets users join until `room` has `members` of them; `names` keeps their names apart. Those who joined.
async fn grow(server: &Server, room: &OwnedRoomId, names: &str, count: usize) -> Vec<Session> {
    let members = stream::iter(0..count).map(|number| async move {
        let member = server.user(&format!("{names}-{number}")).await;
        server.rooms.set_membership(&member, room, &member.user_id, Membership::Join, None).await.unwrap();
        member
    });
    members.buffer_unordered(64).collect().await
}

fn less(after: (Reading, u64), before: (Reading, u64)) -> (u64, u64, u64, u64) {
    let (now, then) = (after.0, before.0);
    (now.gets - then.gets, now.keys - then.keys, now.scans - then.scans, after.1 - before.1)
}

/// Reads, keys and scanned rows of a join and of a message, with what follows from them for those who wait.
async fn costs(server: &Server, room: &OwnedRoomId, name: &str) -> [(u64, u64, u64, u64); 2] {
    let [one, two] = [0, 1].map(|number| format!("{name}-{number}"));
    let (first, guest) = (server.user(&one).await, server.user(&two).await);
    // After the first there is nothing that is read for the first time.
    server.join(&first, room).await;
    server.settle().await;
    let read = || (server.counts.read(), server.counts.scanned_rows());
    let began = read();
    server.join(&guest, room).await;
    server.settle().await;
    let joined = read();
    server.say(&guest, room, "hello").await;
    server.settle().await;
    [less(joined, began), less(read(), joined)]
}

#[tokio::test(start_paused = true)]
async fn a_join_and_a_message_cost_the_same_at_100_and_at_10000_members() {
    let server = server().await;
    let anna = server.user("anna").await;
    let room = server.open_room(&anna, "shared").await;
    // Somebody waits, so that whoever is concerned has to be found.
    let _waiting = server.store.listen(anna.user);
    grow(&server, &room, "few", 97).await;
    let few = costs(&server, &room, "guest").await;
    grow(&server, &room, "many", 9_900).await;
    let many = costs(&server, &room, "visitor").await;
    assert_eq!(few, many, "gets, keys, scans, rows: of a join, of a message");
    assert!(many.iter().all(|(gets, _, scans, rows)| gets + scans <= 12 && *rows <= 4), "{many:?}");

    // Another node has nothing in its memory: the first snapshot that it looks at, and those after it.
    let node = server.node(2).await;
    let cached = || node.rooms.caches().into_iter().find(|(name, ..)| *name == "snapshots").unwrap().1;
    let members = node.rooms.members(&anna, &room).await.unwrap();
    let entries = members.len() as u64;
    assert!(entries > 10_000, "{entries}");
    let first = cached();
    assert!(first > 16 * entries && first <= ENTRY_BYTES * entries, "{first} bytes for {entries} entries");
    let mut before = first;
    for member in grow(&node, &room, "later", 140).await.iter().take(70) {
        before = cached();
        node.leave(member, &room).await;
        let further = cached() - before;
        assert!(further <= FURTHER_BYTES, "{further} bytes");
    }
    let further = (before - first) / 200;
    assert!(further <= FURTHER_BYTES, "{further} bytes each");
}
