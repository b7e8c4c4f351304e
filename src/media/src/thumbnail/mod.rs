//! Small pictures of pictures.
//!
//! The picture is read as `strip` reads it, so that decoders see what makes a picture and nothing else, and how much there is of it is
//! known before any of it is decoded.

mod animated;
mod decode;
mod encode;
mod fit;
#[cfg(test)]
mod tests;

use std::panic::{self, AssertUnwindSafe};

use bytes::Bytes;
use image::ImageError;
use wardstead_limits::images as limits;

pub use fit::{Asked, Fit};

use crate::strip::{self, Kind, Picture};
use decode::Still;
use fit::Plan;

/// A thumbnail. It says nothing about who made the picture, where and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thumbnail {
    /// The file.
    pub bytes: Bytes,
    /// What it is: JPEG; PNG where something is transparent; GIF where it moves. Where the picture itself is the answer, what that is.
    pub content_type: &'static str,
    /// Pixels, as it is seen upright.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

/// Why there is no thumbnail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The picture has more pixels, frames or passes than are decoded.
    #[error("the picture is too large for a thumbnail")]
    TooLarge,
    /// No picture, or none of a kind of which thumbnails are made.
    #[error("there are no thumbnails of such files")]
    Unsupported,
    /// A picture that cannot be decoded.
    #[error("the picture cannot be read")]
    Malformed,
}

impl From<strip::Refused> for Refused {
    fn from(refused: strip::Refused) -> Self {
        match refused {
            strip::Refused::Heif => Self::Unsupported,
            strip::Refused::CutOff(_) | strip::Refused::Malformed(_) => Self::Malformed,
        }
    }
}

impl From<ImageError> for Refused {
    fn from(error: ImageError) -> Self {
        match error {
            ImageError::Limits(_) => Self::TooLarge,
            ImageError::Unsupported(_) => Self::Unsupported,
            _ => Self::Malformed,
        }
    }
}

/// How much work a picture may be.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    decoded_bytes: u64,
    animated_pixels: u64,
    animated_bytes: usize,
}

/// The thumbnail of the picture `bytes` that was asked for. It is at least as large as asked for (its width or its height is, where it is
/// scaled), unless the picture itself is smaller: a picture is never enlarged. What it is larger than asked for is decided by
/// [`Asked::listed`]; who asks for more than is listed, or for as much as there is, is given the picture without its metadata.
///
/// Blocking; a picture of 12 million pixels takes some tenths of a second, and [`limits::DECODED_BYTES`] of memory at most, beside some times
/// the thumbnail.
///
/// # Errors
/// [`Refused`].
///
/// Source: Client-Server API, Content repository, Thumbnails.
pub fn make(bytes: &[u8], asked: Asked) -> Result<Thumbnail, Refused> {
    let bounds = Bounds {
        decoded_bytes: limits::DECODED_BYTES,
        animated_pixels: limits::ANIMATED_PIXELS,
        animated_bytes: limits::ANIMATED_BYTES,
    };
    make_within(bytes, asked, bounds)
}

fn make_within(bytes: &[u8], asked: Asked, bounds: Bounds) -> Result<Thumbnail, Refused> {
    let picture = strip::read(Kind::of("image/", bytes), bytes)?.ok_or(Refused::Unsupported)?;
    if picture.frames > limits::PICTURE_FRAMES || picture.scans > limits::JPEG_PASSES {
        return Err(Refused::TooLarge);
    }
    // A decoder that panics over a damaged picture has found it damaged. It owns all that it has changed.
    panic::catch_unwind(AssertUnwindSafe(|| of(&picture, asked, bounds))).unwrap_or(Err(Refused::Malformed))
}

fn of(picture: &Picture<'_>, asked: Asked, bounds: Bounds) -> Result<Thumbnail, Refused> {
    let decoder = decode::open(picture, bounds)?;
    let size = decode::upright(decoder.size(), picture.orientation);
    let moves = picture.frames > 1;
    let plan = Plan::new(size, asked.listed());
    let content_type = picture.kind.content_type().ok_or(Refused::Unsupported)?;
    if plan == Plan::whole(size) && (asked.animated || !moves) {
        let bytes = Bytes::copy_from_slice(&picture.bytes);
        return Ok(Thumbnail { bytes, content_type, width: size.0, height: size.1 });
    }
    if moves
        && asked.animated
        && let Some(bytes) = animated::make(picture, plan, bounds)
    {
        return Ok(Thumbnail { bytes, content_type: "image/gif", width: plan.to.0, height: plan.to.1 });
    }
    let Still { image, profile } = decoder.first()?;
    let small = plan.apply(image, picture.orientation);
    let (width, height) = (small.width(), small.height());
    let (bytes, content_type) = encode::still(small, profile)?;
    Ok(Thumbnail { bytes, content_type, width, height })
}
