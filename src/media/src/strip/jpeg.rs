//! JPEG (ITU-T T.81; JFIF, T.871; Exif 2.32).
//!
//! Kept as they are: tables, frame header, scans with all that stands between their bytes, the ICC profile (APP2). Kept, cut to what is
//! specified: JFIF (APP0, without its small picture), Adobe (APP14, which decides the colours). Made anew: EXIF (APP1) with the orientation
//! alone, where there is one. Gone: every other application segment (EXIF, XMP, MPF, JFXX, Photoshop's, JUMBF, makers' own), comments, bytes
//! between segments, all that follows the end.

use std::ops::Range;

use image::metadata::Orientation;

use super::output::Output;
use super::reader::Reader;
use super::{Kind, Picture, Refused, orientation};

const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;
const APP0: u8 = 0xe0;
const APP1: u8 = 0xe1;
const APP2: u8 = 0xe2;
const APP14: u8 = 0xee;
const EXIF: &[u8] = b"Exif\0\0";
const ICC: &[u8] = b"ICC_PROFILE\0";

/// Bytes of what JFIF says, without its thumbnail.
const JFIF_LENGTH: usize = 14;
/// Bytes of what Adobe says.
const ADOBE_LENGTH: usize = 12;

/// A marker with what belongs to it, without the bytes of a scan.
struct Segment {
    marker: u8,
    /// From its marker on.
    whole: Range<usize>,
    /// Behind its length.
    content: Range<usize>,
}

pub(super) fn read(bytes: &[u8]) -> Result<Picture<'_>, Refused> {
    let turned = turned(bytes);
    let mut out = Output::of(bytes);
    let mut reader = Reader::new(Kind::Jpeg, bytes);
    out.keep(reader.take(2)?);
    let (mut frames, mut scans) = (0, 0);
    let mut header = Header { turned, exif_written: turned == Orientation::NoTransforms, jfif_written: false };
    loop {
        let segment = next(&mut reader)?;
        match segment.marker {
            // Restart markers and TEM have nothing to say outside of a scan; decoders pass over them too.
            0x01 | 0xd0..=0xd7 => {}
            EOI if scans > 0 => {
                out.keep(segment.whole);
                break;
            }
            0xe0..=0xef => header.application(&mut out, &segment, reader.get(segment.content.clone())),
            0xfe => {}
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf if frames == 0 => {
                frames = 1;
                header.keep(&mut out, segment.whole);
            }
            // Tables, restart interval, number of lines.
            0xc4 | 0xcc | 0xdb..=0xdd => header.keep(&mut out, segment.whole),
            SOS if frames == 1 => {
                scans += 1;
                header.keep(&mut out, segment.whole);
                out.keep(scan(&mut reader)?);
            }
            _ => return Err(Refused::Malformed(Kind::Jpeg)),
        }
    }
    Ok(Picture { bytes: out.finish(), kind: Kind::Jpeg, orientation: turned, frames: 1, scans })
}

/// What is written before the scans.
struct Header {
    turned: Orientation,
    exif_written: bool,
    jfif_written: bool,
}

impl Header {
    /// Keeps a segment. EXIF comes before all but JFIF, which some readers only find at the very beginning.
    fn keep(&mut self, out: &mut Output<'_>, whole: Range<usize>) {
        self.exif(out);
        out.keep(whole);
    }

    fn exif(&mut self, out: &mut Output<'_>) {
        if !self.exif_written {
            self.exif_written = true;
            out.add(&[0xff, APP1, 0, 34]);
            out.add(EXIF);
            out.add(&orientation::block(self.turned));
        }
    }

    fn application(&mut self, out: &mut Output<'_>, segment: &Segment, content: &[u8]) {
        match segment.marker {
            APP0 if content.starts_with(b"JFIF\0") && content.len() >= JFIF_LENGTH && !self.jfif_written => {
                self.jfif_written = true;
                out.add(&[0xff, APP0, 0, 16]);
                out.add(content.get(..JFIF_LENGTH - 2).unwrap_or_default());
                out.add(&[0, 0]);
            }
            APP2 if content.starts_with(ICC) => self.keep(out, segment.whole.clone()),
            APP14 if content.starts_with(b"Adobe") && content.len() >= ADOBE_LENGTH => {
                self.exif(out);
                out.add(&[0xff, APP14, 0, 14]);
                out.add(content.get(..ADOBE_LENGTH).unwrap_or_default());
            }
            _ => {}
        }
    }
}

/// What the EXIF blocks before the first scan say. A file that is damaged there is found to be so later.
fn turned(bytes: &[u8]) -> Orientation {
    let mut reader = Reader::new(Kind::Jpeg, bytes);
    if reader.take(2).is_err() {
        return Orientation::NoTransforms;
    }
    let blocks = std::iter::from_fn(|| next(&mut reader).ok().filter(|segment| !matches!(segment.marker, SOS | EOI)))
        .filter(|segment| segment.marker == APP1)
        .filter_map(|segment| bytes.get(segment.content)?.strip_prefix(EXIF));
    orientation::first(blocks)
}

/// The next segment. As decoders do, it passes over bytes that stand before its marker, and they are not kept.
fn next(reader: &mut Reader<'_>) -> Result<Segment, Refused> {
    let marker = loop {
        reader.skip_to(0xff);
        while reader.peek()? == 0xff {
            reader.take(1)?;
        }
        let marker = reader.u8()?;
        if marker != 0 {
            break marker;
        }
    };
    let start = reader.at() - 2;
    if matches!(marker, 0x01 | 0xd0..=0xd9) {
        return Ok(Segment { marker, whole: start..reader.at(), content: 0..0 });
    }
    let length = u16::from_be_bytes(reader.array()?);
    let content = reader.take(usize::from(length).checked_sub(2).ok_or(Refused::Malformed(Kind::Jpeg))?)?;
    Ok(Segment { marker, whole: start..content.end, content })
}

/// The bytes of a scan: up to a marker that ends it. 0xff is followed by 0 where it is a byte of the picture, and by D0 to D7 where decoding
/// starts anew; several of them are one.
fn scan(reader: &mut Reader<'_>) -> Result<Range<usize>, Refused> {
    let start = reader.at();
    loop {
        reader.skip_to(0xff);
        let marker = reader.take(1)?.start;
        match reader.peek()? {
            0 | 0xd0..=0xd7 => {
                reader.take(1)?;
            }
            0xff => {}
            _ => {
                reader.rewind(marker);
                return Ok(start..marker);
            }
        }
    }
}
