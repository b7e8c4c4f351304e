//! Encrypted conversations, which the JavaScript program `js/secrets.mjs` holds by itself: its devices share one process.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use harness::{User, environment};

/// Two people verify each other and talk, a third device signs in and restores the backup, a device is removed; with the server at
/// `address`.
///
/// # Errors
/// When the calling script did not install the library, or something is not as it has to be; the program has told what.
pub fn keep(address: &str) -> Result<()> {
    let mut command = Command::new(environment::file("WARDSTEAD_NODE")?);
    command.arg(environment::file("WARDSTEAD_JS_SECRETS")?).arg(address).arg(User::password());
    let ended = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("the library does not start")?;
    ensure!(ended.status.success(), "the encrypted conversation failed: {}", ended.status);
    print!("clients: encrypted with {}", String::from_utf8_lossy(&ended.stdout));
    Ok(())
}
