//! Parts a frozen module into its code and its memory.

use wasm_encoder::RawSection;
use wasmparser::{DataKind, Operator, Parser, Payload};

use crate::sys::PAGE;

/// Gaps of this many empty pages stay in a run: every run is a mapping of its own.
const GAP: usize = 8;
const DATA: u8 = 11;
const DATA_COUNT: u8 = 12;
const CUSTOM: u8 = 0;

/// The two parts.
pub(super) struct Split {
    /// The module without data.
    pub(super) code: Vec<u8>,
    /// Pages that are not empty, with their address.
    pub(super) runs: Vec<(usize, Vec<u8>)>,
}

pub(super) fn split(wasm: &[u8]) -> Result<Split, String> {
    let mut module = wasm_encoder::Module::new();
    let mut memory = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload.map_err(|error| error.to_string())?;
        let section = payload.as_section();
        if let Payload::DataSection(data) = payload {
            for segment in data {
                let segment = segment.map_err(|error| error.to_string())?;
                place(&segment, &mut memory)?;
            }
        }
        match section {
            Some((DATA | DATA_COUNT | CUSTOM, _)) | None => {}
            Some((id, range)) => {
                module.section(&RawSection {
                    id,
                    data: &wasm[range],
                });
            }
        }
    }
    Ok(Split {
        code: module.finish(),
        runs: runs(&memory),
    })
}

fn place(segment: &wasmparser::Data<'_>, memory: &mut Vec<u8>) -> Result<(), String> {
    match &segment.kind {
        // What was passive in the original was used up when Ruby started.
        DataKind::Passive if segment.data.is_empty() => Ok(()),
        DataKind::Passive => Err("the frozen module has passive data".to_owned()),
        DataKind::Active { offset_expr, .. } => {
            let offset = offset_expr.get_operators_reader().into_iter().next();
            let Some(Ok(Operator::I32Const { value })) = offset else {
                return Err("the address of its data is not constant".to_owned());
            };
            let start = value.cast_unsigned() as usize;
            let end = start + segment.data.len();
            if memory.len() < end {
                memory.resize(end.next_multiple_of(PAGE), 0);
            }
            memory[start..end].copy_from_slice(segment.data);
            Ok(())
        }
    }
}

fn runs(memory: &[u8]) -> Vec<(usize, Vec<u8>)> {
    let full = memory.chunks(PAGE).map(|page| page.iter().any(|byte| *byte != 0));
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (page, _) in full.enumerate().filter(|(_, full)| *full) {
        match runs.last_mut() {
            Some((_, end)) if page - *end <= GAP => *end = page + 1,
            _ => runs.push((page, page + 1)),
        }
    }
    let bytes = |(start, end): (usize, usize)| {
        let end = (end * PAGE).min(memory.len());
        (start * PAGE, memory[start * PAGE..end].to_vec())
    };
    runs.into_iter().map(bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_pages_are_left_out() {
        let mut memory = vec![0; 40 * PAGE];
        memory[PAGE] = 1;
        memory[5 * PAGE] = 1;
        memory[30 * PAGE + 7] = 1;
        let runs = runs(&memory);
        let shape: Vec<_> = runs
            .iter()
            .map(|(at, bytes)| (at / PAGE, bytes.len() / PAGE))
            .collect();
        assert_eq!(shape, [(1, 5), (30, 1)]);
    }
}
