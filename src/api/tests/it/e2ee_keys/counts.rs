//! A device that waits is told at once that others were given keys of it.

use std::{future::Future, time::Duration};

use serde_json::{Value, json};

use super::{
    claim,
    signer::{Device, V3, device},
};
use crate::server::Server;

const ALGORITHM: &str = "signed_curve25519";

/// The answer to a sync of `by` that has been waiting for a second when `act` begins; it comes long before the wait would end.
async fn told_of(server: &Server, by: &Device, since: &Value, act: impl Future) -> Value {
    let path = format!("{V3}/sync?timeout=30000&since={}", since["next_batch"].as_str().unwrap());
    let later = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        act.await;
    };
    let both = async { tokio::join!(server.get(&path, &by.token), later) };
    let (answer, ()) = tokio::time::timeout(Duration::from_secs(2), both).await.unwrap();
    answer.ok()
}

fn counts(answer: &Value) -> (Option<u64>, &Value) {
    (answer["device_one_time_keys_count"][ALGORITHM].as_u64(), &answer["device_unused_fallback_key_types"])
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_claimed_ends_the_wait_of_its_device() {
    let server = Server::new().await;
    let node = server.another(2).await;
    let anna = device(&server, "anna", "LAPTOP", 1).await;
    let bert = device(&server, "bert", "PHONE", 2).await;
    let key = |id: &str, seed| (format!("{ALGORITHM}:{id}"), anna.one_time(id, seed));
    let some: Value = [key("A", 7), key("B", 8)].into_iter().collect();
    let fallback: Value = [key("F", 9)].into_iter().collect();
    let body = json!({ "device_keys": anna.keys(), "one_time_keys": some, "fallback_keys": fallback });
    anna.upload(&server, &body).await.ok();

    let unused = json!([ALGORITHM]);
    let first = server.get(&format!("{V3}/sync"), &anna.token).await.ok();
    assert_eq!(counts(&first), (Some(2), &unused));
    let one_left = told_of(&server, &anna, &first, claim(&server, &bert, &anna)).await;
    assert_eq!(counts(&one_left), (Some(1), &unused));
    let none_left = told_of(&server, &anna, &one_left, claim(&node, &bert, &anna)).await;
    assert_eq!(counts(&none_left), (Some(0), &unused), "claimed at another node");

    let used = told_of(&server, &anna, &none_left, claim(&server, &bert, &anna)).await;
    assert_eq!(counts(&used), (Some(0), &json!([])), "the fallback key was given away");
    let next: Value = [key("G", 10)].into_iter().collect();
    let uploads = async { anna.upload(&node, &json!({ "fallback_keys": next })).await.ok() };
    let again = told_of(&server, &anna, &used, uploads).await;
    assert_eq!(counts(&again), (Some(0), &unused));
}
