//! Keys when the engine fails: no half of an answer, and no key given twice.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use wardstead_engine_memory::CommitFault;

use super::signer::{CrossKeys, Device, V3, device};
use crate::server::{Answer, Server};

async fn with_keys(server: &Server, keys: u8) -> Device {
    let anna = device(server, "anna", "LAPTOP", 1).await;
    let one_time: Value = (0..keys)
        .map(|id| (format!("signed_curve25519:{id}"), anna.one_time("", id)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let body = json!({ "device_keys": anna.keys(), "one_time_keys": one_time });
    anna.upload(server, &body).await.ok();
    anna.cross_sign(server, &CrossKeys::new(&anna.user, 20).body()).await.ok();
    anna
}

async fn claim(node: &Server, anna: &Device) -> Answer {
    let wanted = json!({ "one_time_keys": { &anna.user: { anna.id: "signed_curve25519" } } });
    node.post(&format!("{V3}/keys/claim"), &anna.token, &wanted).await
}

/// The name of the key that was given; nothing where the request failed. A device with keys is never told to have none.
fn given(answer: &Answer, anna: &Device) -> Option<String> {
    if answer.status != 200 {
        answer.expect_error(503, "M_UNKNOWN");
        return None;
    }
    let keys = answer.json()["one_time_keys"][&anna.user][anna.id].clone();
    Some(keys.as_object().unwrap().keys().next().unwrap().clone())
}

#[tokio::test]
async fn a_failed_read_gives_no_part_of_the_keys() {
    let server = Server::new().await;
    let anna = with_keys(&server, 0).await;
    for (number, devices) in [(1_u64, json!([])), (2, json!(["LAPTOP"]))] {
        let asked = json!({ "device_keys": { &anna.user: devices } });
        let path = format!("{V3}/keys/query");
        let node = server.another(1_000 * number).await;
        let before = node.faults.reads();
        let whole = node.post(&path, &anna.token, &asked).await.ok();
        let reads = node.faults.reads() - before;
        assert!(reads > 0 && whole["master_keys"][&anna.user].is_object());
        for n in 1..=reads {
            let node = server.another(1_000 * number + n).await;
            node.faults.fail_read(n);
            let answer = node.post(&path, &anna.token, &asked).await;
            node.faults.clear();
            if answer.status == 200 {
                assert_eq!(answer.json(), whole, "read {n}");
            } else {
                answer.expect_error(503, "M_UNKNOWN");
            }
        }
    }
}

#[tokio::test]
async fn a_claim_that_fails_gives_no_key_twice() {
    let server = Server::new().await;
    let anna = with_keys(&server, 60).await;
    let before = server.faults.reads();
    let mut all: Vec<String> = given(&claim(&server, &anna).await, &anna).into_iter().collect();
    let reads = server.faults.reads() - before;
    for n in 1..=reads {
        let node = server.another(n).await;
        node.faults.fail_read(n);
        let failed = claim(&node, &anna).await;
        node.faults.clear();
        all.extend(given(&failed, &anna));
        all.push(given(&claim(&node, &anna).await, &anna).unwrap());
    }
    for fault in [CommitFault::Unavailable, CommitFault::UnknownBefore, CommitFault::UnknownAfter] {
        server.faults.fail_commit(1, fault);
        let failed = claim(&server, &anna).await;
        server.faults.clear();
        all.extend(given(&failed, &anna));
        all.push(given(&claim(&server, &anna).await, &anna).unwrap());
    }
    let once: BTreeSet<&String> = all.iter().collect();
    assert_eq!(once.len(), all.len(), "{all:?}");
    assert!(all.len() > usize::try_from(reads).unwrap());
}
