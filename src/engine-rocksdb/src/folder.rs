//! The data folder.

use std::{fs, io, os::unix::fs::DirBuilderExt as _, path::Path};

use wardstead_engine::EngineError;

use crate::files;

/// Lies in a folder from the beginning of a restore into it until everything in it is in place and durable.
const RESTORING: &str = "RESTORING";

/// Makes `path` and what is missing above it, for its owner alone, each durable in the folder that holds it: RocksDB syncs
/// what it writes in its folder, but not the entry of the folder itself, without which a power failure takes all of it.
pub(crate) fn make(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    // The parent of a relative path of one part is the empty path.
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make(parent)?;
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    fs::File::open(parent)?.sync_all()
}

/// Refuses a folder whose restore did not finish.
pub(crate) fn check_whole(path: &Path) -> Result<(), EngineError> {
    if !path.join(RESTORING).exists() {
        return Ok(());
    }
    let what = "a restore into it did not finish, so that what is in it is not whole: empty it and restore again";
    Err(EngineError::Unavailable(format!("{}: {what}", path.display())))
}

/// Refuses a folder whose log has acknowledged writes behind damage.
pub(crate) fn check_log(path: &Path) -> Result<(), EngineError> {
    let unreadable = |error: io::Error| EngineError::Unavailable(format!("{}: {error}", path.display()));
    if !path.try_exists().map_err(unreadable)? {
        return Ok(());
    }
    let Some(finding) = files::lost_by_opening(path).map_err(unreadable)? else { return Ok(()) };
    let file = finding.file.display();
    let what = "writes that were acknowledged stand behind it and would be lost: copy the folder, then restore a backup, or \
                give them up with `wardstead restore --after-restore --cut-damaged-log`";
    Err(EngineError::Unavailable(format!("{file}: {}; {what}", finding.what)))
}

/// Whether there is nothing in the folder, or no folder. What a file system puts there itself counts as nothing, and so do the files that
/// people sent, of which backups have none.
pub(crate) fn is_empty(path: &Path) -> io::Result<bool> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        entries => entries?,
    };
    for entry in entries {
        let name = entry?.file_name();
        if name != "lost+found" && name != "media" {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Marks the folder, durably.
pub(crate) fn begin_restore(path: &Path) -> io::Result<()> {
    fs::File::create(path.join(RESTORING))?.sync_all()?;
    sync(path)
}

/// Takes the mark away, durably: what is in the folder is whole now.
pub(crate) fn end_restore(path: &Path) -> io::Result<()> {
    fs::remove_file(path.join(RESTORING))?;
    sync(path)
}

/// Makes the names in `path` durable.
pub(crate) fn sync(path: &Path) -> io::Result<()> {
    fs::File::open(path)?.sync_all()
}
