//! One Ruby that runs.
//!
//! The interface is that of `@ruby/*-wasm-wasi`. A value of Ruby is a box in its memory, whose address it gives us as a
//! *handle*; what we were given we release with `canonical_abi_drop_rb-abi-value`, what we lend for a call we take back after
//! it. Texts that we give are allocated with `cabi_realloc`, end with a NUL, and are freed by Ruby.
//!
//! We never call into Ruby while it waits for an answer of ours: its unwound stacks do not nest.

use std::thread;

use wasmtime::{
    Engine, Error, Instance, Memory, Module, Store, StoreLimitsBuilder, TypedFunc, UpdateDeadline,
};

use crate::engine::{THREAD_STACK, tick};
use crate::error::{ImageError, Interrupt, RubyError};
use crate::host::{Door, Host, linker};
use crate::image::Image;
use crate::library::Library;
use crate::spill::{Scratch, Spill};
use crate::wasi::{Exit, Wasi};

/// What a Ruby may use.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of memory. Ruby raises `NoMemoryError` when it wants more.
    pub memory: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory: 2 << 30 }
    }
}

/// A value of Ruby.
pub(crate) struct Value(u32);

/// One Ruby.
pub struct Vm {
    store: Store<Host>,
    memory: Memory,
    allocate: TypedFunc<(u32, u32, u32, u32), u32>,
    eval: TypedFunc<(u32, u32), u32>,
    call: TypedFunc<(u32, u32, u32, u32), u32>,
    intern: TypedFunc<(u32, u32), u32>,
    exception: TypedFunc<(), u32>,
    clear_exception: TypedFunc<(), ()>,
    text: TypedFunc<u32, u32>,
    free_text: TypedFunc<u32, ()>,
    asyncify_state: TypedFunc<(), u32>,
    release: TypedFunc<u32, ()>,
    #[cfg_attr(
        not(feature = "build"),
        expect(dead_code, reason = "only a build looks for more exports")
    )]
    instance: Instance,
}

impl std::fmt::Debug for Vm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vm").finish_non_exhaustive()
    }
}

impl Vm {
    /// Runs `work` with a Ruby of its own, as it was when the image was frozen, on a thread with enough stack. Time is only
    /// looked at while Ruby runs, see [`Door::interrupt`].
    ///
    /// # Errors
    /// When the image cannot be used. What `work` returns is inside.
    pub fn with<T: Send>(
        image: &Image,
        limits: Limits,
        door: Box<dyn Door>,
        work: impl FnOnce(&mut Self) -> T + Send,
    ) -> Result<T, ImageError> {
        on_large_stack(|| {
            let (engine, module) = image.module()?;
            let library = image.library()?;
            let map = |error: Error| ImageError::Map(format!("{error:#}"));
            let mut vm = Self::new(&engine, &module, library, image.scratch, limits, door).map_err(map)?;
            tick(&engine);
            Ok(work(&mut vm))
        })
        .map_err(|error| ImageError::Map(error.to_string()))?
    }

    pub(crate) fn new(
        engine: &Engine,
        module: &Module,
        library: Library,
        scratch: Scratch,
        limits: Limits,
        door: Box<dyn Door>,
    ) -> wasmtime::Result<Self> {
        let linker = linker(engine, module)?;
        let limits = StoreLimitsBuilder::new().memory_size(limits.memory).build();
        let wasi = Wasi::new(library).map_err(Error::from)?;
        let mut store = Store::new(engine, Host::new(wasi, door, limits, Spill::new(scratch)));
        store.limiter(|host| &mut host.limits);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut context| {
            let host = context.data_mut();
            host.interrupted = host.door.interrupt();
            Ok(match host.interrupted {
                Some(_) => UpdateDeadline::Interrupt,
                None => UpdateDeadline::Continue(1),
            })
        });
        let instance = linker.instantiate(&mut store, module)?;
        let memory = instance.get_memory(&mut store, "memory");
        let s = &mut store;
        Ok(Self {
            memory: memory.ok_or_else(|| Error::msg("the module exports no memory"))?,
            allocate: instance.get_typed_func(&mut *s, "cabi_realloc")?,
            eval: instance.get_typed_func(
                &mut *s,
                "rb-eval-string-protect: func(str: string) -> tuple<handle<rb-abi-value>, s32>",
            )?,
            call: instance.get_typed_func(
                &mut *s,
                "rb-funcallv-protect: func(recv: handle<rb-abi-value>, mid: u32, args: list<handle<rb-abi-value>>) -> tuple<handle<rb-abi-value>, s32>",
            )?,
            intern: instance.get_typed_func(&mut *s, "rb-intern: func(name: string) -> u32")?,
            exception: instance.get_typed_func(&mut *s, "rb-errinfo: func() -> handle<rb-abi-value>")?,
            clear_exception: instance.get_typed_func(&mut *s, "rb-clear-errinfo: func() -> ()")?,
            text: instance.get_typed_func(&mut *s, "rstring-ptr: func(value: handle<rb-abi-value>) -> string")?,
            free_text: instance.get_typed_func(&mut *s, "cabi_post_rstring-ptr")?,
            asyncify_state: instance.get_typed_func(&mut *s, "asyncify_get_state")?,
            release: instance.get_typed_func(&mut *s, "canonical_abi_drop_rb-abi-value")?,
            instance,
            store,
        })
    }

    /// Evaluates code; its value as a text (`to_s`).
    ///
    /// # Errors
    /// When it does not come to its end. After [`RubyError::Crash`], [`RubyError::Exit`] and [`RubyError::Interrupted`] this
    /// machine does nothing more.
    pub fn eval(&mut self, code: &str) -> Result<String, RubyError> {
        let value = self.value_of(code)?;
        let text = self.text_of(&value)?;
        self.free(value)?;
        Ok(text)
    }

    fn value_of(&mut self, code: &str) -> Result<Value, RubyError> {
        let (at, length) = self.give_text(code)?;
        let result = self.eval.call(&mut self.store, (at, length));
        let result = result.map_err(|error| self.failure(error))?;
        self.finish(result)
    }

    fn send(&mut self, receiver: &Value, method: &str) -> Result<Value, RubyError> {
        let (at, length) = self.give_text(method)?;
        let method = self.intern.call(&mut self.store, (at, length));
        let method = method.map_err(|error| self.failure(error))?;
        let lent = self.store.data_mut().values.put(receiver.0);
        let result = self.call.call(&mut self.store, (lent, method, 1, 0));
        self.store.data_mut().values.take(lent);
        let result = result.map_err(|error| self.failure(error))?;
        self.finish(result)
    }

    fn text_of(&mut self, value: &Value) -> Result<String, RubyError> {
        let text = self.send(value, "to_s")?;
        let lent = self.store.data_mut().values.put(text.0);
        let result = self.text.call(&mut self.store, lent);
        self.store.data_mut().values.take(lent);
        let result = result.map_err(|error| self.failure(error))?;
        let (at, length) = (self.word(result)?, self.word(result + 4)?);
        let bytes = self.memory.data(&self.store);
        let bytes = bytes.get(at as usize..at as usize + length as usize);
        let string = String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
        let freed = self.free_text.call(&mut self.store, result);
        freed.map_err(|error| self.failure(error))?;
        self.free(text)?;
        Ok(string)
    }

    fn free(&mut self, value: Value) -> Result<(), RubyError> {
        let released = self.release.call(&mut self.store, value.0);
        released.map_err(|error| self.failure(error))
    }

    /// What came of a call of Ruby: a handle, and how it ended.
    fn finish(&mut self, result: u32) -> Result<Value, RubyError> {
        let state = self.asyncify_state.call(&mut self.store, ());
        if state.map_err(|error| self.failure(error))? != 0 {
            return Err(RubyError::Crash("a stack was unwound and not rewound".to_owned()));
        }
        let (handle, tag) = (self.word(result)?, self.word(result + 4)?.cast_signed());
        let value = self.store.data_mut().values.take(handle);
        let value = Value(value.ok_or_else(|| RubyError::Crash("a value that is not there".to_owned()))?);
        match tag & 15 {
            0 => Ok(value),
            // `raise` and `fatal`.
            6 | 8 => Err(self.take_exception().unwrap_or_else(|error| error)),
            _ => Err(RubyError::Jump(tag & 15)),
        }
    }

    fn take_exception(&mut self) -> Result<RubyError, RubyError> {
        let handle = self.exception.call(&mut self.store, ());
        let handle = handle.map_err(|error| self.failure(error))?;
        let exception = self.store.data_mut().values.take(handle);
        let exception = Value(exception.unwrap_or_default());
        let cleared = self.clear_exception.call(&mut self.store, ());
        cleared.map_err(|error| self.failure(error))?;
        let class = self.send(&exception, "class")?;
        let class = self.text_of(&class)?;
        // A message may itself raise.
        let message = match self.send(&exception, "message") {
            Ok(message) => self.text_of(&message)?,
            Err(RubyError::Exception { .. }) => class.clone(),
            Err(error) => return Err(error),
        };
        let lines = self.send(&exception, "backtrace")?;
        let inspected = self.send(&lines, "inspect")?;
        let inspected = self.text_of(&inspected)?;
        Ok(RubyError::Exception {
            class,
            message,
            backtrace: strings(&inspected),
        })
    }

    /// Puts a text into Ruby's memory.
    fn give_text(&mut self, text: &str) -> Result<(u32, u32), RubyError> {
        let length = u32::try_from(text.len()).map_err(|_| RubyError::Crash("a text of 4 GiB".to_owned()))?;
        let mut bytes = Vec::with_capacity(text.len() + 1);
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
        let at = self.put(&bytes, 1)?;
        Ok((at, length))
    }

    fn put(&mut self, bytes: &[u8], align: u32) -> Result<u32, RubyError> {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let at = self.allocate.call(&mut self.store, (0, 0, align, length));
        let at = at.map_err(|error| self.failure(error))?;
        let written = self.memory.write(&mut self.store, at as usize, bytes);
        written.map_err(|error| RubyError::Crash(error.to_string()))?;
        Ok(at)
    }

    fn word(&self, at: u32) -> Result<u32, RubyError> {
        let mut bytes = [0; 4];
        let read = self.memory.read(&self.store, at as usize, &mut bytes);
        read.map_err(|error| RubyError::Crash(error.to_string()))?;
        Ok(u32::from_le_bytes(bytes))
    }

    /// What made a call of Ruby not return.
    fn failure(&self, error: Error) -> RubyError {
        if let Some(reason) = self.store.data().interrupted {
            return RubyError::Interrupted(reason);
        }
        match error.downcast_ref::<Exit>() {
            Some(Exit(status)) => RubyError::Exit(*status),
            None => RubyError::Crash(
                format!("{:#}", error)
                    .lines()
                    .last()
                    .unwrap_or_default()
                    .to_owned(),
            ),
        }
    }

    /// Whether Ruby was ended from outside, although it did not notice.
    pub fn interrupted(&self) -> Option<Interrupt> {
        self.store.data().interrupted
    }
}

#[cfg(feature = "build")]
impl Vm {
    /// Adds pages to the memory; where they begin.
    pub(crate) fn grow(&mut self, pages: u64) -> wasmtime::Result<u32> {
        let before = self.memory.grow(&mut self.store, pages)?;
        u32::try_from(before * 65536).map_err(Error::from)
    }

    pub(crate) fn set_scratch(&mut self, scratch: Scratch) {
        self.store.data_mut().spill = Spill::new(scratch);
    }

    pub(crate) fn memory_mut(&mut self) -> &mut [u8] {
        self.memory.data_mut(&mut self.store)
    }

    pub(crate) fn memory_bytes(&self) -> &[u8] {
        self.memory.data(&self.store)
    }

    pub(crate) fn global(&mut self, name: &str) -> Option<wasmtime::Val> {
        let global = self.instance.get_global(&mut self.store, name)?;
        Some(global.get(&mut self.store))
    }

    /// Starts a module that was not frozen.
    pub(crate) fn start(&mut self, arguments: &[&str]) -> wasmtime::Result<()> {
        let initialize = self
            .instance
            .get_typed_func::<(), ()>(&mut self.store, "_initialize")?;
        initialize.call(&mut self.store, ())?;
        let mut list = Vec::new();
        for argument in arguments {
            let (at, length) = self.give_text(argument).map_err(Error::from)?;
            list.extend(at.to_le_bytes());
            list.extend(length.to_le_bytes());
        }
        let at = self.put(&list, 4).map_err(Error::from)?;
        let count = u32::try_from(arguments.len())?;
        let start = self
            .instance
            .get_typed_func::<(u32, u32), ()>(&mut self.store, "ruby-init: func(args: list<string>) -> ()")?;
        start.call(&mut self.store, (at, count))
    }
}

/// Runs something on a thread that has the stack for Ruby.
pub(crate) fn on_large_stack<T: Send>(work: impl FnOnce() -> T + Send) -> std::io::Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .name("ruby".to_owned())
            .stack_size(THREAD_STACK);
        let thread = thread.spawn_scoped(scope, work)?;
        match thread.join() {
            Ok(result) => Ok(result),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// The strings of an array as Ruby inspects it: `["a", "b \"c\""]`.
fn strings(inspected: &str) -> Vec<String> {
    let mut strings = Vec::new();
    let mut current: Option<String> = None;
    let mut characters = inspected.chars();
    while let Some(character) = characters.next() {
        match (&mut current, character) {
            (None, '"') => current = Some(String::new()),
            (Some(_), '"') => strings.extend(current.take()),
            (Some(text), '\\') => text.extend(characters.next()),
            (Some(text), other) => text.push(other),
            (None, _) => {}
        }
    }
    strings
}

#[cfg(test)]
mod tests {
    use super::strings;

    #[test]
    fn inspected_arrays_are_read() {
        assert_eq!(
            strings(r#"["a.rb:1:in 'x'", "b \"c\""]"#),
            ["a.rb:1:in 'x'", "b \"c\""]
        );
        assert!(strings("nil").is_empty());
    }
}
