//! Proves the shim: a program that writes with and without syncs, and exactly what must be left of its files.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};
use harness::{SyncLog, environment};

/// Files of `shim/writer.c` and the lengths that are durable; the others never were.
const LEFT: [(&str, u64); 8] = [
    ("all-synced", 100),
    ("direct", 4096),
    ("opened-anew", 0),
    ("preallocated", 10),
    ("renamed", 100),
    ("tail-unsynced", 100),
    ("through-stdio", 10),
    ("truncated", 40),
];
/// Files that are removed.
const GONE: [&str; 5] = ["inode-reused", "mapped", "never-synced", "only-written-back", "replaced"];

pub fn run(folder: &Path) -> Result<()> {
    let (data, log) = (folder.join("data"), folder.join("shim.log"));
    std::fs::create_dir(&data)?;
    let status = Command::new(environment::file("WARDSTEAD_SHIM_WRITER")?)
        .arg(&data)
        .env("LD_PRELOAD", environment::file("WARDSTEAD_SHIM")?)
        .env("WARDSTEAD_SHIM_LOG", &log)
        .status()?;
    if status.signal() != Some(9) {
        bail!("the writer ended with {status}");
    }
    let written = lengths(&data)?;
    if written.len() != LEFT.len() + GONE.len() {
        bail!("the writer left {written:?}");
    }
    let mut log = SyncLog::follow(&log)?;
    let cut = log.cut(&data)?;
    let removed: Vec<_> = cut.removed.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    if removed != GONE {
        bail!("removed {removed:?}, not {GONE:?}");
    }
    let left = lengths(&data)?;
    let expected: Vec<_> = LEFT.iter().map(|(name, length)| ((*name).to_owned(), *length)).collect();
    if left != expected {
        bail!("left {left:?}, not {expected:?}");
    }
    let again = log.cut(&data)?;
    if again != harness::shim::Cut::default() {
        bail!("a second cut took {again:?}");
    }
    println!("shim: {} files keep exactly what was synced, {} that never were are gone", LEFT.len(), GONE.len());
    Ok(())
}

fn lengths(folder: &Path) -> Result<Vec<(String, u64)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        found.push((entry.file_name().to_string_lossy().into_owned(), entry.metadata()?.len()));
    }
    found.sort();
    Ok(found)
}
