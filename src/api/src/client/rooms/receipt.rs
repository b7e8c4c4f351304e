//! `POST /_matrix/client/v3/rooms/{roomId}/receipt/{receiptType}/{eventId}`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidreceiptreceipttypeeventid>

use ruma::{
    EventId, OwnedEventId, OwnedRoomId, RoomId,
    api::{
        IncomingRequest,
        client::receipt::create_receipt::v3::{ReceiptType, Request as WithThread, Response},
        error::DeserializationError,
    },
};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use wardstead_rooms::{Marks, ReceiptMark};

use crate::{ApiError, endpoint::same_endpoint, ruma_io::Ruma};

/// As ruma's, but that a thread that cannot be one is read, so that it is answered with the code that the specification names.
pub(super) struct Request {
    room_id: OwnedRoomId,
    receipt_type: ReceiptType,
    event_id: OwnedEventId,
    body: Body,
}

#[derive(Deserialize)]
struct Body {
    #[serde(default, deserialize_with = "even_null")]
    thread_id: Option<Value>,
}

fn even_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

same_endpoint!(Request, WithThread);

impl IncomingRequest for Request {
    type EndpointError = <WithThread as IncomingRequest>::EndpointError;
    type OutgoingResponse = Response;

    fn try_from_http_request_inner(
        request: http::Request<&[u8]>,
        path_args: &[&str],
    ) -> Result<Self, DeserializationError> {
        let argument = |at: usize| path_args.get(at).copied().unwrap_or_default();
        Ok(Self {
            room_id: RoomId::parse(argument(0))?,
            receipt_type: ReceiptType::from(argument(1)),
            event_id: EventId::parse(argument(2))?,
            body: serde_json::from_slice(request.body())?,
        })
    }
}

/// For events that the caller may see, where they are joined. A receipt never moves backwards; that is no error.
pub(super) async fn receipt(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    let Request { room_id, receipt_type, event_id, body } = request;
    let thread = match body.thread_id {
        None => None,
        Some(Value::String(thread)) if !thread.is_empty() => Some(thread),
        Some(_) => return Err(ApiError::invalid_param("thread_id is a string that is not empty.")),
    };
    let mark = ReceiptMark { event_id, thread };
    let marks = match receipt_type {
        ReceiptType::Read => Marks { read: Some(mark), ..Marks::default() },
        ReceiptType::ReadPrivate => Marks { private: Some(mark), ..Marks::default() },
        ReceiptType::FullyRead if mark.thread.is_some() => {
            return Err(ApiError::invalid_param("m.fully_read is of the whole room and takes no thread_id."));
        }
        ReceiptType::FullyRead => Marks { fully_read: Some(mark.event_id), ..Marks::default() },
        _ => return Err(ApiError::invalid_param("A receipt is m.read, m.read.private or m.fully_read.")),
    };
    state.rooms.mark_read(&caller, &room_id, &marks).await?;
    state.syncer.presence().acted(&caller);
    Ok(Response::new())
}
