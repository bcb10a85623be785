//! Cluster templates.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: jetpack_fuzz::plant(cycle_server::fuzzing::template_seeds()),
    |bytes: &[u8]| cycle_server::fuzzing::template(bytes)
);
