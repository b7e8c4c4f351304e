//! A backup as a data folder, to be read without being copied.

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use super::{Backup, BackupError};

/// A folder of links to a backup's files under the names that they have in a data folder. Dropping it removes the links.
#[derive(Debug)]
pub struct View {
    folder: PathBuf,
}

impl View {
    /// Makes it in `parent`, as a folder of its own whose name has `name` in it.
    ///
    /// # Errors
    /// `File`.
    pub fn of(backup: &Backup, parent: &Path, name: &str) -> Result<Self, BackupError> {
        let folder = parent.join(format!("wardstead-{name}"));
        fs::create_dir(&folder).map_err(BackupError::file(&folder))?;
        let view = Self { folder };
        for file in backup.files() {
            let path = backup.folder().join(&file.path);
            let path = std::path::absolute(&path).map_err(BackupError::file(&path))?;
            let link = view.folder.join(file.name());
            symlink(&path, &link).map_err(BackupError::file(&link))?;
        }
        Ok(view)
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for View {
    fn drop(&mut self) {
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(folder = %self.folder.display(), %error, "links are left behind");
            }
            _ => {}
        }
    }
}
