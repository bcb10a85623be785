//! Names that somebody may have meant.

/// The name that is so close to `word` that it is surely meant: one slip in a short word, two in a longer one. Letters are
/// compared in any case; none when `word` is one of the names.
pub(super) fn closest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let length = word.chars().count();
    let allowed = match length {
        0..=3 => return None,
        4..=6 => 1,
        _ => 2,
    };
    let mut best: Option<(usize, &str)> = None;
    for name in names {
        let lower = name.to_lowercase();
        if lower == word {
            return None;
        }
        if lower.chars().count().abs_diff(length) > allowed {
            continue;
        }
        let slips = distance(&word, &lower);
        if slips <= allowed && best.is_none_or(|(least, _)| slips < least) {
            best = Some((slips, name));
        }
    }
    best.map(|(_, name)| name)
}

/// Insertions, deletions, replacements and swaps of neighbours that make one word of the other.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (row, a) in left.iter().enumerate() {
        let mut next = vec![row + 1];
        for (column, b) in right.iter().enumerate() {
            let mut least = (last[column] + usize::from(a != b))
                .min(last[column + 1] + 1)
                .min(next[column] + 1);
            if row > 0 && column > 0 && *a == right[column - 1] && left[row - 1] == *b {
                least = least.min(before[column - 1] + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut last, next);
    }
    last[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_surely_meant_is_suggested() {
        let names = ["MachineType", "MaxCount", "KeepAlive", "Size", "Zone"];
        for (word, name) in [
            ("MachinType", Some("MachineType")),
            ("machinetpye", Some("MachineType")),
            ("KeepAilve", Some("KeepAlive")),
            ("Sise", Some("Size")),
            ("keepalive", None),
            ("MyCount", Some("MaxCount")),
            ("Zoo", None),
            ("Color", None),
            ("", None),
        ] {
            assert_eq!(closest(word, names), name, "{word}");
        }
    }
}
