//! What the calling script hands over. A missing piece is an error, never a skipped test.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, Result, bail};

/// A file named by the environment variable `name`.
///
/// # Errors
/// When the variable is not set or names no file.
pub fn file(name: &str) -> Result<PathBuf> {
    let path = PathBuf::from(std::env::var_os(name).with_context(|| format!("{name} is not set: call tests/run"))?);
    if !path.is_file() {
        bail!("{name} names no file: {}", path.display());
    }
    Ok(path)
}

/// A number from the environment variable `name`, or `default`.
///
/// # Errors
/// When the variable is set to something else.
pub fn number<N: FromStr>(name: &str, default: N) -> Result<N> {
    match std::env::var(name) {
        Ok(text) => text.parse().ok().with_context(|| format!("{name} is not a number: {text}")),
        Err(_) => Ok(default),
    }
}

/// The version of package `name` in this workspace's lock file, read when the test runs.
///
/// # Errors
/// When the lock file does not have it.
pub fn locked_version(name: &str) -> Result<String> {
    let lock = file("WARDSTEAD_TESTS_LOCK")?;
    let lock: toml::Table = std::fs::read_to_string(&lock)?.parse()?;
    let packages = lock.get("package").and_then(toml::Value::as_array).context("a lock file has packages")?;
    packages
        .iter()
        .find(|package| package.get("name").and_then(toml::Value::as_str) == Some(name))
        .and_then(|package| package.get("version")?.as_str().map(str::to_owned))
        .with_context(|| format!("{name} is not in Cargo.lock"))
}
