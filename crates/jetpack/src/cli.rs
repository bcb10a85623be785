//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use protocol::{Level, Priority};

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
    Initialize(InitializeArgs),

    /// Print what this node is configured to be
    ///
    /// Without a key, all of it, one `key = value` a line. Values are printed as Python does: True, False, None,
    /// [1, 2].
    #[command(after_help = "Examples:
  jetpack config cyclecloud.cluster.name
  jetpack config slurm.version 23.02     prints 23.02 if nobody set slurm.version
  jetpack config azure.metadata --json")]
    Config(ConfigArgs),

    /// Write a message to the server's event log
    ///
    /// The message is kept until the server has it, also while the server is away.
    #[command(after_help = "Examples:
  jetpack log \"scheduler is up\"
  jetpack log \"licence server is slow\" --level warn --priority low")]
    Log(LogArgs),

    /// Download a blob of a project
    ///
    /// A blob that the site has put into the locker under the project's name wins over the project's own.
    #[command(after_help = "Examples:
  jetpack download slurm-23.02.tgz --project slurm /tmp
  jetpack download data.csv              in a script of a project, to the current folder")]
    Download(DownloadArgs),

    /// Bring this node to the state that its projects describe
    ///
    /// Fetches the configuration, downloads the projects and runs their scripts. A script that succeeded is not run again
    /// until it changes.
    #[command(after_help = "Examples:
  jetpack converge
  jetpack converge --cluster-init        only run the scripts that are there
  jetpack converge --rerun-scripts       also those that succeeded before")]
    Converge(ConvergeArgs),

    /// Show what this node is doing and why
    #[command(after_help = "Example:
  jetpack status --json | jq -r .converge.status")]
    Status(StatusArgs),
}

#[derive(Debug, Args)]
pub(crate) struct InitializeArgs {
    /// URL of the server
    #[arg(long, value_name = "URL")]
    pub(crate) url: String,

    /// The id that the server gave for this start of the machine
    #[arg(long, value_name = "ID")]
    pub(crate) userdata: String,

    /// Certificate of the server's authority (PEM); only servers that it has signed are trusted
    #[arg(long, value_name = "FILE", conflicts_with = "ca_fingerprint")]
    pub(crate) ca: Option<PathBuf>,

    /// SHA-256 of that certificate, 64 hex digits; the certificate itself is fetched from the server
    #[arg(long, value_name = "SHA256")]
    pub(crate) ca_fingerprint: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// Dotted key, for instance cyclecloud.node.name
    pub(crate) key: Option<String>,

    /// Printed as it is when nobody set the key
    #[arg(allow_negative_numbers = true)]
    pub(crate) default: Option<String>,

    /// Print JSON: a section as it is, any other value as {"KEY": value}
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// The text
    pub(crate) message: String,

    /// What kind of news it is: info, warn, error
    #[arg(short, long, default_value = "info", value_name = "LEVEL")]
    pub(crate) level: Level,

    /// How much it matters: low, medium, high; if not given, high for errors and medium otherwise
    #[arg(short, long, value_name = "PRIORITY")]
    pub(crate) priority: Option<Priority>,
}

#[derive(Debug, Args)]
pub(crate) struct DownloadArgs {
    /// Name of the blob; it may have folders
    pub(crate) file: String,

    /// File or folder to write to; if not given, the current folder
    pub(crate) dest: Option<PathBuf>,

    /// Project of the blob; scripts of a project need not say it
    #[arg(long, value_name = "NAME")]
    pub(crate) project: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ConvergeArgs {
    /// Only run the cluster-init scripts that are on this machine already
    #[arg(long)]
    pub(crate) cluster_init: bool,

    /// Also run scripts that succeeded before
    #[arg(long)]
    pub(crate) rerun_scripts: bool,

    /// Why it is run; jetpackd says install
    #[arg(long, value_enum, value_name = "MODE", default_value = "manual")]
    pub(crate) mode: Mode,
}

/// Why a converge is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Somebody typed it
    Manual,
    /// The node becomes one
    Install,
    /// It was due
    Maintenance,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
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
