//! All that a client sends, into a whole connection.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: jetpack_fuzz::plant(broker::fuzzing::connection_seeds()),
    |bytes: &[u8]| broker::fuzzing::connection(bytes)
);
