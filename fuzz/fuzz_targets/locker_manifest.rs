//! Manifests and `project.ini` files.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: jetpack_fuzz::plant(locker::fuzzing::manifest_seeds()),
    |bytes: &[u8]| locker::fuzzing::manifest(bytes)
);
