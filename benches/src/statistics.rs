//! What is typical of many runs, and how far they scatter.

/// The middle of some figures and their scatter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Typical {
    /// The median: one slow run in ten does not move it.
    pub(crate) median: f64,
    /// The median distance from the median, as a part of it: 0.05 is five in a hundred.
    pub(crate) noise: f64,
}

/// The typical of some figures. Nothing is typical of none.
pub(crate) fn typical(figures: &[f64]) -> Option<Typical> {
    let middle = median(figures)?;
    let distances: Vec<f64> = figures.iter().map(|figure| (figure - middle).abs()).collect();
    let distance = median(&distances)?;
    Some(Typical {
        median: middle,
        noise: if middle == 0.0 { 0.0 } else { distance / middle },
    })
}

fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted.get(middle).copied()
    } else {
        let (low, high) = (sorted.get(middle.checked_sub(1)?)?, sorted.get(middle)?);
        Some(low.midpoint(*high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slow_run_moves_neither_the_middle_nor_the_noise_much() {
        let quiet = typical(&[10.0, 11.0, 9.0, 10.0, 10.0]).unwrap();
        let with_one_slow = typical(&[10.0, 11.0, 9.0, 10.0, 500.0]).unwrap();
        assert_eq!(quiet.median, 10.0);
        assert_eq!(with_one_slow.median, 10.0);
        assert!(with_one_slow.noise <= 0.1, "{with_one_slow:?}");
    }

    #[test]
    fn the_middle_of_two_lies_between_them_and_of_none_there_is_none() {
        assert_eq!(typical(&[1.0, 3.0]).unwrap().median, 2.0);
        assert_eq!(typical(&[]), None);
        assert_eq!(typical(&[0.0]).unwrap().noise, 0.0);
    }
}
