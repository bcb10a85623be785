//! Lengths of time as people type them: `90s`, `30m`, `6h`, `2d`.

use std::time::Duration;

/// The longest: a hundred years. Any time of day plus this still is one.
const MAX: Duration = Duration::from_secs(100 * 365 * 86400);

/// What a number without a unit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// `s`.
    Seconds,
    /// `h`.
    Hours,
}

impl Unit {
    fn seconds(self) -> u64 {
        match self {
            Self::Seconds => 1,
            Self::Hours => 3600,
        }
    }
}

/// A text that is no length of time, or one of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Neither a number nor a number with a unit.
    #[error("`{0}` is no length of time; examples are `90s`, `30m`, `6h` and `2d`")]
    Syntax(String),
    /// A minus in front.
    #[error("`{0}` is negative")]
    Negative(String),
    /// Nothing would happen.
    #[error("`{0}` is no time at all")]
    Zero(String),
    /// Longer than [`parse`] takes.
    #[error("`{0}` is more than a hundred years")]
    TooLong(String),
}

/// Reads a whole number with one of the units `s`, `m`, `h`, `d`; without a unit it counts `bare`. At most a hundred
/// years.
///
/// # Errors
/// Each with the text as given.
pub fn parse(text: &str, bare: Unit) -> Result<Duration, DurationError> {
    let number = text.strip_prefix('-').unwrap_or(text);
    let (digits, unit) = match number.chars().next_back() {
        Some('s') => (&number[..number.len() - 1], 1),
        Some('m') => (&number[..number.len() - 1], 60),
        Some('h') => (&number[..number.len() - 1], 3600),
        Some('d') => (&number[..number.len() - 1], 86400),
        _ => (number, bare.seconds()),
    };
    let given = || text.to_owned();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(DurationError::Syntax(given()));
    }
    if digits.bytes().all(|byte| byte == b'0') {
        return Err(DurationError::Zero(given()));
    }
    if number.len() < text.len() {
        return Err(DurationError::Negative(given()));
    }
    let seconds = digits.parse::<u64>().ok();
    seconds
        .and_then(|count| count.checked_mul(unit))
        .map(Duration::from_secs)
        .filter(|length| *length <= MAX)
        .ok_or_else(|| DurationError::TooLong(given()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(text: &str) -> Result<u64, String> {
        parse(text, Unit::Hours)
            .map(|length| length.as_secs())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_number_counts_its_unit() {
        for (text, expected) in [
            ("90s", 90),
            ("30m", 1800),
            ("6h", 21600),
            ("2d", 172_800),
            ("6", 21600),
            ("007", 25200),
            ("36500d", 3_153_600_000),
        ] {
            assert_eq!(seconds(text), Ok(expected), "{text}");
        }
        assert_eq!(parse("300", Unit::Seconds), Ok(Duration::from_secs(300)));
    }

    #[test]
    fn what_is_of_no_use_is_refused_by_name() {
        for (text, problem) in [
            ("-1h", "is negative"),
            ("-1", "is negative"),
            ("0", "is no time at all"),
            ("-0s", "is no time at all"),
            ("36501d", "is more than a hundred years"),
            ("99999999999999999999999h", "is more than a hundred years"),
            ("18446744073709551615d", "is more than a hundred years"),
            ("", "is no length of time"),
            ("h", "is no length of time"),
            ("1w", "is no length of time"),
            ("1.5h", "is no length of time"),
            ("1 h", "is no length of time"),
            ("+1h", "is no length of time"),
            ("--1h", "is no length of time"),
            ("1h30m", "is no length of time"),
            ("١h", "is no length of time"),
            ("soon", "is no length of time"),
        ] {
            let error = seconds(text).unwrap_err();
            assert!(
                error.starts_with(&format!("`{text}` {problem}")),
                "{text}: {error}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in ".{0,12}") {
            let _ = parse(&text, Unit::Hours);
        }

        #[test]
        fn every_unit_is_its_seconds(count in 1_u64..30_000, unit in 0..4_usize) {
            let (name, length) = [("s", 1), ("m", 60), ("h", 3600), ("d", 86400)][unit];
            prop_assert_eq!(seconds(&format!("{count}{name}")), Ok(count * length));
        }
    }
}
