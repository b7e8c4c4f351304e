//! More happened than the client wants to be sent at once.

use wardstead_rooms::Membership;

use crate::support::{limit_filter, server};

/// `limited` exactly when more than the limit arrived; then `prev_batch` pages back to exactly what is missing.
#[tokio::test(start_paused = true)]
async fn a_gap_can_be_paged_back() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let room = server.room(&[&anna, &ben]).await;
    let mut since = server.sync(&ben, None).await;
    for (arrived, limit) in [(1, 1), (2, 1), (3, 3), (4, 3), (9, 3), (10, 10), (11, 10), (25, 10)] {
        let said: Vec<String> = server.say_many(&anna, &room, arrived).await.iter().map(ToString::to_string).collect();
        let answer = server.limited(&ben, Some(&since), limit).await;
        let joined = answer.joined(&room);
        let missing = arrived.saturating_sub(limit);
        assert_eq!(joined.timeline(), said[missing..], "{arrived} events, limit {limit}");
        assert_eq!(joined.limited(), missing > 0, "{arrived} events, limit {limit}");
        assert!(joined.state().is_empty());
        for page in [1, 2, 100] {
            let mut back = server.back(&ben, &room, joined.prev_batch(), Some(since.next()), page).await;
            back.reverse();
            assert_eq!(back, said[..missing], "{arrived} events, limit {limit}, pages of {page}");
        }
        since = answer;
        assert!(server.sync(&ben, Some(&since)).await.is_empty());
    }
}

/// State that changed in the gap is in `state`; what is in the timeline is not.
#[tokio::test(start_paused = true)]
async fn state_that_fell_into_the_gap() {
    let server = server().await;
    let [anna, ben, cora] = server.users(["anna", "ben", "cora"]).await;
    let room = server.room(&[&anna, &ben]).await;
    let since = server.sync(&ben, None).await;
    server.topic(&anna, &room, "first").await;
    let topic = server.topic(&anna, &room, "second").await;
    let invitation = server.member(&anna, &room, &cora, Membership::Invite).await;
    server.say_many(&anna, &room, 3).await;
    let joined_at = server.join(&cora, &room).await;
    let last = server.say(&anna, &room, "last").await;

    let answer = server.limited(&ben, Some(&since), 2).await;
    let joined = answer.joined(&room);
    assert_eq!(joined.timeline(), [joined_at.to_string(), last.to_string()]);
    assert!(joined.limited());
    assert_eq!(joined.state_ids(), [invitation.to_string(), topic.to_string()]);
    assert_eq!(joined.0["summary"]["m.joined_member_count"], 3);

    let whole = server.limited(&ben, Some(&since), 100).await;
    assert!(!whole.joined(&room).limited() && whole.joined(&room).state().is_empty());
    assert_eq!(whole.joined(&room).events().len(), 8);
}

/// When an answer shows very many rooms the limit falls; no room is left out.
#[tokio::test(start_paused = true)]
async fn each_room_has_its_own_limit() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let (quiet, loud) = (server.room(&[&anna, &ben]).await, server.room(&[&anna, &ben]).await);
    let since = server.filtered(&ben, None, &limit_filter(5)).await;
    server.say_many(&anna, &loud, 6).await;
    server.say_many(&anna, &quiet, 1).await;
    let answer = server.limited(&ben, Some(&since), 5).await;
    assert!(answer.joined(&loud).limited() && !answer.joined(&quiet).limited());
    assert_eq!((answer.joined(&loud).events().len(), answer.joined(&quiet).events().len()), (5, 1));
}
