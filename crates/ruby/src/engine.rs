//! How code is compiled and run. The compiler at build time and the runtime on a node must agree.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::{Config, Engine};

use crate::sys::{CodeInPlace, FrozenMemory};

/// How much of a native stack Ruby may use. Deep recursion in recipes ends in a `SystemStackError` long before.
const STACK: usize = 64 << 20;
/// The stack of a thread that runs Ruby: what Ruby may use, and what we use below it. Pages that are not touched cost nothing.
pub(crate) const THREAD_STACK: usize = STACK + (32 << 20);
/// How often Ruby is asked whether it should end.
const TICK: Duration = Duration::from_millis(10);

/// What decides about compiled code.
pub(crate) fn config() -> Config {
    let mut config = Config::new();
    config.async_stack_size(STACK + (16 << 20));
    config.max_wasm_stack(STACK);
    config.epoch_interruption(true);
    // Neither helps anybody who reads a backtrace of Ruby.
    config.generate_address_map(false);
    config.native_unwind_info(false);
    config
}

/// The engine for a mapped image.
pub(crate) fn of_image(memory: FrozenMemory) -> wasmtime::Result<Engine> {
    let mut config = config();
    config.with_host_memory(Arc::new(memory));
    config.with_custom_code_memory(Some(Arc::new(CodeInPlace)));
    Engine::new(&config)
}

/// Lets time pass for an engine until it is gone.
pub(crate) fn tick(engine: &Engine) {
    let engine = engine.weak();
    std::thread::spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(TICK);
        }
    });
}
