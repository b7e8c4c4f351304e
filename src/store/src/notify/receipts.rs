//! Waking the members of a room for receipts, which come in bursts: each message is read by everybody.
//!
//! The first receipt wakes the room at once. What moves in the next second or more waits until that time is over; the larger the
//! crowd that waits, the longer, so that the wake-ups a second have a bound. Whoever is woken for anything else in the meantime
//! is told the receipts too: they are read from their rows, not from here.

use std::{collections::HashMap, sync::Arc, time::Duration};

use wardstead_limits::store as limits;

use super::Notifier;

/// Rooms that were woken a moment ago; true: something has moved since.
pub(super) type Paced = HashMap<u64, bool>;

impl Notifier {
    /// Receipts moved in `rooms`. Called by the tail, from one task.
    pub(crate) async fn receipts_moved(self: &Arc<Self>, rooms: &[u64]) {
        if self.users.lock().is_empty() {
            return;
        }
        for room in rooms {
            let wait = self.paced.lock().get_mut(room).map(|moved| *moved = true).is_some();
            if wait {
                continue;
            }
            self.rooms_changed(&[*room]).await;
            let mut paced = self.paced.lock();
            if paced.len() < limits::RECEIPT_PACED_ROOMS {
                paced.insert(*room, false);
                drop(paced);
                let crowd = self.members.get(room).map_or(0, |members| self.listening(&members).len());
                self.pace(*room, crowd);
            }
        }
    }

    /// Wakes `room` again as long as something moves there.
    fn pace(self: &Arc<Self>, room: u64, mut crowd: usize) {
        let notifier = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(apart(crowd)).await;
                let Some(notifier) = notifier.upgrade() else { return };
                {
                    let mut paced = notifier.paced.lock();
                    match paced.get_mut(&room) {
                        Some(moved) if *moved => *moved = false,
                        _ => {
                            paced.remove(&room);
                            return;
                        }
                    }
                }
                crowd = notifier.room_hinted(room).await;
            }
        });
    }
}

/// Time between two wake-ups of `crowd` waiting users.
fn apart(crowd: usize) -> Duration {
    let spread_ms = (crowd as u64).saturating_mul(1_000) / limits::RECEIPT_WAKES_PER_S;
    Duration::from_millis(spread_ms.max(limits::RECEIPTS_APART_MS))
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use prometheus_client::metrics::counter::Counter;

    use super::*;
    use crate::{Audience, Listener, StoreError, Woken};

    struct Crowd(u64);

    #[async_trait]
    impl Audience for Crowd {
        async fn local_members(&self, _: u64) -> Result<Vec<u64>, StoreError> {
            Ok((1..=self.0).collect())
        }

        async fn rooms_of(&self, user: u64) -> Result<Vec<u64>, StoreError> {
            Ok(vec![user])
        }
    }

    fn crowd(size: u64) -> (Arc<Notifier>, Vec<Listener>) {
        let notifier = Arc::new(Notifier::new(Counter::default()));
        notifier.set_audience(Arc::new(Crowd(size)));
        let listeners = (1..=size).map(|user| notifier.listen(user)).collect();
        (notifier, listeners)
    }

    async fn is_woken(listener: &mut Listener) -> bool {
        tokio::time::timeout(Duration::from_millis(1), listener.woken()).await == Ok(Woken::News)
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_receipt_wakes_at_once_and_a_burst_once_more() {
        let (notifier, mut listeners) = crowd(2);
        notifier.receipts_moved(&[7]).await;
        assert!(is_woken(&mut listeners[0]).await && is_woken(&mut listeners[1]).await);
        for _ in 0..10 {
            notifier.receipts_moved(&[7]).await;
            assert!(!is_woken(&mut listeners[0]).await, "within a second it waits");
        }
        tokio::time::sleep(Duration::from_millis(limits::RECEIPTS_APART_MS)).await;
        assert!(is_woken(&mut listeners[0]).await, "and is not forgotten");
        tokio::time::sleep(Duration::from_millis(2 * limits::RECEIPTS_APART_MS)).await;
        assert!(!is_woken(&mut listeners[0]).await, "nothing moved since");
        assert!(notifier.paced.lock().is_empty(), "nothing stays behind");
        notifier.receipts_moved(&[7]).await;
        assert!(is_woken(&mut listeners[0]).await, "a later one wakes at once again");
        notifier.receipts_moved(&[8]).await;
        assert!(is_woken(&mut listeners[0]).await, "each room for itself");
    }

    /// However many read one message: the crowd is woken so often that its wake-ups a second stay bounded.
    #[tokio::test(start_paused = true)]
    async fn a_crowd_is_woken_seldom() {
        let (notifier, mut listeners) = crowd(5_000);
        let mut woken: u64 = 0;
        for _ in 0..100 {
            notifier.receipts_moved(&[7]).await;
            tokio::time::sleep(Duration::from_millis(limits::RECEIPTS_APART_MS)).await;
            woken += u64::from(is_woken(&mut listeners[4_999]).await);
        }
        let seconds = 100;
        let most = seconds * limits::RECEIPT_WAKES_PER_S / 5_000 + 1;
        assert!((2..=most).contains(&woken), "{woken} times in {seconds} s, at most {most}");
    }
}
