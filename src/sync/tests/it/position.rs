//! An answer is built for one position and holds nothing above it, whatever happens while it is built.

use std::sync::atomic::Ordering;

use serde_json::json;
use wardstead_rooms::Membership;

use crate::support::{Answer, open, server, state};

/// While one read after the other is about to be made, somebody speaks, sets a topic, and leaves; the answer is the same, and the
/// next one has it all.
#[tokio::test(start_paused = true)]
async fn what_happens_meanwhile_is_for_the_next_answer() {
    for case in ["initial", "incremental", "gappy", "full state", "joined"] {
        let mut happened = 0;
        for n in 1.. {
            let server = server().await;
            let [anna, ben] = server.users(["anna", "ben"]).await;
            let room = server.open_room(&anna, "shared").await;
            if case != "joined" {
                server.join(&ben, &room).await;
            }
            let first = server.sync(&ben, None).await;
            if case == "joined" {
                server.join(&ben, &room).await;
            }
            server.topic(&anna, &room, "before").await;
            server.say_many(&anna, &room, 3).await;
            // Its memory is empty, so that every kind of read is made.
            let node = server.node(7).await;
            let since = (case != "initial").then_some(&first);
            let limit = if case == "gappy" { 2 } else { 10 };
            let request = || wardstead_sync::SyncRequest {
                since: since.map(Answer::next),
                full_state: case == "full state",
                filter: wardstead_sync::SyncFilter::parse(&crate::support::limit_filter(limit).to_string()).unwrap(),
                ..wardstead_sync::SyncRequest::default()
            };
            let expected = node.ask(&ben, request()).await.unwrap();

            let node = server.node(8).await;
            let (other, anna_too, ben_too, room_too) = (server.clone(), anna.clone(), ben.clone(), room.clone());
            node.meanwhile.before_read(n, async move {
                other.topic(&anna_too, &room_too, "meanwhile").await;
                other.say(&anna_too, &room_too, "meanwhile").await;
                other.leave(&ben_too, &room_too).await;
                other.say(&anna_too, &room_too, "after").await;
            });
            let answer = node.ask(&ben, request()).await.unwrap();
            if node.meanwhile.take().is_some() {
                break;
            }
            happened += 1;
            assert_eq!(answer.said(), expected.said(), "{case}, read {n}");
            let next = node.sync(&ben, Some(&answer)).await;
            assert_eq!(next.rooms("leave"), [room.as_str()], "{case}, read {n}");
            assert_eq!(next.left(&room).events().len(), 3, "{case}, read {n}: topic, message, leaving");
        }
        assert!(happened >= 3, "{case}: {happened} reads");
    }
}

/// Joining and being invited while the answer is built.
#[tokio::test(start_paused = true)]
async fn arriving_meanwhile() {
    for n in 1.. {
        let server = server().await;
        let [anna, ben] = server.users(["anna", "ben"]).await;
        let (mine, room) = (server.room(&[&anna, &ben]).await, server.open_room(&anna, "shared").await);
        let invited = server.room(&[&anna]).await;
        server.member(&anna, &invited, &ben, Membership::Invite).await;
        let since = server.sync(&ben, None).await;
        server.say(&anna, &mine, "hello").await;
        server.say(&anna, &room, "not yet").await;
        let node = server.node(7).await;
        let (other, anna_too, ben_too) = (server.clone(), anna.clone(), ben.clone());
        let (room_too, invited_too) = (room.clone(), invited.clone());
        node.meanwhile.before_read(n, async move {
            other.join(&ben_too, &room_too).await;
            other.leave(&ben_too, &invited_too).await;
            other.member(&anna_too, &invited_too, &ben_too, Membership::Invite).await;
        });
        let answer = node.sync(&ben, Some(&since)).await;
        if node.meanwhile.take().is_some() {
            assert!(n > 3);
            return;
        }
        assert_eq!((answer.rooms("join"), answer.rooms("invite").len()), (vec![mine.to_string()], 0), "read {n}");
        assert!(answer.rooms("leave").is_empty(), "read {n}");
        let next = node.sync(&ben, Some(&answer)).await;
        assert_eq!(next.rooms("join"), [room.as_str()], "read {n}");
        assert_eq!(next.rooms("invite"), [invited.as_str()], "read {n}");
        assert!(next.joined(&room).events().len() >= 8, "read {n}: all of the room");
    }
}

/// An invitation that is answered while it is being told is told by its answer; it never comes without what it invites to.
#[tokio::test(start_paused = true)]
async fn an_invitation_answered_meanwhile() {
    for initial in [false, true] {
        for n in 1.. {
            let server = server().await;
            let [anna, ben] = server.users(["anna", "ben"]).await;
            let room = server.rooms.create(&anna, open("shared")).await.unwrap();
            let since = server.sync(&ben, None).await;
            server.member(&anna, &room, &ben, Membership::Invite).await;
            let node = server.node(7).await;
            let (other, ben_too, room_too) = (server.clone(), ben.clone(), room.clone());
            node.meanwhile.before_read(n, async move {
                other.join(&ben_too, &room_too).await;
            });
            let answer = node.sync(&ben, (!initial).then_some(&since)).await;
            if node.meanwhile.take().is_some() {
                break;
            }
            for invited in answer.rooms("invite") {
                assert!(answer.0["rooms"]["invite"][invited]["invite_state"]["events"][0].is_object(), "read {n}");
            }
            assert!(answer.rooms("join").is_empty() && answer.rooms("leave").is_empty(), "read {n}");
            let next = node.sync(&ben, Some(&answer)).await;
            assert_eq!(next.rooms("join"), [room.as_str()], "read {n}");
            let section = next.joined(&room);
            assert_eq!(section.state().len() + section.events().len(), 8, "read {n}: the whole room");
        }
    }
}

/// A tail can stand between the event of a membership and the entry that tells the user of it: the answer for that position
/// tells all, and no later one is missing anything.
#[tokio::test(start_paused = true)]
async fn between_the_entries_of_one_commit() {
    for membership in [Membership::Join, Membership::Leave, Membership::Invite] {
        let server = server().await;
        let [anna, ben] = server.users(["anna", "ben"]).await;
        let room = server.open_room(&anna, "shared").await;
        if membership == Membership::Leave {
            server.join(&ben, &room).await;
        }
        let since = server.sync(&ben, None).await;
        let node = server.node(2).await;
        let by = if membership == Membership::Invite { &anna } else { &ben };
        let event_id = server.member(by, &room, &ben, membership).await;
        let said = server.say(&anna, &room, "later").await;
        let (event, _) = server.rooms.event(&anna, &room, &event_id).await.unwrap();

        node.horizon.store(event.position.0, Ordering::SeqCst);
        let answer = node.sync(&ben, Some(&since)).await;
        assert_eq!(node.store.position(), event.position);
        match membership {
            Membership::Join => {
                let joined = answer.joined(&room);
                assert_eq!(joined.state().len() + joined.events().len(), 7, "the whole room");
            }
            Membership::Leave => assert_eq!(answer.left(&room).timeline(), [event_id.to_string()]),
            _ => assert_eq!(answer.rooms("invite"), [room.as_str()]),
        }
        node.horizon.store(u64::MAX, Ordering::SeqCst);
        let next = node.sync(&ben, Some(&answer)).await;
        if membership == Membership::Join {
            assert_eq!(next.joined(&room).timeline(), [said.to_string()]);
        } else {
            // Whom one shares no room with any more is told by the second entry.
            assert!(next.0["rooms"].is_null(), "{next:?}");
        }
    }
}

/// A knock that is answered while it is being told is told by its answer; it never comes without what it is about.
#[tokio::test(start_paused = true)]
async fn a_knock_answered_meanwhile() {
    for initial in [false, true] {
        for n in 1.. {
            let server = server().await;
            let [anna, ben] = server.users(["anna", "ben"]).await;
            let room = server.rooms.create(&anna, open("shared")).await.unwrap();
            let knock = state("m.room.join_rules", "", &json!({ "join_rule": "knock" }));
            server.try_send(&anna, &room, knock).await.unwrap();
            let since = server.sync(&ben, None).await;
            server.member(&ben, &room, &ben, Membership::Knock).await;
            let node = server.node(7).await;
            let (other, anna_too, ben_too, room_too) = (server.clone(), anna.clone(), ben.clone(), room.clone());
            node.meanwhile.before_read(n, async move {
                other.member(&anna_too, &room_too, &ben_too, Membership::Invite).await;
            });
            let answer = node.sync(&ben, (!initial).then_some(&since)).await;
            if node.meanwhile.take().is_some() {
                assert_eq!(answer.rooms("knock"), [room.as_str()]);
                break;
            }
            for knocked in answer.rooms("knock") {
                assert!(answer.0["rooms"]["knock"][knocked]["knock_state"]["events"][0].is_object(), "read {n}");
            }
            assert!(answer.rooms("invite").is_empty() && answer.rooms("leave").is_empty(), "read {n}");
            let next = node.sync(&ben, Some(&answer)).await;
            assert_eq!(next.rooms("invite"), [room.as_str()], "read {n}");
            assert!(next.rooms("knock").is_empty(), "read {n}");
        }
    }
}
