//! Promise P3: when any read fails, the request fails or is answered as without the fault, and the token can be used again.

use serde_json::json;
use wardstead_accounts::Session;
use wardstead_rooms::Membership;
use wardstead_sync::{StateName, SyncFilter, SyncRequest};

use crate::support::{Answer, Server, limit_filter, server};

struct Situation {
    server: Server,
    by: Session,
    request: SyncRequest,
}

async fn situation(name: &str) -> Situation {
    let server = server().await;
    let [anna, ben, cora] = server.users(["anna", "ben", "cora"]).await;
    let room = server.open_room(&anna, "shared").await;
    let other = server.room(&[&anna, &cora]).await;
    let third = server.open_room(&anna, "joined").await;
    server.join(&cora, &third).await;
    let mut filter = json!({});
    let (mut full_state, mut state) = (false, StateName::Before);
    if name != "newly joined" {
        server.join(&ben, &room).await;
        server.join(&ben, &third).await;
    }
    let mut since: Option<Answer> = Some(server.sync(&ben, None).await);
    server.topic(&anna, &room, "topic").await;
    server.say_many(&anna, &room, 3).await;
    match name {
        "initial" => {
            server.member(&anna, &other, &ben, Membership::Invite).await;
            server.leave(&ben, &third).await;
            (since, filter) = (None, json!({ "room": { "include_leave": true } }));
        }
        "gappy" => {
            server.leave(&cora, &third).await;
            server.join(&cora, &third).await;
            filter = limit_filter(1);
        }
        "newly joined" => {
            server.join(&ben, &room).await;
            server.join(&ben, &third).await;
            filter = limit_filter(2);
        }
        "left" => {
            server.say(&anna, &third, "goodbye").await;
            server.leave(&ben, &third).await;
            server.topic(&anna, &third, "hidden").await;
            server.member(&anna, &third, &ben, Membership::Ban).await;
            server.leave(&ben, &room).await;
        }
        "back again" => {
            server.leave(&ben, &third).await;
            server.topic(&anna, &third, "hidden").await;
            server.join(&ben, &third).await;
        }
        "invited" => drop(server.member(&anna, &other, &ben, Membership::Invite).await),
        "rejected" => {
            server.member(&anna, &other, &ben, Membership::Invite).await;
            server.leave(&ben, &other).await;
        }
        "receipts" | "all receipts" => {
            let events = server.say_many(&anna, &third, 2).await;
            server.read(&cora, &third, &events[0]).await;
            server.read(&ben, &third, &events[1]).await;
            server.read_silently(&ben, &third, &events[0]).await;
            since = since.filter(|_| name == "receipts");
        }
        "full state" => full_state = true,
        "lazy members" => {
            server.say(&cora, &third, "hello").await;
            filter = json!({ "room": { "timeline": { "limit": 2 }, "state": { "lazy_load_members": true } } });
        }
        "lazy members, back again" => {
            server.leave(&ben, &third).await;
            since = Some(server.sync(&ben, None).await);
            server.leave(&cora, &third).await;
            server.join(&ben, &third).await;
            filter = json!({ "room": { "state": { "lazy_load_members": true } } });
        }
        "state after" => {
            server.leave(&cora, &third).await;
            server.leave(&ben, &third).await;
            state = StateName::After;
        }
        "filtered" => {
            server.topic(&anna, &third, "hidden").await;
            let timeline = json!({ "types": ["m.room.message"], "limit": 2 });
            filter = json!({ "event_format": "federation", "room": { "timeline": timeline } });
        }
        _ => {}
    }
    let filter = SyncFilter::parse(&filter.to_string()).unwrap();
    let request =
        SyncRequest { since: since.map(|answer| answer.next()), full_state, filter, state, ..SyncRequest::default() };
    Situation { server, by: ben, request }
}

const SITUATIONS: [&str; 15] = [
    "initial",
    "incremental",
    "gappy",
    "newly joined",
    "left",
    "back again",
    "invited",
    "rejected",
    "receipts",
    "all receipts",
    "full state",
    "lazy members",
    "lazy members, back again",
    "state after",
    "filtered",
];

/// Fails the `n`-th read of the request on `node`, for the node's memory as it is.
async fn failing(node: &Server, situation: &Situation, n: u64, expected: &Answer, about: &str) -> bool {
    node.settle().await;
    node.engine.faults().fail_read(n);
    let answer = node.ask(&situation.by, situation.request.clone()).await;
    node.engine.faults().clear();
    if let Ok(answer) = &answer {
        assert_eq!(answer, expected, "{about}, read {n}");
    }
    let again = node.ask(&situation.by, situation.request.clone()).await.unwrap();
    assert_eq!(&again, expected, "{about}, after read {n} had failed");
    answer.is_err()
}

#[tokio::test(start_paused = true)]
async fn every_failing_read_fails_the_request_or_changes_nothing() {
    for name in SITUATIONS {
        let situation = situation(name).await;
        let expected = situation.server.ask(&situation.by, situation.request.clone()).await.unwrap();
        assert!(!expected.is_empty(), "{name}");

        let reads = {
            let (_, reading) =
                situation.server.reads(situation.server.ask(&situation.by, situation.request.clone())).await;
            reading.gets + reading.scans
        };
        assert!(reads > 0, "{name}");
        for n in 1..=reads {
            let failed = failing(&situation.server, &situation, n, &expected, name).await;
            assert!(failed, "{name}: read {n} of {reads} failed, and nobody noticed");
        }
    }
}

/// The same on a node that knows nothing yet, so that every kind of read is made.
#[tokio::test(start_paused = true)]
async fn the_same_with_an_empty_memory() {
    for name in SITUATIONS {
        let situation = situation(name).await;
        let expected = situation.server.ask(&situation.by, situation.request.clone()).await.unwrap();
        let node = situation.server.node(99).await;
        let (answer, reading) = node.reads(node.ask(&situation.by, situation.request.clone())).await;
        assert_eq!(answer.unwrap(), expected, "{name}");
        let reads = reading.gets + reading.scans;
        assert!(reads >= 4, "{name}: {reads} reads");
        for n in 1..=reads {
            let node = situation.server.node(100 + n).await;
            let failed = failing(&node, &situation, n, &expected, name).await;
            assert!(failed, "{name}: read {n} of {reads} failed, and nobody noticed");
        }
    }
}
