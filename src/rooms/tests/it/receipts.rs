//! Receipts and the fully read marker: what is stored, by how many commits, and who prevails.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use ruma::{OwnedEventId, OwnedRoomId};
use wardstead_accounts::Session;
use wardstead_engine::{
    Engine, EngineError, EngineLimits, Group, GroupOutcome, Key, Lease, LeaseRequest, Page, PageLimit, Position,
    ScanRange,
};
use wardstead_rooms::{Marks, Receipt, ReceiptMark, RoomError};
use wardstead_store::testing;

use crate::support::{Server, server, through};

/// A room in which Ada has said three things.
struct Talk {
    server: Server,
    ada: Session,
    ben: Session,
    room: OwnedRoomId,
    said: Vec<OwnedEventId>,
}

async fn talk(server: Server) -> Talk {
    let (ada, ben) = (server.user("ada").await, server.user("ben").await);
    let room = server.room(&[&ada, &ben]).await;
    let mut said = Vec::new();
    for body in ["one", "two", "three"] {
        said.push(server.say(&ada, &room, body).await.unwrap());
    }
    Talk { server, ada, ben, room, said }
}

fn read(event: &OwnedEventId) -> Marks {
    Marks { read: Some(ReceiptMark::unthreaded(event.clone())), ..Marks::default() }
}

fn everything(event: &OwnedEventId) -> Marks {
    let mark = Some(ReceiptMark::unthreaded(event.clone()));
    Marks { read: mark.clone(), private: mark, fully_read: Some(event.clone()) }
}

impl Talk {
    async fn short(&self) -> u64 {
        self.server.rooms.room(&self.room).await.unwrap().unwrap().short
    }

    /// All receipts that members are shown.
    async fn receipts(&self, most: usize) -> (Vec<Receipt>, bool) {
        let upto = self.server.store.caught_up().await.unwrap();
        let found = self.server.receipts(self.short().await, Position::ZERO, upto, most).await.unwrap();
        (found.receipts, found.more)
    }

    async fn marker(&self) -> Option<String> {
        let data = self.server.accounts.account_data(self.ben.user, self.short().await, "m.fully_read").await.unwrap();
        data.map(|data| data.content.unwrap().get().to_owned())
    }
}

#[tokio::test]
async fn one_request_is_one_batch_and_nothing_moves_backwards() {
    let talk = talk(server().await).await;
    let Talk { server, ben, room, said, .. } = &talk;
    let batches = |server: &Server| server.counts.read().batches;
    let before = batches(server);
    server.mark_read(ben, room, &everything(&said[1])).await.unwrap();
    assert_eq!(batches(server), before + 1);
    for event in [&said[1], &said[0]] {
        server.mark_read(ben, room, &everything(event)).await.unwrap();
    }
    assert_eq!(batches(server), before + 1, "what stands there or beyond is not written again");
    let (receipts, more) = talk.receipts(10).await;
    assert_eq!((receipts.len(), more), (1, false));
    assert_eq!((&receipts[0].event_id, receipts[0].private), (&said[1], false));
    assert_eq!(talk.marker().await.unwrap(), format!(r#"{{"event_id":"{}"}}"#, said[1]));
    // What can be moved is moved, although the rest stays.
    let marks = Marks { fully_read: Some(said[2].clone()), ..read(&said[0]) };
    server.mark_read(ben, room, &marks).await.unwrap();
    assert_eq!(batches(server), before + 2);
    assert_eq!(talk.receipts(10).await.0, receipts);
    assert!(talk.marker().await.unwrap().contains(said[2].as_str()));
}

/// The log has one row for each receipt, that of its last move; it is read from its end.
#[tokio::test]
async fn the_log_holds_the_last_move_of_each() {
    let talk = talk(server().await).await;
    let Talk { server, ada, ben, room, said } = &talk;
    for event in said {
        server.mark_read(ada, room, &read(event)).await.unwrap();
        server.mark_read(ben, room, &read(event)).await.unwrap();
    }
    let threaded = Some(ReceiptMark { event_id: said[0].clone(), thread: Some("main".to_owned()) });
    server.mark_read(ada, room, &Marks { read: threaded, ..Marks::default() }).await.unwrap();
    let (receipts, _) = talk.receipts(10).await;
    let of = |receipt: &Receipt| (receipt.user, receipt.event_id.clone(), receipt.thread.clone());
    let expected = [
        (ada.user, said[0].clone(), Some("main".to_owned())),
        (ben.user, said[2].clone(), None),
        (ada.user, said[2].clone(), None),
    ];
    assert_eq!(receipts.iter().map(of).collect::<Vec<_>>(), expected);
    let (newest, more) = talk.receipts(1).await;
    assert_eq!((newest.as_slice(), more), (&receipts[..1], true));
    let upto = server.store.caught_up().await.unwrap();
    let own = server.own_receipts(talk.short().await, ada.user, &ada.user_id, upto).await.unwrap();
    assert_eq!(own.len(), 2, "both of Ada's, whatever their age");
    let cell = server.receipt_cells(&[talk.short().await]).await.unwrap();
    assert_eq!(cell, [upto], "the room's cell says when one last moved");
}

#[tokio::test]
async fn who_may_not_read_moves_nothing() {
    let talk = talk(server().await).await;
    let eve = talk.server.user("eve").await;
    let refused = talk.server.mark_read(&eve, &talk.room, &read(&talk.said[0])).await;
    assert!(matches!(refused, Err(RoomError::Forbidden(_))));
    talk.server.mark_read(&talk.ben, &talk.room, &Marks::default()).await.unwrap();
    assert_eq!(talk.receipts(10).await.0, []);
}

/// Each read and commit takes a while, so that two requests at once read the same before either commits.
struct Slow(Arc<dyn Engine>);

#[async_trait]
impl Engine for Slow {
    async fn get_many(&self, at: Position, keys: &[Key]) -> Result<Vec<Option<wardstead_engine::Cell>>, EngineError> {
        let cells = self.0.get_many(at, keys).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
        cells
    }

    async fn scan(&self, at: Position, range: &ScanRange, page: PageLimit) -> Result<Page, EngineError> {
        self.0.scan(at, range, page).await
    }

    async fn commit_group(&self, group: Group) -> Result<GroupOutcome, EngineError> {
        tokio::time::sleep(Duration::from_millis(5)).await;
        self.0.commit_group(group).await
    }

    async fn position(&self) -> Result<Position, EngineError> {
        self.0.position().await
    }

    async fn lease(&self, request: LeaseRequest) -> Result<Option<Lease>, EngineError> {
        self.0.lease(request).await
    }

    fn limits(&self) -> EngineLimits {
        self.0.limits()
    }
}

/// Two devices of a user read over two nodes at once; whoever commits first, the later event is where everything ends up.
#[tokio::test(start_paused = true)]
async fn of_two_nodes_the_later_event_prevails() {
    for (first, second, head_start_ms) in [(0, 2, 0), (2, 0, 0), (0, 2, 3), (2, 0, 3), (2, 1, 7), (1, 2, 12)] {
        let (engine, clock) = testing::engine();
        let slow = || Arc::new(Slow(Arc::clone(&engine) as Arc<dyn Engine>));
        let one = through(slow(), Arc::clone(&engine), clock.clone(), 1).await;
        let two = through(slow(), Arc::clone(&engine), clock.clone(), 2).await;
        let talk = talk(one).await;
        let [of_one, of_two] = [first, second].map(|at| everything(&talk.said[at]));
        let (a, b) = tokio::join!(talk.server.mark_read(&talk.ben, &talk.room, &of_one), async {
            tokio::time::sleep(Duration::from_millis(head_start_ms)).await;
            two.mark_read(&talk.ben, &talk.room, &of_two).await
        });
        assert!(a.is_ok() && b.is_ok(), "{a:?}, {b:?}");
        let later = &talk.said[first.max(second)];
        let (receipts, _) = talk.receipts(10).await;
        assert_eq!(receipts.len(), 1, "one row in the log, whoever came second");
        assert_eq!(&receipts[0].event_id, later);
        let upto = talk.server.store.caught_up().await.unwrap();
        let private = talk.server.private_receipts(talk.ben.user, Position::ZERO, upto, 10).await.unwrap();
        assert_eq!(private.receipts.iter().map(|receipt| &receipt.event_id).collect::<Vec<_>>(), [later]);
        assert!(talk.marker().await.unwrap().contains(later.as_str()));
        let data = talk.server.accounts.account_data_changes(talk.ben.user, Position::ZERO, upto).await.unwrap();
        assert_eq!(data.len(), 1);
    }
}
