//! `jetpack converge` against `rsync` of the same files, and against its scripts run by hand.
//!
//! Ours waits for the disk where `rsync` and a shell do not, so a disk that others keep busy is measured too. With
//! `TMPDIR=/dev/shm` all files are in memory, and only the programs are compared.

use std::path::Path;
use std::time::Duration;

use crate::comparison::{Comparison, Goal, Measure};
use crate::node::{Node, write, write_project};
use crate::process::Contender;

const PROJECTS: usize = 5;
const FILES: usize = 200;
const SCRIPTS: u32 = 100;
/// Sizes of the blobs whose memory is compared.
const SMALL: usize = 1 << 20;
const LARGE: usize = 256 << 20;

const DO_NOTHING: &str = "#!/bin/sh\nexit 0\n";

/// All that is compared.
pub(crate) fn comparisons(scratch: &Path) -> anyhow::Result<Vec<Comparison>> {
    let source = scratch.join("source");
    let projects: Vec<_> = (1..=PROJECTS)
        .map(|number| source.join(format!("p{number}")))
        .collect();
    for (number, project) in projects.iter().enumerate() {
        write_project(project)?;
        for file in 0..FILES {
            let path = project.join(format!("specs/default/cluster-init/files/f{file:03}"));
            // From 1 to 20 KB, as such files are.
            write(
                &path,
                0o644,
                &vec![b'a' + (file % 26) as u8; 1000 + (file * 97 + number) % 19_000],
            )?;
        }
    }
    write(
        &projects[0].join("specs/default/cluster-init/scripts/1.sh"),
        0o755,
        DO_NOTHING.as_bytes(),
    )?;
    let files = Node::new(scratch, "files", &projects)?;

    let many = scratch.join("many");
    write_project(&many)?;
    for number in 0..SCRIPTS {
        let path = many.join(format!("specs/default/cluster-init/scripts/{number:03}.sh"));
        write(&path, 0o755, DO_NOTHING.as_bytes())?;
    }
    let scripts = Node::new(scratch, "scripts", std::slice::from_ref(&many))?;

    let mut blobs = Vec::new();
    for (name, size) in [("small", SMALL), ("large", LARGE)] {
        let project = scratch.join(name);
        write_project(&project)?;
        write(
            &project.join("specs/default/cluster-init/files/blob"),
            0o644,
            &vec![7; size],
        )?;
        blobs.push(Node::new(scratch, &format!("node-{name}"), &[project])?);
    }

    let copy = scratch.join("copy");
    let rsync = |before: String| {
        let line = format!(
            "{before}; exec rsync -a '{}/' '{}'",
            source.display(),
            copy.display()
        );
        Contender::new("rsync -a", "sh").args(["-c", &line])
    };
    let by_hand = format!(
        "cd '{}/specs/default/cluster-init/scripts' && for script in *.sh; do ./$script || exit 1; done",
        many.display()
    );
    Ok(vec![
        Comparison {
            title: format!(
                "To the end of the first script: {PROJECTS} projects of {FILES} files, nothing here yet"
            ),
            ours: files.converge("jetpack converge", &files.forget(), "")?,
            peers: vec![rsync(format!("rm -rf '{}'", copy.display()))],
            goals: vec![Goal::Ratio {
                peer: "rsync -a",
                measure: Measure::Wall,
                at_least: 0.4,
            }],
        },
        Comparison {
            title: format!("To the end of the first script: {PROJECTS} projects of {FILES} files, all here"),
            ours: files.converge(
                "jetpack converge",
                &format!(
                    "rm -f '{}/.run/p1/default/scripts/1.sh.run'",
                    files.tree.display()
                ),
                "",
            )?,
            peers: vec![rsync("true".to_owned())],
            goals: vec![Goal::Ratio {
                peer: "rsync -a",
                measure: Measure::Wall,
                at_least: 0.5,
            }],
        },
        Comparison {
            title: format!("{SCRIPTS} scripts that do nothing"),
            ours: scripts.converge("jetpack converge", "true", "--rerun-scripts")?,
            peers: vec![Contender::new("by hand", "sh").args(["-c", &by_hand])],
            goals: vec![Goal::Overhead {
                peer: "by hand",
                measure: Measure::Wall,
                things: SCRIPTS,
                at_most: Duration::from_millis(5),
            }],
        },
        Comparison {
            title: format!(
                "A file of {} MB to download, and one of {} MB",
                LARGE >> 20,
                SMALL >> 20
            ),
            ours: blobs[1].converge("large", &blobs[1].forget(), "")?,
            peers: vec![blobs[0].converge("small", &blobs[0].forget(), "")?],
            goals: vec![Goal::Ratio {
                peer: "small",
                measure: Measure::Peak,
                at_least: 0.8,
            }],
        },
    ])
}
