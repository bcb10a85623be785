//! Boots Ruby, loads the prelude, and keeps the memory as it is then.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use wasmtime::{Engine, Module, Val};
use wasmtime_wizer::{InstanceState, SnapshotVal, ValType, Wizer};

use super::asyncify::patch;
use super::{BuildError, Source, module};
use crate::engine;
use crate::host::{Door, Stream};
use crate::library::Library;
use crate::spill::Scratch;
use crate::vm::{Limits, Vm, on_large_stack};

/// Size of the scratch memory for stacks, in pages of WebAssembly: 8 MiB, touched only as deep as a stack gets.
const SCRATCH_PAGES: u32 = 128;
/// The module has a file system of its own at `/usr`, which would hide that of the machine. It is a text in its memory.
const EMBEDDED: &[u8] = b"\0/usr\0";
const MOVED: &[u8] = b"\0/.vf\0";

/// A module whose memory is as it was after the prelude.
pub(super) struct Frozen {
    pub(super) module: Vec<u8>,
    pub(super) scratch: Scratch,
}

/// There is no machine yet to ask about.
struct NoDoor;

impl Door for NoDoor {
    fn call(&mut self, _: &[u8]) -> Vec<u8> {
        br#"{"e":["RuntimeError","there is no host while Ruby is built"]}"#.to_vec()
    }

    fn write(&mut self, _: Stream, bytes: &[u8]) {
        use std::io::Write;
        // Warnings of Ruby about the prelude; nobody is helped when they cannot be shown.
        let _ = std::io::stderr().write_all(bytes);
    }
}

pub(super) fn boot(engine: &Engine, module: &Module, library: Library) -> Result<Vm, BuildError> {
    let limits = Limits { memory: 4 << 30 };
    Vm::new(
        engine,
        module,
        library,
        Scratch::default(),
        limits,
        Box::new(NoDoor),
    )
    .map_err(BuildError::wasm("cannot start Ruby"))
}

pub(super) fn freeze(source: &Source<'_>) -> Result<Frozen, BuildError> {
    on_large_stack(|| on_this_thread(source)).map_err(|error| BuildError::Prelude(error.to_string()))?
}

fn on_this_thread(source: &Source<'_>) -> Result<Frozen, BuildError> {
    let patched = patch(source.ruby).map_err(BuildError::Patch)?;
    let mut wizer = Wizer::new();
    // We drive the machine; wizer wants the name of any function of this type.
    wizer
        .init_func("rb-clear-errinfo: func() -> ()")
        .keep_init_func(true);
    let (context, instrumented) = wizer
        .instrument(&patched.module)
        .map_err(BuildError::wasm("cannot instrument Ruby"))?;
    let engine = Engine::new(&engine::config()).map_err(BuildError::wasm("cannot set up the compiler"))?;
    let module = module(&engine, &instrumented, source.cache)?;
    let mut pack = source.stdlib.to_vec();
    for (name, content) in source.prelude {
        Library::append(&mut pack, name, content);
    }
    let mut vm = boot(&engine, &module, Library::from_pack(pack))?;
    let at = vm
        .grow(SCRATCH_PAGES.into())
        .map_err(BuildError::wasm("cannot grow the memory"))?;
    let scratch = Scratch {
        at,
        size: SCRATCH_PAGES * 65536,
        fixed: patched.fixed,
    };
    vm.set_scratch(scratch);
    move_embedded(vm.memory_mut())?;
    vm.start(&["ruby", "--disable-gems", "-EUTF-8", "-e", "_=0"])
        .map_err(BuildError::wasm("cannot start Ruby"))?;
    let load = format!(
        "$LOAD_PATH.replace(['/__ruby__/lib']); load '/__ruby__/{}'; nil",
        source.entry
    );
    for code in [load.as_str(), "Process.warmup; GC.start; nil", "GC.start; nil"] {
        vm.eval(code).map_err(|error| BuildError::Prelude(said(&error)))?;
    }
    let module = now(wizer.snapshot(&context, &mut State(&mut vm)))?;
    let module = module.map_err(BuildError::wasm("cannot freeze Ruby"))?;
    Ok(Frozen { module, scratch })
}

fn said(error: &crate::RubyError) -> String {
    match error {
        crate::RubyError::Exception { backtrace, .. } => format!("{error}\n{}", backtrace.join("\n")),
        _ => error.to_string(),
    }
}

fn move_embedded(memory: &mut [u8]) -> Result<(), BuildError> {
    let found = memory
        .windows(EMBEDDED.len())
        .enumerate()
        .filter(|(_, bytes)| *bytes == EMBEDDED);
    let found: Vec<usize> = found.map(|(at, _)| at).collect();
    let [at] = found[..] else {
        let why = format!(
            "it has {} places that may be where its file system is",
            found.len()
        );
        return Err(BuildError::Patch(why));
    };
    memory[at..at + MOVED.len()].copy_from_slice(MOVED);
    Ok(())
}

/// What wizer wants to know of the machine.
struct State<'a>(&'a mut Vm);

impl InstanceState for State<'_> {
    async fn global_get(&mut self, name: &str, _: ValType) -> SnapshotVal {
        match self.0.global(name) {
            Some(Val::I32(value)) => SnapshotVal::I32(value),
            Some(Val::I64(value)) => SnapshotVal::I64(value),
            Some(Val::F32(value)) => SnapshotVal::F32(value),
            Some(Val::F64(value)) => SnapshotVal::F64(value),
            // Ruby has no others; what comes of a wrong one does not start.
            _ => SnapshotVal::I32(0),
        }
    }

    async fn memory_contents(&mut self, _: &str, contents: impl FnOnce(&[u8]) + Send) {
        contents(self.0.memory_bytes());
    }
}

/// The result of a future that waits for nothing.
fn now<F: Future>(future: F) -> Result<F::Output, BuildError> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Ok(value),
        Poll::Pending => Err(BuildError::Prelude("the snapshot waits for something".to_owned())),
    }
}
