//! Pixels of files, within bounds.

use std::io::Cursor;

use image::codecs::{gif::GifDecoder, jpeg::JpegDecoder, png::PngDecoder, webp::WebPDecoder};
use image::metadata::{LoopCount, Orientation};
use image::{AnimationDecoder, DynamicImage, Frames, ImageDecoder, Limits};
use wardstead_limits::images as limits;

use super::{Bounds, Refused};
use crate::strip::{Kind, Picture};

/// A file whose size is known, and of which no pixel is decoded yet.
pub(super) struct Decoder<'a> {
    inner: Box<dyn ImageDecoder + 'a>,
    size: (u32, u32),
}

/// A picture that does not move.
pub(super) struct Still {
    pub(super) image: DynamicImage,
    pub(super) profile: Option<Vec<u8>>,
}

/// Reads how large a picture is, and refuses it where decoding it would take more memory than it may.
pub(super) fn open<'a>(picture: &'a Picture<'_>, bounds: Bounds) -> Result<Decoder<'a>, Refused> {
    let file = Cursor::new(&*picture.bytes);
    // Bytes a pixel beside those of the picture itself.
    let (mut inner, beside): (Box<dyn ImageDecoder + 'a>, u64) = match picture.kind {
        // A picture in several passes is kept as coefficients, of two bytes, until the last.
        Kind::Jpeg => (Box::new(JpegDecoder::new(file)?), if picture.scans > 1 { 6 } else { 0 }),
        Kind::Png => (Box::new(PngDecoder::with_limits(file, allowed(bounds))?), 0),
        Kind::Gif => (Box::new(GifDecoder::new(file)?), 4),
        // The planes or the colours that it is made of, and a frame of its own.
        Kind::Webp => (Box::new(WebPDecoder::new(file)?), 8),
        Kind::Heif | Kind::Other => return Err(Refused::Unsupported),
    };
    let size = inner.dimensions();
    check(size, u64::from(inner.color_type().bytes_per_pixel()) + beside, bounds)?;
    inner.set_limits(allowed(bounds))?;
    Ok(Decoder { inner, size })
}

impl Decoder<'_> {
    /// Pixels, as they are stored: width and height.
    pub(super) fn size(&self) -> (u32, u32) {
        self.size
    }

    /// The picture, or the first of an animation.
    pub(super) fn first(mut self) -> Result<Still, Refused> {
        let profile = self.inner.icc_profile()?.filter(|profile| profile.len() <= limits::PROFILE_BYTES);
        Ok(Still { image: DynamicImage::from_decoder(self.inner)?, profile })
    }
}

/// The frames of an animation, each as it is shown, with how often all are; `None` for what does not move.
pub(super) fn frames<'a>(picture: &'a Picture<'_>, bounds: Bounds) -> Result<Option<(Frames<'a>, LoopCount)>, Refused> {
    let file = Cursor::new(&*picture.bytes);
    match picture.kind {
        Kind::Gif => {
            let mut decoder = GifDecoder::new(file)?;
            check(decoder.dimensions(), 12, bounds)?;
            decoder.set_limits(allowed(bounds))?;
            let times = decoder.loop_count();
            Ok(Some((decoder.into_frames(), times)))
        }
        Kind::Png => {
            let mut decoder = PngDecoder::with_limits(file, allowed(bounds))?;
            check(decoder.dimensions(), 16, bounds)?;
            decoder.set_limits(allowed(bounds))?;
            let decoder = decoder.apng()?;
            let times = decoder.loop_count();
            Ok(Some((decoder.into_frames(), times)))
        }
        Kind::Webp => {
            let decoder = WebPDecoder::new(file)?;
            check(decoder.dimensions(), 16, bounds)?;
            let times = decoder.loop_count();
            Ok(Some((decoder.into_frames(), times)))
        }
        Kind::Jpeg | Kind::Heif | Kind::Other => Ok(None),
    }
}

/// Width and height as they are seen, of what is stored with this orientation; and the other way round.
pub(super) fn upright((width, height): (u32, u32), orientation: Orientation) -> (u32, u32) {
    match orientation {
        Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH => {
            (height, width)
        }
        _ => (width, height),
    }
}

fn check((width, height): (u32, u32), bytes_per_pixel: u64, bounds: Bounds) -> Result<(), Refused> {
    if width == 0 || height == 0 {
        return Err(Refused::Malformed);
    }
    let pixels = u64::from(width) * u64::from(height);
    if pixels.saturating_mul(bytes_per_pixel) > bounds.decoded_bytes { Err(Refused::TooLarge) } else { Ok(()) }
}

/// What the decoders themselves hold to, where they do.
fn allowed(bounds: Bounds) -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(bounds.decoded_bytes);
    limits
}
