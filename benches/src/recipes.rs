//! Recipes in `jetpack converge` against `puppet apply` and `salt-call --local` that make the same files.
//!
//! Whole processes on both sides: ours reads its configuration, looks for new projects and keeps its journal as well. With
//! `TMPDIR=/dev/shm` all files are in memory, and only the programs are compared.

use std::ffi::OsString;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::comparison::{Comparison, Goal, Measure};
use crate::node::{Node, write, write_project};
use crate::process::Contender;

const PUPPET: &str = "puppet apply";
const SALT: &str = "salt-call --local";
const NOTHING: &str = "ours, no recipes";
const FEW: &str = "ours, 100";
const MANY: &str = "ours, 1000";

/// What is to be made.
#[derive(Debug, Clone, Copy)]
enum Work {
    /// No recipe at all.
    Nothing,
    Files(usize),
    Templates(usize),
}

impl Work {
    fn count(self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Files(count) | Self::Templates(count) => count,
        }
    }

    /// A word for names of folders.
    fn word(self) -> String {
        match self {
            Self::Nothing => "nothing".to_owned(),
            Self::Files(count) => format!("files{count}"),
            Self::Templates(count) => format!("templates{count}"),
        }
    }
}

/// What recipes may cost as such, what a file that is made, and what one that is there: twice what Ruby needs that knows nothing of
/// the machine, tells nobody and keeps no log.
const START: Duration = Duration::from_millis(10);
const MADE: Duration = Duration::from_micros(240);
const THERE: Duration = Duration::from_micros(140);

/// All that is compared.
pub(crate) fn comparisons(scratch: &Path) -> anyhow::Result<Vec<Comparison>> {
    let site = |work| Site::new(scratch, work);
    let (nothing, empty) = (site(Work::Nothing)?, site(Work::Files(0))?);
    let (few, many, most) = (
        site(Work::Files(100))?,
        site(Work::Files(1000))?,
        site(Work::Files(10_000))?,
    );
    let templates = site(Work::Templates(200))?;
    let mut all = vec![Comparison {
        title: "A recipe without a resource".to_owned(),
        ours: empty.ours("jetpack converge", "true")?,
        peers: [vec![nothing.ours(NOTHING, "true")?], empty.peers("true")].concat(),
        goals: [goals(), vec![cost(1, START)]].concat(),
    }];
    for is_first in [true, false] {
        all.push(Comparison {
            title: format!("1,000 files, {}", when(is_first)),
            ours: many.ours("jetpack converge", &many.before(is_first))?,
            peers: [
                vec![nothing.ours(NOTHING, "true")?],
                many.peers(&many.before(is_first)),
            ]
            .concat(),
            goals: [goals(), vec![cost(1000, each(is_first))]].concat(),
        });
    }
    for is_first in [true, false] {
        all.push(Comparison {
            title: format!("200 templates, {}", when(is_first)),
            ours: templates.ours("jetpack converge", &templates.before(is_first))?,
            peers: [
                vec![nothing.ours(NOTHING, "true")?],
                templates.peers(&templates.before(is_first)),
            ]
            .concat(),
            goals: goals(),
        });
    }
    // What one resource costs, however many there are; beside peers that are slow enough to be measured once.
    for is_first in [true, false] {
        let ours = vec![
            many.ours(MANY, &many.before(is_first))?,
            few.ours(FEW, &few.before(is_first))?,
            nothing.ours(NOTHING, "true")?,
        ];
        let growth = Goal::Growth {
            of: MANY,
            from: NOTHING,
            times: 10.0,
            at_most: 1.25,
        };
        all.push(Comparison {
            title: format!("10,000 files, {}", when(is_first)),
            ours: most.ours("ours, 10000", &most.before(is_first))?,
            peers: [ours, most.peers(&most.before(is_first))].concat(),
            goals: [goals(), vec![cost(10_000, each(is_first)), growth]].concat(),
        });
    }
    Ok(all)
}

fn when(is_first: bool) -> &'static str {
    if is_first { "nothing here yet" } else { "all here" }
}

fn each(is_first: bool) -> Duration {
    if is_first { MADE } else { THERE }
}

/// Ours takes many times less than the peers, and at most twice the memory of such a Ruby. Of the wall it takes more than of the
/// CPU: it waits for the disk where the peers do not.
fn goals() -> Vec<Goal> {
    let ratio = |(peer, measure, at_least)| Goal::Ratio {
        peer,
        measure,
        at_least,
    };
    let ratios = [
        (PUPPET, Measure::Wall, 10.0),
        (PUPPET, Measure::Cpu, 15.0),
        (SALT, Measure::Wall, 8.0),
        (SALT, Measure::Cpu, 10.0),
    ];
    let memory = Goal::Memory(84_000_000 / 1024);
    ratios.into_iter().map(ratio).chain([memory]).collect()
}

/// So much of the CPU is spent on each of so many things. Not of the wall: how long a disk takes is another matter.
fn cost(things: u32, at_most: Duration) -> Goal {
    Goal::Overhead {
        peer: NOTHING,
        measure: Measure::Cpu,
        things,
        at_most,
    }
}

/// The same work for all.
struct Site {
    work: Work,
    folder: PathBuf,
    node: Node,
}

impl Site {
    fn new(scratch: &Path, work: Work) -> anyhow::Result<Self> {
        let folder = scratch.join(work.word());
        durable::create_folder(&folder, 0o755)?;
        for out in ["ours", "puppet", "salt"] {
            durable::create_folder(&folder.join("out").join(out), 0o755)?;
        }
        let project = folder.join("project");
        write_project(&project)?;
        let ini = "[project]\nname = project\nversion = 1.0.0\n\n[spec default]\nrun_list = recipe[bench]\n";
        let plain = "[project]\nname = project\nversion = 1.0.0\n";
        let ini = if matches!(work, Work::Nothing) { plain } else { ini };
        write(&project.join("project.ini"), 0o644, ini.as_bytes())?;
        let cookbook = project.join("specs/default/chef/site-cookbooks/bench");
        write(
            &cookbook.join("recipes/default.rb"),
            0o644,
            recipe(work, &folder.join("out/ours")).as_bytes(),
        )?;
        write(
            &cookbook.join("templates/default/t.erb"),
            0o644,
            b"<% 5.times do |i| %>number <%= @number %>, line <%= i %>\n<% end %>",
        )?;
        let node = Node::new(&folder, "node", &[project])?;
        let site = Self { work, folder, node };
        site.write_puppet()?;
        site.write_salt()?;
        Ok(site)
    }

    /// A line for the shell that goes before.
    fn before(&self, is_first: bool) -> String {
        if is_first {
            self.forget()
        } else {
            "true".to_owned()
        }
    }

    /// A line for the shell that puts away what any of them has made. It is not removed: that would take its time, and ext4
    /// looks long for an inode that was not in use a few seconds ago.
    fn forget(&self) -> String {
        let folder = self.folder.display();
        format!("cd '{folder}' && mv out old.$$ && mkdir -p out/ours out/puppet out/salt || exit 1")
    }

    fn ours(&self, name: &str, before: &str) -> anyhow::Result<Contender> {
        self.node.converge(name, before, "")
    }

    fn peers(&self, before: &str) -> Vec<Contender> {
        let folder = self.folder.display();
        // 2 says that something was changed; without the option, a failure would be 0.
        let puppet = format!(
            "{before}; puppet apply --detailed-exitcodes --confdir '{folder}/puppet' --vardir '{folder}/puppet/var' '{folder}/puppet/site.pp'; code=$?; [ $code = 0 ] || [ $code = 2 ]"
        );
        // The state's name and the folders are in the file `minion`.
        let salt = format!(
            "{before}; exec \"$SALT_CALL\" --local --config-dir '{folder}/salt' --log-level error --retcode-passthrough state.apply bench"
        );
        vec![
            Contender::new(PUPPET, "sh").args(["-c", &puppet]),
            Contender::new(SALT, "sh")
                .args(["-c", &salt])
                .env("SALT_CALL", salt_call()),
        ]
    }

    fn write_puppet(&self) -> anyhow::Result<()> {
        let folder = self.folder.join("puppet");
        // Puppet's first run makes it, but too late on some file systems.
        durable::create_folder(&folder.join("var/state"), 0o755)?;
        let out = self.folder.join("out/puppet");
        let (out, templates) = (out.display(), folder.join("t.epp"));
        let mut text = String::new();
        // Writing to a string cannot fail.
        for number in 0..self.work.count() {
            let content = match self.work {
                Work::Nothing | Work::Files(_) => format!("\"line {number}\\n\""),
                Work::Templates(_) => format!("epp('{}', {{ number => {number} }})", templates.display()),
            };
            let _ = writeln!(
                text,
                "file {{ '{out}/f{number}': ensure => file, mode => '0644', content => {content} }}"
            );
        }
        write(
            &templates,
            0o644,
            b"<%- | $number | -%>\n<% [0, 1, 2, 3, 4].each |$i| { %>number <%= $number %>, line <%= $i %>\n<% } %>",
        )?;
        write(&folder.join("site.pp"), 0o644, text.as_bytes())
    }

    fn write_salt(&self) -> anyhow::Result<()> {
        let folder = self.folder.join("salt");
        let out = self.folder.join("out/salt");
        let (out, root) = (out.display(), folder.display());
        let mut text = String::new();
        for number in 0..self.work.count() {
            let content = match self.work {
                Work::Nothing | Work::Files(_) => format!("    - contents: line {number}\n"),
                Work::Templates(_) => {
                    format!(
                        "    - source: salt://t.j2\n    - template: jinja\n    - context:\n        number: {number}\n"
                    )
                }
            };
            let _ = write!(
                text,
                "{out}/f{number}:\n  file.managed:\n    - mode: '0644'\n{content}"
            );
        }
        if text.is_empty() {
            // Salt counts a run without a state as a failure.
            text.push_str("nothing:\n  test.nop\n");
        }
        let minion = format!(
            "id: bench\nroot_dir: {root}/root\nfile_client: local\nfile_roots:\n  base:\n    - {root}/states\n"
        );
        write(&folder.join("minion"), 0o644, minion.as_bytes())?;
        write(
            &folder.join("states/t.j2"),
            0o644,
            b"{% for i in range(5) %}number {{ number }}, line {{ i }}\n{% endfor %}",
        )?;
        write(&folder.join("states/bench.sls"), 0o644, text.as_bytes())
    }
}

/// A recipe that makes them.
fn recipe(work: Work, out: &Path) -> String {
    let out = out.display();
    match work {
        Work::Nothing => String::new(),
        Work::Files(count) => format!(
            "{count}.times do |i|\n  file \"{out}/f#{{i}}\" do\n    content \"line #{{i}}\\n\"\n    mode '0644'\n  end\nend\n"
        ),
        Work::Templates(count) => format!(
            "{count}.times do |i|\n  template \"{out}/f#{{i}}\" do\n    source 't.erb'\n    variables(number: i)\n    mode '0644'\n  end\nend\n"
        ),
    }
}

/// Where `make bench` has installed it, else the one in `PATH`.
fn salt_call() -> OsString {
    std::env::var_os("JETPACK_BENCH_SALT").unwrap_or_else(|| "salt-call".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_names_its_files_once_each() {
        let text = recipe(Work::Files(3), Path::new("/out"));
        assert_eq!(
            text,
            "3.times do |i|\n  file \"/out/f#{i}\" do\n    content \"line #{i}\\n\"\n    mode '0644'\n  end\nend\n"
        );
        assert!(recipe(Work::Templates(2), Path::new("/out")).contains("template \"/out/f#{i}\""));
    }
}
