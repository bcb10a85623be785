//! Gives Ruby's stacks more room: see [`crate::spill`].
//!
//! The bodies of Asyncify's four functions, found by the names of their exports, are replaced by ones that ask the host. The
//! question travels over an import that nothing uses, so that no number of a function moves.

use std::collections::HashMap;

use wasm_encoder::{CodeSection, Function, Instruction, RawSection};
use wasmparser::{ExternalKind, FunctionBody, Operator, Parser, Payload, TypeRef};

use crate::host::HOOK;

/// A patched module.
pub(super) struct Patched {
    pub(super) module: Vec<u8>,
    /// The buffers that are static data: those of the collector.
    pub(super) fixed: [u32; 2],
}

pub(super) fn patch(wasm: &[u8]) -> Result<Patched, String> {
    let found = Found::read(wasm)?;
    let number = |name: &str| {
        found
            .exports
            .get(name)
            .copied()
            .ok_or(format!("it does not export `{name}`"))
    };
    let [start_unwind, stop_unwind] = [number("asyncify_start_unwind")?, number("asyncify_stop_unwind")?];
    let [start_rewind, stop_rewind] = [number("asyncify_start_rewind")?, number("asyncify_stop_rewind")?];
    let hook = found.hook.ok_or("it does not import the hook")?;
    let (state, data) = globals(found.body(start_unwind)?)?;
    let asking = |operation: i32| {
        let mut function = Function::new([]);
        // The states of Asyncify are 0 normal, 1 unwinding, 2 rewinding.
        let next = match operation {
            0 => 1,
            2 => 2,
            _ => 0,
        };
        let starts = operation % 2 == 0;
        function.instruction(&Instruction::I32Const(next));
        function.instruction(&Instruction::GlobalSet(state));
        function.instruction(&Instruction::I32Const(operation));
        function.instruction(&if starts {
            Instruction::LocalGet(0)
        } else {
            Instruction::I32Const(0)
        });
        function.instruction(&Instruction::Call(hook));
        function.instruction(&if starts {
            Instruction::GlobalSet(data)
        } else {
            Instruction::Drop
        });
        function.instruction(&Instruction::End);
        function
    };
    let replaced: HashMap<u32, i32> = [
        (start_unwind, 0),
        (stop_unwind, 1),
        (start_rewind, 2),
        (stop_rewind, 3),
    ]
    .into();
    let mut code = CodeSection::new();
    let mut fixed = Vec::new();
    for (index, body) in (found.imported..).zip(&found.bodies) {
        fixed.extend(buffers(body, start_unwind)?);
        match replaced.get(&index) {
            Some(operation) => code.function(&asking(*operation)),
            None => code.raw(body.as_bytes()),
        };
    }
    fixed.sort_unstable();
    fixed.dedup();
    let fixed = <[u32; 2]>::try_from(fixed)
        .map_err(|fixed| format!("it has {} static buffers, not 2", fixed.len()))?;
    let mut module = wasm_encoder::Module::new();
    for (id, range) in &found.sections {
        if *id == CODE {
            module.section(&code);
        } else {
            module.section(&RawSection {
                id: *id,
                data: &wasm[range.clone()],
            });
        }
    }
    Ok(Patched {
        module: module.finish(),
        fixed,
    })
}

/// Number of the section of code.
const CODE: u8 = 10;

#[derive(Default)]
struct Found<'a> {
    sections: Vec<(u8, std::ops::Range<usize>)>,
    imported: u32,
    hook: Option<u32>,
    exports: HashMap<String, u32>,
    bodies: Vec<FunctionBody<'a>>,
}

impl<'a> Found<'a> {
    fn read(wasm: &'a [u8]) -> Result<Self, String> {
        let text = |error: wasmparser::BinaryReaderError| error.to_string();
        let mut found = Self::default();
        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload.map_err(text)?;
            if let Some((id, range)) = payload.as_section() {
                found.sections.push((id, range));
            }
            match payload {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import.map_err(text)?;
                        if !matches!(import.ty, TypeRef::Func(_)) {
                            return Err("it imports what is no function".to_owned());
                        }
                        if (import.module, import.name) == HOOK {
                            found.hook = Some(found.imported);
                        }
                        found.imported += 1;
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export.map_err(text)?;
                        if export.kind == ExternalKind::Func {
                            found.exports.insert(export.name.to_owned(), export.index);
                        }
                    }
                }
                Payload::CodeSectionEntry(body) => found.bodies.push(body),
                _ => {}
            }
        }
        Ok(found)
    }

    fn body(&self, function: u32) -> Result<&FunctionBody<'a>, String> {
        let index = function.checked_sub(self.imported);
        let body = index.and_then(|index| self.bodies.get(index as usize));
        body.ok_or_else(|| format!("function {function} has no body"))
    }
}

/// The globals that hold the state and the address of the buffer: the function begins by setting them.
fn globals(start_unwind: &FunctionBody<'_>) -> Result<(u32, u32), String> {
    let operators = start_unwind
        .get_operators_reader()
        .map_err(|error| error.to_string())?;
    let operators: Result<Vec<Operator<'_>>, _> = operators.into_iter().take(4).collect();
    match operators.map_err(|error| error.to_string())?[..] {
        [
            Operator::I32Const { value: 1 },
            Operator::GlobalSet { global_index: state },
            Operator::LocalGet { local_index: 0 },
            Operator::GlobalSet { global_index: data },
        ] => Ok((state, data)),
        _ => Err("`asyncify_start_unwind` is not what it was".to_owned()),
    }
}

/// The constants with which a function calls another one.
fn buffers(body: &FunctionBody<'_>, start_unwind: u32) -> Result<Vec<u32>, String> {
    let operators = body.get_operators_reader().map_err(|error| error.to_string())?;
    let mut last = None;
    let mut found = Vec::new();
    for operator in operators {
        let operator = operator.map_err(|error| error.to_string())?;
        match (last, &operator) {
            (Some(value), Operator::Call { function_index }) if *function_index == start_unwind => {
                found.push(value);
            }
            _ => {}
        }
        last = match operator {
            Operator::I32Const { value } => Some(value.cast_unsigned()),
            _ => None,
        };
    }
    Ok(found)
}
