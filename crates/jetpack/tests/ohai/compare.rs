//! The comparison itself: what `ohai` said between two looks of ours.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;
use terminal::Table;

use crate::exceptions::{EXCEPTIONS, Exception, Kind, Setting, Whole};
use crate::leaves::{Leaves, Path, fits, show};

/// Looks at one machine, in this order: ours, `ohai`, ours again.
#[derive(Debug)]
pub(crate) struct Looks {
    pub(crate) before: Leaves,
    pub(crate) ohai: Leaves,
    pub(crate) after: Leaves,
}

/// How many leaves of a top-level attribute came out how.
#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    equal: usize,
    close: usize,
    listed: usize,
    different: usize,
    missing: usize,
    extra: usize,
}

/// What came out.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    counts: BTreeMap<String, Counts>,
    /// Leaves that differ and are not listed, with what differs.
    pub(crate) differences: BTreeMap<Path, String>,
    /// How many leaves each exception excused, by its place in the list.
    used: BTreeMap<usize, usize>,
}

impl Looks {
    /// Judges every leaf that any of the looks has.
    pub(crate) fn compare(&self, setting: &Setting) -> Outcome {
        let mut outcome = Outcome::default();
        let all: BTreeSet<&Path> = self
            .ohai
            .keys()
            .chain(self.before.keys())
            .chain(self.after.keys())
            .collect();
        for path in all {
            self.judge(path, setting, &mut outcome);
        }
        outcome
    }

    fn judge(&self, path: &Path, setting: &Setting, outcome: &mut Outcome) {
        let (theirs, ours) = (self.ohai.get(path), [self.before.get(path), self.after.get(path)]);
        let counts = outcome.counts.entry(path[0].clone()).or_default();
        let listed = EXCEPTIONS
            .iter()
            .enumerate()
            .find(|(_, exception)| fits(exception.pattern, path) && exception.applies(setting));
        // What changed meanwhile is right when it is what it was or what it became.
        if ours.contains(&theirs) {
            counts.equal += 1;
            return;
        }
        let verdict = match listed {
            Some((place, exception)) => exception
                .excuses(self, path, theirs, ours)
                .map(|moving| (place, moving)),
            None => Err(String::new()),
        };
        let why = match verdict {
            Ok((place, moving)) => {
                *outcome.used.entry(place).or_default() += 1;
                if moving {
                    counts.close += 1;
                } else {
                    counts.listed += 1;
                }
                return;
            }
            Err(why) => why,
        };
        let text = |value: Option<&Value>| value.map_or("nothing".to_owned(), short);
        match (theirs, ours[1]) {
            (Some(_), None) => counts.missing += 1,
            (None, Some(_)) => counts.extra += 1,
            _ => counts.different += 1,
        }
        outcome.differences.insert(
            path.clone(),
            format!("ohai {}, ours {}{why}", text(theirs), text(ours[1])),
        );
    }
}

/// A value for people.
fn short(value: &Value) -> String {
    const MOST: usize = 120;
    let text = value.to_string();
    match text.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

impl Exception {
    /// Whether a leaf that is not equal is one of those that are meant, and whether it is one that moves. The error
    /// says why not.
    fn excuses(
        &self,
        looks: &Looks,
        path: &Path,
        theirs: Option<&Value>,
        ours: [Option<&Value>; 2],
    ) -> Result<bool, String> {
        let there = (theirs.is_some(), ours.iter().any(Option::is_some));
        let fits = match self.kind {
            Kind::Theirs => there == (true, false),
            Kind::Ours => there == (false, true),
            Kind::Unlike => there == (true, true),
            Kind::Any => true,
            Kind::Counter | Kind::Gauge(_) => {
                let (Some(theirs), [Some(before), Some(after)]) = (theirs, ours) else {
                    return Err(" (which moves, but is never away)".to_owned());
                };
                return close(self.kind, looks, path, theirs, before, after).map(|()| true);
            }
        };
        if fits {
            Ok(false)
        } else {
            Err(format!(" (listed as {:?}: {})", self.kind, self.reason))
        }
    }
}

/// Whether a figure of the moment is of the same shape and where it can be.
fn close(
    kind: Kind,
    looks: &Looks,
    path: &Path,
    theirs: &Value,
    before: &Value,
    after: &Value,
) -> Result<(), String> {
    let wrong = |what: &str| Err(format!(", before {} ({what})", short(before)));
    let (Some(theirs), Some(before_), Some(after_)) =
        (Figure::of(theirs), Figure::of(before), Figure::of(after))
    else {
        return wrong("no figure");
    };
    if theirs.unit != before_.unit || theirs.unit != after_.unit || theirs.text != before_.text {
        return wrong("of another shape");
    }
    if theirs.numbers.len() != before_.numbers.len() || theirs.numbers.len() != after_.numbers.len() {
        return wrong("of another length");
    }
    for (position, number) in theirs.numbers.iter().enumerate() {
        let (one, other) = (before_.numbers[position], after_.numbers[position]);
        let (least, most) = (one.min(other), one.max(other));
        let slack = match kind {
            // Other programs work beside us; but a quarter of the whole they will not take within a second.
            Kind::Gauge(whole) => match looks.whole(whole, path, most) {
                Some(whole) => whole / 4.0,
                None => return wrong("there is no whole"),
            },
            // It grows only.
            _ => 0.0,
        };
        if !(least - slack..=most + slack).contains(number) {
            return wrong("too far away");
        }
    }
    Ok(())
}

impl Looks {
    /// How much a gauge can show at most.
    fn whole(&self, whole: Whole, path: &Path, shown: f64) -> Option<f64> {
        let figure = |path: &Path| Figure::of(self.after.get(path)?)?.numbers.first().copied();
        match whole {
            Whole::Number(number) => Some(number),
            Whole::Itself => Some(shown * 2.0 + 1000.0),
            Whole::At(path) => figure(&path.split('/').map(str::to_owned).collect()),
            Whole::Beside(name) => {
                let mut path = path.clone();
                path.pop();
                path.push(name.to_owned());
                figure(&path)
            }
        }
    }
}

/// Numbers with their unit.
#[derive(Debug, PartialEq)]
pub(crate) struct Figure {
    numbers: Vec<f64>,
    unit: String,
    /// Whether it is a text.
    text: bool,
}

impl Figure {
    /// `12`, `"12kB"`, `"47%"`, `"1\t0\t2"`, and durations in words, which become seconds.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Number(number) => Some(Self {
                numbers: vec![number.as_f64()?],
                unit: String::new(),
                text: false,
            }),
            Value::String(text) => Self::duration(text)
                .or_else(|| Self::single(text))
                .or_else(|| Self::list(text)),
            _ => None,
        }
    }

    fn single(text: &str) -> Option<Self> {
        let end = text
            .find(|character: char| !character.is_ascii_digit() && character != '.')
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        if unit.contains(|character: char| character.is_ascii_digit()) {
            return None;
        }
        Some(Self {
            numbers: vec![number.parse().ok()?],
            unit: unit.to_owned(),
            text: true,
        })
    }

    fn list(text: &str) -> Option<Self> {
        let numbers: Result<Vec<f64>, _> = text.split('\t').map(str::parse).collect();
        Some(Self {
            numbers: numbers.ok()?,
            unit: "list".to_owned(),
            text: true,
        })
    }

    /// `1 day 02 hours 11 minutes 18 seconds`
    fn duration(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split(' ').collect();
        let mut seconds = 0.0;
        for pair in words.chunks(2) {
            let &[number, unit] = pair else { return None };
            let one = match unit.trim_end_matches('s') {
                "day" => 86_400.0,
                "hour" => 3_600.0,
                "minute" => 60.0,
                "second" => 1.0,
                _ => return None,
            };
            seconds += number.parse::<f64>().ok()? * one;
        }
        Some(Self {
            numbers: vec![seconds],
            unit: "duration".to_owned(),
            text: true,
        })
    }
}

impl Outcome {
    /// Keeps only those differences that another comparison has too: what is different for a moment, while something
    /// is mounted or a neighbour comes, is no difference of the programs.
    pub(crate) fn keep_what_stays(mut self, before: &Self) -> Self {
        self.differences
            .retain(|path, _| before.differences.contains_key(path));
        self
    }

    /// Exceptions that must be needed here and are not.
    pub(crate) fn stale(&self, setting: &Setting) -> Vec<&'static str> {
        EXCEPTIONS
            .iter()
            .enumerate()
            .filter(|(place, exception)| exception.is_certain(setting) && !self.used.contains_key(place))
            .map(|(_, exception)| exception.pattern)
            .collect()
    }

    /// Exceptions that this machine needs, and those of which it has nothing.
    pub(crate) fn exceptions(&self) -> String {
        let mut table = Table::new(["EXCEPTION", "LEAVES", "KIND", "REASON"]);
        for (place, exception) in EXCEPTIONS.iter().enumerate() {
            let leaves = self.used.get(&place).copied().unwrap_or(0);
            if leaves > 0 {
                table.row([
                    exception.pattern.to_owned(),
                    leaves.to_string(),
                    exception.kind.to_string(),
                    exception.reason.to_owned(),
                ]);
            }
        }
        let unused: Vec<&str> = EXCEPTIONS
            .iter()
            .enumerate()
            .filter(|(place, _)| !self.used.contains_key(place))
            .map(|(_, exception)| exception.pattern)
            .collect();
        format!("{table}Not needed on this machine: {}\n", unused.join(", "))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new([
            "ATTRIBUTE",
            "LEAVES",
            "EQUAL",
            "CLOSE",
            "LISTED",
            "DIFFERENT",
            "MISSING",
            "EXTRA",
        ]);
        let mut total = Counts::default();
        let mut row = |name: &str, counts: Counts| {
            let figures = [
                counts.equal,
                counts.close,
                counts.listed,
                counts.different,
                counts.missing,
                counts.extra,
            ];
            let leaves: usize = figures.iter().sum();
            let cells = std::iter::once(leaves)
                .chain(figures)
                .map(|figure| figure.to_string());
            table.row(std::iter::once(name.to_owned()).chain(cells));
        };
        for (name, counts) in &self.counts {
            row(name, *counts);
            total.equal += counts.equal;
            total.close += counts.close;
            total.listed += counts.listed;
            total.different += counts.different;
            total.missing += counts.missing;
            total.extra += counts.extra;
        }
        row("all", total);
        write!(f, "{table}")?;
        for (path, what) in &self.differences {
            writeln!(f, "{}: {what}", show(path))?;
        }
        Ok(())
    }
}

#[test]
fn figures_are_read_with_their_units() {
    let figure = |number, unit: &str, text| {
        Some(Figure {
            numbers: vec![number],
            unit: unit.to_owned(),
            text,
        })
    };
    assert_eq!(Figure::of(&12.into()), figure(12.0, "", false));
    assert_eq!(Figure::of(&"12kB".into()), figure(12.0, "kB", true));
    assert_eq!(
        Figure::of(&"1 day 02 hours 1 minute 18 seconds".into()),
        figure(93_678.0, "duration", true)
    );
    assert_eq!(Figure::of(&"1\t20".into()).unwrap().numbers, [1.0, 20.0]);
    assert_eq!(Figure::of(&"kB".into()), None);
    assert_eq!(Figure::of(&Value::Null), None);
}

#[test]
fn every_kind_of_difference_is_found() {
    let setting = Setting::for_tests();
    let look = |tree: Value| crate::leaves::leaves(&tree);
    let looks = |ohai: Value, before: Value, after: Value| Looks {
        before: look(before),
        ohai: look(ohai),
        after: look(after),
    };
    let memory =
        |free: &str| serde_json::json!({"memory": {"total": "1000kB", "free": free}, "uptime_seconds": 5});
    let found = |ohai: Value| {
        let outcome = looks(ohai, memory("10kB"), memory("20kB")).compare(&setting);
        outcome
            .differences
            .keys()
            .map(|path| show(path))
            .collect::<Vec<_>>()
    };
    assert_eq!(found(memory("200kB")), [""; 0]);
    assert_eq!(found(memory("900kB")), ["memory/free"]);
    assert_eq!(found(memory("15MB")), ["memory/free"]);
    assert_eq!(
        found(serde_json::json!({"memory": {"total": "999kB", "free": 15}, "uptime_seconds": 6, "new": 1})),
        ["memory/free", "memory/total", "new", "uptime_seconds"]
    );
    assert_eq!(
        found(serde_json::json!({"memory": {"total": "1000kB"}})),
        ["memory/free", "uptime_seconds"]
    );
}
