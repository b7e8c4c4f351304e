//! The rules that decide what notifies.

use serde_json::json;

use crate::server::Server;

#[tokio::test]
async fn the_rules_of_the_specification_are_told() {
    let server = Server::new().await;
    let anna = server.token("anna").await;
    let rules = server.get("/_matrix/client/v3/pushrules/", &anna).await.ok();
    for (kind, rule) in [
        ("override", ".m.rule.master"),
        ("override", ".m.rule.is_user_mention"),
        ("underride", ".m.rule.message"),
        ("underride", ".m.rule.room_one_to_one"),
    ] {
        let named = rules["global"][kind].as_array().unwrap().iter().find(|one| one["rule_id"] == rule);
        assert_eq!(named.unwrap_or_else(|| panic!("no {rule} in {rules}"))["default"], true);
    }
    let mention = rules["global"]["override"].as_array().unwrap().iter();
    let mention = mention.clone().find(|rule| rule["rule_id"] == ".m.rule.is_user_mention").unwrap();
    assert_eq!(mention["conditions"][0]["value"], json!("@anna:example.org"), "{mention}");
    server.get("/_matrix/client/v3/pushrules/", "x").await.expect_error(401, "M_UNKNOWN_TOKEN");
}
