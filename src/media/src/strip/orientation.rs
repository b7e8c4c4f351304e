//! How a picture is turned: the one thing that EXIF says and that everybody sees.
//!
//! A phone that is held upright stores what its sensor saw, on its side, and says so. Without that a wound would be shown turned by a
//! quarter. Turning the pixels instead would mean decoding and coding them anew, with loss; so an EXIF block with this tag alone is written,
//! and none at all where the picture is upright as it is.

use image::metadata::Orientation;

/// The EXIF block that says this alone: 26 bytes, one directory with one entry (Exif 2.32, section 4.6).
pub(super) fn block(orientation: Orientation) -> [u8; 26] {
    let mut block = *b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\0\0\0\0\0\0\0";
    block[19] = orientation.to_exif();
    block
}

/// What an EXIF block says, with or without the name that JPEG puts before it. Upright where it says nothing that is valid.
pub(super) fn of(block: &[u8]) -> Orientation {
    let block = block.strip_prefix(b"Exif\0\0").unwrap_or(block);
    Orientation::from_exif_chunk(block).unwrap_or(Orientation::NoTransforms)
}

/// The first of `blocks` that turns the picture.
pub(super) fn first<'a>(blocks: impl Iterator<Item = &'a [u8]>) -> Orientation {
    blocks.map(of).find(|found| *found != Orientation::NoTransforms).unwrap_or(Orientation::NoTransforms)
}
