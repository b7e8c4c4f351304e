//! Who has no pusher, and who sets one.

use std::sync::Arc;

use wardstead_engine::counting::CountingEngine;
use wardstead_engine_memory::MemoryEngine;
use wardstead_rooms::Membership;
use wardstead_store::testing;

use super::{GATEWAY, OTHER, SOON_MS, Ward, event, pusher};
use crate::support::over;

/// Who has no pusher is remembered, until one is set, wherever that is.
#[tokio::test(start_paused = true)]
async fn who_sets_a_pusher_is_told_of_the_next_event() {
    let ward = Ward::new().await;
    let other = over(Arc::clone(&ward.engine), ward.clock.clone(), 2).await;
    let dora = ward.user("dora").await;
    ward.become_(&dora, &ward.room, Membership::Join).await;
    ward.say("one").await;
    ward.pass(SOON_MS).await;
    assert_eq!((ward.gateways.told(GATEWAY).len(), ward.gateways.told(OTHER)), (1, vec![]));
    other.pushers.set(&dora, &pusher("dora", OTHER), false).await.unwrap();
    let second = ward.say("two").await;
    ward.pass(SOON_MS).await;
    assert_eq!(ward.gateways.told(OTHER), [event(&second, 2)]);
    other.pushers.remove(dora.user, "org.example.app", "dora").await.unwrap();
    ward.say("three").await;
    ward.pass(SOON_MS).await;
    ward.pushers.set(&dora, &pusher("again", OTHER), false).await.unwrap();
    let fourth = ward.say("four").await;
    ward.pass(SOON_MS).await;
    assert_eq!(ward.gateways.told(OTHER), [event(&fourth, 4)]);
}

#[tokio::test(start_paused = true)]
async fn who_has_no_pusher_is_looked_up_once() {
    const MEMBERS: u64 = 100;
    let (engine, clock): (Arc<MemoryEngine>, _) = testing::engine();
    let (counting, counts) = CountingEngine::new(engine as _);
    let ward = Ward::on(&(Arc::new(counting) as _), clock).await;
    for number in 0..MEMBERS {
        let member = ward.user(&format!("member{number}")).await;
        ward.become_(&member, &ward.room, Membership::Join).await;
    }
    let read = async |body: &str| {
        let before = counts.read().keys;
        ward.say(body).await;
        ward.pass(SOON_MS).await;
        counts.read().keys - before
    };
    assert!(read("one").await > MEMBERS);
    assert!(read("two").await < MEMBERS);
    assert_eq!(ward.gateways.told(GATEWAY).len(), 2);
}
