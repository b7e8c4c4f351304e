//! What must not stand on disk: access tokens and passwords, neither in the data nor in the log.

use std::ops::Range;
use std::path::Path;

use anyhow::Result;
use harness::{User, promised};

use crate::ward::Ward;

/// The part of a token that is looked for: RocksDB leaves out what a key shares with the one before, as all tokens share their
/// beginning; what is random it cannot shorten.
const PART: Range<usize> = 8..28;

/// Looks through every file below `folder`.
pub fn none_stored(folder: &Path, ward: &Ward) -> Result<()> {
    let tokens = ward.writers.iter().map(|writer| writer.user.token.as_str());
    let secrets: Vec<&str> = tokens.map(|token| token.get(PART).unwrap_or(token)).chain([User::password()]).collect();
    let mut bytes = 0;
    look(folder, &secrets, &mut bytes)?;
    println!("kill: no access token and no password in {bytes} bytes of data and log");
    Ok(())
}

fn look(folder: &Path, secrets: &[&str], bytes: &mut usize) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            look(&path, secrets, bytes)?;
            continue;
        }
        let content = std::fs::read(&path)?;
        *bytes += content.len();
        let text = String::from_utf8_lossy(&content);
        for secret in secrets {
            promised!(!text.contains(secret), "{} holds the secret {secret}", path.display());
        }
    }
    Ok(())
}
