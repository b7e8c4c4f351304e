//! What a file is, by its first bytes.

use std::fmt;

/// What a file begins as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// JPEG.
    Jpeg,
    /// PNG, animated ones too.
    Png,
    /// GIF.
    Gif,
    /// WebP.
    Webp,
    /// A still picture in an ISO media file: HEIC, HEIF, AVIF.
    Heif,
    /// Anything else.
    Other,
}

/// Brands of ISO media files that hold still pictures (ISO/IEC 23008-12, AV1 Image File Format).
const STILL: [&[u8; 4]; 14] = [
    b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"mif2", b"msf1", b"avif",
    b"avis", b"avci",
];

impl Kind {
    /// What `bytes`, called `content_type`, begin as.
    pub(crate) fn of(content_type: &str, bytes: &[u8]) -> Self {
        if bytes.starts_with(b"\xff\xd8\xff") && (is_picture(content_type) || goes_on_as_jpeg(bytes)) {
            Self::Jpeg
        } else if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            Self::Png
        } else if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") {
            Self::Gif
        } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
            Self::Webp
        } else if is_still(bytes) {
            Self::Heif
        } else {
            Self::Other
        }
    }

    /// Its media type, where it is a picture.
    #[must_use]
    pub fn content_type(self) -> Option<&'static str> {
        match self {
            Self::Jpeg => Some("image/jpeg"),
            Self::Png => Some("image/png"),
            Self::Gif => Some("image/gif"),
            Self::Webp => Some("image/webp"),
            Self::Heif | Self::Other => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::Gif => "GIF",
            Self::Webp => "WebP",
            Self::Heif => "HEIF",
            Self::Other => "other",
        })
    }
}

fn is_picture(content_type: &str) -> bool {
    content_type.trim_start().get(..6).is_some_and(|start| start.eq_ignore_ascii_case("image/"))
}

/// Three bytes are few: one encrypted file in 16 million begins with them, and must not be taken for a damaged picture. So of what is not
/// called a picture the first segment has to be there, with a second one behind it.
fn goes_on_as_jpeg(bytes: &[u8]) -> bool {
    let Some(&[marker @ 0xc0..=0xfe, high, low]) = bytes.get(3..6) else { return false };
    let next = 4 + usize::from(u16::from_be_bytes([high, low]));
    marker != 0xd8 && bytes.get(next) == Some(&0xff)
}

fn is_still(bytes: &[u8]) -> bool {
    if bytes.get(4..8) != Some(b"ftyp") {
        return false;
    }
    let size = bytes.first_chunk().map_or(0, |size| u32::from_be_bytes(*size) as usize).min(bytes.len());
    let brands = bytes.get(8..size).unwrap_or_default();
    // The second four bytes are the version of the first brand.
    brands.chunks_exact(4).enumerate().any(|(n, brand)| n != 1 && STILL.iter().any(|still| brand == *still))
}
