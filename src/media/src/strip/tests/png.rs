//! PNG and APNG.

use image::metadata::Orientation;
use image::{AnimationDecoder, DynamicImage, ImageDecoder, codecs::png::PngDecoder};

use super::build::{apng, chunk, chunks, colours, exif, half_transparent, png, png_of};
use super::{Kind, Refused, SECRET, assert_cut_off_is_refused, assert_same_pixels, refused, stripped};

fn header() -> Vec<u8> {
    chunk(b"IHDR", &chunks(&picture())[0].1)
}

fn pixels() -> Vec<u8> {
    chunk(b"IDAT", &chunks(&picture())[1].1)
}

fn picture() -> Vec<u8> {
    png(&DynamicImage::ImageRgba8(half_transparent(12, 8)))
}

fn secret(name: &[u8], start: &[u8]) -> Vec<u8> {
    chunk(name, &[start, SECRET].concat())
}

fn names(file: &[u8]) -> Vec<[u8; 4]> {
    chunks(file).into_iter().map(|(name, _)| name).collect()
}

/// Colours in every way that the format has.
fn colour_chunks() -> Vec<Vec<u8>> {
    vec![
        chunk(b"gAMA", &45_455_u32.to_be_bytes()),
        chunk(b"cHRM", &[1; 32]),
        chunk(b"sRGB", &[0]),
        chunk(b"iCCP", b"Display P3\0\0x\x9c\x03\0\0\0\0\x01"),
        chunk(b"cICP", &[12, 13, 0, 1]),
        chunk(b"mDCV", &[2; 24]),
        chunk(b"cLLI", &[3; 8]),
        chunk(b"sBIT", &[8; 4]),
        chunk(b"bKGD", &[0; 6]),
        chunk(b"pHYs", &[0; 9]),
    ]
}

fn everything() -> Vec<u8> {
    let mut parts = vec![header()];
    parts.extend(colour_chunks());
    parts.extend([
        secret(b"tEXt", b"Comment\0"),
        secret(b"zTXt", b"Raw profile type exif\0\0"),
        secret(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0"),
        chunk(b"tIME", &[7, 0xea, 1, 2, 3, 4, 5]),
        chunk(b"eXIf", &exif(8, true)),
        secret(b"iDOT", b""),
        secret(b"prVW", b""),
        secret(b"caBX", b""),
        secret(b"sPLT", b""),
        secret(b"dSIG", b""),
        // Called a colour, but longer than one.
        secret(b"gAMA", &45_455_u32.to_be_bytes()),
        secret(b"tRNS", &[0; 256]),
        pixels(),
        secret(b"tEXt", b"Author\0"),
        chunk(b"IEND", b""),
    ]);
    let mut file = png_of(&parts);
    file.extend(pixels());
    file.extend(SECRET);
    file
}

#[test]
fn what_says_something_goes_and_the_picture_stays() {
    let left = stripped(&everything());
    let mut expected = vec![header(), chunk(b"eXIf", &chunks(&left)[1].1)];
    expected.extend(colour_chunks());
    expected.extend([pixels(), chunk(b"IEND", b"")]);
    assert_eq!(left, png_of(&expected), "colours and pixels are as they were");
    assert_eq!(chunks(&left)[1].1.len(), 26);
    // The decoder looks at checksums.
    let mut decoder = PngDecoder::new(std::io::Cursor::new(&left)).unwrap();
    assert_eq!(decoder.orientation().unwrap(), Orientation::Rotate270);
    assert_eq!(image::load_from_memory(&left).unwrap().to_rgba8(), half_transparent(12, 8));
}

#[test]
fn a_picture_without_metadata_is_not_touched() {
    let upright = png_of(&[header(), chunk(b"eXIf", &exif(1, false)), pixels(), chunk(b"IEND", b"")]);
    assert_eq!(stripped(&upright), picture());
    assert_eq!(stripped(&picture()), picture());
    assert_eq!(stripped(&[&picture()[..], SECRET].concat()), picture(), "what follows the end is cut off");
}

#[test]
fn animations_stay() {
    let file = apng(6, 4, 3);
    let mut parts: Vec<_> = chunks(&file).iter().map(|(name, content)| chunk(name, content)).collect();
    parts.insert(1, secret(b"tEXt", b"Comment\0"));
    parts.insert(6, secret(b"tEXt", b"Comment\0"));
    assert_eq!(stripped(&png_of(&parts)), file);
    let decoder = PngDecoder::new(std::io::Cursor::new(&file)).unwrap();
    assert_eq!(decoder.apng().unwrap().into_frames().collect_frames().unwrap().len(), 3);
}

#[test]
fn palettes_and_what_is_transparent_in_them_stay() {
    let header = chunk(b"IHDR", &[0, 0, 0, 2, 0, 0, 0, 1, 8, 3, 0, 0, 0]);
    let colours = [chunk(b"PLTE", &[255, 0, 0, 0, 255, 0]), chunk(b"tRNS", &[128, 255])].concat();
    let pixels = chunk(b"IDAT", &[0x78, 0x01, 0x01, 3, 0, 0xfc, 0xff, 0, 0, 1, 0, 4, 0, 2]);
    let end = chunk(b"IEND", b"");
    let file = png_of(&[header.clone(), colours.clone(), secret(b"tEXt", b"a\0"), pixels.clone(), end.clone()]);
    let left = stripped(&file);
    assert_eq!(left, png_of(&[header, colours, pixels, end]));
    assert_same_pixels(&file, &left);
}

#[test]
fn a_file_that_is_cut_off_is_refused() {
    let file = everything();
    let end = file.windows(4).position(|window| window == b"IEND").unwrap() + 8;
    assert_cut_off_is_refused(&file[..end], Kind::Png);
}

#[test]
fn what_no_decoder_knows_is_refused() {
    let malformed = Refused::Malformed(Kind::Png);
    let end = || chunk(b"IEND", b"");
    let opaque = png(&DynamicImage::ImageRgb8(colours(2, 2)));
    assert_eq!(names(&opaque), [*b"IHDR", *b"IDAT", *b"IEND"]);
    for parts in [
        vec![header(), secret(b"CgBI", b""), pixels(), end()],
        vec![secret(b"tEXt", b""), header(), pixels(), end()],
        vec![header(), header(), pixels(), end()],
        vec![header(), end()],
        vec![header(), pixels(), chunk(b"IEND", SECRET)],
        vec![header(), chunk(b"t\0Xt", SECRET), pixels(), end()],
        vec![header(), secret(b"PLTE", &[0; 768]), pixels(), end()],
    ] {
        assert_eq!(refused(&png_of(&parts)), malformed);
    }
    let mut long = png_of(&[header(), secret(b"tEXt", b""), pixels(), end()]);
    long[33] = 0x80;
    assert_eq!(refused(&long), malformed);
}
