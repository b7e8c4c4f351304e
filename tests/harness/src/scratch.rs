//! A folder of one test, kept when the test fails.

use std::path::Path;

use anyhow::{Context, Result};
use tempfile::TempDir;

/// A fresh folder below the system's place for temporary files.
#[derive(Debug)]
pub struct Scratch(TempDir);

impl Scratch {
    /// Makes it.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn new() -> Result<Self> {
        Ok(Self(tempfile::Builder::new().prefix("wardstead-test-").tempdir()?))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Hands `result` on. The folder goes with a success and stays, to be looked at, with an error.
    ///
    /// # Errors
    /// That of `result`.
    pub fn settle<T>(self, result: Result<T>) -> Result<T> {
        if result.is_err() {
            let kept = self.0.keep();
            return result.with_context(|| format!("data and server log are kept in {}", kept.display()));
        }
        result
    }
}
