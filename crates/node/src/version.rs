//! The version of Jetpack.

/// Number of the build, given at compile time.
const BUILD: Option<&str> = option_env!("JETPACK_BUILD");

/// The version in the form that scripts cut at its dots and its dash: `8.10.0-3822`.
pub fn version() -> String {
    format!("{}-{}", env!("CARGO_PKG_VERSION"), BUILD.unwrap_or("0"))
}
