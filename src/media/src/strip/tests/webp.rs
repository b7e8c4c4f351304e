//! WebP.

use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;
use image::{AnimationDecoder, DynamicImage, ImageDecoder};

use super::build::{animated_webp, exif, extended, half_transparent, profile, riff, webp, webp_of};
use super::{Kind, Refused, SECRET, assert_cut_off_is_refused, assert_same_pixels, refused, stripped};

fn picture() -> Vec<u8> {
    webp(&DynamicImage::ImageRgba8(half_transparent(12, 8)))
}

fn pixels() -> Vec<u8> {
    picture()[12..].to_vec()
}

fn everything(block: &[u8]) -> Vec<u8> {
    let mut file = webp_of(&[
        extended(0xfd, 12, 8),
        riff(b"ICCP", &profile(b"RGB ")),
        riff(b"odd ", &SECRET[1..]),
        pixels(),
        riff(b"EXIF", block),
        riff(b"XMP ", SECRET),
        riff(b"VP8L", SECRET),
        riff(b"ALPH", &[1, 2, 3]),
        riff(b"ALPH", SECRET),
        riff(b"ANIM", SECRET),
    ]);
    file.extend(SECRET);
    file
}

fn orientation(file: &[u8]) -> Orientation {
    WebPDecoder::new(std::io::Cursor::new(file)).unwrap().orientation().unwrap()
}

#[test]
fn what_says_something_goes_and_the_picture_stays() {
    for block in [exif(6, true), [b"Exif\0\0", &exif(6, false)[..]].concat()] {
        let left = stripped(&everything(&block));
        let turned = riff(b"EXIF", &left[left.len() - 26..]);
        let expected =
            [extended(0x38, 12, 8), riff(b"ICCP", &profile(b"RGB ")), pixels(), riff(b"ALPH", &[1, 2, 3]), turned];
        assert_eq!(left, webp_of(&expected));
        assert_eq!(orientation(&left), Orientation::Rotate90);
    }
    let upright = stripped(&everything(&exif(1, true)));
    let expected = [extended(0x30, 12, 8), riff(b"ICCP", &profile(b"RGB ")), pixels(), riff(b"ALPH", &[1, 2, 3])];
    assert_eq!(upright, webp_of(&expected));
}

#[test]
fn pixels_are_as_they_were() {
    let file = webp_of(&[extended(0x18, 12, 8), pixels(), riff(b"EXIF", &exif(3, true)), riff(b"XMP ", SECRET)]);
    assert_same_pixels(&file, &stripped(&file));
}

#[test]
fn a_picture_without_metadata_is_not_touched() {
    assert_eq!(stripped(&picture()), picture());
    assert_eq!(stripped(&[&picture()[..], SECRET].concat()), picture(), "what follows the end is cut off");
    let file = webp_of(&[extended(0, 12, 8), pixels()]);
    assert_eq!(stripped(&file), file);
}

#[test]
fn beside_a_simple_picture_there_is_nothing() {
    let file = webp_of(&[pixels(), riff(b"EXIF", &exif(6, true)), riff(b"ICCP", SECRET)]);
    assert_eq!(stripped(&file), picture());
}

#[test]
fn animations_stay_and_their_frames_have_no_secrets() {
    let mut parts = animated_webp(6, 4, 3, &riff(b"note", SECRET));
    parts.push(riff(b"XMP ", SECRET));
    let left = stripped(&webp_of(&parts));
    assert_eq!(left, webp_of(&animated_webp(6, 4, 3, b"")));
    let frames = WebPDecoder::new(std::io::Cursor::new(&left)).unwrap().into_frames().collect_frames().unwrap();
    assert_eq!(frames.len(), 3);
}

#[test]
fn a_file_that_is_cut_off_is_refused() {
    let file = everything(&exif(6, true));
    assert_cut_off_is_refused(&file[..file.len() - SECRET.len()], Kind::Webp);
    // A chunk that says that it goes on behind the end of the file.
    let mut long = picture();
    long[16] += 2;
    assert_eq!(refused(&long), Refused::CutOff(Kind::Webp));
}

#[test]
fn what_is_no_picture_is_refused() {
    let malformed = Refused::Malformed(Kind::Webp);
    assert_eq!(refused(&webp_of(&[extended(0, 12, 8), riff(b"XMP ", SECRET)])), malformed);
    assert_eq!(refused(&webp_of(&[pixels(), extended(0, 12, 8)])), malformed);
    assert_eq!(refused(&webp_of(&[extended(2, 6, 4), riff(b"ANMF", &[0; 16])])), malformed);
}

#[test]
fn a_last_odd_chunk_is_filled_up() {
    let odd = riff(b"VP8L", b"odd");
    let mut file = webp_of(std::slice::from_ref(&odd));
    file.pop();
    file[4] -= 1;
    assert_eq!(stripped(&file), webp_of(&[odd]));
}
