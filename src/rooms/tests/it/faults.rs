//! A failing engine: an answer is an error or right, and what was acknowledged is there.

use std::collections::BTreeSet;

use futures::future::join_all;
use wardstead_engine_memory::CommitFault;
use wardstead_rooms::{Membership, Messages, NewRoom};

use crate::support::{kind, server};

#[tokio::test]
async fn a_failed_commit_fails_its_senders_and_nobody_after_them() {
    let server = server().await;
    let ada = server.user("ada").await;
    let room = server.room(&[&ada]).await;
    let faults = server.engine.faults();
    let mut acknowledged = BTreeSet::new();
    for (round, fault) in [CommitFault::Unavailable, CommitFault::UnknownBefore, CommitFault::UnknownAfter]
        .into_iter()
        .cycle()
        .take(12)
        .enumerate()
    {
        faults.fail_commit(1 + round as u64 % 3, fault);
        let bodies: Vec<String> = (0..16).map(|number| format!("{round}-{number}")).collect();
        let results = join_all(bodies.iter().map(|body| server.say_once(&ada, &room, body, body))).await;
        for (body, result) in bodies.iter().zip(results) {
            match result {
                Ok(_) => drop(acknowledged.insert(body.clone())),
                Err(error) => assert!(error.retryable(), "{error}"),
            }
        }
        faults.clear();
        assert_eq!(kind(server.say(&ada, &room, "after").await), "ok");
        // The clients that were told to try again.
        for body in &bodies {
            server.say_once(&ada, &room, body, body).await.unwrap();
            acknowledged.insert(body.clone());
        }
    }
    let found: Vec<String> = server.bodies(&ada, &room).await.into_iter().filter(|body| body != "after").collect();
    assert_eq!(found.len(), acknowledged.len(), "nothing twice");
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), acknowledged);
}

/// Each read fails once: the act is done, or the error says that it can be tried again, and then it is done.
#[tokio::test]
async fn each_read_fails_once() {
    let server = server().await;
    let ada = server.user("ada").await;
    let faults = server.engine.faults();
    for n in 1..200 {
        // A node without anything in its caches. Later than the last: in the same millisecond its room would be the same.
        server.clock.advance_ms(1);
        let node = server.node(100 + n).await;
        let ben = server.user(&format!("ben{n}")).await;
        let before = faults.reads();
        faults.fail_read(n);
        let room = match node.create(&ada, NewRoom { invite: vec![ben.user_id.clone()], ..NewRoom::default() }).await {
            Ok(room) => room,
            Err(error) => {
                assert!(error.retryable(), "read {n}: {error}");
                continue;
            }
        };
        let steps = [
            kind(node.become_(&ben, &room, &ben, Membership::Join).await),
            kind(node.say_once(&ben, &room, "hello", "t").await),
            kind(node.state(&ben, &room).await),
            kind(node.messages(&ben, &room, &Messages::default()).await),
        ];
        let happened = faults.reads() >= before + n;
        faults.clear();
        let failed: Vec<_> = steps.iter().filter(|step| **step != "ok").collect();
        assert!(failed.iter().all(|step| ["store", "busy", "forbidden"].contains(step)), "read {n}: {steps:?}");
        assert!(happened || failed.is_empty(), "read {n}: {steps:?}");
        node.become_(&ben, &room, &ben, Membership::Join).await.unwrap();
        node.say_once(&ben, &room, "hello", "t").await.unwrap();
        assert_eq!(node.bodies(&ben, &room).await, ["hello"], "read {n}");
        if !happened {
            return;
        }
    }
    panic!("there is no end of reads");
}

/// A tampered row is an error, never another answer.
#[tokio::test]
async fn a_corrupt_event_is_not_shown() {
    let server = server().await;
    let ada = server.user("ada").await;
    let room = server.room(&[&ada]).await;
    let event = server.say(&ada, &room, "hello").await.unwrap();
    let short = server.rooms.room(&room).await.unwrap().unwrap().short;
    // Table 0x043, point: events by id.
    let table = wardstead_engine::TableId::new(wardstead_engine::AccessPattern::Point, 0x043);
    let key = wardstead_engine::Key::build(table, short).text(event.as_str()).key();
    assert!(server.engine.faults().flip_bit(&key, 400));
    let node = server.node(2).await;
    assert_eq!(kind(node.messages(&ada, &room, &Messages::default()).await), "store");
    assert_eq!(kind(node.event(&ada, &room, &event).await), "store");
    assert_eq!(kind(node.state(&ada, &room).await), "ok");
}
