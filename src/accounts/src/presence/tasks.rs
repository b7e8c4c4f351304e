//! What runs beside the requests: hearing the other nodes, and telling them.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{
        broadcast::{Receiver, error::RecvError},
        oneshot,
    },
    time::MissedTickBehavior,
};
use wardstead_engine::{BusMessage, Topic};
use wardstead_limits::ephemeral as limits;

use super::{Inner, message};

/// Both tasks, until `ended` resolves.
pub(super) fn start(inner: &Arc<Inner>, ended: oneshot::Receiver<()>) {
    let telling = tokio::spawn(tell(Arc::clone(inner)));
    let heard = hear(Arc::clone(inner), inner.store.bus().subscribe());
    tokio::spawn(async move {
        tokio::select! {
            _ = ended => {}
            () = heard => {}
        }
        telling.abort();
    });
}

async fn hear(inner: Arc<Inner>, mut heard: Receiver<BusMessage>) {
    loop {
        match heard.recv().await {
            Ok(BusMessage { topic: Topic::Presence, payload }) => inner.heard(&payload),
            Ok(_) => {}
            Err(RecvError::Lagged(missed)) => tracing::debug!(missed, "messages of the bus were missed"),
            Err(RecvError::Closed) => return,
        }
    }
}

async fn tell(inner: Arc<Inner>) {
    let mut tick = tokio::time::interval(Duration::from_millis(limits::PRESENCE_TICK_MS));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => inner.tick(),
            () = inner.news.notified() => {}
        }
        let entries = std::mem::take(&mut inner.memory.lock().waiting);
        for payload in message::encode(&entries) {
            let publish = inner.store.bus().publish(BusMessage { topic: Topic::Presence, payload });
            match tokio::time::timeout(Duration::from_millis(limits::BUS_PUBLISH_MS), publish).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "the other nodes do not hear who is there"),
                Err(_) => tracing::debug!("the bus did not take who is there in time"),
            }
        }
    }
}
