//! Ours against its peers, in turns, and the goals.

use std::fmt;
use std::time::Duration;

use anyhow::Context;
use terminal::Table;

use crate::process::{Contender, Sample};
use crate::statistics::{Typical, typical};

/// How long one contender may run in one comparison, warm-up not counted.
const BUDGET: Duration = Duration::from_secs(10);
/// How many rounds of turns there are; fewer when [`BUDGET`] is spent, but never fewer than [`LEAST_ROUNDS`].
const ROUNDS: u32 = 10;
const LEAST_ROUNDS: u32 = 3;
/// How often a fast program runs in its turn: as often as fits into this, up to [`MOST_RUNS`].
const TURN: Duration = Duration::from_millis(50);
/// A program that takes longer is measured once: what it finds in the caches of the machine is little beside that.
const SLOW: Duration = Duration::from_secs(30);
const MOST_RUNS: u32 = 10;

/// What is compared.
#[derive(Debug)]
pub(crate) struct Comparison {
    /// One line over the table.
    pub(crate) title: String,
    /// Our program.
    pub(crate) ours: Contender,
    /// What it is measured against.
    pub(crate) peers: Vec<Contender>,
    /// What has to come out.
    pub(crate) goals: Vec<Goal>,
}

/// What is measured of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    /// Time from start to end.
    Wall,
    /// Time in user mode and in the kernel.
    Cpu,
    /// Peak of memory.
    Peak,
}

/// What has to come out of a comparison.
#[derive(Debug, Clone)]
pub(crate) enum Goal {
    /// The median of the peer, divided by ours, is at least this. Below 1 it allows ours to be slower: 0.5 is
    /// "within twice".
    Ratio {
        /// The name of the peer.
        peer: &'static str,
        /// What is divided.
        measure: Measure,
        /// The least quotient.
        at_least: f64,
    },
    /// What ours takes more than the peer is at most this for each of so many things that both do.
    Overhead {
        /// The name of the peer.
        peer: &'static str,
        /// What is compared.
        measure: Measure,
        /// How many things both do.
        things: u32,
        /// The most time for one.
        at_most: Duration,
    },
    /// What ours takes of the CPU more than `from`, divided by what `of` does, is at most so many times what it should be: a thing
    /// costs the same however many there are.
    Growth {
        /// The name of one that does fewer things.
        of: &'static str,
        /// The name of one that does nothing.
        from: &'static str,
        /// How many times as many things ours does.
        times: f64,
        /// The most that one thing may cost, of what it costs where there are fewer.
        at_most: f64,
    },
    /// Ours never holds more than this, in KiB.
    Memory(u64),
    /// Ours starts no process and no thread.
    Alone,
}

/// What came out.
#[derive(Debug)]
pub(crate) struct Report {
    title: String,
    rows: Vec<Row>,
    verdicts: Vec<(String, bool)>,
}

#[derive(Debug)]
struct Row {
    name: String,
    runs: usize,
    wall: Typical,
    cpu: Typical,
    peak: Typical,
    /// The most memory of all runs.
    most: u64,
    /// The fewest processes and threads of all runs.
    forks: u64,
}

impl Comparison {
    /// Runs ours and the peers in turns, so that what else the machine does hits them alike.
    ///
    /// # Errors
    /// When a run does not succeed: a failure is no measurement.
    pub(crate) fn run(&self) -> anyhow::Result<Report> {
        let contenders: Vec<&Contender> = std::iter::once(&self.ours).chain(&self.peers).collect();
        let mut turns = Vec::new();
        let mut samples = vec![Vec::new(); contenders.len()];
        for (contender, samples) in contenders.iter().zip(&mut samples) {
            // The first run finds nothing in the caches of the machine; it only tells how long a turn is.
            let first = contender.measure()?;
            if first.wall > SLOW {
                samples.push(first);
                turns.push(0);
                continue;
            }
            let wall = first.wall.as_secs_f64().max(1e-6);
            turns.push(((TURN.as_secs_f64() / wall) as u32).clamp(1, MOST_RUNS));
        }
        for round in 0..ROUNDS {
            for ((contender, turn), samples) in contenders.iter().zip(&turns).zip(&mut samples) {
                let spent: Duration = samples.iter().map(|sample: &Sample| sample.wall).sum();
                if spent > BUDGET && round >= LEAST_ROUNDS {
                    continue;
                }
                for _ in 0..*turn {
                    samples.push(contender.measure()?);
                }
            }
        }
        let rows = contenders
            .iter()
            .zip(&samples)
            .map(|(contender, samples)| Row::new(&contender.name, samples))
            .collect::<Option<Vec<_>>>()
            .context("nothing was measured")?;
        let verdicts = self.goals.iter().filter_map(|goal| goal.judge(&rows)).collect();
        Ok(Report {
            title: self.title.clone(),
            rows,
            verdicts,
        })
    }
}

impl Goal {
    /// What the goal is and what came out, and whether it was reached. Ours is the first row.
    fn judge(&self, rows: &[Row]) -> Option<(String, bool)> {
        let ours = rows.first()?;
        Some(match self {
            Self::Ratio {
                peer,
                measure,
                at_least,
            } => {
                let ratio = rows
                    .iter()
                    .find(|row| row.name == *peer)?
                    .of(*measure)
                    .ratio(ours.of(*measure));
                let text = format!("{measure} of {peer} / ours = {ratio:.1}, goal at least {at_least}");
                (text, ratio >= *at_least)
            }
            Self::Overhead {
                peer,
                measure,
                things,
                at_most,
            } => {
                let peer_row = rows.iter().find(|row| row.name == *peer)?;
                let of = |row: &Row| row.of(*measure).median;
                let more = (of(ours) - of(peer_row)) / f64::from(*things);
                let text = format!(
                    "{measure} more than {peer}, for each of {things} = {}, goal at most {}",
                    milliseconds(more),
                    milliseconds(at_most.as_secs_f64())
                );
                (text, more <= at_most.as_secs_f64())
            }
            Self::Growth {
                of,
                from,
                times,
                at_most,
            } => {
                let of_row = rows.iter().find(|row| row.name == *of)?;
                let from_row = rows.iter().find(|row| row.name == *from)?;
                let more = |row: &Row| row.cpu.median - from_row.cpu.median;
                let growth = more(ours) / more(of_row) / times;
                let text = format!(
                    "CPU for one of {times} times as many / one of {of} = {growth:.2}, goal at most {at_most}"
                );
                (text, growth <= *at_most)
            }
            Self::Memory(limit) => (
                format!(
                    "peak of ours = {}, goal at most {}",
                    kibibytes(ours.most as f64),
                    kibibytes(*limit as f64)
                ),
                ours.most <= *limit,
            ),
            Self::Alone => (
                format!("processes and threads that ours starts = {}, goal 0", ours.forks),
                ours.forks == 0,
            ),
        })
    }
}

impl Row {
    fn new(name: &str, samples: &[Sample]) -> Option<Self> {
        let of = |figure: fn(&Sample) -> f64| typical(&samples.iter().map(figure).collect::<Vec<_>>());
        Some(Self {
            name: name.to_owned(),
            runs: samples.len(),
            wall: of(|sample| sample.wall.as_secs_f64())?,
            cpu: of(|sample| sample.cpu.as_secs_f64())?,
            peak: of(|sample| sample.peak as f64)?,
            most: samples.iter().map(|sample| sample.peak).max()?,
            forks: samples.iter().map(|sample| sample.forks).min()?,
        })
    }

    fn of(&self, measure: Measure) -> Typical {
        match measure {
            Measure::Wall => self.wall,
            Measure::Cpu => self.cpu,
            Measure::Peak => self.peak,
        }
    }
}

impl Typical {
    /// This median divided by the other.
    fn ratio(self, other: Self) -> f64 {
        self.median / other.median
    }
}

impl Report {
    /// The goals that were not reached.
    pub(crate) fn missed(&self) -> impl Iterator<Item = &str> {
        self.verdicts
            .iter()
            .filter(|(_, reached)| !reached)
            .map(|(text, _)| text.as_str())
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wall => "wall",
            Self::Cpu => "CPU",
            Self::Peak => "peak",
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title)?;
        let mut table = Table::new([
            "PROGRAM",
            "RUNS",
            "WALL",
            "NOISE",
            "CPU",
            "NOISE",
            "PEAK",
            "STARTS",
            "WALL/OURS",
            "CPU/OURS",
            "PEAK/OURS",
        ]);
        for row in &self.rows {
            let ours = self.rows.first().unwrap_or(row);
            let ratio = |measure| format!("{:.2}", row.of(measure).ratio(ours.of(measure)));
            table.row([
                row.name.clone(),
                row.runs.to_string(),
                milliseconds(row.wall.median),
                percent(row.wall.noise),
                milliseconds(row.cpu.median),
                percent(row.cpu.noise),
                kibibytes(row.peak.median),
                row.forks.to_string(),
                ratio(Measure::Wall),
                ratio(Measure::Cpu),
                ratio(Measure::Peak),
            ]);
        }
        write!(f, "{table}")?;
        for (text, reached) in &self.verdicts {
            writeln!(f, "{}  {text}", if *reached { "reached" } else { "MISSED " })?;
        }
        Ok(())
    }
}

fn milliseconds(seconds: f64) -> String {
    format!("{:.2} ms", seconds * 1e3)
}

fn percent(part: f64) -> String {
    format!("±{:.0}%", part * 100.0)
}

fn kibibytes(kibibytes: f64) -> String {
    format!("{:.1} MB", kibibytes * 1024.0 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, cpu: u64, peak: u64, forks: u64) -> Row {
        let sample = Sample {
            wall: Duration::from_millis(cpu),
            cpu: Duration::from_millis(cpu),
            peak,
            forks,
        };
        Row::new(name, &[sample]).unwrap()
    }

    #[test]
    fn goals_are_judged_by_the_ratio_of_the_peer_to_ours() {
        let rows = [row("ours", 2, 4000, 0), row("peer", 300, 50_000, 9)];
        let goal = |at_least| Goal::Ratio {
            peer: "peer",
            measure: Measure::Cpu,
            at_least,
        };
        assert_eq!(
            goal(100.0).judge(&rows).unwrap(),
            ("CPU of peer / ours = 150.0, goal at least 100".to_owned(), true)
        );
        assert!(!goal(151.0).judge(&rows).unwrap().1);
        assert!(Goal::Memory(4000).judge(&rows).unwrap().1);
        assert!(!Goal::Memory(3999).judge(&rows).unwrap().1);
        assert!(Goal::Alone.judge(&rows).unwrap().1);
    }

    #[test]
    fn overhead_is_that_of_one_thing() {
        let rows = [row("ours", 300, 1, 0), row("peer", 100, 1, 0)];
        let goal = |at_most| Goal::Overhead {
            peer: "peer",
            measure: Measure::Wall,
            things: 100,
            at_most: Duration::from_micros(at_most),
        };
        let (text, reached) = goal(2001).judge(&rows).unwrap();
        assert!(reached, "{text}");
        assert_eq!(
            text,
            "wall more than peer, for each of 100 = 2.00 ms, goal at most 2.00 ms"
        );
        assert!(!goal(1999).judge(&rows).unwrap().1);
    }

    #[test]
    fn growth_is_that_of_one_thing_beside_the_start() {
        let rows = [
            row("ours", 1010, 1, 0),
            row("fewer", 110, 1, 0),
            row("none", 10, 1, 0),
        ];
        let goal = |at_most| Goal::Growth {
            of: "fewer",
            from: "none",
            times: 5.0,
            at_most,
        };
        let (text, reached) = goal(2.0).judge(&rows).unwrap();
        assert!(reached, "{text}");
        assert_eq!(
            text,
            "CPU for one of 5 times as many / one of fewer = 2.00, goal at most 2"
        );
        assert!(!goal(1.9).judge(&rows).unwrap().1);
    }

    #[test]
    fn failed_goals_are_named() {
        let rows = vec![row("ours", 2, 9000, 1)];
        let verdicts = [Goal::Memory(8000), Goal::Alone]
            .iter()
            .filter_map(|goal| goal.judge(&rows))
            .collect();
        let report = Report {
            title: String::new(),
            rows,
            verdicts,
        };
        assert_eq!(
            report.missed().collect::<Vec<_>>(),
            [
                "peak of ours = 9.2 MB, goal at most 8.2 MB",
                "processes and threads that ours starts = 1, goal 0"
            ]
        );
    }
}
