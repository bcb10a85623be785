//! The command line.

use clap::{Parser, Subcommand};

use crate::commands::{config, converge, download, facts, initialize, log, status};

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

#[derive(Debug, Subcommand)]
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
  jetpack converge --cluster-init        only run the scripts that are there
  jetpack converge --rerun-scripts       also those that succeeded before")]
    Converge(converge::ConvergeArgs),

    /// Print what this machine is: platform, kernel, processors, memory, addresses, file systems
    ///
    /// In the schema of Ohai, and as JSON as ohai prints it. A single attribute that is a text, a number or true or
    /// false is printed as it is, for scripts; with --json in a list of its own, as ohai does. Names are separated by
    /// slashes or dots. Languages, packages and what else needs a child process come only when they are named.
    #[command(after_help = "Examples:
  jetpack facts | jq .memory.total
  jetpack facts platform kernel/release  prints `debian` and `6.1.0-42-amd64`, each on its line
  jetpack facts cpu
  jetpack facts platform --json          prints the same as `ohai platform`
  jetpack facts languages/python         starts the Python that it asks")]
    Facts(facts::FactsArgs),

    /// Show what this node is doing and why
    #[command(after_help = "Example:
  jetpack status --json | jq -r .converge.status")]
    Status(status::StatusArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_may_stand_before_and_after() {
        for line in [
            ["jetpack", "config", "--json", "a.b", "x"],
            ["jetpack", "config", "a.b", "--json", "x"],
            ["jetpack", "config", "a.b", "x", "--json"],
        ] {
            let Some(Command::Config(args)) = Cli::parse_from(line).command else {
                panic!("{line:?}")
            };
            assert_eq!(
                (args.key.as_deref(), args.default.as_deref(), args.json),
                (Some("a.b"), Some("x"), true)
            );
        }
        let line = ["jetpack", "download", "f.tgz", "--project=p", "/tmp/"];
        let Some(Command::Download(args)) = Cli::parse_from(line).command else {
            panic!()
        };
        assert_eq!(args.project.as_deref(), Some("p"));
        assert_eq!(args.dest, Some("/tmp/".into()));
    }
}
