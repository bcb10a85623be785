//! Field tables.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: jetpack_fuzz::plant(broker::fuzzing::table_seeds()),
    |bytes: &[u8]| broker::fuzzing::tables(bytes)
);
