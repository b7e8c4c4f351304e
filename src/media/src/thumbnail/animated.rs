//! Thumbnails that move.
//!
//! They are GIF whatever they are made of: each frame has 256 colours of its own, and is a third as large as in lossless WebP, which is the
//! one kind of WebP that the decoders' authors can write.

use std::io::{self, Write};

use bytes::Bytes;
use image::codecs::gif::{GifEncoder, Repeat};
use image::metadata::LoopCount;
use image::{DynamicImage, Frame};
use wardstead_limits::images as limits;

use super::fit::Plan;
use super::{Bounds, Refused, decode, encode};
use crate::strip::Picture;

/// How carefully the 256 colours are chosen: 1 is best, 30 fastest.
const SPEED: i32 = 10;

/// The animation; `None` where it is too long or too large to be one, or its frames cannot be decoded. Its first frame is shown then, if that
/// can be: `animated` is a wish.
pub(super) fn make(picture: &Picture<'_>, plan: Plan, bounds: Bounds) -> Option<Bytes> {
    if picture.frames > limits::ANIMATED_FRAMES {
        return None;
    }
    encoded(picture, plan, bounds).ok().flatten()
}

fn encoded(picture: &Picture<'_>, plan: Plan, bounds: Bounds) -> Result<Option<Bytes>, Refused> {
    let Some((frames, times)) = decode::frames(picture, bounds)? else { return Ok(None) };
    let mut file = File { bytes: Vec::new(), bound: bounds.animated_bytes, is_full: false };
    let mut encoder = GifEncoder::new_with_speed(&mut file, SPEED);
    match times {
        LoopCount::Infinite => encoder.set_repeat(Repeat::Infinite)?,
        LoopCount::Finite(times) if times.get() > 1 => {
            encoder.set_repeat(Repeat::Finite(u16::try_from(times.get()).unwrap_or(u16::MAX)))?;
        }
        LoopCount::Finite(_) => {}
    }
    let mut left = bounds.animated_pixels;
    for frame in frames {
        let frame = frame?;
        let pixels = u64::from(frame.buffer().width()) * u64::from(frame.buffer().height());
        let Some(rest) = left.checked_sub(pixels) else { return Ok(None) };
        left = rest;
        let delay = frame.delay();
        let small = plan.apply(DynamicImage::ImageRgba8(frame.into_buffer()), picture.orientation);
        let mut small = small.into_rgba8();
        encode::harden(&mut small);
        encoder.encode_frame(Frame::from_parts(small, 0, 0, delay))?;
    }
    // Writes the end, and cannot say whether that went well.
    drop(encoder);
    Ok((!file.is_full).then(|| Bytes::from(file.bytes)))
}

/// A file that does not grow beyond its bound.
struct File {
    bytes: Vec<u8>,
    bound: usize,
    is_full: bool,
}

impl Write for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.bound {
            self.is_full = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
