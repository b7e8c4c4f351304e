//! JPEG.

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageReader};

use super::build::{colours, exif, jpeg, profile, segment};
use super::{Kind, Refused, SECRET, assert_cut_off_is_refused, assert_same_pixels, contains, refused, stripped};

/// A picture that the encoder wrote: JFIF, its frame and tables, its scan with the end.
fn parts() -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let file = jpeg(&DynamicImage::ImageRgb8(colours(24, 16)));
    let scan = file.windows(2).position(|window| window == [0xff, 0xda]).unwrap();
    (file[2..20].to_vec(), file[20..scan].to_vec(), file[scan..].to_vec())
}

fn icc() -> Vec<u8> {
    segment(0xe2, &[&b"ICC_PROFILE\0\x01\x01"[..], &profile(b"RGB ")].concat())
}

fn secret(marker: u8, name: &[u8]) -> Vec<u8> {
    segment(marker, &[name, SECRET].concat())
}

/// The markers of a file up to its scan.
fn markers(file: &[u8]) -> Vec<u8> {
    let mut at = 2;
    let mut found = Vec::new();
    while found.last() != Some(&0xda) {
        assert_eq!(file[at], 0xff);
        found.push(file[at + 1]);
        at += 2 + usize::from(u16::from_be_bytes([file[at + 2], file[at + 3]]));
    }
    found
}

fn orientation(file: &[u8]) -> Orientation {
    let reader = ImageReader::new(std::io::Cursor::new(file)).with_guessed_format().unwrap();
    reader.into_decoder().unwrap().orientation().unwrap()
}

/// All that the makers of cameras and programs are known to put there.
fn everything(turned: u16) -> Vec<u8> {
    let (jfif, tables, scan) = parts();
    let mut file = vec![0xff, 0xd8];
    file.extend(jfif);
    file.extend(segment(0xe1, &[b"Exif\0\0", &exif(turned, false)[..]].concat()));
    file.extend(secret(0xe1, b"http://ns.adobe.com/xap/1.0/\0"));
    file.extend(secret(0xe1, &[&b"http://ns.adobe.com/xmp/extension/\0"[..], &[b'0'; 40]].concat()));
    file.extend(icc());
    for (marker, name) in [
        (0xe0, &b"JFXX\0\x10"[..]),
        (0xe0, b"AVI1"),
        (0xe1, b"QVCI\0"),
        (0xe2, b"MPF\0MM\0*"),
        (0xe2, b"FPXR\0"),
        (0xe3, b"Meta\0\0"),
        (0xe4, b"SEAL"),
        (0xe5, b"RMETA\0"),
        (0xe6, b"GoPro\0"),
        (0xe7, b"\x1aQualcomm"),
        (0xe8, b"SPIFF\0"),
        (0xe9, b"Media Jukebox\0"),
        (0xea, b"AROT"),
        (0xeb, b"JP\0\0jumb"),
        (0xec, b"Ducky"),
        (0xed, b"Photoshop 3.0\08BIM\x04\x04\0\0"),
        (0xee, b"Nikon"),
        (0xef, b"HPQ"),
        (0xfe, b""),
    ] {
        file.extend(secret(marker, name));
    }
    // What stands where no decoder looks: between two segments.
    file.extend(SECRET);
    file.extend(tables);
    file.extend([0xff, 0xff]);
    file.extend(secret(0xfe, b"AppleMark"));
    file.extend(scan);
    file
}

/// What stands behind the picture: the second one of a file with several, and the film of one that moves.
fn trailer() -> Vec<u8> {
    let mut file = vec![0xff, 0xd8];
    file.extend(segment(0xe1, &[b"Exif\0\0", &exif(1, false)[..]].concat()));
    file.extend(b"\xff\xd9\0\0\0\x18ftypmp42");
    file.extend(SECRET);
    file
}

#[test]
fn what_says_something_goes_and_the_picture_stays() {
    let file = [everything(6), trailer()].concat();
    let (_, tables, scan) = parts();
    let left = stripped(&file);
    assert_eq!(markers(&left), [0xe0, 0xe1, 0xe2, 0xc0, 0xdb, 0xdb, 0xc4, 0xc4, 0xc4, 0xc4, 0xda]);
    let picture = [tables, scan].concat();
    assert!(left.ends_with(&picture), "tables and scan are as they were");
    assert!(contains(&left, &icc()), "the profile is as it was");
    assert_same_pixels(&file, &left);
    assert_eq!(orientation(&left), Orientation::Rotate90);
    let header = 2 + 18 + 36 + icc().len();
    assert_eq!(left.len(), header + picture.len(), "JFIF, EXIF with one entry, the profile, and no more");
}

#[test]
fn how_it_is_turned_is_kept_and_nothing_beside_it() {
    for (turned, little) in (0..=9).flat_map(|turned| [(turned, false), (turned, true)]) {
        let (jfif, tables, scan) = parts();
        let block = segment(0xe1, &[b"Exif\0\0", &exif(turned, little)[..]].concat());
        let left = stripped(&[&[0xff, 0xd8][..], &jfif, &block, &tables, &scan].concat());
        let bare = [&[0xff, 0xd8][..], &jfif, &tables, &scan].concat();
        let expected = u8::try_from(turned).ok().and_then(Orientation::from_exif).unwrap_or(Orientation::NoTransforms);
        assert_eq!(orientation(&left), expected);
        let added = if expected == Orientation::NoTransforms { 0 } else { 36 };
        assert_eq!(left.len(), bare.len() + added, "{turned}");
    }
}

#[test]
fn of_several_blocks_the_first_that_turns_counts() {
    let (_, tables, scan) = parts();
    let blocks: Vec<u8> =
        [1, 8, 3].iter().flat_map(|n| segment(0xe1, &[b"Exif\0\0", &exif(*n, true)[..]].concat())).collect();
    let left = stripped(&[&[0xff, 0xd8][..], &blocks, &tables, &scan].concat());
    assert_eq!(orientation(&left), Orientation::Rotate270);
    assert_eq!(markers(&left)[0], 0xe1);
}

#[test]
fn a_picture_without_metadata_is_not_touched() {
    let file = jpeg(&DynamicImage::ImageRgb8(colours(24, 16)));
    assert_eq!(stripped(&file), file);
    assert_eq!(stripped(&[&file[..], SECRET].concat()), file, "what follows the end is cut off");
}

#[test]
fn jfif_loses_its_small_picture_alone() {
    let (_, tables, scan) = parts();
    let small = [&b"JFIF\0\x01\x02\x01\0\x48\0\x48\x04\x02"[..], SECRET, b"........"].concat();
    let left = stripped(&[&[0xff, 0xd8][..], &segment(0xe0, &small), &tables, &scan].concat());
    assert!(left.starts_with(b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x02\x01\0\x48\0\x48\0\0\xff\xc0"));
}

#[test]
fn what_decides_the_colours_stays() {
    let (_, tables, scan) = parts();
    let adobe = |transform| segment(0xee, &[&b"Adobe\0\x64\0\0\0\0"[..], &[transform], SECRET].concat());
    let of = |transform| [&[0xff, 0xd8][..], &adobe(transform), &tables, &scan].concat();
    for transform in [0, 1] {
        assert_same_pixels(&of(transform), &stripped(&of(transform)));
    }
    let decoded = |file: &[u8]| image::load_from_memory(file).unwrap();
    assert!(decoded(&of(0)) != decoded(&of(1)), "the segment says nothing to the decoder, so this test shows nothing");
    assert!(contains(&stripped(&of(0)), b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\0\xff"));
}

#[test]
fn bytes_of_scans_are_as_they_were() {
    let (_, tables, scan) = parts();
    let header = &scan[..14];
    // A byte of the picture, decoding starts anew, a filler, the next marker.
    let first = b"\x01\xff\x00\xff\xd3\x02\xff\xff\xff\x00\x03\xff";
    let second = b"\x04\xff\xd7\x05";
    let between = [secret(0xfe, b""), secret(0xe1, b"Exif\0\0"), segment(0xdd, &[0, 4])].concat();
    let file = [&[0xff, 0xd8], &tables[..], header, first, &between, header, second, b"\xff\xd9"].concat();
    let left = stripped(&file);
    let expected =
        [&[0xff, 0xd8], &tables[..], header, first, &segment(0xdd, &[0, 4]), header, second, b"\xff\xd9"].concat();
    assert_eq!(left, expected);
}

#[test]
fn a_file_that_is_cut_off_is_refused() {
    assert_cut_off_is_refused(&everything(3), Kind::Jpeg);
}

#[test]
fn what_is_no_segment_is_refused() {
    let (jfif, tables, scan) = parts();
    let with = |more: &[u8]| [&[0xff, 0xd8][..], &jfif, more, &tables, &scan].concat();
    let malformed = Refused::Malformed(Kind::Jpeg);
    for marker in [0x02, 0xbf, 0xc8, 0xde, 0xdf, 0xf0, 0xf7, 0xfd] {
        assert_eq!(refused(&with(&secret(marker, b""))), malformed, "{marker:x}");
    }
    assert_eq!(refused(&with(&[0xff, 0xd8])), malformed, "a picture in a picture");
    assert_eq!(refused(&with(&[0xff, 0xd9])), malformed, "the end before the picture");
    assert_eq!(refused(&with(&[0xff, 0xe1, 0, 1])), malformed, "a length shorter than itself");
    assert_eq!(refused(&[&[0xff, 0xd8][..], &scan].concat()), malformed, "a scan without a frame");
    assert_eq!(refused(&[&[0xff, 0xd8][..], &tables, &tables, &scan].concat()), malformed, "two frames");
}
