//! Pictures with everything that they may have in them.

use image::codecs::{gif::GifEncoder, jpeg::JpegEncoder, png::PngEncoder, webp::WebPEncoder};
use image::{Delay, DynamicImage, Frame, Rgb, RgbImage, Rgba, RgbaImage};

use super::SECRET;

/// Left red, right blue, a little green downwards.
pub(crate) fn colours(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let green = u8::try_from(y * 200 / height).unwrap();
        if x < width / 2 { Rgb([250, green, 5]) } else { Rgb([5, green, 250]) }
    })
}

/// The same, its upper half transparent.
pub(crate) fn half_transparent(width: u32, height: u32) -> RgbaImage {
    let colours = colours(width, height);
    RgbaImage::from_fn(width, height, |x, y| {
        let [red, green, blue] = colours.get_pixel(x, y).0;
        Rgba([red, green, blue, if y < height / 2 { 0 } else { 255 }])
    })
}

pub(crate) fn jpeg(image: &DynamicImage) -> Vec<u8> {
    let mut file = Vec::new();
    image.write_with_encoder(JpegEncoder::new_with_quality(&mut file, 90)).unwrap();
    file
}

pub(crate) fn png(image: &DynamicImage) -> Vec<u8> {
    let mut file = Vec::new();
    image.write_with_encoder(PngEncoder::new(&mut file)).unwrap();
    file
}

pub(crate) fn webp(image: &DynamicImage) -> Vec<u8> {
    let mut file = Vec::new();
    image.write_with_encoder(WebPEncoder::new_lossless(&mut file)).unwrap();
    file
}

/// Frames of one colour each, red, green, blue and again, for 100, 200, 300 ms and so on, in a loop without end.
pub(crate) fn gif(width: u32, height: u32, frames: u32) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = GifEncoder::new(&mut file);
    encoder.set_repeat(image::codecs::gif::Repeat::Infinite).unwrap();
    for n in 0..frames {
        let delay = Delay::from_numer_denom_ms(100 * (n + 1), 1);
        encoder.encode_frame(Frame::from_parts(frame(width, height, n), 0, 0, delay)).unwrap();
    }
    drop(encoder);
    file
}

fn frame(width: u32, height: u32, n: u32) -> RgbaImage {
    let colour = [[255, 0, 0, 255], [0, 255, 0, 255], [0, 0, 255, 255]][n as usize % 3];
    RgbaImage::from_pixel(width, height, Rgba(colour))
}

/// A chunk of a PNG.
pub(crate) fn chunk(name: &[u8], content: &[u8]) -> Vec<u8> {
    let named = [name, content].concat();
    let length = u32::try_from(content.len()).unwrap();
    [&length.to_be_bytes()[..], &named, &crc32fast::hash(&named).to_be_bytes()].concat()
}

/// The chunks of a PNG.
pub(crate) fn chunks(file: &[u8]) -> Vec<([u8; 4], Vec<u8>)> {
    let mut rest = &file[8..];
    let mut found = Vec::new();
    while !rest.is_empty() {
        let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        found.push((rest[4..8].try_into().unwrap(), rest[8..8 + length].to_vec()));
        rest = &rest[12 + length..];
    }
    found
}

pub(crate) fn png_of(chunks: &[Vec<u8>]) -> Vec<u8> {
    [&b"\x89PNG\r\n\x1a\n"[..], &chunks.concat()].concat()
}

/// An APNG of frames as `gif` has them.
pub(crate) fn apng(width: u32, height: u32, frames: u32) -> Vec<u8> {
    let pixels = |n| {
        let file = png(&DynamicImage::ImageRgba8(frame(width, height, n)));
        let parts = chunks(&file);
        let pixels: Vec<u8> =
            parts.iter().filter(|(name, _)| name == b"IDAT").flat_map(|(_, content)| content.clone()).collect();
        (parts[0].1.clone(), pixels)
    };
    let control = |sequence: u32, n: u32| {
        let [sequence, width, height, zero] = [sequence, width, height, 0].map(u32::to_be_bytes);
        let delay = u16::try_from(100 * (n + 1)).unwrap().to_be_bytes();
        chunk(
            b"fcTL",
            &[&sequence[..], &width, &height, &zero, &zero, &delay, &1_000_u16.to_be_bytes(), &[0, 0]].concat(),
        )
    };
    let (header, first) = pixels(0);
    let mut parts = vec![
        chunk(b"IHDR", &header),
        chunk(b"acTL", &[frames.to_be_bytes(), [0; 4]].concat()),
        control(0, 0),
        chunk(b"IDAT", &first),
    ];
    for n in 1..frames {
        parts.push(control(2 * n - 1, n));
        parts.push(chunk(b"fdAT", &[&(2 * n).to_be_bytes()[..], &pixels(n).1].concat()));
    }
    parts.push(chunk(b"IEND", &[]));
    png_of(&parts)
}

/// A chunk of a WebP.
pub(crate) fn riff(name: &[u8], content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap();
    let filler: &[u8] = if content.len() % 2 == 1 { &[0] } else { &[] };
    [name, &length.to_le_bytes()[..], content, filler].concat()
}

pub(crate) fn webp_of(chunks: &[Vec<u8>]) -> Vec<u8> {
    riff(b"RIFF", &[&b"WEBP"[..], &chunks.concat()].concat())
}

/// What `VP8X` says.
pub(crate) fn extended(flags: u8, width: u32, height: u32) -> Vec<u8> {
    let [width, height] = [width - 1, height - 1].map(u32::to_le_bytes);
    riff(b"VP8X", &[&[flags, 0, 0, 0], &width[..3], &height[..3]].concat())
}

/// An animated WebP of frames as `gif` has them; each has `more` in it.
pub(crate) fn animated_webp(width: u32, height: u32, frames: u32, more: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = vec![extended(0x02, width, height), riff(b"ANIM", &[0; 6])];
    for n in 0..frames {
        let file = webp(&DynamicImage::ImageRgba8(frame(width, height, n)));
        let [right, down, delay] = [width - 1, height - 1, 100 * (n + 1)].map(u32::to_le_bytes);
        let place = [&[0; 6], &right[..3], &down[..3], &delay[..3], &[0x02]].concat();
        parts.push(riff(b"ANMF", &[&place[..], &file[12..], more].concat()));
    }
    parts
}

/// A segment of a JPEG.
pub(crate) fn segment(marker: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len() + 2).unwrap().to_be_bytes();
    [&[0xff, marker], &length[..], content].concat()
}

/// What a telephone writes: who made it, how it is turned, notes of its maker, the place, a small picture.
pub(crate) fn exif(turned: u16, little: bool) -> Vec<u8> {
    let mut block = Tiff { little, bytes: Vec::new() };
    block.bytes.extend(if little { *b"II*\0" } else { *b"MM\0*" });
    block.long(8);
    let names = [0x010f, 0x0110, 0x013b, 0x9c9b];
    let directories = 8 + 2 + 12 * 7 + 4;
    let (maker, place) = (directories + 64, directories + 64 + 128);
    block.short(7);
    for tag in names {
        let length = u32::try_from(SECRET.len()).unwrap();
        block.entry(tag, 2, length, directories);
    }
    block.turned(turned);
    block.entry(0x8769, 4, 1, maker);
    block.entry(0x8825, 4, 1, place);
    // The second directory: the small picture.
    block.long(place + 64);
    block.until(directories, SECRET);
    block.until(maker, &[]);
    block.short(1);
    block.entry(0x927c, 7, 64, maker + 18);
    block.long(0);
    let notes = block.bytes.len() + 64;
    block.bytes.extend(b"Apple iOS\0\0\x01MM");
    block.bytes.extend(SECRET);
    block.bytes.resize(notes, 7);
    block.until(place, &[]);
    block.short(1);
    block.entry(2, 5, 3, place + 18);
    block.long(0);
    block.bytes.extend(SECRET);
    block.until(place + 64, &[]);
    block.short(2);
    let small = [&[0xff, 0xd8][..], &segment(0xfe, SECRET), &[0xff, 0xd9]].concat();
    block.entry(0x0201, 4, 1, place + 64 + 30);
    block.entry(0x0202, 4, 1, u32::try_from(small.len()).unwrap());
    block.long(0);
    block.bytes.extend(small);
    block.bytes
}

struct Tiff {
    little: bool,
    bytes: Vec<u8>,
}

impl Tiff {
    fn short(&mut self, value: u16) {
        self.bytes.extend(if self.little { value.to_le_bytes() } else { value.to_be_bytes() });
    }

    fn long(&mut self, value: u32) {
        self.bytes.extend(if self.little { value.to_le_bytes() } else { value.to_be_bytes() });
    }

    fn entry(&mut self, tag: u16, kind: u16, count: u32, value: u32) {
        self.short(tag);
        self.short(kind);
        self.long(count);
        self.long(value);
    }

    fn turned(&mut self, turned: u16) {
        self.short(0x0112);
        self.short(3);
        self.long(1);
        self.short(turned);
        self.short(0);
    }

    /// Goes on at this place, with this.
    fn until(&mut self, place: u32, content: &[u8]) {
        assert!(self.bytes.len() <= place as usize);
        self.bytes.resize(place as usize, 0);
        self.bytes.extend(content);
    }
}

/// A colour profile, or what looks like one from outside.
pub(crate) fn profile(space: &[u8]) -> Vec<u8> {
    let mut profile = vec![0; 132];
    profile[3] = 132;
    profile[12..16].copy_from_slice(b"mntr");
    profile[16..20].copy_from_slice(space);
    profile[20..24].copy_from_slice(b"XYZ ");
    profile[36..40].copy_from_slice(b"acsp");
    profile
}
