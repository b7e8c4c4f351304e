//! GIF.

use image::codecs::gif::GifDecoder;
use image::{AnimationDecoder, Frame};

use super::build::gif;
use super::{Kind, Refused, SECRET, assert_cut_off_is_refused, contains, refused, stripped};

/// Up to the first block, and from there on: the loop, then the frames.
fn parts() -> (Vec<u8>, Vec<u8>) {
    let file = gif(9, 5, 3);
    let first = file.windows(2).position(|window| window == [0x21, 0xff]).unwrap();
    (file[..first].to_vec(), file[first..].to_vec())
}

fn extension(label: u8, blocks: &[&[u8]]) -> Vec<u8> {
    let mut bytes = vec![0x21, label];
    for block in blocks {
        bytes.push(u8::try_from(block.len()).unwrap());
        bytes.extend(*block);
    }
    bytes.push(0);
    bytes
}

/// XMP stands there without lengths, and 258 bytes lead out of it wherever a reader gets in.
fn xmp() -> Vec<u8> {
    let mut bytes = b"\x21\xff\x0bXMP DataXMP".to_vec();
    bytes.extend(b"<x:xmpmeta>");
    bytes.extend(SECRET);
    bytes.extend([1]);
    bytes.extend((0..=255).rev());
    bytes.extend([0, 0]);
    bytes
}

fn everything() -> Vec<u8> {
    let (start, rest) = parts();
    [
        start,
        extension(0xfe, &[SECRET, &[0xff; 255], SECRET]),
        xmp(),
        extension(0xff, &[b"fractint001", SECRET]),
        extension(0xff, &[b"ICCRGBG1012", b"a profile"]),
        // With plain text its time; the last one before a picture counts.
        extension(0xf9, &[&[0, 1, 0, 0]]),
        extension(0x01, &[&[0; 12], SECRET]),
        extension(0x77, &[SECRET]),
        extension(0xf9, &[SECRET]),
        vec![0, 0],
        rest,
        SECRET.to_vec(),
    ]
    .concat()
}

fn frames(file: &[u8]) -> Vec<Frame> {
    GifDecoder::new(std::io::Cursor::new(file)).unwrap().into_frames().collect_frames().unwrap()
}

#[test]
fn what_says_something_goes_and_the_picture_stays() {
    let (start, rest) = parts();
    let left = stripped(&everything());
    let colours = [extension(0xff, &[b"ICCRGBG1012", b"a profile"]), extension(0xf9, &[&[0, 1, 0, 0]])].concat();
    assert_eq!(left, [start, colours, rest].concat());
    let (one, other) = (frames(&gif(9, 5, 3)), frames(&left));
    assert_eq!(one.len(), 3);
    for (one, other) in one.iter().zip(&other) {
        assert_eq!(one.buffer(), other.buffer());
        assert_eq!(one.delay(), other.delay());
    }
}

#[test]
fn a_picture_without_metadata_is_not_touched() {
    let file = gif(9, 5, 3);
    assert_eq!(stripped(&file), file);
    assert_eq!(stripped(&[&file[..], SECRET].concat()), file, "what follows the end is cut off");
}

#[test]
fn how_often_it_is_shown_stays_without_what_stands_beside_it() {
    let (start, rest) = parts();
    for name in [b"NETSCAPE2.0", b"ANIMEXTS1.0"] {
        let times = extension(0xff, &[name, &[1, 7, 0], &[2, 1, 2, 3, 4], SECRET]);
        let left = stripped(&[start.clone(), times, rest.clone()].concat());
        let kept = extension(0xff, &[name, &[1, 7, 0]]);
        assert_eq!(left, [start.clone(), kept, rest.clone()].concat());
    }
    let secret = extension(0xff, &[b"NETSCAPE2.0", SECRET]);
    assert!(contains(&stripped(&[start, secret, rest].concat()), b"NETSCAPE2.0\x03\x01\0\0\0"));
}

#[test]
fn a_file_that_is_cut_off_is_refused() {
    let file = everything();
    assert_cut_off_is_refused(&file[..file.len() - SECRET.len()], Kind::Gif);
}

#[test]
fn what_is_no_block_is_refused() {
    let (start, rest) = parts();
    let malformed = Refused::Malformed(Kind::Gif);
    assert_eq!(refused(&[&start[..], &[0x3b]].concat()), malformed, "no picture");
    assert_eq!(refused(&[&start[..], &[0x41], &rest].concat()), malformed);
}
