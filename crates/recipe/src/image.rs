//! The image of Ruby that belongs to this program.

use ruby::{Image, ImageError};

/// The image. It is mapped when it is used, not before.
///
/// # Errors
/// When it is not there, or not of this version.
#[cfg(embedded)]
pub fn image() -> Result<Image, ImageError> {
    static IMAGE: &ruby::Embedded<[u8]> = &ruby::Embedded(*include_bytes!(env!("JETPACK_RUBY_IMAGE")));
    Image::embedded(IMAGE)
}

/// The image. It is mapped when it is used, not before.
///
/// # Errors
/// When it is not there, or not of this version.
#[cfg(not(embedded))]
pub fn image() -> Result<Image, ImageError> {
    Image::open(std::path::Path::new(env!("JETPACK_RUBY_IMAGE")))
}
