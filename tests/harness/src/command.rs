//! The program's commands, as an operator gives them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};

use crate::Launch;
use crate::server::SERVER_NAME;

/// A path as text.
///
/// # Errors
/// When it is none.
pub fn path(path: &Path) -> Result<&str> {
    path.to_str().context("a path of the test is text")
}

/// Writes the configuration of a server whose data is in `data` into `folder`; the file.
///
/// # Errors
/// When it cannot be written.
pub fn configuration(folder: &Path, data: &Path) -> Result<PathBuf> {
    let file = folder.join("config.toml");
    let data = path(data)?;
    std::fs::write(&file, format!("[server]\nname = \"{SERVER_NAME}\"\n[data]\ndir = '{data}'\n"))?;
    Ok(file)
}

/// Runs the program with `arguments` to its end.
///
/// # Errors
/// When it cannot be started.
pub async fn wardstead(launch: &Launch, arguments: &[&str]) -> Result<Output> {
    let mut command: Command = launch.program();
    command.args(arguments);
    Ok(tokio::task::spawn_blocking(move || command.output()).await??)
}

/// Ended with 0.
///
/// # Errors
/// When it did not: what it said.
pub fn succeeded(output: &Output) -> Result<()> {
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ended with {}: {said}", output.status);
    Ok(())
}
