//! What Ruby sends through its door.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: jetpack_fuzz::plant(recipe::fuzzing::door_seeds()),
    |bytes: &[u8]| recipe::fuzzing::door(bytes)
);
