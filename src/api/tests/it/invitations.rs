//! Invitations that nobody wants (Client-Server API, Invite permission).

use http::Method;
use serde_json::{Value, json};

use crate::server::{Server, encoded};

const V3: &str = "/_matrix/client/v3";
const CONFIG: &str = "/_matrix/client/v3/user/@ben:example.org/account_data/m.invite_permission_config";
const BEN: &str = "@ben:example.org";

async fn create(server: &Server, token: &str, asked: Value) -> String {
    let made = server.post(&format!("{V3}/createRoom"), token, &asked).await.ok();
    made["room_id"].as_str().unwrap().to_owned()
}

async fn invitations(server: &Server, token: &str, since: Option<&Value>) -> (Vec<String>, Value) {
    let since = since.map(|since| format!("?since={}", since["next_batch"].as_str().unwrap())).unwrap_or_default();
    let answer = server.get(&format!("{V3}/sync{since}"), token).await.ok();
    let rooms = answer["rooms"]["invite"].as_object().map(|rooms| rooms.keys().cloned().collect());
    (rooms.unwrap_or_default(), answer)
}

#[tokio::test]
async fn who_wants_no_invitations_gets_none() {
    let server = Server::new().await;
    let (anna, ben, carl) = (server.token("anna").await, server.token("ben").await, server.token("carl").await);
    let pending = create(&server, &anna, json!({ "invite": [BEN] })).await;
    let room = create(&server, &anna, json!({})).await;
    let invite = format!("{V3}/rooms/{}/invite", encoded(&room));
    let state = format!("{V3}/rooms/{}/state/m.room.member/{BEN}", encoded(&room));
    let (before, has) = invitations(&server, &ben, None).await;
    assert_eq!(before, std::slice::from_ref(&pending));

    // What is not the word does not block.
    for config in [json!({ "default_action": "allow" }), json!({ "default_action": ["block"] })] {
        server.put(CONFIG, &ben, &config).await.ok();
        let open = create(&server, &anna, json!({ "invite": [BEN] })).await;
        let rejected = format!("{V3}/rooms/{}/leave", encoded(&open));
        server.post(&rejected, &ben, &json!({})).await.ok();
    }
    server.put(CONFIG, &ben, &json!({ "default_action": "block" })).await.ok();
    let unchanged = server.rows().len();
    server.post(&invite, &anna, &json!({ "user_id": BEN })).await.expect_error(403, "M_INVITE_BLOCKED");
    server.put(&state, &anna, &json!({ "membership": "invite" })).await.expect_error(403, "M_INVITE_BLOCKED");
    let both = json!({ "invite": ["@carl:example.org", BEN] });
    let refused = server.post(&format!("{V3}/createRoom"), &anna, &both).await;
    refused.expect_error(403, "M_INVITE_BLOCKED");
    assert_eq!(server.rows().len(), unchanged, "a room, or an invitation, was made");
    // Who could not have invited learns nothing.
    server.post(&invite, &carl, &json!({ "user_id": BEN })).await.expect_error(403, "M_FORBIDDEN");
    // What was pending is not told any more, to nobody who asks anew or goes on.
    let (from_the_start, _) = invitations(&server, &ben, None).await;
    let (since, answer) = invitations(&server, &ben, Some(&has)).await;
    assert_eq!((from_the_start, since), (Vec::new(), Vec::new()), "{answer}");
    // Elsewhere it is as it was.
    let member = format!("{V3}/rooms/{}/state/m.room.member/{BEN}", encoded(&pending));
    assert_eq!(server.get(&member, &anna).await.ok()["membership"], "invite");
    // Ben may still come by themselves, and be invited again once they want that.
    server.ask(Method::DELETE, &CONFIG.replace("v3", "unstable/org.matrix.msc3391"), &ben, "").await.ok();
    assert_eq!(invitations(&server, &ben, None).await.0, [pending]);
    server.post(&invite, &anna, &json!({ "user_id": BEN })).await.ok();
}
