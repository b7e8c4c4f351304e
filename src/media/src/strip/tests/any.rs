//! Files of any kind, and damaged ones.

use std::sync::LazyLock;

use bytes::Bytes;
use image::DynamicImage;
use proptest::prelude::*;

use super::build::{
    animated_webp, apng, chunk, chunks, colours, exif, gif, jpeg, png_of, profile, riff, segment, webp_of,
};
use super::{Kind, Refused, SECRET, strip};

fn kind_of(content_type: &str, bytes: &[u8]) -> Result<Kind, Refused> {
    let given = Bytes::copy_from_slice(bytes);
    let result = strip(content_type, given.clone())?;
    assert_eq!(result.bytes, given);
    assert_eq!(result.bytes.as_ptr(), given.as_ptr(), "what is not touched is not copied");
    Ok(result.kind)
}

#[test]
fn what_is_no_picture_is_not_touched() {
    let ours = [
        &b""[..],
        b"\xff",
        b"\xff\xd8",
        b"Hello world",
        b"%PDF-1.7\n% 51.5072N at home",
        b"RIFF\x24\0\0\0WAVEfmt ",
        b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>",
        b"II*\0\x08\0\0\0",
        b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
        b"\0\0\0\x14ftypqt  \0\0\0\0qt  ",
        b"GIF88a",
        b"\x89PNG\r\n\x1a",
    ];
    for bytes in ours {
        for content_type in ["application/octet-stream", "image/jpeg", "image/png", "video/mp4", "", "Ünsinn"] {
            assert_eq!(kind_of(content_type, bytes), Ok(Kind::Other), "{}", bytes.escape_ascii());
        }
    }
}

#[test]
fn an_encrypted_file_that_begins_as_a_jpeg_is_not_touched() {
    for n in 0..=u8::MAX {
        let mut bytes = b"\xff\xd8\xff".to_vec();
        bytes.extend(
            (0..1_000_u32)
                .map(|i| u8::try_from((i * i + i * 7) % 255).unwrap() ^ (n & 0x7e))
                .map(|byte| if byte == 0xff { 0 } else { byte }),
        );
        assert_eq!(kind_of("application/octet-stream", &bytes), Ok(Kind::Other));
        assert!(strip("image/jpeg", Bytes::from(bytes)).is_err(), "what calls itself one is held to it");
    }
}

#[test]
fn what_it_is_called_does_not_matter() {
    let picture = jpeg(&DynamicImage::ImageRgb8(colours(8, 8)));
    let file = [&picture[..2], &segment(0xfe, SECRET), &picture[2..]].concat();
    for content_type in
        ["image/jpeg", "IMAGE/PNG; a=b", "image/heic", "text/plain", "application/octet-stream", "", "video/mp4"]
    {
        let result = strip(content_type, Bytes::from(file.clone())).unwrap();
        assert_eq!((result.kind, &result.bytes[..]), (Kind::Jpeg, &picture[..]), "{content_type}");
        assert_eq!(result.kind.content_type(), Some("image/jpeg"));
    }
}

#[test]
fn heic_and_avif_are_refused_with_the_reason() {
    for brands in [
        &b"heic\0\0\0\0mif1heic"[..],
        b"avif\0\0\0\0avifmif1",
        b"mif1\0\0\0\0heicmif1",
        b"heix\0\0\0\0",
        b"avis\0\0\0\0",
        b"iso8\0\0\0\0msf1hevc",
    ] {
        let length = u32::try_from(brands.len() + 8).unwrap();
        let file = [&length.to_be_bytes()[..], b"ftyp", brands, b"\0\0\0\x08mdat"].concat();
        for content_type in ["image/heic", "application/octet-stream", "image/jpeg"] {
            let refused = strip(content_type, Bytes::from(file.clone())).unwrap_err();
            assert_eq!(refused, Refused::Heif);
            assert!(refused.to_string().contains("HEIC") && refused.to_string().contains("JPEG"));
        }
    }
    // The version of a brand is none.
    assert_eq!(kind_of("video/mp4", b"\0\0\0\x14ftypmp42heicmp42"), Ok(Kind::Other));
}

static FILES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(files);

/// One file of each kind, with all that it may have.
fn files() -> Vec<Vec<u8>> {
    let picture = jpeg(&DynamicImage::ImageRgb8(colours(8, 8)));
    let block = segment(0xe1, &[b"Exif\0\0", &exif(6, true)[..]].concat());
    let icc = segment(0xe2, &[&b"ICC_PROFILE\0\x01\x01"[..], &profile(b"RGB ")].concat());
    let mut animation: Vec<_> = chunks(&apng(3, 2, 2)).iter().map(|(name, content)| chunk(name, content)).collect();
    animation.insert(1, chunk(b"tEXt", SECRET));
    animation.insert(2, chunk(b"eXIf", &exif(8, false)));
    let mut frames = animated_webp(3, 2, 2, &riff(b"note", SECRET));
    frames[0][8] |= 0x08;
    frames.push(riff(b"EXIF", &exif(3, true)));
    let comment = [&[0x21, 0xfe, 16], SECRET, &[0]].concat();
    let shown = gif(3, 2, 2);
    let first = shown.windows(2).position(|window| window == [0x21, 0xff]).unwrap();
    vec![
        [&picture[..20], &block, &icc, &picture[20..], &picture].concat(),
        png_of(&animation),
        webp_of(&frames),
        [&shown[..first], &comment, &shown[first..], SECRET].concat(),
    ]
}

#[derive(Clone, Debug)]
enum Damage {
    Set(usize, u8),
    Flip(usize, u8),
    Remove(usize, usize),
    Repeat(usize, usize),
    Cut(usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        (any::<usize>(), prop_oneof![any::<u8>(), Just(0xff), Just(0), Just(0xd9), Just(0xda)])
            .prop_map(|(at, to)| Damage::Set(at, to)),
        (any::<usize>(), 0..8_u8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        (any::<usize>(), 1..40_usize).prop_map(|(at, length)| Damage::Remove(at, length)),
        (any::<usize>(), 1..200_usize).prop_map(|(at, length)| Damage::Repeat(at, length)),
        any::<usize>().prop_map(Damage::Cut),
    ]
}

/// The file with this damage.
fn damaged(mut file: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        if file.is_empty() {
            break;
        }
        let length = file.len();
        match *damage {
            Damage::Set(at, to) => file[at % length] = to,
            Damage::Flip(at, bit) => file[at % length] ^= 1 << bit,
            Damage::Remove(at, count) => drop(file.drain(at % length..length.min(at % length + count))),
            Damage::Repeat(at, count) => {
                let part = file[at % length..length.min(at % length + count)].to_vec();
                file.splice(at % length..at % length, part);
            }
            Damage::Cut(at) => file.truncate(at % length),
        }
    }
    file
}

/// Refused, or a file that is not larger but by how it is turned, that is of the same kind, and of which nothing more is stripped.
fn check(content_type: &str, file: Vec<u8>) -> Result<(), TestCaseError> {
    let length = file.len();
    let Ok(once) = strip(content_type, Bytes::from(file)) else { return Ok(()) };
    prop_assert!(once.bytes.len() <= length + 46);
    prop_assert_eq!(strip(content_type, once.bytes.clone()), Ok(once));
    Ok(())
}

/// With what pictures begin.
const STARTS: &[&[u8]] = &[
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR",
    b"GIF89a",
    b"RIFF\x40\0\0\0WEBPVP8X\x0a\0\0\0",
    b"\0\0\0\x20ftyp",
    b"",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_files_are_refused_or_stripped_once_and_for_all(
        which in 0..4_usize,
        damages in proptest::collection::vec(damage(), 0..6),
        called in prop_oneof![Just("image/jpeg"), Just("application/octet-stream")],
    ) {
        check(called, damaged(FILES[which].clone(), &damages))?;
    }

    #[test]
    fn bytes_that_begin_as_pictures_are_refused_or_stripped_once_and_for_all(
        start in proptest::sample::select(STARTS),
        rest in proptest::collection::vec(prop_oneof![any::<u8>(), Just(0xff), Just(0)], 0..400),
    ) {
        check("image/png", [start, &rest[..]].concat())?;
    }
}
