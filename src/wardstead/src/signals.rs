//! SIGTERM and SIGINT.

use tokio::signal::unix::{SignalKind, signal};

/// Watches from now on for a signal that asks the process to end; the future waits for the first, and says which. Called
/// before the first address is announced: a signal that comes earlier ends the process without further ado.
///
/// # Errors
/// The signal cannot be watched.
pub(crate) fn end_asked_for() -> std::io::Result<impl Future<Output = &'static str>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    })
}
