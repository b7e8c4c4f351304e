//! Who is typing (Client-Server API, Typing Notifications).
//!
//! Soft state in each node's memory: a change is applied here and published on the bus, every node applies what it hears.
//! Nothing of it is stored and it has no position. Who stops is remembered for a while, so that a client that was told of the
//! typing is told of its end, and so that an older message that arrives later does not prevail. `docs/design/07-ephemeral.md`.

mod message;
mod state;

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::sync::{
    broadcast::{Receiver, error::RecvError},
    oneshot,
};
use wardstead_accounts::Session;
use wardstead_engine::{BusMessage, Topic};
use wardstead_limits::ephemeral as limits;
use wardstead_store::Store;

pub use state::RoomTyping;

use message::Change;
use state::State;

/// Who is typing, as far as this node knows. Cheap to clone.
#[derive(Clone)]
pub struct Typing {
    store: Store,
    state: Arc<Mutex<State>>,
    /// Dropped with the last clone, which ends the listening.
    _listening: Arc<oneshot::Sender<()>>,
}

impl std::fmt::Debug for Typing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Typing").finish_non_exhaustive()
    }
}

impl Typing {
    /// Nobody types yet; listens to the store's bus from now on, on the current runtime.
    #[must_use]
    pub fn start(store: Store) -> Self {
        let state = Arc::<Mutex<State>>::default();
        state.lock().missed(store.clock().now_ms());
        let (listening, ended) = oneshot::channel();
        let heard = store.bus().subscribe();
        tokio::spawn(listen(store.clone(), heard, Arc::clone(&state), ended));
        Self { store, state, _listening: Arc::new(listening) }
    }

    /// `by` types in `room` (its short id) for `timeout_ms` from now, at most [`limits::TYPING_TIMEOUT_MS`]; 0: types no more.
    /// The caller has checked that they are in the room. When the bus is cut only this node knows.
    pub async fn set(&self, by: &Session, room: u64, timeout_ms: u64) {
        let now = self.store.clock().now_ms();
        let until_ms = match timeout_ms.min(limits::TYPING_TIMEOUT_MS) {
            0 => 0,
            timeout => now + timeout,
        };
        let said = {
            let mut state = self.state.lock();
            let said = state.next(room, by.user, &by.user_id, until_ms, now);
            said.map(|change| (state.apply(&change, now), change))
        };
        let Some((other, change)) = said else { return };
        let publish = self.store.bus().publish(BusMessage { topic: Topic::Typing, payload: change.encode() });
        let patience = Duration::from_millis(limits::BUS_PUBLISH_MS);
        match tokio::time::timeout(patience, publish).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the other nodes do not hear who types"),
            Err(_) => tracing::debug!("the bus did not take who types in time"),
        }
        if other {
            self.store.wake_room(room).await;
        }
    }

    /// Bytes of what is known, of [`limits::TYPING_BYTES`].
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.state.lock().bytes()
    }

    /// Whether nobody types, or did of late, in any room.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.state.lock().is_empty()
    }

    /// Since when this node remembers all that it could hear, in Unix milliseconds: it does not know what happened before it
    /// started or too long ago.
    #[must_use]
    pub fn remembers_since_ms(&self) -> u64 {
        self.state.lock().whole_since_ms(self.store.clock().now_ms())
    }

    /// Those of `rooms` (short ids) in which somebody types or did of late, in their order.
    #[must_use]
    pub fn among(&self, rooms: &[u64]) -> Vec<RoomTyping> {
        let now = self.store.clock().now_ms();
        self.state.lock().among(rooms, now)
    }
}

async fn listen(
    store: Store,
    mut heard: Receiver<BusMessage>,
    state: Arc<Mutex<State>>,
    mut ended: oneshot::Receiver<()>,
) {
    loop {
        let message = tokio::select! {
            biased;
            _ = &mut ended => return,
            message = heard.recv() => message,
        };
        match message {
            Ok(BusMessage { topic: Topic::Typing, payload }) => {
                let Some(change) = Change::decode(&payload) else {
                    tracing::debug!(bytes = payload.len(), "a message about typing cannot be read");
                    continue;
                };
                let now = store.clock().now_ms();
                let other = state.lock().apply(&change, now);
                if other {
                    store.wake_room(change.room).await;
                }
            }
            Ok(_) => {}
            Err(RecvError::Lagged(missed)) => {
                tracing::debug!(missed, "messages of the bus were missed");
                state.lock().missed(store.clock().now_ms());
            }
            Err(RecvError::Closed) => return,
        }
    }
}
