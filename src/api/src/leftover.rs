//! What is left of a body when a request was answered without it: a missing token, an unknown path.
//!
//! A connection that is closed on unread bytes is reset, and the answer may be lost on its way; a client that is told nothing sends its next
//! request into a connection that ends. So the rest is read, within bounds, before the answer is given.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::{Body, BodyDataStream, HttpBody as _};
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use tokio::sync::oneshot;
use wardstead_limits::api::{BODY_BYTES, BODY_LEFT_MS};

/// A body that goes back to whoever lent it when it is dropped before its end.
struct Lent {
    chunks: Option<BodyDataStream>,
    back: Option<oneshot::Sender<BodyDataStream>>,
}

/// Where the rest of a lent body arrives.
pub(crate) struct Leftover(oneshot::Receiver<BodyDataStream>);

/// `body` for a handler, and what that will leave of it. A body without anything in it is not lent.
pub(crate) fn lend(body: Body) -> (Body, Option<Leftover>) {
    if body.is_end_stream() {
        return (body, None);
    }
    let (back, rest) = oneshot::channel();
    (Body::from_stream(Lent { chunks: Some(body.into_data_stream()), back: Some(back) }), Some(Leftover(rest)))
}

impl Leftover {
    /// Reads the rest, at most [`BODY_BYTES`] and for [`BODY_LEFT_MS`]. Whether the body has been read to its end by now.
    pub(crate) async fn discard(mut self) -> bool {
        let Ok(mut rest) = self.0.try_recv() else { return true };
        let read = async {
            let mut bytes = 0;
            while let Some(chunk) = rest.next().await {
                let Ok(chunk) = chunk else { return false };
                bytes += chunk.len();
                if bytes > BODY_BYTES {
                    return false;
                }
            }
            true
        };
        tokio::time::timeout(Duration::from_millis(BODY_LEFT_MS), read).await.unwrap_or(false)
    }
}

impl Stream for Lent {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(chunks) = &mut self.chunks else { return Poll::Ready(None) };
        let chunk = std::task::ready!(chunks.poll_next_unpin(context));
        if !matches!(chunk, Some(Ok(_))) {
            self.chunks = None;
        }
        Poll::Ready(chunk)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (Some(rest), Some(back)) = (self.chunks.take(), self.back.take()) {
            // Nobody waits for it any more when the client hung up.
            drop(back.send(rest));
        }
    }
}
