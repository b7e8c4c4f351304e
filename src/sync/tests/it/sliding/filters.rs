//! Filters of lists.

use ruma::OwnedRoomId;
use serde_json::{Value, json};
use wardstead_rooms::{Membership, NewRoom};

use super::slide;
use crate::support::{raw, server, state};

#[tokio::test(start_paused = true)]
async fn each_filter() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let plain = server.room(&[&anna]).await;
    let space_type = Some(raw(&json!({ "type": "m.space" })));
    let space = server.room_of(&[&anna], NewRoom { creation_content: space_type, ..NewRoom::default() }).await;
    let secret = server.room(&[&anna]).await;
    let encryption = state("m.room.encryption", "", &json!({ "algorithm": "m.megolm.v1.aes-sha2" }));
    server.try_send(&anna, &secret, encryption).await.unwrap();
    let direct = server.room(&[&anna]).await;
    let list = raw(&json!({ "@ben:example.org": [direct.as_str()] }));
    server.accounts.set_account_data(anna.user, 0, "m.direct", &list).await.unwrap();
    let invited = server.room(&[&ben]).await;
    server.member(&ben, &invited, &anna, Membership::Invite).await;
    let child = state("m.space.child", plain.as_str(), &json!({ "via": ["example.org"] }));
    server.try_send(&anna, &space, child).await.unwrap();
    let short = server.rooms.room(&plain).await.unwrap().unwrap().short;
    let tags = raw(&json!({ "tags": { "m.favourite": {}, "m.lowpriority": {} } }));
    server.accounts.set_account_data(anna.user, short, "m.tag", &tags).await.unwrap();
    let all = [&plain, &space, &secret, &direct, &invited];
    let but = |without: &[&OwnedRoomId]| -> Vec<OwnedRoomId> {
        all.iter().filter(|room| !without.contains(room)).map(|room| (*room).clone()).collect()
    };
    let cases: Vec<(Value, Vec<OwnedRoomId>)> = vec![
        (json!({}), but(&[])),
        (json!({ "is_dm": true }), vec![direct.clone()]),
        (json!({ "is_dm": false }), but(&[&direct])),
        (json!({ "is_encrypted": true }), vec![secret.clone()]),
        (json!({ "is_encrypted": false }), but(&[&secret])),
        (json!({ "is_invite": true }), vec![invited.clone()]),
        (json!({ "is_invited": false }), but(&[&invited])),
        (json!({ "room_types": ["m.space"] }), vec![space.clone()]),
        (json!({ "room_types": [null] }), but(&[&space])),
        (json!({ "not_room_types": ["m.space"] }), but(&[&space])),
        (json!({ "room_types": ["m.space"], "not_room_types": ["m.space"] }), vec![]),
        (json!({ "spaces": [space.as_str()] }), vec![plain.clone()]),
        (json!({ "spaces": [plain.as_str()] }), vec![]),
        (json!({ "tags": ["m.favourite"] }), vec![plain.clone()]),
        (json!({ "tags": ["m.favourite"], "not_tags": ["m.lowpriority"] }), vec![]),
        (json!({ "not_tags": ["m.lowpriority"] }), but(&[&plain])),
    ];
    for (filters, expected) in cases {
        let body = json!({ "lists": { "some": { "timeline_limit": 1, "filters": filters } } });
        let answer = slide(&server, &anna, &body, None).await;
        let mut expected: Vec<&str> = expected.iter().map(|room| room.as_str()).collect();
        expected.sort_unstable();
        assert_eq!(answer.rooms(), expected, "{filters}");
        assert_eq!(answer.count("some"), expected.len() as u64);
    }
    // What a room is may change: it comes into the list, and `is_dm` is told where only that changed.
    let body = json!({ "lists": {
        "secret": { "timeline_limit": 1, "filters": { "is_encrypted": true } },
        "plain": { "timeline_limit": 1, "filters": { "is_encrypted": false } },
    } });
    let first = slide(&server, &anna, &body, None).await;
    assert_eq!((first.count("secret"), first.count("plain")), (1, 4));
    let encryption = state("m.room.encryption", "", &json!({ "algorithm": "m.megolm.v1.aes-sha2" }));
    server.try_send(&anna, &plain, encryption).await.unwrap();
    server.accounts.set_account_data(anna.user, 0, "m.direct", &raw(&json!({}))).await.unwrap();
    let second = slide(&server, &anna, &body, Some(&first)).await;
    assert_eq!((second.count("secret"), second.count("plain")), (2, 3));
    assert_eq!(second.room(&direct)["is_dm"], false);
}
