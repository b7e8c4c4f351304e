//! Several requests in one round trip.

use std::{future::Future, pin::Pin, task::Poll};

use futures::future::poll_fn;

/// A request to the server, sent when it is first polled.
pub(crate) type Request<'a, T> = Pin<Box<dyn Future<Output = Result<T, tokio_postgres::Error>> + Send + 'a>>;

/// Sends `requests` in order without waiting between them, and gives their answers in order. The server works through them
/// one after the other.
pub(crate) async fn pipeline<T>(mut requests: Vec<Request<'_, T>>) -> Vec<Result<T, tokio_postgres::Error>> {
    let mut answers: Vec<Option<Result<T, tokio_postgres::Error>>> = requests.iter().map(|_| None).collect();
    poll_fn(|context| {
        let mut waiting = false;
        for (request, answer) in requests.iter_mut().zip(&mut answers) {
            if answer.is_none() {
                match request.as_mut().poll(context) {
                    Poll::Ready(result) => *answer = Some(result),
                    Poll::Pending => waiting = true,
                }
            }
        }
        if waiting { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    answers.into_iter().flatten().collect()
}
