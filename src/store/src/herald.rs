//! Between the nodes: tells the others over the bus that this one has committed, and hears it from them.
//!
//! What is said is only ever the newest position, by a task of its own: a slow bus delays hints and never a commit. What is
//! heard makes the tail look; the position itself is believed from the engine alone. Polling goes on all the while and is
//! what correctness rests on (promise P5).

use std::{sync::Arc, time::Duration};

use tokio::sync::{broadcast, watch};
use wardstead_engine::{Bus, BusMessage, Position, Topic};
use wardstead_limits::store as limits;

use crate::{hint::Hint, start::stopped};

/// Publishes what this node commits until `stop`.
pub(crate) async fn tell(bus: Arc<dyn Bus>, mut news: watch::Receiver<Position>, mut stop: watch::Receiver<bool>) {
    let pause = Duration::from_millis(limits::BUS_HINT_MS);
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut stop) => return,
            changed = news.changed() => if changed.is_err() {
                return;
            },
        }
        let newest = *news.borrow_and_update();
        let payload = newest.0.to_be_bytes().to_vec().into();
        if let Err(error) = bus.publish(BusMessage { topic: Topic::Committed, payload }).await {
            tracing::debug!(%error, "the other nodes were not told of a commit; they find it by polling");
        }
        // The first hint goes at once; those of a burst are one.
        tokio::time::sleep(pause).await;
    }
}

/// Hints the tail at what other nodes say that they committed, until `stop`.
pub(crate) async fn hear(
    mut heard: broadcast::Receiver<BusMessage>,
    reached: watch::Receiver<Position>,
    hint: Hint,
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
                // What this node has seen, its own messages among it, is no news.
                let said = payload.first_chunk().map(|bytes| Position(u64::from_be_bytes(*bytes)));
                if said.is_some_and(|said| said > *reached.borrow() && said > hint.newest()) {
                    hint.look();
                }
            }
            Ok(_) => {}
            Err(broadcast::error::RecvError::Lagged(_)) => hint.look(),
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}
