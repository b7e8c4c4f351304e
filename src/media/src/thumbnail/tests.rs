//! Thumbnails.

use std::io::Cursor;
use std::sync::LazyLock;

use image::codecs::gif::GifDecoder;
use image::metadata::{LoopCount, Orientation};
use image::{AnimationDecoder, DynamicImage, ImageDecoder, ImageFormat, ImageReader, RgbImage};
use proptest::prelude::*;

use super::{Asked, Bounds, Fit, Refused, Thumbnail, limits, make, make_within};
use crate::strip::tests::build;
use crate::strip::{self, Kind};

const SMALL: Bounds = Bounds { decoded_bytes: 1 << 20, animated_pixels: 1 << 20, animated_bytes: 1 << 20 };

fn asked(width: u32, height: u32, fit: Fit) -> Asked {
    Asked { width, height, fit, animated: false }
}

fn moving(width: u32, height: u32, fit: Fit) -> Asked {
    Asked { animated: true, ..asked(width, height, fit) }
}

fn opaque(width: u32, height: u32) -> DynamicImage {
    DynamicImage::ImageRgb8(build::colours(width, height))
}

fn decoded(thumbnail: &Thumbnail) -> DynamicImage {
    let image = image::load_from_memory(&thumbnail.bytes).unwrap();
    assert_eq!((image.width(), image.height()), (thumbnail.width, thumbnail.height));
    let format = image::guess_format(&thumbnail.bytes).unwrap();
    assert_eq!(format.to_mime_type(), thumbnail.content_type);
    image
}

/// What the encoder wrote has nothing that would be stripped.
fn assert_says_nothing(thumbnail: &Thumbnail) {
    let stripped = strip::strip("image/", thumbnail.bytes.clone()).unwrap();
    assert_eq!(stripped.bytes, thumbnail.bytes);
    let decoder = ImageReader::new(Cursor::new(&thumbnail.bytes)).with_guessed_format().unwrap().into_decoder();
    assert_eq!(decoder.unwrap().exif_metadata().unwrap(), None);
}

fn is_red([red, _, blue]: [u8; 3]) -> bool {
    red > 200 && blue < 60
}

#[test]
fn sizes_are_those_of_the_list_and_never_larger_than_the_picture() {
    use Fit::{Crop, Scale};
    for (picture, asked, expected) in [
        ((1_000, 500), asked(32, 32, Crop), (32, 32)),
        ((1_000, 500), asked(33, 20, Crop), (96, 96)),
        ((500, 1_000), asked(1, 1, Crop), (32, 32)),
        ((1_000, 500), asked(0, 0, Scale), (320, 160)),
        ((1_000, 500), asked(320, 240, Scale), (320, 160)),
        ((1_000, 500), asked(321, 240, Scale), (640, 320)),
        ((500, 1_000), asked(320, 240, Scale), (120, 240)),
        ((1_000, 750), asked(800, 600, Scale), (800, 600)),
        ((1_000, 1), asked(320, 240, Scale), (320, 1)),
        ((1, 1_000), asked(320, 240, Scale), (1, 240)),
        // Smaller than what is asked for, in one direction or in both.
        ((100, 20), asked(32, 32, Crop), (32, 20)),
        ((20, 100), asked(32, 32, Crop), (20, 32)),
        ((10, 10), asked(96, 96, Crop), (10, 10)),
        ((319, 239), asked(320, 240, Scale), (319, 239)),
        ((400, 100), asked(640, 480, Scale), (400, 100)),
        // More than the list has.
        ((1_000, 500), asked(801, 1, Crop), (1_000, 500)),
        ((1_000, 500), asked(1_601, 1, Scale), (1_000, 500)),
        ((1_000, 500), asked(u32::MAX, u32::MAX, Scale), (1_000, 500)),
    ] {
        let file = build::png(&opaque(picture.0, picture.1));
        let thumbnail = make(&file, asked).unwrap();
        assert_eq!((thumbnail.width, thumbnail.height), expected, "{picture:?} {asked:?}");
        decoded(&thumbnail);
    }
}

#[test]
fn what_is_as_small_as_asked_for_is_the_picture_itself_without_its_metadata() {
    let picture = build::png(&opaque(20, 10));
    let mut file = picture.clone();
    file.splice(33..33, build::chunk(b"tEXt", b"Author\0somebody"));
    let thumbnail = make(&file, asked(32, 32, Fit::Scale)).unwrap();
    assert_eq!((&thumbnail.bytes[..], thumbnail.content_type), (&picture[..], "image/png"));
    // Its sides are those that are seen.
    file.splice(33..33, build::chunk(b"eXIf", &build::exif(6, true)));
    let thumbnail = make(&file, asked(32, 32, Fit::Scale)).unwrap();
    assert_eq!((thumbnail.width, thumbnail.height), (10, 20));
}

#[test]
fn cropping_shows_the_middle() {
    // Three times as wide as high: red, blue, and in the middle what is shown.
    let picture = RgbImage::from_fn(300, 100, |x, _| {
        image::Rgb(if (100..200).contains(&x) { [0, 255, 0] } else { [255, 0, 255] })
    });
    let thumbnail = make(&build::png(&DynamicImage::ImageRgb8(picture)), asked(96, 96, Fit::Crop)).unwrap();
    let image = decoded(&thumbnail).into_rgb8();
    assert!(image.enumerate_pixels().filter(|(x, ..)| (4..92).contains(x)).all(|(.., pixel)| pixel.0[1] > 180));
}

#[test]
fn it_stands_upright_however_the_picture_is_turned() {
    let (jfif, rest) = build::jpeg(&opaque(400, 200)).split_at(20).into_owned_parts();
    for (turned, wide, red_at, blue_at) in [
        (1, true, (5, 60), (200, 60)),
        (2, true, (200, 60), (5, 60)),
        (3, true, (200, 60), (5, 60)),
        (4, true, (5, 60), (200, 60)),
        (5, false, (60, 5), (60, 200)),
        (6, false, (60, 5), (60, 200)),
        (7, false, (60, 200), (60, 5)),
        (8, false, (60, 200), (60, 5)),
    ] {
        let block = build::segment(0xe1, &[b"Exif\0\0", &build::exif(turned, false)[..]].concat());
        let thumbnail = make(&[&jfif[..], &block, &rest].concat(), asked(240, 240, Fit::Scale)).unwrap();
        assert_says_nothing(&thumbnail);
        let image = decoded(&thumbnail).into_rgb8();
        assert_eq!(image.width() > image.height(), wide, "{turned}");
        let at = |(x, y)| image.get_pixel(x, y).0;
        assert!(is_red(at(red_at)) && !is_red(at(blue_at)), "{turned}: {:?} {:?}", at(red_at), at(blue_at));
        // Which way round the other direction is: green grows downwards in the picture.
        let (low, high) = if wide { ((150, 5), (150, 110)) } else { ((5, 150), (110, 150)) };
        let grows = at(low)[1] < at(high)[1];
        assert_eq!(grows, matches!(turned, 1 | 2 | 5 | 8), "{turned}");
    }
}

trait Owned {
    fn into_owned_parts(self) -> (Vec<u8>, Vec<u8>);
}

impl Owned for (&[u8], &[u8]) {
    fn into_owned_parts(self) -> (Vec<u8>, Vec<u8>) {
        (self.0.to_vec(), self.1.to_vec())
    }
}

#[test]
fn what_is_transparent_stays_so() {
    let transparent = DynamicImage::ImageRgba8(build::half_transparent(400, 300));
    for file in [build::png(&transparent), build::webp(&transparent)] {
        let thumbnail = make(&file, asked(96, 96, Fit::Crop)).unwrap();
        assert_eq!(thumbnail.content_type, "image/png");
        assert_says_nothing(&thumbnail);
        let image = decoded(&thumbnail).into_rgba8();
        assert_eq!((image.get_pixel(48, 5).0[3], image.get_pixel(48, 90).0[3]), (0, 255));
    }
    for image in [opaque(400, 300), DynamicImage::ImageRgba8(opaque(400, 300).into_rgba8())] {
        assert_eq!(make(&build::png(&image), asked(96, 96, Fit::Crop)).unwrap().content_type, "image/jpeg");
    }
}

#[test]
fn every_depth_and_gray_are_shown() {
    let picture = opaque(400, 300);
    for image in [
        DynamicImage::ImageLuma8(picture.to_luma8()),
        DynamicImage::ImageLuma16(picture.to_luma16()),
        DynamicImage::ImageLumaA8(picture.to_luma_alpha8()),
        DynamicImage::ImageRgb16(picture.to_rgb16()),
        DynamicImage::ImageRgba16(picture.to_rgba16()),
    ] {
        let thumbnail = make(&build::png(&image), asked(96, 96, Fit::Crop)).unwrap();
        let small = decoded(&thumbnail).into_luma8();
        let (one, other) = (small.get_pixel(10, 48).0[0], image.to_luma8().get_pixel(90, 150).0[0]);
        assert!(one.abs_diff(other) < 12, "{one} {other} {:?}", image.color());
    }
}

#[test]
fn colours_stay_those_of_the_profile() {
    let chunks: Vec<_> = build::chunks(&build::png(&opaque(400, 300)));
    let with = |profile: &[u8]| {
        let mut file = Vec::new();
        let mut encoder = image::codecs::jpeg::JpegEncoder::new(&mut file);
        image::ImageEncoder::set_icc_profile(&mut encoder, profile.to_vec()).unwrap();
        opaque(400, 300).write_with_encoder(encoder).unwrap();
        file
    };
    assert_eq!(chunks.len(), 3);
    let profile = |file: &[u8]| {
        let thumbnail = make(file, asked(96, 96, Fit::Crop)).unwrap();
        assert_says_nothing(&thumbnail);
        let decoder = ImageReader::with_format(Cursor::new(thumbnail.bytes), ImageFormat::Jpeg).into_decoder();
        decoder.unwrap().icc_profile().unwrap()
    };
    let rgb = build::profile(b"RGB ");
    assert_eq!(profile(&with(&rgb)), Some(rgb.clone()));
    assert_eq!(profile(&with(&build::profile(b"CMYK"))), None, "one for other colours than it now has");
    let mut long = rgb;
    long.resize(limits::PROFILE_BYTES + 1, 0);
    assert_eq!(profile(&with(&long)), None);
}

/// Width, height and frames with their delays, and how often they are shown.
fn animation(thumbnail: &Thumbnail) -> (u32, u32, Vec<(u32, [u8; 4])>, bool) {
    assert_eq!(thumbnail.content_type, "image/gif");
    assert_says_nothing(thumbnail);
    let decoder = GifDecoder::new(Cursor::new(&thumbnail.bytes)).unwrap();
    let (width, height) = decoder.dimensions();
    assert_eq!((width, height), (thumbnail.width, thumbnail.height));
    let forever = matches!(decoder.loop_count(), LoopCount::Infinite);
    let frames = decoder.into_frames().collect_frames().unwrap();
    let shown = frames
        .iter()
        .map(|frame| (frame.delay().numer_denom_ms().0, frame.buffer().get_pixel(width / 2, height / 2).0));
    (width, height, shown.collect(), forever)
}

#[test]
fn what_moves_goes_on_moving_where_that_is_asked_for() {
    let files =
        [build::gif(400, 200, 3), build::apng(400, 200, 3), build::webp_of(&build::animated_webp(400, 200, 3, b""))];
    for file in files {
        let thumbnail = make(&file, moving(320, 240, Fit::Scale)).unwrap();
        let colours = vec![(100, [255, 0, 0, 255]), (200, [0, 255, 0, 255]), (300, [0, 0, 255, 255])];
        assert_eq!(animation(&thumbnail), (320, 160, colours, true));
        let still = make(&file, asked(320, 240, Fit::Scale)).unwrap();
        assert_eq!((still.content_type, still.width, still.height), ("image/jpeg", 320, 160));
        assert!(is_red(decoded(&still).into_rgb8().get_pixel(160, 80).0), "the first frame");
    }
    // One that is small enough is itself the answer, but does not move where that was not asked for.
    let file = build::gif(20, 10, 2);
    assert_eq!(make(&file, moving(32, 32, Fit::Crop)).unwrap().bytes, file);
    let still = make(&file, asked(32, 32, Fit::Crop)).unwrap();
    assert_eq!((still.content_type, still.width, still.height), ("image/jpeg", 20, 10));
    // What does not move does not either where it may.
    let still = make(&build::gif(400, 200, 1), moving(32, 32, Fit::Crop)).unwrap();
    assert_eq!(still.content_type, "image/jpeg");
}

#[test]
fn of_a_long_animation_the_first_frame_is_shown() {
    let frames = u32::try_from(limits::ANIMATED_FRAMES).unwrap();
    let picture = build::gif(40, 40, 1);
    let start = picture.windows(2).position(|window| window == [0x21, 0xf9]).unwrap();
    let of = |frames: u32| {
        let frame = &picture[start..picture.len() - 1];
        [&picture[..start], &frame.repeat(frames as usize), &[0x3b]].concat()
    };
    assert_eq!(make(&of(frames), moving(32, 32, Fit::Crop)).unwrap().content_type, "image/gif");
    assert_eq!(make(&of(frames + 1), moving(32, 32, Fit::Crop)).unwrap().content_type, "image/jpeg");
    // As well where there is too much to decode, or the thumbnail would be too large.
    let with = |bounds| make_within(&of(10), moving(32, 32, Fit::Crop), bounds).unwrap().content_type;
    assert_eq!(with(Bounds { animated_pixels: 16_000, ..SMALL }), "image/gif");
    assert_eq!(with(Bounds { animated_pixels: 15_999, ..SMALL }), "image/jpeg");
    let length = make(&of(10), moving(32, 32, Fit::Crop)).unwrap().bytes.len();
    assert_eq!(with(Bounds { animated_bytes: length, ..SMALL }), "image/gif");
    assert_eq!(with(Bounds { animated_bytes: length - 1, ..SMALL }), "image/jpeg");
}

#[test]
fn bombs_are_refused() {
    for asked in [asked(32, 32, Fit::Crop), moving(800, 600, Fit::Scale), asked(9_999, 9_999, Fit::Scale)] {
        let refused = |file: &[u8]| assert_eq!(make(file, asked), Err(Refused::TooLarge));
        // A PNG of 50,000 × 50,000.
        let size = 50_000_u32.to_be_bytes();
        for depth in [[8, 2], [1, 0], [16, 6], [8, 3]] {
            let header = build::chunk(b"IHDR", &[&size[..], &size, &depth, &[0, 0, 0]].concat());
            let pixels = build::chunk(b"IDAT", &build::chunks(&build::png(&opaque(9, 9)))[1].1);
            let palette = build::chunk(b"PLTE", &[0; 3]);
            refused(&build::png_of(&[header, palette, pixels, build::chunk(b"IEND", b"")]));
        }
        // A GIF of 100,000 frames, and one as large as they come.
        let gif = build::gif(2, 2, 1);
        let start = gif.windows(2).position(|window| window == [0x21, 0xf9]).unwrap();
        refused(&[&gif[..start], &gif[start..gif.len() - 1].repeat(100_000), &[0x3b]].concat());
        let mut large = gif;
        large[6..10].fill(0xff);
        refused(&large);
        // A WebP as large as they come.
        let pixels = build::webp(&opaque(9, 9))[12..].to_vec();
        refused(&build::webp_of(&[build::extended(0, 16_384, 16_384), pixels]));
        // A JPEG as large as they come, and one with a pass after the other.
        let mut jpeg = build::jpeg(&opaque(9, 9));
        let scan = jpeg.windows(2).position(|window| window == [0xff, 0xda]).unwrap();
        let end = jpeg.len() - 2;
        let passes = usize::try_from(limits::JPEG_PASSES).unwrap();
        refused(&[&jpeg[..end], &jpeg[scan..end].repeat(passes), &jpeg[end..]].concat());
        let frame = jpeg.windows(2).position(|window| window == [0xff, 0xc0]).unwrap();
        jpeg[frame + 5..frame + 9].fill(0xff);
        refused(&jpeg);
    }
}

#[test]
fn what_decoding_takes_is_bounded_exactly() {
    for (file, bytes) in [
        (build::png(&opaque(100, 100)), 30_000),
        (build::png(&DynamicImage::ImageRgba16(opaque(100, 100).to_rgba16())), 80_000),
        (build::jpeg(&opaque(100, 100)), 30_000),
        (build::gif(100, 100, 1), 80_000),
        (build::webp(&opaque(100, 100)), 110_000),
    ] {
        let with = |decoded_bytes| make_within(&file, asked(32, 32, Fit::Crop), Bounds { decoded_bytes, ..SMALL });
        assert_eq!(with(bytes - 1), Err(Refused::TooLarge));
        // What the decoders need beside it, they count themselves.
        assert!(with(bytes * 3).is_ok());
    }
}

#[test]
fn what_is_no_picture_has_no_thumbnail() {
    let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic";
    for file in [&b""[..], b"Hello world", b"%PDF-1.7", heic] {
        assert_eq!(make(file, asked(32, 32, Fit::Crop)), Err(Refused::Unsupported));
    }
    let mut file = build::png(&opaque(100, 100));
    file.truncate(file.len() - 1);
    assert_eq!(make(&file, asked(32, 32, Fit::Crop)), Err(Refused::Malformed));
    let empty = build::png_of(&[
        build::chunk(b"IHDR", &[0, 0, 0, 9, 0, 0, 0, 9, 8, 2, 0, 0, 0]),
        build::chunk(b"IDAT", b""),
        build::chunk(b"IEND", b""),
    ]);
    assert_eq!(
        make(&empty, asked(1, 1, Fit::Crop)).map(|thumbnail| thumbnail.width),
        Ok(9),
        "it is the picture itself"
    );
}

#[test]
fn the_picture_of_a_telephone() {
    let file = include_bytes!("../../tests/pictures/nokia.jpg");
    let thumbnail = make(file, asked(320, 240, Fit::Scale)).unwrap();
    assert_eq!((thumbnail.width, thumbnail.height, thumbnail.content_type), (320, 180, "image/jpeg"));
    assert_says_nothing(&thumbnail);
    assert!(!thumbnail.bytes.windows(5).any(|window| window == b"Nokia"));
    // The box is red, the net beside it is not.
    let image = decoded(&thumbnail).into_rgb8();
    let [red, green, _] = image.get_pixel(100, 150).0;
    assert!(red > 150 && green < 110, "{red} {green}");
}

#[test]
fn orientations_are_those_of_the_sides() {
    for n in 1..=8 {
        let size = super::decode::upright((3, 2), Orientation::from_exif(n).unwrap());
        assert_eq!(size, if n < 5 { (3, 2) } else { (2, 3) });
    }
    assert_eq!(Kind::Jpeg.content_type(), Some("image/jpeg"));
}

static FILES: LazyLock<[Vec<u8>; 5]> = LazyLock::new(|| {
    [
        build::jpeg(&opaque(40, 40)),
        build::png(&opaque(40, 40)),
        build::gif(40, 40, 2),
        build::apng(40, 40, 2),
        build::webp_of(&build::animated_webp(40, 40, 2, b"")),
    ]
});

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_pictures_are_shown_or_refused(
        which in 0..5_usize,
        places in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..4),
        animated in any::<bool>(),
    ) {
        let mut file = FILES[which].clone();
        let length = file.len();
        for (place, value) in places {
            file[place % length] = value;
        }
        let asked = Asked { width: 32, height: 32, fit: Fit::Crop, animated };
        if let Ok(thumbnail) = make_within(&file, asked, SMALL) {
            // The size itself may be what is damaged.
            prop_assert!(thumbnail.width > 0 && thumbnail.height > 0);
            prop_assert!(strip::strip("image/", thumbnail.bytes).is_ok());
        }
    }
}
