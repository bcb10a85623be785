//! Frames of a client.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: jetpack_fuzz::plant(broker::fuzzing::frame_seeds()),
    |bytes: &[u8]| broker::fuzzing::frames(bytes)
);
