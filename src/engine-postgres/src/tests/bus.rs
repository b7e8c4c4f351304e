//! The bus between two nodes.

use bytes::Bytes;
use tokio::sync::broadcast::Receiver;
use wardstead_engine::{Bus, BusMessage, Topic};
use wardstead_limits::engine::BUS_PAYLOAD_BYTES;

use super::{blocking, fresh, options, until};
use crate::{PostgresBus, testing::Cluster};

fn message(topic: Topic, payload: impl Into<Bytes>) -> BusMessage {
    BusMessage { topic, payload: payload.into() }
}

async fn hears(heard: &mut Receiver<BusMessage>, expected: &BusMessage) {
    assert_eq!(heard.recv().await.unwrap(), *expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_node_hears_what_one_says_up_to_the_largest() {
    let url = fresh().await;
    let (one, two) =
        (PostgresBus::open(&options(&url)).await.unwrap(), PostgresBus::open(&options(&url)).await.unwrap());
    let (mut at_one, mut at_two) = (one.subscribe(), two.subscribe());
    for topic in Topic::ALL {
        for payload in [vec![], vec![0, 255, 7], vec![9; BUS_PAYLOAD_BYTES]] {
            let said = message(topic, payload);
            one.publish(said.clone()).await.unwrap();
            hears(&mut at_one, &said).await;
            hears(&mut at_two, &said).await;
        }
    }
    assert!(one.publish(message(Topic::Typing, vec![0; BUS_PAYLOAD_BYTES + 1])).await.is_err());
    // Many at once share transactions, and all arrive.
    let saying = (0..200_u32).map(|number| one.publish(message(Topic::Typing, number.to_be_bytes().to_vec())));
    assert!(futures::future::join_all(saying).await.iter().all(Result::is_ok));
    for number in 0..200_u32 {
        hears(&mut at_two, &message(Topic::Typing, number.to_be_bytes().to_vec())).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bus_that_lost_its_connection_says_so_and_comes_back() {
    let url = fresh().await;
    let bus = PostgresBus::open(&options(&url)).await.unwrap();
    let mut heard = bus.subscribe();
    let database = url.split('/').nth(3).unwrap().split('?').next().unwrap().to_owned();
    let sql = |statement: String| blocking(move || Cluster::shared().sql(&statement));
    // Nobody may connect again before it has been seen that a message is dropped with an error.
    sql(format!("ALTER DATABASE {database} CONNECTION LIMIT 0")).await;
    sql(format!("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '{database}'")).await;
    until(|| async { bus.publish(message(Topic::Presence, "lost")).await.is_err() }).await;
    sql(format!("ALTER DATABASE {database} CONNECTION LIMIT -1")).await;
    until(|| async { bus.publish(message(Topic::Presence, "back")).await.is_ok() }).await;
    hears(&mut heard, &message(Topic::Presence, "back")).await;
    bus.close().await;
    assert!(bus.publish(message(Topic::Presence, "closed")).await.is_err());
}
