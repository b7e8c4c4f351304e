//! The same transaction is the same event.

use futures::future::join_all;

use crate::support::{kind, server};

#[tokio::test]
async fn a_retry_is_the_same_event() {
    let server = server().await;
    let ada = server.user("ada").await;
    let (room, other_room) = (server.room(&[&ada]).await, server.room(&[&ada]).await);
    let first = server.say_once(&ada, &room, "hello", "t1").await.unwrap();
    let before = server.batches();
    assert_eq!(server.say_once(&ada, &room, "hello", "t1").await.unwrap(), first);
    // Even when the room has moved on, and what is said is another thing: the first counts.
    assert_eq!(server.batches(), before);
    server.say(&ada, &room, "more").await.unwrap();
    assert_eq!(server.say_once(&ada, &room, "hallo", "t1").await.unwrap(), first);
    // Another id, another room, another device: another event.
    assert_ne!(server.say_once(&ada, &room, "hello", "t2").await.unwrap(), first);
    assert_ne!(server.say_once(&ada, &other_room, "hello", "t1").await.unwrap(), first);
    let account = server.accounts.find(&ada.user_id).await.unwrap().unwrap();
    let login = server.accounts.login(&account, None, None).await.unwrap().session;
    assert_ne!(server.say_once(&login, &room, "hello", "t1").await.unwrap(), first);
    // After a restart, and on another node.
    let node = server.node(7).await;
    assert_eq!(node.say_once(&ada, &room, "hello", "t1").await.unwrap(), first);
    assert_eq!(server.bodies(&ada, &room).await, ["hello", "more", "hello", "hello"]);
}

/// Retries while the first is on its way, with other senders in between.
#[tokio::test]
async fn a_retry_in_flight_waits_for_the_first() {
    let server = server().await;
    let ada = server.user("ada").await;
    let room = server.room(&[&ada]).await;
    let faults = server.engine.faults();
    faults.stall_commits();
    let tries = join_all((0..8).map(|_| server.say_once(&ada, &room, "hello", "t")));
    let others = join_all((0..8).map(|_| server.say(&ada, &room, "other")));
    let release = async {
        faults.wait_stalled(1).await;
        for _ in 0..64 {
            tokio::task::yield_now().await;
        }
        faults.release_commits();
    };
    let (tries, others, ()) = tokio::join!(tries, others, release);
    let ids: Vec<_> = tries.into_iter().map(Result::unwrap).collect();
    assert!(ids.iter().all(|id| *id == ids[0]));
    assert!(others.iter().all(Result::is_ok));
    assert_eq!(server.bodies(&ada, &room).await.iter().filter(|body| *body == "hello").count(), 1);
}

/// Two nodes that get the same transaction at once.
#[tokio::test]
async fn two_nodes_agree_on_a_transaction() {
    let server = server().await;
    let node = server.node(2).await;
    let ada = server.user("ada").await;
    let room = server.room(&[&ada]).await;
    for round in 0..16 {
        let txn = format!("t{round}");
        let (a, b) =
            tokio::join!(server.say_once(&ada, &room, "hello", &txn), node.say_once(&ada, &room, "hello", &txn));
        assert_eq!(a.unwrap(), b.unwrap());
    }
    assert_eq!(server.bodies(&ada, &room).await.len(), 16);
}

/// The client hangs up while its event is queued: the event is there, and a retry finds it.
#[tokio::test]
async fn a_client_that_hangs_up() {
    let server = server().await;
    let ada = server.user("ada").await;
    let room = server.room(&[&ada]).await;
    let faults = server.engine.faults();
    faults.stall_commits();
    tokio::select! {
        biased;
        _ = server.say_once(&ada, &room, "hello", "t") => panic!("nothing is durable yet"),
        () = faults.wait_stalled(1) => {}
    }
    faults.release_commits();
    assert_eq!(kind(server.say_once(&ada, &room, "hello", "t").await), "ok");
    assert_eq!(server.bodies(&ada, &room).await, ["hello"]);
}
