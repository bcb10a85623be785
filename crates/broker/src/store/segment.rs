//! The bytes of a segment: framing of records, and reading them back around damage.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::record::Record;

const MAGIC: &[u8; 8] = b"AMQPLOG1";
/// Bytes before the first record.
pub(super) const HEADER: usize = 16;
/// Bytes before the payload of a record.
pub(super) const FRAMING: usize = 16;

/// The header of a segment.
pub(super) fn header(number: u64) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..].copy_from_slice(&number.to_le_bytes());
    bytes
}

/// Where a segment lives.
pub(super) fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:020}.log"))
}

/// The number in a segment's file name.
pub(super) fn number_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?.strip_suffix(".log")?;
    (name.len() == 20).then(|| name.parse().ok()).flatten()
}

/// Appends a record and returns its size in the file.
pub(super) fn frame(out: &mut Vec<u8>, position: u64, record: &Record) -> usize {
    let start = out.len();
    out.extend([0; FRAMING]);
    record.encode(out);
    let length = u32::try_from(out.len() - start - FRAMING)
        .unwrap_or(u32::MAX)
        .to_le_bytes();
    let position = position.to_le_bytes();
    let crc = checksum(length, position, &out[start + FRAMING..]);
    out[start..start + 4].copy_from_slice(&length);
    out[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
    out[start + 8..start + 16].copy_from_slice(&position);
    out.len() - start
}

fn checksum(length: [u8; 4], position: [u8; 8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length);
    hasher.update(&position);
    hasher.update(payload);
    hasher.finalize()
}

/// A record that was read back.
#[derive(Debug)]
pub(super) struct Found {
    /// Where it is in the log.
    pub(super) position: u64,
    /// Its bytes.
    pub(super) size: usize,
    /// Where it ends in the file.
    pub(super) end: usize,
    pub(super) record: Record,
}

/// What a segment holds.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) records: Vec<Found>,
    /// Where the last good record before the end of the file ends.
    pub(super) good: usize,
    /// There are good records after bad bytes, or the header is not ours.
    pub(super) damaged: bool,
}

/// Reads a segment. Positions must be beyond `after` and grow with the bytes; what breaks that is damage too.
pub(super) fn read(number: u64, bytes: &Bytes, after: Option<u64>) -> Contents {
    let mut contents = Contents::default();
    if bytes.len() < HEADER {
        return contents;
    }
    if bytes[..HEADER] != header(number) {
        contents.damaged = true;
    }
    contents.good = HEADER;
    // Positions count bytes, so the first good record says what all others must be.
    let mut base = None;
    let mut at = HEADER;
    while at < bytes.len() {
        let believable = |position: u64| match base {
            Some(base) => position == (at as u64).wrapping_add(base),
            None => after.is_none_or(|after| position > after) && position >= (at - HEADER) as u64,
        };
        if let Some((position, size, record)) = record_at(bytes, at, believable) {
            // Good bytes after bad ones: it was not the tail that was torn.
            contents.damaged |= contents.good != at;
            base = base.or(Some(position.wrapping_sub(at as u64)));
            at += size;
            contents.good = at;
            contents.records.push(Found {
                position,
                size,
                end: at,
                record,
            });
        } else {
            at += 1;
        }
    }
    contents
}

fn record_at(bytes: &Bytes, at: usize, believable: impl FnOnce(u64) -> bool) -> Option<(u64, usize, Record)> {
    let framing: &[u8; FRAMING] = bytes.get(at..at + FRAMING)?.try_into().ok()?;
    let &[l0, l1, l2, l3, c0, c1, c2, c3, ref position @ ..] = framing;
    let length = [l0, l1, l2, l3];
    let number = u64::from_le_bytes(*position);
    let end = at
        .checked_add(FRAMING)?
        .checked_add(u32::from_le_bytes(length) as usize)?;
    // Cheap tests first: the search for the next good record tries every byte.
    if end > bytes.len() || end == at + FRAMING || !believable(number) {
        return None;
    }
    if checksum(length, *position, &bytes[at + FRAMING..end]) != u32::from_le_bytes([c0, c1, c2, c3]) {
        return None;
    }
    let record = Record::decode(&bytes.slice(at + FRAMING..end))?;
    Some((number, end - at, record))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::record::tests::record;

    fn write(records: &[Record]) -> (Bytes, Vec<usize>) {
        let mut bytes = header(3).to_vec();
        let mut ends = vec![bytes.len()];
        for record in records {
            let position = (bytes.len() - HEADER + 100) as u64;
            frame(&mut bytes, position, record);
            ends.push(bytes.len());
        }
        (bytes.into(), ends)
    }

    fn records_of(contents: &Contents) -> Vec<Record> {
        contents
            .records
            .iter()
            .map(|found| found.record.clone())
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn cut_at_any_byte_the_whole_records_before_it_are_read(records in prop::collection::vec(record(), 1..4)) {
            let (bytes, ends) = write(&records);
            for cut in 0..=bytes.len() {
                let contents = read(3, &bytes.slice(..cut), None);
                let whole = ends.iter().filter(|end| **end <= cut).count().saturating_sub(1);
                prop_assert_eq!(records_of(&contents), &records[..whole]);
                prop_assert!(!contents.damaged, "a torn tail is no damage");
                prop_assert_eq!(contents.good, if cut < HEADER { 0 } else { ends[whole] });
            }
        }

        #[test]
        fn a_flipped_bit_costs_one_record_only(
            records in prop::collection::vec(record(), 1..5),
            place in any::<prop::sample::Index>(),
            bit in 0u8..8,
        ) {
            let (bytes, ends) = write(&records);
            let mut broken = bytes.to_vec();
            let place = HEADER + place.index(bytes.len() - HEADER);
            broken[place] ^= 1 << bit;
            let hit = ends.iter().filter(|end| **end <= place).count() - 1;
            let contents = read(3, &broken.into(), None);
            let mut expected = records.clone();
            expected.remove(hit);
            prop_assert_eq!(records_of(&contents), expected);
            prop_assert_eq!(contents.damaged, hit + 1 < records.len());
        }
    }

    #[test]
    fn positions_that_do_not_grow_are_not_believed() {
        let (bytes, _) = write(&[Record::Removed {
            queue: 1,
            messages: vec![2],
        }]);
        assert_eq!(read(3, &bytes, Some(99)).records.len(), 1);
        assert_eq!(read(3, &bytes, Some(100)).records.len(), 0);
    }

    #[test]
    fn names_carry_the_number() {
        assert_eq!(number_of(&path(Path::new("/x"), 42)), Some(42));
        assert_eq!(number_of(Path::new("/x/42.log")), None);
        assert_eq!(number_of(Path::new("/x/00000000000000000042.log.broken")), None);
    }
}
