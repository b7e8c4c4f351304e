//! Between the nodes: tells the others over the bus that this one has committed, and hears it from them.
//!
//! What is said is only ever the newest position, and which tables have work, by a task of its own: a slow bus delays hints
//! and never a commit. What is heard makes the tail and the workers look; the position itself is believed from the engine
//! alone. Polling goes on all the while and is what correctness rests on (promise P5).

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::sync::{broadcast, watch};
use wardstead_engine::{Bus, BusMessage, Position, TableId, Topic};
use wardstead_limits::store as limits;

use crate::{
    hint::{Hint, News},
    start::stopped,
    work::Wakers,
};

/// Publishes what this node commits until `stop`.
pub(crate) async fn tell(
    bus: Arc<dyn Bus>,
    hint: Hint,
    mut news: watch::Receiver<News>,
    mut stop: watch::Receiver<bool>,
) {
    let pause = Duration::from_millis(limits::BUS_HINT_MS);
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut stop) => return,
            changed = news.changed() => if changed.is_err() {
                return;
            },
        }
        news.mark_unchanged();
        // A node that starts is heard of within seconds; until then it finds commits by polling.
        if hint.is_alone() {
            continue;
        }
        let payload = write(&hint.take_news());
        if let Err(error) = bus.publish(BusMessage { topic: Topic::Committed, payload }).await {
            tracing::debug!(%error, "the other nodes were not told of a commit; they find it by polling");
        }
        // The first hint goes at once; those of a burst are one.
        tokio::time::sleep(pause).await;
    }
}

/// Hints the tail and the workers at what other nodes say that they committed, until `stop`.
pub(crate) async fn hear(
    mut heard: broadcast::Receiver<BusMessage>,
    reached: watch::Receiver<Position>,
    hint: Hint,
    wakers: Wakers,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let message = tokio::select! {
            biased;
            () = stopped(&mut stop) => return,
            message = heard.recv() => message,
        };
        match message {
            Ok(BusMessage { topic: Topic::Committed, payload }) => {
                let Some(news) = read(&payload) else { continue };
                // What this node has seen, its own messages among it, is no news.
                if news.newest > *reached.borrow() && news.newest > hint.newest() {
                    hint.look();
                }
                news.work.into_iter().for_each(|table| wakers.wake(table));
            }
            Ok(_) => {}
            Err(broadcast::error::RecvError::Lagged(_)) => {
                hint.look();
                wakers.wake_all();
            }
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

/// The position in eight bytes, then each table in two, big-endian. There are far fewer tables than a message holds.
fn write(news: &News) -> Bytes {
    let mut payload = news.newest.0.to_be_bytes().to_vec();
    payload.extend(news.work.iter().flat_map(|table| table.stored().to_be_bytes()));
    payload.into()
}

fn read(payload: &[u8]) -> Option<News> {
    let (newest, tables) = payload.split_first_chunk()?;
    let tables = tables.as_chunks().0.iter().map(|table| u16::from_be_bytes(*table));
    Some(News {
        newest: Position(u64::from_be_bytes(*newest)),
        work: tables.filter_map(TableId::from_stored).collect(),
    })
}

#[cfg(test)]
mod tests {
    use wardstead_engine::AccessPattern;

    use super::*;

    #[test]
    fn news_are_read_as_they_were_written() {
        let table = |number| TableId::new(AccessPattern::Churn, number);
        for work in [vec![], vec![table(1)], vec![table(1), table(0xfff)]] {
            let news = News { newest: Position(7 << 40), work: work.into_iter().collect() };
            assert_eq!(read(&write(&news)), Some(news));
        }
        assert_eq!(read(&[1, 2, 3]), None);
    }
}
