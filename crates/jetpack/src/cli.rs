//! The command line.

use clap::{Parser, Subcommand};

use crate::commands::{
    autoscale, completions, condition, config, converge, download, facts, initialize, keepalive, log, props,
    report_issue, run_on_shutdown, send, shutdown, status, test, users,
};

/// The node's command-line tool
#[derive(Debug, Parser)]
#[command(name = "jetpack", disable_version_flag = true, help_expected = true)]
pub(crate) struct Cli {
    /// Print every cause of an error on a line of its own; without a command, print the version
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,

    /// Print the version
    #[arg(short = 'V', long)]
    pub(crate) version: bool,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

// Only the arguments of the command that is called are built: scripts start this program thousands of times.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum Command {
    /// Make this machine a node of a cluster
    ///
    /// Makes the folders of the node and asks the server who it is. If the server is away, jetpackd asks again.
    #[command(after_help = "Example:
  jetpack initialize --url https://cycle.example.com --userdata 8c0f7e3a9d5b4c2e8f1a6b7d3c9e0f12")]
    Initialize(initialize::InitializeArgs),

    /// Print what this node is configured to be
    ///
    /// Without a key, all of it, one `key = value` a line. Values are printed as Python does: True, False, None,
    /// [1, 2].
    #[command(after_help = "Examples:
  jetpack config cyclecloud.cluster.name
  jetpack config slurm.version 23.02     prints 23.02 if nobody set slurm.version
  jetpack config azure.metadata --json")]
    Config(config::ConfigArgs),

    /// Write a message to the server's event log
    ///
    /// The message is kept until the server has it, also while the server is away.
    #[command(after_help = "Examples:
  jetpack log \"scheduler is up\"
  jetpack log \"licence server is slow\" --level warn --priority low")]
    Log(log::LogArgs),

    /// Hand a message to the plug-ins of the site
    ///
    /// It goes to the AMQP exchange cyclecloud.custom with exactly this routing key. Whoever has bound a queue there gets
    /// it; if nobody has, it is gone. It is kept while the server is away.
    #[command(after_help = "Examples:
  jetpack send \"licences: 12\" --routing-key site.licences
  jetpack send --file qstat.json -k demo.gridengine --header format=v2
  qstat -xml | jetpack send --file - -k demo.gridengine --content-type application/xml")]
    Send(send::SendArgs),

    /// Say how large the cluster is to be
    ///
    /// The server starts nodes until the target is reached, and stops none below it. A request holds for five minutes
    /// if it is not renewed, and replaces what the same request set asked for before.
    #[command(after_help = "Examples:
  jetpack autoscale --corecount 100              cores of the array execute
  jetpack autoscale -n gpu -i 4 --expiration 15m
  jetpack autoscale --file arrays.json           [{\"Name\": \"execute\", \"TargetCoreCount\": 100}]")]
    Autoscale(autoscale::AutoscaleArgs),

    /// Ask the server to shut this node down
    ///
    /// The server decides: an idle node that is needed stays. Without --terminate or --deallocate the node's
    /// ShutdownPolicy says what becomes of the machine.
    #[command(after_help = "Examples:
  jetpack shutdown --idle
  jetpack shutdown --unhealthy --message \"GPU 3 is gone\"
  jetpack shutdown --deallocate")]
    Shutdown(shutdown::ShutdownArgs),

    /// Register commands that run before this node goes
    ///
    /// jetpackd runs them, one after the other, when the server terminates or deallocates the node, and confirms to the
    /// server after them. One that fails is reported and stops nothing. What they say is in
    /// logs/run_on_shutdown/NAME.out.
    #[command(
        name = "run_on_shutdown",
        after_help = "Examples:
  jetpack run_on_shutdown add -- /opt/site/save-results.sh /scratch
  jetpack run_on_shutdown add --name drain --timeout 2m -- sh -c 'scontrol update nodename=$(hostname) state=drain'
  jetpack run_on_shutdown list
  jetpack run_on_shutdown remove drain"
    )]
    RunOnShutdown(run_on_shutdown::RunOnShutdownArgs),

    /// Keep HealthCheck from having this node terminated
    ///
    /// For an hour, or as long as given, from now on. The last word holds: a shorter time replaces a longer one. Prints
    /// until when.
    #[command(after_help = "Examples:
  jetpack keepalive                      one hour
  jetpack keepalive 2d
  jetpack keepalive forever
  jetpack keepalive --show
  jetpack keepalive cancel")]
    Keepalive(keepalive::KeepaliveArgs),

    /// Report what is wrong with this node
    #[command(after_help = "Examples:
  jetpack condition set -n gpu -s Error -m \"2 of 8 GPUs answer\"
  jetpack condition list
  jetpack condition clear gpu")]
    Condition(condition::ConditionArgs),

    /// Print or set what this node and its machine are in a few words
    ///
    /// The machine, its system and its cluster, for scripts that need neither the configuration nor all facts; and
    /// whatever else is set here. The server shows them with the node.
    #[command(after_help = "Examples:
  jetpack props get cyclecloud.owner
  jetpack props get os.version_id 12     prints 12 if nobody set os.version_id
  jetpack props get --json | jq .azure
  jetpack props set site.rack r12
  jetpack props set site.rack=r12 site.row=3
  jetpack props set site.slots '[0, 1]' --json
  jetpack props list")]
    Props(props::PropsArgs),

    /// Print who may log in to this node
    ///
    /// The owner of the cluster comes first. The server is asked; while it is away, the users as last known are printed.
    #[command(after_help = "Examples:
  jetpack users
  jetpack users --owner --json | jq -r .name")]
    Users(users::UsersArgs),

    /// Download a blob of a project
    ///
    /// A blob that the site has put into the locker under the project's name wins over the project's own.
    #[command(after_help = "Examples:
  jetpack download slurm-23.02.tgz --project slurm /tmp
  jetpack download data.csv              in a script of a project, to the current folder")]
    Download(download::DownloadArgs),

    /// Bring this node to the state that its projects describe
    ///
    /// Fetches the configuration, downloads the projects and runs their scripts. A script that succeeded is not run again
    /// until it changes.
    #[command(after_help = "Examples:
  jetpack converge
  jetpack converge --dry-run             what would change, and which scripts would run
  jetpack converge --cluster-init        only run the scripts that are there
  jetpack converge --rerun-scripts       also those that succeeded before
  jetpack converge --project . --spec execute --config slurm.version=23.11 --sandbox
                                         run a project from its folder, and leave no trace")]
    Converge(converge::ConvergeArgs),

    /// Print what this machine is: platform, kernel, processors, memory, addresses, file systems
    ///
    /// In the schema of Ohai, and as JSON as ohai prints it. A single attribute that is a text, a number or true or
    /// false is printed as it is, for scripts; with --json in a list of its own, as ohai does. Names are separated by
    /// slashes or dots. Languages, packages and what else needs a child process come only when they are named, as does
    /// what the cloud says: `cloud`, `azure`, `ec2`, `gce`, `openstack`.
    #[command(after_help = "Examples:
  jetpack facts | jq .memory.total
  jetpack facts platform kernel/release  prints `debian` and `6.1.0-42-amd64`, each on its line
  jetpack facts cpu
  jetpack facts platform --json          prints the same as `ohai platform`
  jetpack facts cloud/provider           asks the cloud, or what it said at the last converge
  jetpack facts languages/python         starts the Python that it asks")]
    Facts(facts::FactsArgs),

    /// Show what this node is doing and why
    #[command(after_help = "Example:
  jetpack status --json | jq -r .converge.status")]
    Status(status::StatusArgs),

    /// Run the tests of this node's projects
    ///
    /// These are the files test_*.py and *_test.py, and executable scripts, in the folders `tests` of the specs. Python files
    /// are run with pytest if the node's Python has it, else with unittest. The server is told the results.
    #[command(after_help = "Examples:
  jetpack test
  jetpack test --project slurm --spec scheduler
  jetpack test --junit-xml results.xml --timeout 5m")]
    Test(test::TestArgs),

    /// Give the logs of this node to somebody who helps
    ///
    /// Makes a zip archive of them, uploads it to the server and prints where it is. Links are not followed, and files that
    /// may hold secrets are left out.
    #[command(
        name = "report_issue",
        after_help = "Examples:
  jetpack report_issue
  jetpack report_issue /var/log/slurm --no-sign
  jetpack report_issue --no-upload"
    )]
    ReportIssue(report_issue::ReportIssueArgs),

    /// Tell the server the host name and address of this machine
    #[command(hide = true)]
    ReportHost,

    /// Print a script that teaches a shell to complete the words of this tool
    #[command(after_help = "Examples:
  source <(jetpack completions bash)                                  for this shell
  jetpack completions bash >/etc/bash_completion.d/jetpack             for everybody
  jetpack completions zsh >/usr/local/share/zsh/site-functions/_jetpack
  jetpack completions fish >~/.config/fish/completions/jetpack.fish")]
    Completions(completions::CompletionsArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    /// Command, positionals in their order, and options: a name, and a value unless it is a switch.
    type Line = (
        &'static str,
        &'static [&'static str],
        &'static [(&'static str, &'static str)],
    );

    /// Lines of public projects, taken apart.
    const LINES: &[Line] = &[
        ("config", &["slurm.version", "23.02"], &[("--json", "")]),
        ("config", &["no.such.key", "-1"], &[("--json", "")]),
        ("download", &["slurm.tgz", "/tmp/"], &[("--project", "slurm")]),
        ("log", &["a text"], &[("--level", "warn"), ("--priority", "low")]),
        ("log", &["a text"], &[("-l", "error"), ("-p", "medium")]),
        (
            "send",
            &["a text"],
            &[
                ("--routing-key", "a.b"),
                ("--content-type", "text/plain"),
                ("--header", "k=v"),
            ],
        ),
        ("autoscale", &[], &[("--name", "execute"), ("--corecount", "16")]),
        (
            "autoscale",
            &[],
            &[("-n", "gpu"), ("-i", "4"), ("--expiration", "15m")],
        ),
        (
            "shutdown",
            &[],
            &[("--idle", ""), ("--deallocate", ""), ("--message", "bye")],
        ),
        ("keepalive", &["6h"], &[]),
        ("users", &[], &[("--owner", ""), ("--json", "")]),
        ("converge", &[], &[("--mode", "install"), ("--rerun-scripts", "")]),
        ("facts", &["kernel/release", "platform"], &[("--json", "")]),
        (
            "test",
            &[],
            &[("--project", "p"), ("--spec", "s"), ("--junit-xml", "x.xml")],
        ),
        ("status", &[], &[("--json", "")]),
    ];

    fn read(words: &[String]) -> String {
        let line = ["jetpack".to_owned()].into_iter().chain(words.iter().cloned());
        let cli = Cli::try_parse_from(line).unwrap_or_else(|error| panic!("{words:?}: {error}"));
        format!("{cli:?}")
    }

    proptest! {
        /// The global switch may even stand before the command.
        #[test]
        fn options_may_stand_anywhere_and_have_their_value_with_them_or_behind(
            line in proptest::sample::select(LINES),
            places in proptest::collection::vec(0_usize..8, 4),
            joined in proptest::collection::vec(any::<bool>(), 4),
            verbose_first in any::<bool>(),
        ) {
            let (command, positionals, options) = line;
            let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
            let mut expected = owned(&[command]);
            expected.extend(owned(positionals));
            let mut groups: Vec<Vec<String>> = positionals.iter().map(|word| owned(&[word])).collect();
            for (index, (name, value)) in options.iter().enumerate() {
                let separate = if value.is_empty() { owned(&[name]) } else { owned(&[name, value]) };
                expected.extend(separate.clone());
                let group = match (value.is_empty(), joined[index], name.starts_with("--")) {
                    (false, true, true) => vec![format!("{name}={value}")],
                    (false, true, false) => vec![format!("{name}{value}")],
                    _ => separate,
                };
                groups.insert(places[index] % (groups.len() + 1), group);
            }
            expected.push("--verbose".to_owned());
            let mut words = owned(&[command]);
            words.extend(groups.concat());
            words.insert(usize::from(!verbose_first), "-v".to_owned());
            prop_assert_eq!(read(&words), read(&expected));
        }
    }
}
