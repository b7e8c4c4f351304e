//! Compares what a reader got with what the writers were promised.

use std::collections::HashMap;

use anyhow::Result;

use crate::promised;
use crate::reader::Message;
use crate::writer::Writer;

/// `messages` of `room` hold each acknowledged message exactly once and in its writer's order, and nothing that nobody sent.
/// When `settled`, nothing is unacknowledged any more.
///
/// # Errors
/// A [`Loss`](crate::loss::Loss) that says what.
pub fn messages<'a>(
    messages: &[Message],
    writers: impl IntoIterator<Item = &'a Writer>,
    room: &str,
    settled: bool,
) -> Result<()> {
    let mut by_body: HashMap<&str, (usize, &Message)> = HashMap::new();
    for (place, message) in messages.iter().enumerate() {
        let twice = by_body.insert(&message.body, (place, message));
        promised!(twice.is_none(), "{} stands twice in {room}", message.body);
    }
    let mut accounted = 0;
    for writer in writers.into_iter().filter(|writer| writer.room == room) {
        accounted += check_writer(writer, &by_body)?;
        promised!(!settled || writer.unacknowledged().next().is_none(), "a retry of {} had no event", writer.user.id);
    }
    promised!(accounted == messages.len(), "{room} has {} messages, {accounted} were sent", messages.len());
    Ok(())
}

/// How many of the messages are this writer's.
fn check_writer(writer: &Writer, by_body: &HashMap<&str, (usize, &Message)>) -> Result<usize> {
    let (mut count, mut last) = (0, None);
    for (sequence, sent) in writer.sent.iter().enumerate() {
        let label = writer.label(sequence);
        let Some((place, message)) = by_body.get(label.as_str()) else {
            promised!(sent.is_none(), "{label}, acknowledged as {sent:?}, is missing");
            continue;
        };
        promised!(message.sender == writer.user.id, "{label} is by {}", message.sender);
        promised!(
            sent.as_ref().is_none_or(|event| *event == message.event),
            "{label} is {}, not {sent:?}",
            message.event
        );
        promised!(last < Some(*place), "{label} stands before an earlier message");
        last = Some(*place);
        count += 1;
    }
    Ok(count)
}
