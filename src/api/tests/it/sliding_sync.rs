//! Sliding sync over HTTP.

use serde_json::json;

use crate::server::{Server, encoded};

const V3: &str = "/_matrix/client/v3";
const V4: &str = "/_matrix/client/v4/sync";
const UNSTABLE: &str = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";

/// The accepted form, with everything in the body, and that of before, with some of it in the query.
#[tokio::test]
async fn both_forms() {
    let server = Server::new().await;
    let token = server.token("anna").await;
    let room = server.post(&format!("{V3}/createRoom"), &token, &json!({ "name": "Ward 3" })).await.ok();
    let room = room["room_id"].as_str().unwrap().to_owned();
    let list =
        |wanted| json!({ "lists": { "all": { "ranges": [[0, 9]], "timeline_limit": 3, "required_state": wanted } } });
    let unstable = server.post(UNSTABLE, &token, &list(json!([["m.room.name", ""]]))).await.ok();
    assert_eq!(unstable["lists"], json!({ "all": { "count": 1 } }));
    let told = &unstable["rooms"][&room];
    assert_eq!((&told["name"], &told["initial"]), (&json!("Ward 3"), &json!(true)));
    assert_eq!(told["timeline"].as_array().unwrap().len(), 3);
    assert_eq!(told["required_state"][0]["type"], "m.room.name");
    let path = format!("{V3}/rooms/{}/send/m.room.message/1", encoded(&room));
    server.put(&path, &token, &json!({ "msgtype": "m.text", "body": "a" })).await.ok();
    let pos = encoded(unstable["pos"].as_str().unwrap());
    let path = format!("{UNSTABLE}?pos={pos}&timeout=20000");
    let next = server.post(&path, &token, &list(json!([["m.room.name", ""]]))).await.ok();
    assert_eq!(next["rooms"][&room]["timeline"][0]["content"]["body"], "a");

    let mut body = list(json!({ "include": [{ "type": "m.room.name" }] }));
    body["conn_id"] = json!("other");
    body["lists"]["all"]["range"] = json!([0, 9]);
    let accepted = server.post(V4, &token, &body).await.ok();
    let told = &accepted["rooms"][&room];
    assert_eq!((&told["membership"], &told["lists"]), (&json!("join"), &json!(["all"])));
    assert_eq!(told["timeline_events"].as_array().unwrap().len(), 3);
    assert!(told.get("timeline").is_none());
    body["pos"] = accepted["pos"].clone();
    let nothing = server.post(V4, &token, &body).await.ok();
    assert_eq!(nothing["rooms"], json!({}));

    // Its token is one of `/messages`; of `/sync` it is not.
    let pos = encoded(accepted["pos"].as_str().unwrap());
    let messages = format!("{V3}/rooms/{}/messages?dir=b&from={pos}", encoded(&room));
    let messages = server.get(&messages, &token).await.ok();
    assert_eq!(messages["chunk"][0]["content"]["body"], "a");
    assert_eq!(server.get(&format!("{V3}/sync?since={pos}"), &token).await.status, 400);
    body["pos"] = json!("s123");
    server.post(V4, &token, &body).await.expect_error(400, "M_UNKNOWN_POS");
    let versions = server.get("/_matrix/client/versions", &token).await.ok();
    assert_eq!(versions["unstable_features"]["org.matrix.simplified_msc3575"], true);
}
