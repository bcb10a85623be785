//! Which scripts a converge has, in which order, and which of them it leaves out whatever happened before.

use std::path::Path;

use protocol::{ClusterInitSpec, ConvergeFailure};

use crate::script::Folder;
use crate::{Script, SkipReason, failure};

/// A script of a converge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) script: Script,
    /// Why it is left out, if that is known beforehand.
    pub(crate) skip: Option<SkipReason>,
}

/// A script, and its sum where it is known.
pub(crate) type Candidate = (Script, Option<String>);

/// The scripts that are on this machine.
pub(crate) fn on_machine(root: &Path, specs: &[ClusterInitSpec]) -> Result<Vec<Step>, Box<ConvergeFailure>> {
    let mut all = Vec::new();
    for spec in specs {
        let unreadable = |error| {
            let message = format!(
                "cannot list the scripts of project `{}`, spec `{}`: {error}",
                spec.project, spec.spec
            );
            failure::of_spec(spec, message, "")
        };
        let scripts = Script::list(root, spec).map_err(unreadable)?;
        let has_stages = scripts.iter().any(|script| script.folder == Folder::Stages);
        let candidates = scripts.into_iter().map(|script| {
            // Only compared with those of stages.
            let sum = if has_stages { Some(script.sha256()?) } else { None };
            Ok((script, sum))
        });
        let candidates = candidates.collect::<Result<_, _>>().map_err(unreadable)?;
        all.push((spec, candidates));
    }
    arrange(all)
}

/// Puts the scripts of all specs into their order. The specs are in theirs.
///
/// `stages/install.sh` comes before the scripts of its spec, `stages/activate.sh` after those of all specs. A stage that is
/// one of the scripts too, by a link or as a copy, is left to that one.
///
/// # Errors
/// When all that a spec has is for Windows: it would do nothing here and seem done.
pub(crate) fn arrange(
    specs: Vec<(&ClusterInitSpec, Vec<Candidate>)>,
) -> Result<Vec<Step>, Box<ConvergeFailure>> {
    let (mut steps, mut deferred) = (Vec::new(), Vec::new());
    for (spec, candidates) in specs {
        let windows: Vec<_> = candidates
            .iter()
            .filter(|(script, _)| script.is_for_windows())
            .map(|(script, _)| format!("`{}`", script.name))
            .collect();
        if !windows.is_empty() && windows.len() == candidates.len() {
            let message = format!(
                "project `{}`, spec `{}` has nothing but scripts for Windows ({}), which this node cannot run",
                spec.project,
                spec.spec,
                windows.join(", ")
            );
            return Err(failure::of_spec(
                spec,
                message,
                "take the spec out of this node's cluster template, or add scripts `*.sh` to it",
            ));
        }
        let mut scripts: Vec<_> = candidates.iter().map(|(script, _)| script.clone()).collect();
        Script::sort(&mut scripts);
        for script in scripts {
            let sum = || candidates.iter().find(|(other, _)| *other == script)?.1.as_ref();
            let twin = |(other, other_sum): &Candidate| {
                other.folder == Folder::Scripts && other_sum.is_some() && other_sum.as_ref() == sum()
            };
            let skip = if script.is_for_windows() {
                Some(SkipReason::Windows)
            } else if script.folder == Folder::Stages && candidates.iter().any(twin) {
                Some(SkipReason::IsScript)
            } else {
                None
            };
            let to = if script.is_deferred() {
                &mut deferred
            } else {
                &mut steps
            };
            to.push(Step { script, skip });
        }
    }
    steps.append(&mut deferred);
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str) -> ClusterInitSpec {
        ClusterInitSpec {
            project: "p".to_owned(),
            spec: name.to_owned(),
            version: None,
            locker: "l".to_owned(),
            optional: false,
        }
    }

    fn arranged(specs: &[(&str, &[(&str, &str)])]) -> Result<Vec<String>, Box<ConvergeFailure>> {
        let specs: Vec<_> = specs.iter().map(|(name, files)| (spec(name), *files)).collect();
        let candidates = specs.iter().map(|(spec, files)| {
            let files = files.iter().map(|(path, sum)| {
                (
                    Script::at(Path::new("/r"), spec, path).unwrap(),
                    Some((*sum).to_owned()),
                )
            });
            (spec, files.collect())
        });
        let steps = arrange(candidates.collect())?;
        Ok(steps
            .iter()
            .map(|step| match step.skip {
                Some(reason) => format!("{} {reason:?}", step.script.step()),
                None => step.script.step(),
            })
            .collect())
    }

    #[test]
    fn services_are_activated_after_the_scripts_of_all_specs() {
        let steps = arranged(&[
            (
                "one",
                &[
                    ("scripts/2.sh", "a"),
                    ("stages/activate.sh", "b"),
                    ("stages/install.sh", "c"),
                    ("scripts/1.sh", "d"),
                ],
            ),
            ("two", &[("stages/activate.sh", "e"), ("scripts/1.sh", "f")]),
        ]);
        assert_eq!(
            steps.unwrap(),
            [
                "p/one/stages/install.sh",
                "p/one/scripts/1.sh",
                "p/one/scripts/2.sh",
                "p/two/scripts/1.sh",
                "p/one/stages/activate.sh",
                "p/two/stages/activate.sh"
            ]
        );
    }

    #[test]
    fn a_stage_that_is_a_script_too_runs_once() {
        let steps = arranged(&[(
            "s",
            &[
                ("scripts/1.sh", "a"),
                ("stages/install.sh", "a"),
                ("stages/activate.sh", "b"),
            ],
        )]);
        assert_eq!(
            steps.unwrap(),
            [
                "p/s/stages/install.sh IsScript",
                "p/s/scripts/1.sh",
                "p/s/stages/activate.sh"
            ]
        );
    }

    #[test]
    fn scripts_of_windows_are_told_and_a_spec_of_nothing_else_is_refused() {
        let steps = arranged(&[("s", &[("scripts/1.bat", "a"), ("scripts/1.sh", "b")])]);
        assert_eq!(steps.unwrap(), ["p/s/scripts/1.bat Windows", "p/s/scripts/1.sh"]);
        let failure = arranged(&[("s", &[("scripts/1.bat", "a"), ("scripts/2.cmd", "b")])]).unwrap_err();
        assert_eq!(
            failure.message,
            "project `p`, spec `s` has nothing but scripts for Windows (`1.bat`, `2.cmd`), which this node cannot run"
        );
    }
}
