//! Which size, and what of the picture.

use image::DynamicImage;
use image::imageops::FilterType;
use image::metadata::Orientation;
use wardstead_limits::images as limits;

use super::decode::upright;

/// How a picture is made to fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    /// Its whole is shown, no larger than asked for in either direction.
    Scale,
    /// It fills what was asked for, and what stands over is cut off.
    Crop,
}

/// Which thumbnail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// How it is made to fit.
    pub fit: Fit,
    /// Whether it may move, where the picture does.
    pub animated: bool,
}

impl Asked {
    /// The smallest listed size that is not smaller than what was asked for; where all are smaller, [`u32::MAX`] each way: the picture in
    /// its own size. Of one picture there are so many thumbnails and no more.
    #[must_use]
    pub fn listed(self) -> Self {
        let squares = limits::CROPPED_PIXELS.map(|side| (side, side));
        let sizes = match self.fit {
            Fit::Crop => squares,
            Fit::Scale => limits::SCALED_PIXELS,
        };
        let fits = |(width, height): &(u32, u32)| *width >= self.width && *height >= self.height;
        let (width, height) = sizes.into_iter().find(fits).unwrap_or((u32::MAX, u32::MAX));
        Self { width, height, ..self }
    }
}

/// What is done with a picture that stands upright.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Pixels of its middle that are shown: width and height.
    cut: (u32, u32),
    /// Pixels that they become.
    pub(super) to: (u32, u32),
}

impl Plan {
    /// The picture as it is.
    pub(super) fn whole(size: (u32, u32)) -> Self {
        Self { cut: size, to: size }
    }

    /// What is done with a picture of `size` for what was asked for.
    pub(super) fn new(size: (u32, u32), asked: Asked) -> Self {
        let (width, height) = (u64::from(size.0.max(1)), u64::from(size.1.max(1)));
        let (box_width, box_height) = (u64::from(asked.width), u64::from(asked.height));
        // Whether the box is wider than the picture, each as high as the other.
        let wider = box_width * height >= box_height * width;
        match asked.fit {
            Fit::Scale if width <= box_width && height <= box_height => Self::whole(size),
            Fit::Scale if wider => Self { cut: size, to: (part(width, box_height, height), asked.height) },
            Fit::Scale => Self { cut: size, to: (asked.width, part(height, box_width, width)) },
            // Not enough in one direction at least: what there is, unscaled.
            Fit::Crop if width < box_width || height < box_height => {
                let cut = (size.0.min(asked.width), size.1.min(asked.height));
                Self { cut, to: cut }
            }
            Fit::Crop if wider => {
                Self { cut: (size.0, part(width, box_height, box_width)), to: (asked.width, asked.height) }
            }
            Fit::Crop => Self { cut: (part(height, box_width, box_height), size.1), to: (asked.width, asked.height) },
        }
    }

    /// Cuts, scales and turns.
    pub(super) fn apply(self, image: DynamicImage, orientation: Orientation) -> DynamicImage {
        let (size, cut, to) =
            ((image.width(), image.height()), upright(self.cut, orientation), upright(self.to, orientation));
        let mut image = if cut == size {
            image
        } else {
            let (x, y) = (size.0.saturating_sub(cut.0) / 2, size.1.saturating_sub(cut.1) / 2);
            image.crop_imm(x, y, cut.0, cut.1)
        };
        // Far from its size a picture is averaged first: that is fast, and needs no more memory than what comes of it.
        let near = (to.0.saturating_mul(2), to.1.saturating_mul(2));
        if near.0 < cut.0 && near.1 < cut.1 {
            image = image.thumbnail_exact(near.0, near.1);
        }
        if (image.width(), image.height()) != to {
            image = image.resize_exact(to.0, to.1, FilterType::CatmullRom);
        }
        image.apply_orientation(orientation);
        image
    }
}

/// `of * times / by`, to the nearest, at least one pixel.
fn part(of: u64, times: u64, by: u64) -> u32 {
    u32::try_from((of * times + by / 2) / by).unwrap_or(u32::MAX).max(1)
}
