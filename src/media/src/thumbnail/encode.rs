//! Files of pixels.

use bytes::Bytes;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{DynamicImage, ImageEncoder, RgbaImage};

use super::Refused;

/// Of 100: no fault is seen at the size of a thumbnail.
const JPEG_QUALITY: u8 = 85;

/// The file of a picture that does not move, and what it is. Where something is transparent it is PNG, else JPEG. Its colours are those of the
/// profile, which says nothing else; so it is kept where the picture still has its kind of colours.
pub(super) fn still(image: DynamicImage, profile: Option<Vec<u8>>) -> Result<(Bytes, &'static str), Refused> {
    let is_gray = !image.color().has_color();
    let profile = profile.filter(|profile| profile.get(16..20) == Some(if is_gray { b"GRAY" } else { b"RGB " }));
    let mut file = Vec::new();
    if is_transparent(&image) {
        let image = image.into_rgba8();
        let mut encoder = PngEncoder::new_with_quality(&mut file, CompressionType::Default, FilterType::Adaptive);
        if let Some(profile) = profile.filter(|_| !is_gray) {
            encoder.set_icc_profile(profile).map_err(|_| Refused::Unsupported)?;
        }
        image.write_with_encoder(encoder)?;
        return Ok((Bytes::from(file), "image/png"));
    }
    let mut encoder = JpegEncoder::new_with_quality(&mut file, JPEG_QUALITY);
    if let Some(profile) = profile {
        encoder.set_icc_profile(profile).map_err(|_| Refused::Unsupported)?;
    }
    if is_gray {
        image.into_luma8().write_with_encoder(encoder)?;
    } else {
        image.into_rgb8().write_with_encoder(encoder)?;
    }
    Ok((Bytes::from(file), "image/jpeg"))
}

/// Makes each pixel transparent or not: GIF knows nothing in between.
pub(super) fn harden(image: &mut RgbaImage) {
    for pixel in image.pixels_mut() {
        let [red, green, blue, alpha] = pixel.0;
        pixel.0 = if alpha < 128 { [0, 0, 0, 0] } else { [red, green, blue, 255] };
    }
}

fn is_transparent(image: &DynamicImage) -> bool {
    match image {
        DynamicImage::ImageRgba8(image) => image.pixels().any(|pixel| pixel.0[3] < u8::MAX),
        DynamicImage::ImageLumaA8(image) => image.pixels().any(|pixel| pixel.0[1] < u8::MAX),
        DynamicImage::ImageRgba16(image) => image.pixels().any(|pixel| pixel.0[3] < u16::MAX),
        DynamicImage::ImageLumaA16(image) => image.pixels().any(|pixel| pixel.0[1] < u16::MAX),
        _ => false,
    }
}
