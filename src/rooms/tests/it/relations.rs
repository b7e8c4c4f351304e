//! Relations: what they cost, that none is lost, that a failing read is never a smaller answer.

use futures::future::join_all;
use ruma::{EventId, OwnedEventId, RoomId};
use serde_json::{Value, json};
use wardstead_accounts::Session;
use wardstead_engine::{AccessPattern, Engine as _, PageLimit, Position, ScanRange, TableId, counting::Reading};
use wardstead_rooms::{Asked, Draft, EventFilter, Messages, Relations, RoomError, Sight, Threads};

use crate::support::{Server, kind, raw, server};

fn related(rel_type: &str, parent: &EventId) -> Draft {
    let content = json!({
        "msgtype": "m.text",
        "body": "b",
        "m.new_content": { "msgtype": "m.text", "body": "b" },
        "m.relates_to": { "rel_type": rel_type, "event_id": parent },
    });
    Draft { event_type: "m.room.message".to_owned(), state_key: None, content: raw(&content), txn_id: None }
}

async fn relate(
    server: &Server,
    by: &Session,
    room: &RoomId,
    rel_type: &str,
    parent: &EventId,
) -> Result<OwnedEventId, RoomError> {
    server.send(by, room, related(rel_type, parent)).await
}

/// Rows of the room in all tables of rooms.
async fn rows(server: &Server, room: u64) -> usize {
    let mut count = 0;
    for pattern in [AccessPattern::Point, AccessPattern::Scan, AccessPattern::Append, AccessPattern::Churn] {
        for number in 0x040..0x080 {
            let range = ScanRange::scope(TableId::new(pattern, number), room);
            count += server.engine.scan(Position::ZERO, &range, PageLimit::default()).await.unwrap().rows.len();
        }
    }
    count
}

/// What `act` reads.
async fn reads<T>(server: &Server, act: impl Future<Output = T>) -> (T, Reading) {
    // The tail's own reads are no part of it.
    server.store.caught_up().await.unwrap();
    let before = server.counts.read();
    let done = act.await;
    let after = server.counts.read();
    let Reading { gets, keys, scans, .. } = after;
    let read = Reading {
        gets: gets - before.gets,
        keys: keys - before.keys,
        scans: scans - before.scans,
        ..Reading::default()
    };
    (done, read)
}

/// An ordinary message has no row and no read for relations; each kind of relation has those that it needs.
#[tokio::test]
async fn what_a_message_costs() {
    let server = server().await;
    let ada = server.user("ada").await;
    let room = server.room(&[&ada]).await;
    let short = server.access(&ada, &room).await.unwrap().room.short;
    let start = server.say(&ada, &room, "start").await.unwrap();
    let mut before = rows(&server, short).await;
    let mut new_rows = async |sent: Result<OwnedEventId, RoomError>| {
        sent.unwrap();
        let now = rows(&server, short).await;
        std::mem::replace(&mut before, now).abs_diff(now)
    };
    // Event, timeline, arrival.
    let (said, read) = reads(&server, server.say(&ada, &room, "plain")).await;
    assert_eq!((new_rows(said).await, read.gets, read.keys), (3, 1, 1), "the head");
    let (reaction, read) = reads(&server, relate(&server, &ada, &room, "m.annotation", &start)).await;
    assert_eq!((new_rows(reaction).await, read.gets, read.keys), (4, 1, 1));
    // The first edit marks the message, whose new form the second one reads.
    for expected in [2, 2, 1] {
        let (edit, read) = reads(&server, relate(&server, &ada, &room, "m.replace", &start)).await;
        assert_eq!((new_rows(edit).await, read.gets), (4, expected));
    }
    // Relation, reply by place; and with the first one thread and speaker.
    for expected in [7, 5] {
        assert_eq!(new_rows(relate(&server, &ada, &room, "m.thread", &start).await).await, expected);
    }
}

/// A page of messages without relations is read as if there were none in the room.
#[tokio::test]
async fn what_a_page_costs() {
    let server = server().await;
    let ada = server.user("ada").await;
    let (room, other) = (server.room(&[&ada]).await, server.room(&[&ada]).await);
    let first = server.say(&ada, &room, "first").await.unwrap();
    server.say(&ada, &other, "first").await.unwrap();
    for rel_type in ["m.replace", "m.thread", "m.reference", "m.annotation"] {
        relate(&server, &ada, &room, rel_type, &first).await.unwrap();
    }
    for _ in 0..30 {
        server.say(&ada, &room, "x").await.unwrap();
        server.say(&ada, &other, "x").await.unwrap();
    }
    let page = Messages { backwards: true, limit: Some(20), ..Messages::default() };
    let (_, here) = reads(&server, server.messages(&ada, &room, &page)).await;
    let (_, there) = reads(&server, server.messages(&ada, &other, &page)).await;
    assert_eq!(here, there);
    let all = Messages { limit: Some(100), ..page };
    server.messages(&ada, &room, &all).await.unwrap();
    let (_, with) = reads(&server, server.messages(&ada, &room, &all)).await;
    assert_eq!((with.gets - here.gets, with.scans - here.scans), (1, 2), "thread and speaker; edits, references");
}

/// Replies from two nodes at once: each is counted.
#[tokio::test]
async fn replies_at_once() {
    let server = server().await;
    let (ada, ben) = (server.user("ada").await, server.user("ben").await);
    let room = server.room(&[&ada, &ben]).await;
    let other = server.node(2).await;
    let start = server.say(&ada, &room, "start").await.unwrap();
    let replies = (0..40).map(|number| {
        let (node, by) = (if number % 2 == 0 { &server } else { &other }, if number % 3 == 0 { &ada } else { &ben });
        relate(node, by, &room, "m.thread", &start)
    });
    let sent: Vec<_> = join_all(replies).await.into_iter().collect::<Result<_, _>>().unwrap();
    for node in [&server, &other, &server.node(3).await] {
        node.store.caught_up().await.unwrap();
        let (event, _) = node.event(&ben, &room, &start).await.unwrap();
        let json: Value = serde_json::from_str(&node.client_json(&event, &ben, None).to_json()).unwrap();
        let thread = &json["unsigned"]["m.relations"]["m.thread"];
        assert_eq!((&thread["count"], &thread["current_user_participated"]), (&json!(40), &json!(true)));
    }
    // Redacted from both, every second one: what is left is counted, and nobody speaks who has nothing left.
    let redactions =
        sent.iter().enumerate().filter(|(number, _)| number % 3 != 0 || number % 2 == 0).map(|(number, event)| {
            let (node, by) =
                (if number % 2 == 0 { &other } else { &server }, if number % 3 == 0 { &ada } else { &ben });
            node.redact(by, &room, event, None, number.to_string().into())
        });
    let redacted: Vec<_> = join_all(redactions).await.into_iter().collect::<Result<_, _>>().unwrap();
    // What was built on a batch that lost to the other node's lost too: each event follows on one that is there.
    for pair in server.node(4).await.timeline(&ada, &room).await.windows(2) {
        assert_eq!(pair[1].prev_events, [pair[0].event_id.clone()]);
    }
    other.store.caught_up().await.unwrap();
    let (event, _) = other.event(&ben, &room, &start).await.unwrap();
    let json: Value = serde_json::from_str(&other.client_json(&event, &ben, None).to_json()).unwrap();
    let thread = &json["unsigned"]["m.relations"]["m.thread"];
    assert_eq!((&thread["count"], &thread["current_user_participated"]), (&json!(40 - redacted.len()), &json!(false)));
}

/// Each read of each way to read relations fails once: an error or the faultless answer, never a smaller one.
#[tokio::test]
async fn a_failing_read_is_never_a_smaller_answer() {
    let server = server().await;
    let ada = server.user("ada").await;
    let room = server.room(&[&ada]).await;
    let start = server.say(&ada, &room, "start").await.unwrap();
    for rel_type in ["m.replace", "m.thread", "m.reference", "m.annotation"] {
        let child = relate(&server, &ada, &room, rel_type, &start).await.unwrap();
        relate(&server, &ada, &room, "m.annotation", &child).await.unwrap();
    }
    let request = |recurse| Relations {
        parent: start.clone(),
        rel_type: None,
        event_type: None,
        from: None,
        to: None,
        backwards: true,
        limit: None,
        recurse,
    };
    let faults = server.engine.faults();
    for way in 0..6 {
        let mut faultless = None;
        for n in 0..200 {
            let node = server.node(1_000 + 200 * way + n).await;
            let before = faults.reads();
            if n > 0 {
                faults.fail_read(n);
            }
            let answer = match way {
                0 => node.relations(&ada, &room, &request(false)).await.map(|page| format!("{:?}", ids(&page.events))),
                1 => node.relations(&ada, &room, &request(true)).await.map(|page| format!("{:?}", ids(&page.events))),
                2 => node.threads(&ada, &room, &Threads::default()).await.map(|page| json_of(&node, &ada, &page.roots)),
                3 => node
                    .context(&ada, &room, &start, 20, &EventFilter::default())
                    .await
                    .map(|context| json_of(&node, &ada, &context.after) + &context.state.len().to_string()),
                4 => node
                    .messages(&ada, &room, &Messages { limit: Some(50), ..Messages::default() })
                    .await
                    .map(|page| json_of(&node, &ada, &page.events)),
                _ => node.event_near(&ada, &room, u64::MAX, true).await.map(|event| event.event_id.to_string()),
            };
            let happened = n == 0 || faults.reads() >= before + n;
            faults.clear();
            match answer {
                Ok(answer) => assert_eq!(faultless.get_or_insert(answer.clone()), &answer, "way {way}, read {n}"),
                Err(error) => assert!(happened && error.retryable(), "way {way}, read {n}: {error}"),
            }
            if !happened {
                break;
            }
        }
    }
    assert_eq!(kind(server.say(&ada, &room, "after").await), "ok");
}

fn ids(events: &[(wardstead_rooms::Seen, wardstead_rooms::Membership)]) -> Vec<String> {
    events.iter().map(|(event, _)| event.event_id.to_string()).collect()
}

fn json_of(server: &Server, by: &Session, events: &[(wardstead_rooms::Seen, wardstead_rooms::Membership)]) -> String {
    events.iter().map(|(event, membership)| server.client_json(event, by, Some(*membership)).to_json()).collect()
}

/// Filters by what relates to an event (MSC3440), in `/messages`, `/context` and the timelines of a sync.
#[tokio::test]
async fn events_are_found_by_what_relates_to_them() {
    let server = server().await;
    let (ada, ben, cy) = (server.user("ada").await, server.user("ben").await, server.user("cy").await);
    let room = server.room(&[&ada, &ben, &cy]).await;
    let mut said = Vec::new();
    for body in ["thread of ben", "thread of cy", "edited", "liked", "alone"] {
        said.push(server.say(&ada, &room, body).await.unwrap());
    }
    let before = server.store.position();
    for (by, rel_type, parent) in
        [(&ben, "m.thread", 0), (&cy, "m.thread", 1), (&ada, "m.replace", 2), (&cy, "m.annotation", 3)]
    {
        relate(&server, by, &room, rel_type, &said[parent]).await.unwrap();
    }
    server.store.caught_up().await.unwrap();
    for (filter, expected) in [
        (json!({ "related_by_rel_types": ["m.thread"] }), vec![0, 1]),
        (json!({ "related_by_rel_types": ["m.thread"], "related_by_senders": [ben.user_id] }), vec![0]),
        (json!({ "related_by_senders": [cy.user_id] }), vec![1, 3]),
        (json!({ "related_by_rel_types": ["m.annotation", "m.replace"] }), vec![2, 3]),
        (json!({ "related_by_rel_types": ["m.thread"], "related_by_senders": [ada.user_id] }), vec![]),
        (json!({ "related_by_rel_types": ["m.thread"], "not_senders": [ada.user_id] }), vec![]),
        (json!({ "related_by_rel_types": [] }), vec![]),
    ] {
        let expected: Vec<String> = expected.into_iter().map(|at: usize| said[at].to_string()).collect();
        let parsed = EventFilter::parse(&filter.to_string()).unwrap();
        let request = Messages { filter: parsed.clone(), backwards: false, limit: Some(50), ..Messages::default() };
        assert_eq!(ids(&server.messages(&ada, &room, &request).await.unwrap().events), expected, "{filter}");
        let context = server.context(&ada, &room, &said[4], 50, &parsed).await.unwrap();
        let mut around = ids(&context.before);
        around.reverse();
        assert_eq!(around, expected, "{filter}");

        let access = server.access(&ada, &room).await.unwrap();
        let mut sight = Sight::new(&ada, &access);
        let asked = Asked { limit: 50, filter: &parsed, scan: 1_000 };
        let upto = server.store.position();
        let slice = server.timeline_range(&access.room, Position::ZERO, upto, asked, &mut sight).await.unwrap();
        let mut shown = ids(&slice.events);
        shown.sort();
        let mut expected = expected;
        expected.sort();
        assert_eq!(shown, expected, "{filter}");
    }
    assert!(before < server.store.position());
}
