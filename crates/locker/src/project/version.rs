//! The order of versions.

use std::cmp::Ordering;

/// Compares two versions of a project part by part, numbers as numbers: 1.9.0 comes before 1.10.0,
/// 1.0 before 1.0.0, and a number after a word (`1.0.0` after `1.0.rc1`).
pub fn compare_versions(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.split(['.', '-']), b.split(['.', '-']));
    loop {
        let order = match (left.next(), right.next()) {
            (Some(a), Some(b)) => compare_parts(a, b),
            (None, None) => return a.cmp(b),
            (a, b) => a.is_some().cmp(&b.is_some()),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

fn compare_parts(a: &str, b: &str) -> Ordering {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match (digits(a), digits(b)) {
        (true, true) => {
            // Of any length: without leading zeros the longer number is the larger.
            let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
            a.len().cmp(&b.len()).then_with(|| a.cmp(b))
        }
        (a_number, b_number) => a_number.cmp(&b_number).then_with(|| a.cmp(b)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_compared_as_numbers() {
        let mut versions = ["1.10.0", "1.9.0", "2.0", "1.0.rc1", "1.0.0", "1.0", "10.0.0"];
        versions.sort_by(|a, b| compare_versions(a, b));
        assert_eq!(
            versions,
            ["1.0", "1.0.rc1", "1.0.0", "1.9.0", "1.10.0", "2.0", "10.0.0"]
        );
    }

    proptest! {
        #[test]
        fn the_order_is_total(a in "[0-9a.-]{0,6}", b in "[0-9a.-]{0,6}", c in "[0-9a.-]{0,6}") {
            prop_assert_eq!(compare_versions(&a, &b), compare_versions(&b, &a).reverse());
            prop_assert_eq!(compare_versions(&a, &b) == Ordering::Equal, a == b);
            if compare_versions(&a, &b).is_le() && compare_versions(&b, &c).is_le() {
                prop_assert!(compare_versions(&a, &c).is_le());
            }
        }
    }
}
