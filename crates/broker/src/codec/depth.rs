//! Field tables are looked through before they are parsed: the parser recurses, and a table nested ten thousand
//! deep fits a frame and would overflow its stack.

/// How deep tables and arrays may nest.
pub(crate) const MAX_DEPTH: usize = 32;

/// Why a table was not parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// Deeper than [`MAX_DEPTH`].
    TooDeep,
    /// Lengths do not add up, or a type is unknown.
    Broken,
}

/// Looks through the table (length first) at the start of `bytes` without recursion and returns how many bytes it takes.
///
/// # Errors
/// [`Malformed`]; nothing that passes can make the parser recurse deeper than [`MAX_DEPTH`].
pub(crate) fn check_table(bytes: &[u8]) -> Result<usize, Malformed> {
    struct Level {
        end: usize,
        named: bool,
    }
    let whole = 4 + length(bytes, 0)?;
    if whole > bytes.len() {
        return Err(Malformed::Broken);
    }
    let mut at = 4;
    let mut levels = vec![Level {
        end: whole,
        named: true,
    }];
    while let Some(level) = levels.last() {
        let (end, named) = (level.end, level.named);
        if at == end {
            levels.pop();
            continue;
        }
        if named {
            at += 1 + usize::from(*bytes.get(at).ok_or(Malformed::Broken)?);
        }
        if at >= end {
            return Err(Malformed::Broken);
        }
        let kind = bytes[at];
        at += 1;
        let size = match kind {
            b'V' => 0,
            b't' | b'b' | b'B' => 1,
            b's' | b'U' | b'u' => 2,
            b'I' | b'i' | b'f' => 4,
            b'D' => 5,
            b'L' | b'l' | b'd' | b'T' => 8,
            b'S' | b'x' => 4 + length(bytes, at)?,
            b'F' | b'A' => {
                let inner = at + 4 + length(bytes, at)?;
                if inner > end {
                    return Err(Malformed::Broken);
                }
                if levels.len() >= MAX_DEPTH {
                    return Err(Malformed::TooDeep);
                }
                levels.push(Level {
                    end: inner,
                    named: kind == b'F',
                });
                4
            }
            _ => return Err(Malformed::Broken),
        };
        at += size;
        if at > end {
            return Err(Malformed::Broken);
        }
    }
    Ok(whole)
}

fn length(bytes: &[u8], at: usize) -> Result<usize, Malformed> {
    let field = bytes.get(at..at + 4).ok_or(Malformed::Broken)?;
    field
        .try_into()
        .map(|field| u32::from_be_bytes(field) as usize)
        .map_err(|_| Malformed::Broken)
}

#[cfg(test)]
mod tests {
    use amq_protocol::types::parsing::parse_field_table;
    use amq_protocol::types::{AMQPValue, FieldArray, FieldTable};
    use proptest::prelude::*;

    use super::*;
    use crate::codec::table_bytes;

    fn nested(depth: usize, kind: u8) -> Vec<u8> {
        let mut inner: Vec<u8> = Vec::new();
        for level in 0..depth {
            let mut outer = Vec::new();
            if kind == b'F' || level == depth - 1 {
                outer.extend([1, b'k']);
            }
            outer.push(kind);
            outer.extend(u32::try_from(inner.len()).unwrap().to_be_bytes());
            outer.extend(&inner);
            inner = outer;
        }
        let mut table = u32::try_from(inner.len()).unwrap().to_be_bytes().to_vec();
        table.extend(inner);
        table
    }

    #[test]
    fn depth_is_bounded_for_tables_and_arrays() {
        for kind in [b'F', b'A'] {
            let fits = nested(MAX_DEPTH - 1, kind);
            assert_eq!(check_table(&fits), Ok(fits.len()));
            assert_eq!(check_table(&nested(MAX_DEPTH, kind)), Err(Malformed::TooDeep));
            assert_eq!(check_table(&nested(10_000, kind)), Err(Malformed::TooDeep));
        }
    }

    fn values() -> impl Strategy<Value = AMQPValue> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(AMQPValue::Boolean),
            any::<i8>().prop_map(AMQPValue::ShortShortInt),
            any::<i16>().prop_map(AMQPValue::ShortInt),
            any::<u16>().prop_map(AMQPValue::ShortUInt),
            any::<i32>().prop_map(AMQPValue::LongInt),
            any::<u32>().prop_map(AMQPValue::LongUInt),
            any::<i64>().prop_map(AMQPValue::LongLongInt),
            any::<u64>().prop_map(AMQPValue::Timestamp),
            any::<Vec<u8>>().prop_map(|bytes| AMQPValue::LongString(bytes.into())),
            Just(AMQPValue::Void),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6)
                    .prop_map(|items| AMQPValue::FieldArray(FieldArray::from(items))),
                prop::collection::btree_map("[a-z]{0,8}", inner, 0..6).prop_map(|entries| {
                    AMQPValue::FieldTable(FieldTable::from(
                        entries
                            .into_iter()
                            .map(|(name, value)| (name.as_str().into(), value))
                            .collect::<std::collections::BTreeMap<_, _>>(),
                    ))
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_real_table_passes(value in values()) {
            let mut table = FieldTable::default();
            table.insert("value".into(), value);
            let bytes = table_bytes(&table);
            prop_assert_eq!(check_table(&bytes), Ok(bytes.len()));
        }

        #[test]
        fn what_is_refused_is_refused_by_the_parser_too(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            // The scan may be stricter about depth only.
            if check_table(&bytes) == Err(Malformed::Broken) {
                prop_assert!(parse_field_table(bytes.as_slice()).is_err());
            }
        }
    }
}
