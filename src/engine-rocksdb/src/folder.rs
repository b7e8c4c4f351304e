//! The data folder.

use std::{fs, io, path::Path};

/// Makes `path` and what is missing above it, each durable in the folder that holds it: RocksDB syncs what it writes in its
/// folder, but not the entry of the folder itself, without which a power failure takes all of it.
pub(crate) fn make(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    // The parent of a relative path of one part is the empty path.
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make(parent)?;
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    fs::File::open(parent)?.sync_all()
}
