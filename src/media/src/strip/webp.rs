//! WebP (RFC 9649).
//!
//! Kept as they are: pictures, transparency, animation, ICC profile. Made anew: `EXIF` with the orientation alone, the flags that say which
//! chunks there are, lengths. Gone: `EXIF`, `XMP `, chunks that nobody specified, also those in the frames of an animation, all that follows
//! the length of the file.

use image::metadata::Orientation;

use super::output::Output;
use super::reader::Reader;
use super::{Kind, Picture, Refused, orientation};

/// Flags of `VP8X`: ICC profile, transparency, animation.
const KEPT_FLAGS: u8 = 0x20 | 0x10 | 0x02;
const EXIF_FLAG: u8 = 0x08;

struct Chunk {
    name: [u8; 4],
    /// With name and length, without the byte that fills it up.
    whole: std::ops::Range<usize>,
    content: std::ops::Range<usize>,
}

pub(super) fn read(bytes: &[u8]) -> Result<Picture<'_>, Refused> {
    let length = bytes.get(4..8).and_then(<[u8]>::first_chunk).map_or(0, |length| u32::from_le_bytes(*length));
    let end = usize::try_from(length).ok().and_then(|length| length.checked_add(8));
    let bytes = end.and_then(|end| bytes.get(..end)).ok_or(Refused::CutOff(Kind::Webp))?;
    let turned = turned(bytes);
    let mut out = Output::of(bytes);
    let mut reader = Reader::new(Kind::Webp, bytes);
    out.keep(reader.take(12)?);
    let mut parts = Parts { extended: false, seen: Vec::new(), frames: 0, pictures: 0 };
    while !reader.is_at_end() {
        let chunk = next(&mut reader)?;
        parts.keep(&mut out, &mut reader, &chunk, turned)?;
    }
    if parts.frames + parts.pictures == 0 {
        return Err(Refused::Malformed(Kind::Webp));
    }
    if turned != Orientation::NoTransforms {
        out.add(b"EXIF\x1a\0\0\0");
        out.add(&orientation::block(turned));
    }
    let length = u32::try_from(out.len() - 8).map_err(|_| Refused::Malformed(Kind::Webp))?;
    out.overwrite(4, &length.to_le_bytes());
    let frames = parts.frames.max(1);
    Ok(Picture { bytes: out.finish(), kind: Kind::Webp, orientation: turned, frames, scans: 1 })
}

/// What was kept so far.
struct Parts {
    extended: bool,
    /// Chunks of which there is one.
    seen: Vec<[u8; 4]>,
    frames: u64,
    pictures: u64,
}

impl Parts {
    fn keep(
        &mut self,
        out: &mut Output<'_>,
        reader: &mut Reader<'_>,
        chunk: &Chunk,
        turned: Orientation,
    ) -> Result<(), Refused> {
        let is_first = out.len() == 12 && !self.extended;
        match &chunk.name {
            b"VP8X" if is_first && chunk.content.len() == 10 => {
                self.extended = true;
                let flags = reader.get(chunk.content.clone()).first().copied().unwrap_or(0) & KEPT_FLAGS;
                let exif = if turned == Orientation::NoTransforms { 0 } else { EXIF_FLAG };
                out.keep(chunk.whole.clone());
                out.overwrite(20, &[flags | exif, 0, 0, 0]);
            }
            b"VP8X" => return Err(Refused::Malformed(Kind::Webp)),
            b"ANMF" if self.extended => {
                self.frames += 1;
                frame(out, reader, chunk)?;
            }
            // Without `VP8X` there is one picture and nothing else.
            b"VP8 " | b"VP8L" if self.pictures == 0 => {
                self.pictures = 1;
                keep(out, chunk);
            }
            b"ICCP" | b"ALPH" if self.extended => self.once(out, chunk),
            b"ANIM" if self.extended && chunk.content.len() == 6 => self.once(out, chunk),
            _ => {}
        }
        Ok(())
    }

    fn once(&mut self, out: &mut Output<'_>, chunk: &Chunk) {
        if !self.seen.contains(&chunk.name) {
            self.seen.push(chunk.name);
            keep(out, chunk);
        }
    }
}

/// A frame of an animation: where it stands, and chunks of its own.
fn frame(out: &mut Output<'_>, reader: &Reader<'_>, chunk: &Chunk) -> Result<(), Refused> {
    let at = out.len();
    let mut inner = reader.part(chunk.content.clone());
    inner.take(16)?;
    out.keep(chunk.whole.start..inner.at());
    let mut pictures = 0;
    while !inner.is_at_end() {
        let part = next(&mut inner)?;
        match &part.name {
            b"VP8 " | b"VP8L" if pictures == 0 => {
                pictures = 1;
                keep(out, &part);
            }
            b"ALPH" if pictures == 0 => keep(out, &part),
            _ => {}
        }
    }
    if pictures == 0 {
        return Err(Refused::Malformed(Kind::Webp));
    }
    let length = u32::try_from(out.len() - at - 8).map_err(|_| Refused::Malformed(Kind::Webp))?;
    out.overwrite(at + 4, &length.to_le_bytes());
    Ok(())
}

fn keep(out: &mut Output<'_>, chunk: &Chunk) {
    out.keep(chunk.whole.clone());
    if chunk.content.len() % 2 == 1 {
        out.add(&[0]);
    }
}

/// The next chunk. The byte that fills up an odd one may be missing behind the last.
fn next(reader: &mut Reader<'_>) -> Result<Chunk, Refused> {
    let start = reader.at();
    let name = reader.array()?;
    let length = u32::from_le_bytes(reader.array()?) as usize;
    let content = reader.take(length)?;
    if length % 2 == 1 && !reader.is_at_end() {
        reader.take(1)?;
    }
    Ok(Chunk { name, whole: start..content.end, content })
}

/// What `EXIF` says, where `VP8X` says that there is one: without that nobody reads it. A file that is damaged is found to be so later.
fn turned(bytes: &[u8]) -> Orientation {
    let mut reader = Reader::new(Kind::Webp, bytes);
    if bytes.get(12..16) != Some(b"VP8X")
        || bytes.get(20).is_none_or(|flags| flags & EXIF_FLAG == 0)
        || reader.take(12).is_err()
    {
        return Orientation::NoTransforms;
    }
    let chunks = std::iter::from_fn(|| if reader.is_at_end() { None } else { next(&mut reader).ok() });
    orientation::first(chunks.filter(|chunk| &chunk.name == b"EXIF").filter_map(|chunk| bytes.get(chunk.content)))
}
