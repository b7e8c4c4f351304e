//! Files of real cameras: see `tests/pictures/README.md`.

use std::ops::Range;

use image::metadata::Orientation;
use image::{ImageDecoder, ImageReader};

use super::{assert_same_pixels, contains, stripped};

struct Camera {
    file: &'static [u8],
    /// What it says of itself, in its EXIF, its maker's notes, its XMP, its Photoshop resources.
    says: &'static [&'static [u8]],
    profile: bool,
}

const CAMERAS: [Camera; 8] = [
    Camera {
        file: include_bytes!("../../../tests/pictures/canon.jpg"),
        says: &[b"Canon", b"PowerShot G1 X", b"2013:12:17", b"Firmware Version"],
        profile: false,
    },
    Camera {
        file: include_bytes!("../../../tests/pictures/sony.jpg"),
        says: &[b"DSC-RX1R", b"2013:04:13", b"SONY DSC"],
        profile: false,
    },
    Camera {
        file: include_bytes!("../../../tests/pictures/ricoh.jpg"),
        says: &[b"RICOH IMAGING", b"2013:03:29", b"0000000012345678", b"GR LENS"],
        profile: false,
    },
    Camera {
        file: include_bytes!("../../../tests/pictures/olympus.jpg"),
        says: &[b"OLYMPUS", b"STYLUS1", b"2013:11:12"],
        profile: false,
    },
    Camera {
        file: include_bytes!("../../../tests/pictures/panasonic.jpg"),
        says: &[b"Panasonic", b"DMC-L10", b"2007:09:15"],
        profile: false,
    },
    // The GPS directory: 55° 2′ 19.521″ N, 8° 27′ 25.886″ E, as fractions. Behind the picture stands a part of the message that it came in.
    Camera {
        file: include_bytes!("../../../tests/pictures/nokia.jpg"),
        says: &[b"Nokia", b"Lumia 820", b"Windows Phone", b"2013:05:10", PLACE, b"5D9144052FC54aa482D8595FB8D52F1D"],
        profile: false,
    },
    Camera {
        file: include_bytes!("../../../tests/pictures/nikon.jpg"),
        says: &[b"NIKON", b"E4600", b"2006:06:13", b"Photoshop 3.0", b"8BIM", b"http://ns.adobe.com/", b"xmpmeta"],
        profile: true,
    },
    Camera {
        file: include_bytes!("../../../tests/pictures/profile.jpg"),
        says: &[b"Pixelmator", b"2013:05:26", b"xmpmeta"],
        profile: true,
    },
];

/// The latitude as the telephone wrote it: 55, 2 and 19.521, each over its denominator.
const PLACE: &[u8] = b"\0\0\0\x37\0\0\0\x01\0\0\0\x02\0\0\0\x01\0\0\x4c\x41\0\0\x03\xe8";

/// The segments of a file, up to and with its first scan.
fn segments(file: &[u8]) -> Vec<(u8, Range<usize>)> {
    let mut at = 2;
    let mut found = Vec::new();
    loop {
        assert_eq!(file[at], 0xff);
        while file[at + 1] == 0xff {
            at += 1;
        }
        let length = 2 + usize::from(u16::from_be_bytes([file[at + 2], file[at + 3]]));
        found.push((file[at + 1], at..at + length));
        at += length;
        if file[at - length + 1] == 0xda {
            return found;
        }
    }
}

fn of_kind(file: &[u8], kinds: &[u8]) -> Vec<u8> {
    let found = segments(file).into_iter().filter(|(marker, _)| kinds.contains(marker));
    found.flat_map(|(_, range)| file[range].to_vec()).collect()
}

/// From the first scan to the end of the picture.
fn scans(file: &[u8]) -> &[u8] {
    let start = segments(file).pop().unwrap().1.start;
    let end = file.windows(2).rposition(|window| window == [0xff, 0xd9]).unwrap() + 2;
    &file[start..end]
}

fn profile(file: &[u8]) -> Option<Vec<u8>> {
    let reader = ImageReader::new(std::io::Cursor::new(file)).with_guessed_format().unwrap();
    reader.into_decoder().unwrap().icc_profile().unwrap()
}

#[test]
fn what_cameras_say_is_gone_and_what_they_saw_is_there() {
    for camera in CAMERAS {
        for said in camera.says {
            assert!(contains(camera.file, said), "{} is not in the file", said.escape_ascii());
        }
        let left = stripped(camera.file);
        for said in camera.says {
            assert!(!contains(&left, said), "{} is still there", said.escape_ascii());
        }
        let gone = segments(&left).into_iter().any(|(marker, _)| matches!(marker, 0xe1 | 0xe3..=0xed | 0xef | 0xfe));
        assert!(!gone, "a segment that says something");
        let makes_the_picture = [0xdb, 0xc0, 0xc2, 0xc4, 0xdd, 0xda, 0xee];
        assert_eq!(of_kind(&left, &makes_the_picture), of_kind(camera.file, &makes_the_picture), "tables and headers");
        assert_eq!(scans(&left), scans(camera.file), "bytes of scans");
        assert!(left.ends_with(&[0xff, 0xd9]));
        assert_same_pixels(camera.file, &left);
        assert_eq!(profile(&left), profile(camera.file));
        assert_eq!(profile(&left).is_some(), camera.profile);
        assert_eq!(of_kind(&left, &[0xe2]).is_empty(), !camera.profile);
    }
}

#[test]
fn a_telephone_that_was_held_upright_shows_its_picture_upright() {
    let mut file = include_bytes!("../../../tests/pictures/nokia.jpg").to_vec();
    let tag = file.windows(8).position(|window| window == b"\x01\x12\0\x03\0\0\0\x01").unwrap();
    file[tag + 8..tag + 10].copy_from_slice(&6_u16.to_be_bytes());
    let left = stripped(&file);
    let reader = ImageReader::new(std::io::Cursor::new(&left)).with_guessed_format().unwrap();
    assert_eq!(reader.into_decoder().unwrap().orientation().unwrap(), Orientation::Rotate90);
    let blocks = of_kind(&left, &[0xe1]);
    assert_eq!(blocks.len(), 36, "one block, with one entry");
    assert!(!contains(&left, PLACE) && !contains(&left, b"Lumia"));
    assert_eq!(scans(&left), scans(&file));
    assert_eq!(of_kind(&left, &[0xe0]), of_kind(&file, &[0xe0]));
    assert_same_pixels(&file, &left);
}
