//! Archives that others packed.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: jetpack_fuzz::plant(locker::fuzzing::archive_seeds()),
    |bytes: &[u8]| locker::fuzzing::archive(bytes)
);
