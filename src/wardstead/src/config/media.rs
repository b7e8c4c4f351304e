//! `[media]`

#![expect(unused_qualifications, reason = "the derive macro's paths carry the spans of our fields")]

use std::path::{Path, PathBuf};

use wardstead_limits::media as limits;
use wardstead_media::{MediaConfig, objects::MediaKeys};

/// `[media]`
#[derive(Clone, Debug, confique::Config)]
#[config(partial_attr(derive(Debug, Clone)))]
#[config(partial_attr(serde(deny_unknown_fields)))]
pub struct Media {
    /// Folder of the files, on a disk of this machine or one that all nodes share. It is made when it does not exist. Without it,
    /// "media" in the data folder; where the data is in a database, no files are taken. Backups of the data do not have it: copy it
    /// after them.
    pub dir: Option<PathBuf>,

    /// Whether files are encrypted before they are written. Those that were stay readable.
    #[config(default = true)]
    pub encryption: bool,

    /// File of the keys that files are encrypted with: on each line a number from 1 on, a space, and 32 random bytes in base64. New
    /// files take the key with the highest number; keys of files that are still there must stay. Without it the server makes a key
    /// itself, which lies in the data: who has the data and the files can read them then.
    pub key_file: Option<PathBuf>,

    /// Bytes of a file, at most.
    #[config(default = 104_857_600)]
    pub max_file_bytes: u64,

    /// Bytes of all files of one person, at most.
    #[config(default = 21_474_836_480_u64)]
    pub max_user_bytes: u64,

    /// Bytes of all files together, at most; equal files count once. Without it, as much as there is room for.
    pub max_server_bytes: Option<u64>,

    /// Whether what pictures say about where, when and with what they were taken is removed when they are uploaded. Encrypted files
    /// cannot be looked into.
    #[config(default = true)]
    pub strip_metadata: bool,

    /// Whether files uploaded from now on can be read by whoever knows their address, without being signed in, as old apps do.
    /// Files uploaded while it was so stay readable like that.
    #[config(default = false)]
    pub unauthenticated: bool,
}

impl Media {
    /// What a server does of which nothing is said, except that old clients, and test suites, read files.
    pub(crate) const fn dev() -> Self {
        Self {
            dir: None,
            encryption: true,
            key_file: None,
            max_file_bytes: limits::FILE_BYTES,
            max_user_bytes: limits::USER_TOTAL_BYTES,
            max_server_bytes: None,
            strip_metadata: true,
            unauthenticated: true,
        }
    }

    /// What is told to the part.
    #[must_use]
    pub fn config(&self) -> MediaConfig {
        MediaConfig {
            file_bytes: self.max_file_bytes,
            user_bytes: self.max_user_bytes,
            server_bytes: self.max_server_bytes,
            strip: self.strip_metadata,
            open: self.unauthenticated,
        }
    }

    /// The keys of the file; none without one.
    ///
    /// # Errors
    /// A sentence that names the file, and nothing that stands in it.
    pub fn keys(&self) -> Result<MediaKeys, String> {
        let Some(path) = &self.key_file else { return Ok(MediaKeys::default()) };
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        MediaKeys::parse(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Where files are: what is said, or in the `data` folder.
    pub(super) fn folder(&self, data: Option<&Path>) -> Option<PathBuf> {
        self.dir.clone().or_else(|| Some(data?.join("media")))
    }

    /// Makes paths relative to `folder`.
    pub(super) fn complete(&mut self, folder: &Path) {
        for path in [&mut self.dir, &mut self.key_file].into_iter().flatten() {
            *path = folder.join(&path);
        }
    }
}
