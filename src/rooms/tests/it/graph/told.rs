//! Contributors are told of what a resolution makes of members.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use ruma::RoomVersionId;
use serde_json::json;
use wardstead_rooms::{Hooks, Membership, MembershipChanged, RoomChange, Status};
use wardstead_store::{CommitContributor, Contribution, Contributors, Overlay, StoreError};

use crate::support::hooked;

use super::{
    forge::Graph,
    merges::before_a_merge,
    receive::{said, ward},
};

/// What it was told of members: whether a resolution decided, and what was said.
#[derive(Default)]
struct Told(Mutex<Vec<(bool, MembershipChanged)>>);

#[async_trait]
impl CommitContributor<RoomChange> for Told {
    async fn prepare(&self, change: &RoomChange, _: &Overlay<'_>) -> Result<Contribution, StoreError> {
        let mut told = self.0.lock().unwrap();
        match change {
            RoomChange::Event(appended) => told.extend(appended.membership.map(|change| (false, change))),
            RoomChange::Resolved(resolved) => told.extend(resolved.members.iter().map(|change| (true, *change))),
            _ => {}
        }
        Ok(Contribution::nothing())
    }
}

fn hooks(told: &Arc<Told>) -> Hooks {
    let contributors = vec![Arc::clone(told) as Arc<dyn CommitContributor<RoomChange>>];
    Hooks { policy: None, contributors: Arc::new(Contributors::new(contributors)) }
}

#[tokio::test]
async fn contributors_are_told_whom_a_merge_bans() {
    let told = Arc::new(Told::default());
    let server = hooked(None, 1, hooks(&told)).await;
    let (room_id, merge, _) = before_a_merge(&server).await;
    let cy = server.accounts.user_short_id(ruma::user_id!("@cy:example.org")).await.unwrap().unwrap();
    told.0.lock().unwrap().clear();
    let graph = Graph::new(&server, &room_id).await;
    assert_eq!(graph.put(&merge).await.1, Status::Timeline);
    let banned = MembershipChanged { user: cy, previous: Some(Membership::Join), now: Membership::Ban };
    assert_eq!(*told.0.lock().unwrap(), [(true, banned)]);
}

/// Of two events about one member that stand side by side the resolution takes one. Contributors hear what came of it, once: what the
/// other event says is never told as if it were so.
#[tokio::test]
async fn an_event_beside_others_does_not_decide_alone() {
    let told = Arc::new(Told::default());
    let server = hooked(None, 1, hooks(&told)).await;
    let (ada, ben, room_id) = ward(&server, &RoomVersionId::V11).await;
    let graph = Graph::new(&server, &room_id).await;
    let root = graph.last(&ada).await;
    let state = graph.current().await;
    let member = |membership: &str| ("m.room.member", Some(ben.user_id.as_str()), json!({ "membership": membership }));
    told.0.lock().unwrap().clear();
    server.clock.advance_ms(1_000);
    // Ben is banned here. Elsewhere, before that was known, he had changed his name.
    server.become_(&ada, &room_id, &ben, Membership::Ban).await.unwrap();
    let mut named = graph.event(&ben.user_id, member("join"), &[&root], &state);
    named.content["displayname"] = json!("Ben");
    let (_, status) = graph.put(&named).await;
    assert_eq!(status, Status::SoftFailed);
    graph.put(&graph.event(&ada.user_id, said("beside"), &[&root], &state)).await;
    let banned = MembershipChanged { user: ben.user, previous: Some(Membership::Join), now: Membership::Ban };
    assert_eq!(*told.0.lock().unwrap(), [(false, banned)]);
    assert!(server.joined_rooms(&ben).await.unwrap().is_empty());
}
