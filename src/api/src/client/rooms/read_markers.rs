//! `POST /_matrix/client/v3/rooms/{roomId}/read_markers`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidread_markers>

use ruma::api::client::read_marker::set_read_marker::v3::{Request, Response};
use wardstead_rooms::{Marks, ReceiptMark};

use crate::{ApiError, ruma_io::Ruma};

/// All that the request names, or nothing of it. Markers never move backwards; that is no error.
pub(super) async fn read_markers(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    let Request { room_id, fully_read, read_receipt, private_read_receipt, .. } = request;
    let marks = Marks {
        read: read_receipt.map(ReceiptMark::unthreaded),
        private: private_read_receipt.map(ReceiptMark::unthreaded),
        fully_read,
    };
    state.rooms.mark_read(&caller, &room_id, &marks).await?;
    state.syncer.presence().acted(&caller);
    Ok(Response::new())
}
