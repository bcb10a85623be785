//! `jetpack converge --dry-run`: what a converge would do, for people.

use std::fmt::Write as _;

use converge::{ChangeKind, Preview, SpecChange};

use super::screen::{files, why};

/// Files of a new version that are listed one by one; of more, the number says enough.
const MOST_FILES: usize = 50;

/// The preview as lines.
pub(crate) fn text(preview: &Preview) -> String {
    let mut text = String::new();
    let mut line = |line: String| {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{line}");
    };
    for spec in &preview.specs {
        let version = spec.spec.version.as_deref().unwrap_or("of no version");
        let name = format!("{}:{} {version}", spec.spec.project, spec.spec.spec);
        match &spec.change {
            SpecChange::Missing => line(format!("{name}: optional and not in its locker")),
            SpecChange::Unchanged => line(format!("{name}: unchanged")),
            SpecChange::New(count) => line(format!("{name}: new, {}", files(*count))),
            SpecChange::Changed(changes) => {
                line(format!("{name}: {} changed", files(changes.len())));
                for file in changes.iter().take(MOST_FILES) {
                    let mark = match file.kind {
                        ChangeKind::Added => '+',
                        ChangeKind::Changed => '~',
                        ChangeKind::Removed => '-',
                    };
                    line(format!("  {mark} {}", file.path));
                }
                if changes.len() > MOST_FILES {
                    line(format!("  … and {} more", changes.len() - MOST_FILES));
                }
            }
        }
    }
    for script in &preview.scripts {
        line(match script.skip {
            Some(reason) => format!("skip {}: {}", script.script.step(), why(reason)),
            None => format!("run  {}", script.script.step()),
        });
    }
    let run = preview
        .scripts
        .iter()
        .filter(|script| script.skip.is_none())
        .count();
    line(match run {
        1 => "1 script would run".to_owned(),
        run => format!("{run} scripts would run"),
    });
    text
}
