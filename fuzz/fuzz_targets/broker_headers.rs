//! Headers of messages.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: jetpack_fuzz::plant(broker::fuzzing::header_seeds()),
    |bytes: &[u8]| broker::fuzzing::headers(bytes)
);
