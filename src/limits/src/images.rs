//! Bounds of pictures that are decoded and of the thumbnails that are made of them.

/// Pixels of the sides of squares that thumbnails are cropped to. The specification names the first two; the others are avatars on screens
/// with small pixels.
pub const CROPPED_PIXELS: [u32; 5] = [32, 96, 256, 512, 800];
/// Pixels of the boxes that thumbnails are scaled into, width and height. The specification names the first three; the others are for phones
/// that are held upright and for large screens. Who asks for more is given the picture itself.
pub const SCALED_PIXELS: [(u32, u32); 5] = [(320, 240), (640, 480), (800, 600), (800, 800), (1_600, 1_600)];

/// Bytes that decoding one picture may take: what a phone's camera with 50 million pixels makes, and no more than a few of which a small
/// machine bears at once.
pub const DECODED_BYTES: u64 = 256 * 1024 * 1024;
/// Passes over one JPEG. Progressive files have about ten; each costs as much time as the whole picture, and may be empty.
pub const JPEG_PASSES: u64 = 64;
/// Frames of a picture of which any thumbnail is made, also of its first frame alone. What has more was made to keep somebody busy.
pub const PICTURE_FRAMES: u64 = 10_000;
/// Frames of an animation that stays one: 30 s at 10 frames a second. Of longer ones the first frame is shown.
pub const ANIMATED_FRAMES: u64 = 300;
/// Pixels of all frames of an animation that stays one: a second or two of work.
pub const ANIMATED_PIXELS: u64 = 128 * 1024 * 1024;
/// Bytes of an animated thumbnail. Where it would be larger the first frame is shown.
pub const ANIMATED_BYTES: usize = 8 * 1024 * 1024;
/// Bytes of a colour profile that a thumbnail keeps. Those of cameras and screens have less; those of printers, with up to a million, are of
/// no use for what was made RGB.
pub const PROFILE_BYTES: usize = 16 * 1024;
