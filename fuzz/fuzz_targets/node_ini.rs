//! `jetpack.ini`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: jetpack_fuzz::plant(node::fuzzing::ini_seeds()),
    |bytes: &[u8]| node::fuzzing::ini(bytes)
);
