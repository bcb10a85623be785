//! How the program is linked.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let has =
        |name: &str, value: &str| env::var(name).is_ok_and(|list| list.split(',').any(|one| one == value));
    // Scripts start this program thousands of times. Moving a program of this size to a random address costs more than
    // all that `jetpack config` does after it; stack, heap and libraries are at random addresses all the same. How a
    // static program is linked is said in `dist/static.toml`.
    if has("CARGO_CFG_TARGET_OS", "linux") && !has("CARGO_CFG_TARGET_FEATURE", "crt-static") {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
