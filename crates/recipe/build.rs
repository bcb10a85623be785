//! Finds the image of Ruby: in release builds it becomes a part of the program, in others it is mapped from where it is.

use std::env;
use std::path::PathBuf;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=CARGO_TARGET_DIR");
    println!("cargo::rustc-check-cfg=cfg(embedded)");
    let variable = |name: &str| env::var(name).unwrap_or_default();
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")).join("../..");
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let image = target.join(format!("ruby/{}.image", variable("CARGO_CFG_TARGET_ARCH")));
    let Ok(image) = image.canonicalize() else {
        println!(
            "cargo::error=there is no image of Ruby at `{}`: `cargo xtask ruby` makes it (it needs npm); \
             `cargo build --package jetpack --no-default-features` does without recipes",
            image.display()
        );
        return;
    };
    println!("cargo::rustc-env=JETPACK_RUBY_IMAGE={}", image.display());
    if variable("PROFILE") == "release" {
        println!("cargo::rerun-if-changed={}", image.display());
        println!("cargo::rustc-cfg=embedded");
    }
}
