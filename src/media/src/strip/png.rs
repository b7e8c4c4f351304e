//! PNG and APNG (W3C, Portable Network Graphics, third edition).
//!
//! Kept as they are: the chunks that make the picture and its colours. Made anew: `eXIf` with the orientation alone. Gone: text (`tEXt`,
//! `zTXt`, `iTXt`, with XMP, IPTC and EXIF in it), `tIME`, `eXIf`, private chunks, all that follows `IEND` (the rest of a picture that an
//! editor has cropped and overwritten, for one).

use image::metadata::Orientation;

use super::output::Output;
use super::reader::Reader;
use super::{Kind, Picture, Refused, orientation};

/// Chunks that are kept, with the bytes that they have at most: what is larger is not what it is called, and no decoder reads it.
const ANCILLARY: [(&[u8; 4], usize); 15] = [
    (b"tRNS", 256),
    (b"gAMA", 4),
    (b"cHRM", 32),
    (b"sRGB", 1),
    (b"iCCP", usize::MAX),
    (b"cICP", 4),
    (b"mDCV", 24),
    (b"cLLI", 8),
    (b"sBIT", 4),
    (b"bKGD", 6),
    (b"pHYs", 9),
    (b"acTL", 8),
    (b"fcTL", 26),
    (b"fdAT", usize::MAX),
    (b"hIST", 512),
];

pub(super) fn read(bytes: &[u8]) -> Result<Picture<'_>, Refused> {
    let turned = turned(bytes);
    let mut out = Output::of(bytes);
    let mut reader = Reader::new(Kind::Png, bytes);
    out.keep(reader.take(8)?);
    let first = next(&mut reader)?;
    if &first.name != b"IHDR" || first.content.len() != 13 {
        return Err(Refused::Malformed(Kind::Png));
    }
    out.keep(first.whole);
    if turned != Orientation::NoTransforms {
        add(&mut out, *b"eXIf", &orientation::block(turned));
    }
    let (mut has_pixels, mut frames) = (false, 0);
    loop {
        let chunk = next(&mut reader)?;
        match &chunk.name {
            b"IEND" if has_pixels && chunk.content.is_empty() => {
                out.keep(chunk.whole);
                break;
            }
            b"IDAT" => {
                has_pixels = true;
                out.keep(chunk.whole);
            }
            b"PLTE" if chunk.content.len() <= 768 => out.keep(chunk.whole),
            name if is_critical(*name) => return Err(Refused::Malformed(Kind::Png)),
            name => {
                if ANCILLARY.iter().any(|(kept, length)| name == *kept && chunk.content.len() <= *length) {
                    frames += u64::from(name == b"fcTL");
                    out.keep(chunk.whole);
                }
            }
        }
    }
    Ok(Picture { bytes: out.finish(), kind: Kind::Png, orientation: turned, frames: frames.max(1), scans: 1 })
}

struct Chunk {
    name: [u8; 4],
    /// With length, name and checksum.
    whole: std::ops::Range<usize>,
    content: std::ops::Range<usize>,
}

fn next(reader: &mut Reader<'_>) -> Result<Chunk, Refused> {
    let start = reader.at();
    let length = u32::from_be_bytes(reader.array()?);
    let name: [u8; 4] = reader.array()?;
    if length > i32::MAX.unsigned_abs() || !name.iter().all(u8::is_ascii_alphabetic) {
        return Err(Refused::Malformed(Kind::Png));
    }
    let content = reader.take(length as usize)?;
    let checksum = reader.take(4)?;
    Ok(Chunk { name, whole: start..checksum.end, content })
}

/// Whether who does not know the chunk cannot show the picture: its first letter is a capital.
fn is_critical(name: [u8; 4]) -> bool {
    name[0].is_ascii_uppercase()
}

/// What `eXIf` says. A file that is damaged is found to be so later.
fn turned(bytes: &[u8]) -> Orientation {
    let mut reader = Reader::new(Kind::Png, bytes);
    if reader.take(8).is_err() {
        return Orientation::NoTransforms;
    }
    let chunks = std::iter::from_fn(|| next(&mut reader).ok().filter(|chunk| &chunk.name != b"IEND"));
    orientation::first(chunks.filter(|chunk| &chunk.name == b"eXIf").filter_map(|chunk| bytes.get(chunk.content)))
}

fn add(out: &mut Output<'_>, name: [u8; 4], content: &[u8]) {
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&name);
    checksum.update(content);
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    out.add(&[&length.to_be_bytes()[..], &name, content, &checksum.finalize().to_be_bytes()].concat());
}
