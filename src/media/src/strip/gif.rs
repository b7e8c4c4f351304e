//! GIF (Graphics Interchange Format, version 89a).
//!
//! Kept as they are: screen, colour tables, pictures, graphic control extensions, the ICC profile. Kept, cut to what is specified: how often
//! an animation is shown (`NETSCAPE2.0`, `ANIMEXTS1.0`). Gone: comments, text, XMP and every other application's block, all that follows the
//! trailer.

use image::metadata::Orientation;

use super::output::Output;
use super::reader::Reader;
use super::{Kind, Picture, Refused};

pub(super) fn read(bytes: &[u8]) -> Result<Picture<'_>, Refused> {
    let mut out = Output::of(bytes);
    let mut reader = Reader::new(Kind::Gif, bytes);
    let screen = reader.take(13)?;
    let flags = reader.get(screen.clone()).get(10).copied().unwrap_or(0);
    out.keep(screen);
    out.keep(reader.take(table_length(flags))?);
    let mut frames = 0;
    loop {
        let start = reader.at();
        match reader.u8()? {
            0x2c => {
                frames += 1;
                let [.., flags] = reader.array::<9>()?;
                // The colour table, and with how many bits the codes of the picture begin.
                reader.take(table_length(flags) + 1)?;
                blocks(&mut reader)?;
                out.keep(start..reader.at());
            }
            0x21 => extension(&mut reader, &mut out, start)?,
            0x3b if frames > 0 => {
                out.keep(start..reader.at());
                break;
            }
            // An empty block that belongs to nothing: some programs end their extensions twice.
            0 => {}
            _ => return Err(Refused::Malformed(Kind::Gif)),
        }
    }
    Ok(Picture { bytes: out.finish(), kind: Kind::Gif, orientation: Orientation::NoTransforms, frames, scans: 1 })
}

/// Bytes of the colour table that these flags announce.
fn table_length(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

/// Passes over blocks up to the empty one that ends them.
fn blocks(reader: &mut Reader<'_>) -> Result<(), Refused> {
    loop {
        match reader.u8()? {
            0 => return Ok(()),
            length => reader.take(usize::from(length))?,
        };
    }
}

fn extension(reader: &mut Reader<'_>, out: &mut Output<'_>, start: usize) -> Result<(), Refused> {
    let label = reader.u8()?;
    let content = reader.at();
    blocks(reader)?;
    let whole = start..reader.at();
    let content = reader.get(content..reader.at());
    match (label, content) {
        // How long a picture is shown, and what is transparent in it.
        (0xf9, [4, _, _, _, _, 0]) => out.keep(whole),
        (0xff, [11, rest @ ..]) => match (rest.first_chunk::<11>(), rest.get(11..)) {
            (Some(name @ (b"NETSCAPE2.0" | b"ANIMEXTS1.0")), Some([3, 1, low, high, ..])) => {
                out.add(&[0x21, 0xff, 11]);
                out.add(name);
                out.add(&[3, 1, *low, *high, 0]);
            }
            (Some(b"ICCRGBG1012"), _) => out.keep(whole),
            _ => {}
        },
        _ => {}
    }
    Ok(())
}
