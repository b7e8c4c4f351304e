//! Reports of what somebody finds should not be there (Matrix specification, Client-Server API, Reporting Content): kept for who
//! answers for the server.

use ruma::{EventId, RoomId, UserId};
use wardstead_accounts::Session;
use wardstead_engine::Batch;
use wardstead_limits::rooms as limits;

use crate::{
    Membership, RoomError, Rooms, Sight,
    tables::{Content, REPORTS, ReportRow},
};

/// Why something is reported.
#[derive(Clone, Debug, Default)]
pub struct Complaint {
    /// In the words of who reports it, at most [`limits::REPORT_BYTES`].
    pub reason: Option<String>,
    /// From −100 (worst) to 0, as clients sent it until version 1.18 of the specification.
    pub score: Option<i64>,
}

impl Rooms {
    /// Keeps a report of an event.
    ///
    /// # Errors
    /// `NotFound` unless the user is in the room and may see the event; `TooLarge`, `InvalidParam`; the store's.
    pub async fn report_event(
        &self,
        by: &Session,
        room_id: &RoomId,
        event_id: &EventId,
        complaint: Complaint,
    ) -> Result<(), RoomError> {
        check(&complaint)?;
        let missing = || RoomError::NotFound("There is no such event, or you are not in its room.".into());
        let access = match self.access(by, room_id).await {
            Err(RoomError::Forbidden(_)) => return Err(missing()),
            other => other?,
        };
        if access.membership != Some(Membership::Join) {
            return Err(missing());
        }
        self.look_at(&mut Sight::new(by, &access), event_id).await?;
        self.keep_report(by, Some(room_id), Some(event_id), None, complaint).await
    }

    /// Keeps a report of a room, which the user need not be in. Whether there is such a room is not told.
    ///
    /// # Errors
    /// `TooLarge`; the store's.
    pub async fn report_room(&self, by: &Session, room_id: &RoomId, complaint: Complaint) -> Result<(), RoomError> {
        check(&complaint)?;
        if self.room(room_id).await?.is_none() {
            return Ok(());
        }
        self.keep_report(by, Some(room_id), None, None, complaint).await
    }

    /// Keeps a report of a user. Whether there is such a user is not told.
    ///
    /// # Errors
    /// `TooLarge`; the store's.
    pub async fn report_user(&self, by: &Session, user_id: &UserId, complaint: Complaint) -> Result<(), RoomError> {
        check(&complaint)?;
        if self.inner.accounts.user_short_id(user_id).await?.is_none() {
            return Ok(());
        }
        self.keep_report(by, None, None, Some(user_id), complaint).await
    }

    async fn keep_report(
        &self,
        by: &Session,
        room_id: Option<&RoomId>,
        event_id: Option<&EventId>,
        user_id: Option<&UserId>,
        complaint: Complaint,
    ) -> Result<(), RoomError> {
        let row = ReportRow {
            reporter: by.user_id.as_str().to_owned(),
            room_id: room_id.map(|room_id| room_id.as_str().to_owned()),
            event_id: event_id.map(|event_id| event_id.as_str().to_owned()),
            user_id: user_id.map(|user_id| user_id.as_str().to_owned()),
            score: complaint.score,
            at_ms: self.inner.store.clock().now_ms(),
            reason: Content(complaint.reason.unwrap_or_default().into()),
        };
        let id = self.inner.store.next_id().await?;
        let mut batch = Batch::new();
        REPORTS.put(&mut batch, REPORTS.key(0).u64(id).key(), &row);
        self.inner.store.commit(batch).await?;
        Ok(())
    }
}

fn check(complaint: &Complaint) -> Result<(), RoomError> {
    if complaint.reason.as_ref().is_some_and(|reason| reason.len() > limits::REPORT_BYTES) {
        return Err(RoomError::TooLarge(format!("A reason has at most {} bytes.", limits::REPORT_BYTES)));
    }
    if complaint.score.is_some_and(|score| !(-100..=0).contains(&score)) {
        return Err(RoomError::InvalidParam("A score is a number from -100 to 0.".into()));
    }
    Ok(())
}
