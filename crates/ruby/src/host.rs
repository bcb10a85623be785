//! What Ruby gets from this side, beside files.
//!
//! The module was made for a JavaScript host, so its one door is `eval`: Ruby sends a text and gets a value that it turns
//! into a text. Here the text is a request, and the value is the answer.

use std::time::Duration;

use wasmtime::{Caller, Engine, Error, Linker, Memory, Module, Result, StoreLimits, TypedFunc};

use crate::error::Interrupt;
use crate::slab::Slab;
use crate::spill::Spill;
use crate::wasi::{self, Wasi};

/// Where Ruby writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// The other side of Ruby's one door.
pub trait Door: Send + Sync {
    /// Answers a request. It must not use the [`crate::Vm`] that asks.
    fn call(&mut self, request: &[u8]) -> Vec<u8>;

    /// Takes what Ruby writes to its standard output and its standard error.
    fn write(&mut self, stream: Stream, bytes: &[u8]);

    /// Asked a hundred times a second, while Ruby runs, whether it should end.
    fn interrupt(&mut self) -> Option<Interrupt> {
        None
    }

    /// How long Ruby may sleep at most. It is asked to end afterwards.
    fn remaining(&self) -> Option<Duration> {
        None
    }
}

/// A value that Ruby holds of this side.
#[derive(Debug, Clone)]
pub(crate) enum Foreign {
    Nothing,
    Boolean(bool),
    Number(f64),
    Text(Vec<u8>),
}

impl Foreign {
    fn text(self) -> Vec<u8> {
        match self {
            Self::Nothing => b"undefined".to_vec(),
            Self::Boolean(value) => value.to_string().into_bytes(),
            Self::Number(value) => value.to_string().into_bytes(),
            Self::Text(text) => text,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Nothing => "undefined",
            Self::Boolean(_) => "boolean",
            Self::Number(_) => "number",
            Self::Text(_) => "string",
        }
    }
}

/// What belongs to one machine on this side.
pub(crate) struct Host {
    pub(crate) wasi: Wasi,
    /// Values of Ruby that we hold: addresses of its boxes.
    pub(crate) values: Slab<u32>,
    foreign: Slab<Foreign>,
    taken: Foreign,
    memory: Option<Memory>,
    allocate: Option<TypedFunc<(u32, u32, u32, u32), u32>>,
    pub(crate) door: Box<dyn Door>,
    pub(crate) limits: StoreLimits,
    pub(crate) spill: Spill,
    /// Why Ruby was ended from outside.
    pub(crate) interrupted: Option<Interrupt>,
}

impl Host {
    pub(crate) fn new(wasi: Wasi, door: Box<dyn Door>, limits: StoreLimits, spill: Spill) -> Self {
        Self {
            wasi,
            values: Slab::default(),
            foreign: Slab::default(),
            taken: Foreign::Nothing,
            memory: None,
            allocate: None,
            door,
            limits,
            spill,
            interrupted: None,
        }
    }

    fn foreign(&self, number: u32) -> Foreign {
        self.foreign.get(number).unwrap_or(Foreign::Nothing)
    }
}

pub(crate) type Guest<'a> = Caller<'a, Host>;

/// The memory of the guest.
pub(crate) fn memory(guest: &mut Guest<'_>) -> Result<Memory> {
    if let Some(memory) = guest.data().memory {
        return Ok(memory);
    }
    let export = guest.get_export("memory").and_then(wasmtime::Extern::into_memory);
    let memory = export.ok_or_else(|| Error::msg("the module exports no memory"))?;
    guest.data_mut().memory = Some(memory);
    Ok(memory)
}

fn text(guest: &mut Guest<'_>, at: u32, length: u32) -> Result<Vec<u8>> {
    let memory = memory(guest)?;
    let bytes = memory.data(&*guest);
    let bytes = bytes.get(at as usize..at as usize + length as usize);
    Ok(bytes
        .ok_or_else(|| Error::msg("an address outside the memory"))?
        .to_vec())
}

fn set(guest: &mut Guest<'_>, at: u32, bytes: &[u8]) -> Result<()> {
    let memory = memory(guest)?;
    memory.write(guest, at as usize, bytes).map_err(Error::from)
}

/// Puts a text into memory of the guest, who frees it, and says at `result` where it is.
fn give(guest: &mut Guest<'_>, bytes: &[u8], result: u32) -> Result<()> {
    let length = u32::try_from(bytes.len()).map_err(|_| Error::msg("an answer of more than 4 GiB"))?;
    let at = if bytes.is_empty() {
        1
    } else {
        let allocate = match &guest.data().allocate {
            Some(allocate) => allocate.clone(),
            None => {
                let export = guest
                    .get_export("cabi_realloc")
                    .and_then(wasmtime::Extern::into_func);
                let export = export.ok_or_else(|| Error::msg("the module exports no `cabi_realloc`"))?;
                let allocate = export.typed(&*guest)?;
                guest.data_mut().allocate = Some(allocate.clone());
                allocate
            }
        };
        let at = allocate.call(&mut *guest, (0, 0, 1, length))?;
        set(guest, at, bytes)?;
        at
    };
    set(guest, result, &at.to_le_bytes())?;
    set(guest, result + 4, &length.to_le_bytes())
}

/// Says at `result` that something succeeded, with a value.
fn succeed(guest: &mut Guest<'_>, result: u32, value: Foreign) -> Result<()> {
    let number = guest.data_mut().foreign.put(value);
    set(guest, result, &[0])?;
    set(guest, result + 4, &number.to_le_bytes())
}

/// Everything that the module imports.
pub(crate) fn linker(engine: &Engine, module: &Module) -> Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    wasi::link(&mut linker)?;
    handles(&mut linker)?;
    values(&mut linker)?;
    // What is left has no meaning without JavaScript, and no prelude calls it.
    linker.define_unknown_imports_as_traps(module)?;
    Ok(linker)
}

fn handles(linker: &mut Linker<Host>) -> Result<()> {
    let module = "canonical_abi";
    linker.func_wrap(
        module,
        "resource_new_rb-abi-value",
        |mut guest: Guest<'_>, raw: u32| guest.data_mut().values.put(raw),
    )?;
    linker.func_wrap(
        module,
        "resource_get_rb-abi-value",
        |guest: Guest<'_>, number: u32| -> Result<u32> {
            let raw = guest.data().values.get(number);
            raw.ok_or_else(|| Error::msg("a value that is not there"))
        },
    )?;
    linker.func_wrap(
        module,
        "resource_drop_js-abi-value",
        |mut guest: Guest<'_>, number: u32| {
            guest.data_mut().foreign.take(number);
        },
    )?;
    Ok(())
}

/// The import that nothing uses, and over which the patched functions of Asyncify call [`Spill::hook`].
pub(crate) const HOOK: (&str, &str) = (
    "rb-js-abi-host",
    "js-value-strictly-equal: func(lhs: handle<js-abi-value>, rhs: handle<js-abi-value>) -> bool",
);

fn values(linker: &mut Linker<Host>) -> Result<()> {
    let module = HOOK.0;
    linker.func_wrap(
        module,
        HOOK.1,
        |mut guest: Guest<'_>, operation: u32, buffer: u32| -> Result<u32> {
            let memory = memory(&mut guest)?;
            let (bytes, host) = memory.data_and_store_mut(&mut guest);
            host.spill.hook(bytes, operation, buffer).map_err(Error::msg)
        },
    )?;
    linker.func_wrap(
        module,
        "rb_wasm_throw_prohibit_rewind_exception",
        |mut guest: Guest<'_>, at: u32, length: u32| -> Result<()> {
            let message = text(&mut guest, at, length)?;
            Err(Error::msg(String::from_utf8_lossy(&message).into_owned()))
        },
    )?;
    linker.func_wrap(
        module,
        "eval-js: func(code: string) -> variant { success(handle<js-abi-value>), failure(handle<js-abi-value>) }",
        |mut guest: Guest<'_>, at: u32, length: u32, result: u32| -> Result<()> {
            let request = text(&mut guest, at, length)?;
            let answer = if request == b"memory" {
                let memory = memory(&mut guest)?;
                #[expect(clippy::cast_precision_loss, reason = "a memory has at most 2^32 bytes")]
                Foreign::Number(memory.data_size(&guest) as f64)
            } else {
                Foreign::Text(guest.data_mut().door.call(&request))
            };
            succeed(&mut guest, result, answer)
        },
    )?;
    linker.func_wrap(
        module,
        "js-value-to-string: func(value: handle<js-abi-value>) -> string",
        |mut guest: Guest<'_>, number: u32, result: u32| -> Result<()> {
            let text = guest.data().foreign(number).text();
            give(&mut guest, &text, result)
        },
    )?;
    linker.func_wrap(
        module,
        "js-value-typeof: func(value: handle<js-abi-value>) -> string",
        |mut guest: Guest<'_>, number: u32, result: u32| -> Result<()> {
            let kind = guest.data().foreign(number).kind();
            give(&mut guest, kind.as_bytes(), result)
        },
    )?;
    linker.func_wrap(
        module,
        "global-this: func() -> handle<js-abi-value>",
        |mut guest: Guest<'_>| guest.data_mut().foreign.put(Foreign::Nothing),
    )?;
    linker.func_wrap(
        module,
        "int-to-js-number: func(value: s32) -> handle<js-abi-value>",
        |mut guest: Guest<'_>, value: i32| guest.data_mut().foreign.put(Foreign::Number(value.into())),
    )?;
    linker.func_wrap(
        module,
        "float-to-js-number: func(value: float64) -> handle<js-abi-value>",
        |mut guest: Guest<'_>, value: f64| guest.data_mut().foreign.put(Foreign::Number(value)),
    )?;
    linker.func_wrap(
        module,
        "bool-to-js-bool: func(value: bool) -> handle<js-abi-value>",
        |mut guest: Guest<'_>, value: u32| guest.data_mut().foreign.put(Foreign::Boolean(value != 0)),
    )?;
    linker.func_wrap(
        module,
        "string-to-js-string: func(value: string) -> handle<js-abi-value>",
        |mut guest: Guest<'_>, at: u32, length: u32| -> Result<u32> {
            let text = text(&mut guest, at, length)?;
            Ok(guest.data_mut().foreign.put(Foreign::Text(text)))
        },
    )?;
    linker.func_wrap(
        module,
        "is-js: func(value: handle<js-abi-value>) -> bool",
        |_: Guest<'_>, _: u32| 1_u32,
    )?;
    linker.func_wrap(
        module,
        "export-js-value-to-host: func(value: handle<js-abi-value>) -> ()",
        |mut guest: Guest<'_>, number: u32| {
            let value = guest.data().foreign(number);
            guest.data_mut().taken = value;
        },
    )?;
    linker.func_wrap(
        module,
        "import-js-value-from-host: func() -> handle<js-abi-value>",
        |mut guest: Guest<'_>| {
            let value = guest.data().taken.clone();
            guest.data_mut().foreign.put(value)
        },
    )?;
    linker.func_wrap(
        module,
        "reflect-get: func(target: handle<js-abi-value>, property-key: string) -> variant { success(handle<js-abi-value>), failure(handle<js-abi-value>) }",
        |mut guest: Guest<'_>, _: u32, _: u32, _: u32, result: u32| -> Result<()> {
            succeed(&mut guest, result, Foreign::Nothing)
        },
    )?;
    Ok(())
}
