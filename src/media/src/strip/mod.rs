//! What pictures say about who made them, where and with what, is taken out before they are stored.
//!
//! Each format is read block by block and **only what is known to make the picture is copied**; nothing is looked for in order to be
//! taken out. So what no list names (a maker's own segment, a second picture, a film behind the last byte) does not come along. What is
//! copied is copied as it is: pixels are never decoded, and the colour profile is not touched.

mod gif;
mod jpeg;
mod kind;
mod orientation;
mod output;
mod png;
mod reader;
#[cfg(test)]
pub(crate) mod tests;
mod webp;

use std::borrow::Cow;

use bytes::Bytes;
use image::metadata::Orientation;

pub use kind::Kind;

/// A file without what it said about its making.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stripped {
    /// The file: a part of what was given, without a copy, where nothing or only something behind its end was taken out.
    pub bytes: Bytes,
    /// What it begins as, whatever it is called.
    pub kind: Kind,
}

/// Why a file was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// HEIC, HEIF or AVIF.
    #[error(
        "pictures in HEIC, HEIF or AVIF are not taken, since what they say about place, time and camera cannot be removed: send it as JPEG"
    )]
    Heif,
    /// It ends before the picture does.
    #[error("the {0} file is cut off")]
    CutOff(Kind),
    /// It is not built as its format says, so that nobody can tell where in it a place or a name stands.
    #[error("the {0} file is damaged")]
    Malformed(Kind),
}

/// A picture, and what its blocks say about how much work it is to decode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Picture<'a> {
    /// The file without metadata.
    pub(crate) bytes: Cow<'a, [u8]>,
    /// Its format.
    pub(crate) kind: Kind,
    /// How it is to be turned to be upright.
    pub(crate) orientation: Orientation,
    /// Pictures that are shown one after another.
    pub(crate) frames: u64,
    /// Passes over the picture (JPEG alone; 1 elsewhere).
    pub(crate) scans: u64,
}

/// `bytes`, which are called `content_type`, without metadata. What is none of the pictures that [`Kind`] names comes back as it is,
/// encrypted files among it: what a file begins as decides, not what it is called.
///
/// # Errors
/// [`Refused`]: a picture that cannot be stripped, or is damaged.
pub fn strip(content_type: &str, bytes: Bytes) -> Result<Stripped, Refused> {
    let kind = Kind::of(content_type, &bytes);
    let Some(picture) = read(kind, &bytes)? else { return Ok(Stripped { bytes, kind }) };
    let stripped = match picture.bytes {
        Cow::Borrowed(part) => bytes.slice_ref(part),
        Cow::Owned(made) => Bytes::from(made),
    };
    Ok(Stripped { bytes: stripped, kind })
}

/// Whether a file that begins with this (16 bytes tell) may be a picture that [`strip`] would change or refuse. A file in 16 million
/// may without being one.
#[must_use]
pub fn may_be_picture(start: &[u8]) -> bool {
    start.starts_with(b"\xff\xd8\xff") || Kind::of("", start) != Kind::Other
}

/// The picture in a file of this kind; `None` where it is no picture.
pub(crate) fn read(kind: Kind, bytes: &[u8]) -> Result<Option<Picture<'_>>, Refused> {
    match kind {
        Kind::Jpeg => jpeg::read(bytes).map(Some),
        Kind::Png => png::read(bytes).map(Some),
        Kind::Gif => gif::read(bytes).map(Some),
        Kind::Webp => webp::read(bytes).map(Some),
        Kind::Heif => Err(Refused::Heif),
        Kind::Other => Ok(None),
    }
}
