//! Small pictures of large ones (contract 6.3). Pure: bytes in, bytes out, memory bounded from the header on.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use crate::kit::limits::{THUMB_MEMORY_BYTES_MAX, THUMB_PIXELS_MAX, THUMB_SOURCE_PIXELS_MAX};

/// Quality of JPEG thumbs.
const JPEG_QUALITY: u8 = 90;

/// How a thumb fills its box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fill {
    Center,
    Top,
    Bottom,
    Fit,
}

/// A parsed thumb format: `WxH`, `WxHt`, `WxHb`, `WxHf`, `0xH` or `Wx0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    width: u32,
    height: u32,
    fill: Fill,
}

impl Size {
    /// Reads a format; `None` for anything else, an empty box or one past the bound.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (body, fill) = match text.as_bytes().last()? {
            b't' => (&text[..text.len() - 1], Fill::Top),
            b'b' => (&text[..text.len() - 1], Fill::Bottom),
            b'f' => (&text[..text.len() - 1], Fill::Fit),
            _ => (text, Fill::Center),
        };
        let (width, height) = body.split_once('x')?;
        let number = |digits: &str| -> Option<u32> {
            (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
                .then(|| digits.parse().ok())
                .flatten()
        };
        let (width, height) = (number(width)?, number(height)?);
        let pixels = u64::from(width.max(1)) * u64::from(height.max(1));
        ((width > 0 || height > 0) && pixels <= THUMB_PIXELS_MAX).then_some(Self {
            width,
            height,
            fill,
        })
    }
}

/// Whether thumbs are made of such files.
#[must_use]
pub fn has_thumbs(mime: &str) -> bool {
    matches!(
        mime,
        "image/png" | "image/jpg" | "image/jpeg" | "image/gif" | "image/webp"
    )
}

/// The thumb of the picture `original`, encoded as `name` says. `None` when it cannot be made: it is no picture, it is
/// cut, or it is too large.
#[must_use]
pub fn make(original: &[u8], name: &str, size: Size) -> Option<Vec<u8>> {
    let picture = decode(original)?;
    let small = resized(&picture, size)?;
    encode(&small, name)
}

fn decode(original: &[u8]) -> Option<DynamicImage> {
    let mut reader = ImageReader::new(Cursor::new(original))
        .with_guessed_format()
        .ok()?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(THUMB_MEMORY_BYTES_MAX);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().ok()?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > THUMB_SOURCE_PIXELS_MAX
        || decoder.total_bytes() > THUMB_MEMORY_BYTES_MAX
    {
        return None;
    }
    let orientation = decoder.orientation().ok()?;
    let mut picture = DynamicImage::from_decoder(decoder).ok()?;
    picture.apply_orientation(orientation);
    Some(picture)
}

fn resized(picture: &DynamicImage, size: Size) -> Option<DynamicImage> {
    let (from_width, from_height) = (picture.width(), picture.height());
    if from_width == 0 || from_height == 0 {
        return None;
    }
    let (width, height) = match size {
        Size {
            width: 0, height, ..
        } => (scaled(from_width, height, from_height), height),
        Size {
            width, height: 0, ..
        } => (width, scaled(from_height, width, from_width)),
        Size {
            width,
            height,
            fill: Fill::Fit,
        } => fitted((from_width, from_height), (width, height)),
        Size {
            width,
            height,
            fill,
        } => return filled(picture, (width, height), fill),
    };
    exact(picture, width, height)
}

/// `length` times `to` over `from`, rounded, at least one.
fn scaled(length: u32, to: u32, from: u32) -> u32 {
    let product = u64::from(length) * u64::from(to);
    let rounded = (product + u64::from(from) / 2) / u64::from(from);
    u32::try_from(rounded.max(1)).unwrap_or(u32::MAX)
}

/// The largest size within `within` of the same shape as `from`, never larger than it.
fn fitted(from: (u32, u32), within: (u32, u32)) -> (u32, u32) {
    if from.0 <= within.0 && from.1 <= within.1 {
        return from;
    }
    let is_wider =
        u64::from(from.0) * u64::from(within.1) > u64::from(within.0) * u64::from(from.1);
    if is_wider {
        (within.0, scaled(from.1, within.0, from.0))
    } else {
        (scaled(from.0, within.1, from.1), within.1)
    }
}

/// Cuts the part of the picture that has the wanted shape, then resizes it: never more pixels than needed.
fn filled(picture: &DynamicImage, to: (u32, u32), fill: Fill) -> Option<DynamicImage> {
    let (from_width, from_height) = (picture.width(), picture.height());
    let is_wider =
        u64::from(from_width) * u64::from(to.1) > u64::from(to.0) * u64::from(from_height);
    let (width, height) = if is_wider {
        (scaled(to.0, from_height, to.1).min(from_width), from_height)
    } else {
        (from_width, scaled(to.1, from_width, to.0).min(from_height))
    };
    let x = (from_width - width) / 2;
    let y = match fill {
        Fill::Top => 0,
        Fill::Bottom => from_height - height,
        Fill::Center | Fill::Fit => (from_height - height) / 2,
    };
    exact(&picture.crop_imm(x, y, width, height), to.0, to.1)
}

fn exact(picture: &DynamicImage, width: u32, height: u32) -> Option<DynamicImage> {
    if u64::from(width) * u64::from(height) > THUMB_PIXELS_MAX {
        return None;
    }
    Some(picture.resize_exact(width, height, FilterType::Triangle))
}

fn encode(picture: &DynamicImage, name: &str) -> Option<Vec<u8>> {
    let extension = name.rsplit('.').next().unwrap_or("").to_ascii_lowercase();
    let mut out = Cursor::new(Vec::new());
    match extension.as_str() {
        "jpg" | "jpeg" => picture
            .to_rgb8()
            .write_with_encoder(JpegEncoder::new_with_quality(&mut out, JPEG_QUALITY)),
        "gif" => picture.to_rgba8().write_to(&mut out, ImageFormat::Gif),
        "bmp" => picture.write_to(&mut out, ImageFormat::Bmp),
        "tif" | "tiff" => picture.write_to(&mut out, ImageFormat::Tiff),
        _ => picture.write_to(&mut out, ImageFormat::Png),
    }
    .ok()?;
    Some(out.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut out = Cursor::new(Vec::new());
        DynamicImage::new_rgb8(width, height)
            .write_to(&mut out, ImageFormat::Png)
            .unwrap();
        out.into_inner()
    }

    fn dimensions(picture: &[u8]) -> (u32, u32) {
        let picture = image::load_from_memory(picture).unwrap();
        (picture.width(), picture.height())
    }

    #[test]
    fn every_format_has_the_contracts_size() {
        for (from, format, to) in [
            ((200, 200), "100x100", (100, 100)),
            ((200, 200), "500x500", (500, 500)),
            ((200, 100), "50x50t", (50, 50)),
            ((200, 100), "50x50b", (50, 50)),
            ((200, 100), "30x20f", (30, 15)),
            ((20, 10), "300x200f", (20, 10)),
            ((200, 100), "0x40", (80, 40)),
            ((200, 100), "40x0", (40, 20)),
            ((1, 300), "10x0", (10, 3000)),
        ] {
            let size = Size::parse(format).unwrap();
            let thumb = make(&png(from.0, from.1), "x.png", size).unwrap();
            assert_eq!(dimensions(&thumb), to, "{from:?} as {format}");
        }
    }

    #[test]
    fn odd_formats_are_none() {
        for odd in [
            "",
            "x",
            "0x0",
            "10",
            "10x",
            "x10",
            "-1x5",
            "10x10z",
            "1x1x1",
            "+1x1",
            "99999x99999",
            "4294967296x1",
            "t",
            "10 x10",
        ] {
            assert_eq!(Size::parse(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn the_name_decides_the_encoding() {
        let size = Size::parse("10x10").unwrap();
        for (name, format) in [
            ("a.png", ImageFormat::Png),
            ("a.webp", ImageFormat::Png),
            ("a.JPG", ImageFormat::Jpeg),
            ("a.gif", ImageFormat::Gif),
        ] {
            let thumb = make(&png(20, 20), name, size).unwrap();
            assert_eq!(image::guess_format(&thumb).unwrap(), format, "{name}");
        }
    }

    #[test]
    fn pictures_stand_as_the_camera_was_held() {
        let mut plain = Cursor::new(Vec::new());
        DynamicImage::new_rgb8(200, 100)
            .write_to(&mut plain, ImageFormat::Jpeg)
            .unwrap();
        let plain = plain.into_inner();
        // One EXIF entry: orientation 6, a quarter turn to the right.
        let exif = b"\xff\xe1\x00\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
        let turned = [&plain[..2], exif, &plain[2..]].concat();
        let size = Size::parse("0x40").unwrap();
        assert_eq!(dimensions(&make(&plain, "a.jpg", size).unwrap()), (80, 40));
        assert_eq!(dimensions(&make(&turned, "a.jpg", size).unwrap()), (20, 40));
    }

    #[test]
    fn pictures_that_cannot_be_made_small_give_nothing() {
        let size = Size::parse("10x10").unwrap();
        let whole = png(20, 20);
        assert!(make(&whole[..40], "a.png", size).is_none());
        assert!(make(b"no picture", "a.png", size).is_none());
        // A header of a few bytes that claims 10^9 pixels.
        let mut bomb = whole;
        bomb[16..20].copy_from_slice(&40_000_u32.to_be_bytes());
        bomb[20..24].copy_from_slice(&40_000_u32.to_be_bytes());
        assert!(make(&bomb, "a.png", size).is_none());
    }
}
