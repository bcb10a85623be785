//! The command line. Forms as in the CLI that users know; texts are ours.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use protocol::{Level, Priority};

/// Operates clusters, projects and lockers of an application server
#[derive(Debug, Parser)]
#[command(
    name = "cyclecloud",
    version,
    rename_all = "snake_case",
    propagate_version = true
)]
pub(crate) struct Cli {
    /// Configuration file; default `~/.cycle/config.ini`
    #[arg(long, global = true, env = "CYCLECLOUD_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Show each cause of an error on a line of its own
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
#[command(rename_all = "snake_case")]
pub(crate) enum Command {
    /// Configure this tool for a server and check the connection
    #[command(after_help = "Example:\n  \
        echo \"$PASSWORD\" | cyclecloud initialize --batch --url https://cc.example.com --username admin \
        --password-stdin --ca ca.pem")]
    Initialize(Initialize),
    /// Make, build and upload projects
    #[command(subcommand)]
    Project(Project),
    /// Look at lockers, and copy blobs to and from them
    #[command(subcommand)]
    Locker(Locker),
    /// Make a cluster from a template file
    #[command(
        name = "import_cluster",
        after_help = "Example:\n  cyclecloud import_cluster demo -f workqueue.txt -P ExecuteCount=2"
    )]
    ImportCluster(ImportCluster),
    /// Start a cluster
    #[command(
        name = "start_cluster",
        after_help = "Examples:\n  cyclecloud start_cluster demo\n  cyclecloud start_cluster demo --test"
    )]
    StartCluster(StartCluster),
    /// Terminate a cluster: all its nodes go, its definition stays
    #[command(
        name = "terminate_cluster",
        after_help = "Example:\n  cyclecloud terminate_cluster demo"
    )]
    TerminateCluster(Cluster),
    /// Remove a cluster with its definition; it must be terminated, or is by force
    #[command(
        name = "delete_cluster",
        after_help = "Examples:\n  cyclecloud delete_cluster demo\n  cyclecloud delete_cluster demo --force"
    )]
    DeleteCluster(DeleteCluster),
    /// Wait for a whole cluster
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Add nodes to a node array, of at most the number that its limits allow
    #[command(
        name = "add_node",
        after_help = "Examples:\n  cyclecloud add_node demo -t execute -c 4\n  cyclecloud add_node demo -t execute --name login-%d"
    )]
    AddNode(AddNode),
    /// Start a node that is off or deallocated
    #[command(
        name = "start_node",
        after_help = "Example:\n  cyclecloud start_node demo scheduler"
    )]
    StartNode(OfNodes),
    /// Terminate nodes: their machines go; those of node arrays vanish
    #[command(
        name = "terminate_node",
        after_help = "Example:\n  cyclecloud terminate_node demo execute-1 execute-2"
    )]
    TerminateNode(OfNodes),
    /// Stop the machines of nodes, which keep their disks
    #[command(
        name = "deallocate_node",
        after_help = "Example:\n  cyclecloud deallocate_node demo scheduler"
    )]
    DeallocateNode(OfNodes),
    /// Terminate nodes of node arrays, and forget other nodes that are off
    #[command(
        name = "remove_node",
        after_help = "Example:\n  cyclecloud remove_node demo execute-1"
    )]
    RemoveNode(OfNodes),
    /// Stop the machines of nodes and start them again
    #[command(
        name = "reboot_node",
        after_help = "Example:\n  cyclecloud reboot_node demo scheduler"
    )]
    RebootNode(OfNodes),
    /// Give nodes new machines
    #[command(
        name = "reimage_node",
        after_help = "Example:\n  cyclecloud reimage_node demo execute-1"
    )]
    ReimageNode(OfNodes),
    /// Let failed nodes of a cluster try again at once
    #[command(after_help = "Example:\n  cyclecloud retry demo")]
    Retry(Cluster),
    /// Show a cluster and its nodes, or all clusters
    #[command(
        name = "show_cluster",
        after_help = "Example:\n  cyclecloud show_cluster demo --long"
    )]
    ShowCluster(ShowCluster),
    /// Show nodes as a table or as JSON records
    #[command(
        name = "show_nodes",
        after_help = "Examples:\n  cyclecloud show_nodes -c demo\n  \
            cyclecloud show_nodes scheduler -c demo --format json"
    )]
    ShowNodes(ShowNodes),
    /// Show what nodes say is wrong with them: their conditions
    #[command(after_help = "Example:\n  cyclecloud issues demo")]
    Issues {
        /// Name of the cluster; default: all
        cluster: Option<String>,
    },
    /// Make and change accounts, and say who may log in to nodes
    #[command(subcommand)]
    User(User),
    /// Show the event log, and follow it
    #[command(
        after_help = "Examples:\n  cyclecloud events demo -f --priority low\n  cyclecloud events --level error"
    )]
    Events(Events),
    /// See the messages of nodes and plug-ins on their way
    #[command(subcommand)]
    Messages(Messages),
}

#[derive(Debug, Args)]
pub(crate) struct Initialize {
    /// Ask nothing; what is neither given nor configured is an error
    #[arg(long)]
    pub(crate) batch: bool,
    /// Write a new configuration even if there is one that works
    #[arg(long)]
    pub(crate) force: bool,
    /// Address of the server, for instance https://cc.example.com
    #[arg(long)]
    pub(crate) url: Option<String>,
    /// Account on the server
    #[arg(long)]
    pub(crate) username: Option<String>,
    /// Password of the account; better `--password-stdin`, which other users of this machine cannot see
    #[arg(long, conflicts_with = "password_stdin")]
    pub(crate) password: Option<String>,
    /// Read the password from the first line of stdin
    #[arg(long)]
    pub(crate) password_stdin: bool,
    /// Whether the server's certificate must be valid
    #[arg(long, value_name = "true|false", action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub(crate) verify_ssl: Option<bool>,
    /// Believe only certificates of this authority (PEM), for instance the server's own `ca.pem`
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Name of this server, for people
    #[arg(long)]
    pub(crate) name: Option<String>,
}

#[derive(Debug, Subcommand)]
#[command(rename_all = "snake_case")]
pub(crate) enum Project {
    /// Make a new project in a folder of its name
    #[command(after_help = "Example:\n  cyclecloud project init myproject")]
    Init {
        /// Name of the project
        name: String,
    },
    /// Build the project in the current folder: `build/NAME/VERSION`
    #[command(after_help = "Example:\n  cyclecloud project build --project-version 1.1.0")]
    Build(Build),
    /// Build the project in the current folder and upload it
    #[command(after_help = "Example:\n  cyclecloud project upload local")]
    Upload(Upload),
    /// Download the blobs of the project in the current folder into `blobs`; those that are the same already stay
    #[command(after_help = "Example:\n  cyclecloud project download local")]
    Download {
        /// Name of the locker; default: as for `upload`
        locker: Option<String>,
        /// Blobs of this version instead of that in project.ini
        #[arg(long, value_name = "VERSION")]
        project_version: Option<String>,
    },
    /// Fetch a project of somebody else: from a repository, a release of one with its blobs, or an archive
    #[command(after_help = "Examples:\n  \
        cyclecloud project fetch https://github.com/Azure/cyclecloud-slurm/releases/4.0.3 slurm\n  \
        cyclecloud project fetch ./project-1.0.0.tar.gz project")]
    Fetch {
        /// https://HOST/OWNER/REPOSITORY, the same with /releases/TAG or /tree/BRANCH, or the URL or path of a .tar.gz
        url: String,
        /// Folder of the project; it must not exist, or be empty
        path: PathBuf,
    },
    /// Upload the project in the current folder and run its tests on the nodes of a cluster made for them
    #[command(
        after_help = "Example:\n  cyclecloud project test -t templates/demo.txt -e Count=2 --junit-xml tests.xml"
    )]
    Test(ProjectTest),
    /// Show the project in the current folder
    #[command(after_help = "Example:\n  cyclecloud project info")]
    Info,
    /// Choose the locker that `upload` takes when none is named
    #[command(after_help = "Example:\n  cyclecloud project default_locker local --global")]
    DefaultLocker {
        /// Name of the locker
        locker: String,
        /// For all projects that have no choice of their own
        #[arg(long)]
        global: bool,
    },
    /// Add a spec to the project in the current folder
    #[command(after_help = "Example:\n  cyclecloud project add_spec scheduler")]
    AddSpec {
        /// Name of the spec
        spec: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ProjectTest {
    /// The template of the cluster; default: the only one in `templates`
    #[arg(short, long, value_name = "FILE")]
    pub(crate) template: Option<PathBuf>,
    /// Name of the cluster; default: that of the project with `-test`. One of this name is replaced
    #[arg(short, long, value_name = "CLUSTER")]
    pub(crate) name: Option<String>,
    /// Value of a parameter of the template. May be repeated
    #[arg(short = 'e', long = "extra", value_name = "NAME=VALUE", value_parser = parameter)]
    pub(crate) parameters: Vec<(String, String)>,
    /// Locker to upload to; default: as for `upload`
    #[arg(long)]
    pub(crate) locker: Option<String>,
    /// Also write the results to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) output_json: Option<PathBuf>,
    /// Also write the results to this file, in JUnit's XML
    #[arg(long, value_name = "FILE")]
    pub(crate) junit_xml: Option<PathBuf>,
    /// Leave the cluster as it is when the tests are over
    #[arg(long)]
    pub(crate) skip_teardown: bool,
    /// How long nodes and tests may take together
    #[arg(long, value_name = "MINUTES", default_value_t = 60)]
    pub(crate) timeout: u64,
}

#[derive(Debug, Default, Args)]
pub(crate) struct Build {
    /// Build this version instead of the one in project.ini
    #[arg(long, value_name = "VERSION")]
    pub(crate) project_version: Option<String>,
    /// Build here instead of in `build`
    #[arg(long, value_name = "FOLDER")]
    pub(crate) build_dir: Option<PathBuf>,
}

#[derive(Debug, Default, Args)]
pub(crate) struct Upload {
    /// Name of the locker; default: the project's choice, the global choice, or the only one there is
    pub(crate) locker: Option<String>,
    #[command(flatten)]
    pub(crate) build: Build,
    /// Send everything, not only what changed: for a locker whose content was damaged
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Subcommand)]
#[command(rename_all = "snake_case")]
pub(crate) enum Locker {
    /// Show the lockers of the server
    #[command(after_help = "Example:\n  cyclecloud locker list")]
    List,
    /// Show a locker
    #[command(after_help = "Example:\n  cyclecloud locker show azure-storage")]
    Show {
        /// Name of the locker
        locker: String,
    },
    /// List blobs
    #[command(after_help = "Examples:\n  cyclecloud locker ls local/projects\n  \
        cyclecloud locker ls -l -r az://account/container/blobs")]
    Ls(Listing),
    /// Download a blob; large ones in parallel, and on from where they were when it was cut
    #[command(
        after_help = "Examples:\n  cyclecloud locker get local/blobs/demo/data.tgz\n  \
        cyclecloud locker get -r s3://bucket/blobs/demo demo"
    )]
    Get {
        /// LOCKER/PATH, or az://ACCOUNT/CONTAINER/PATH, s3://BUCKET/PATH, gs://BUCKET/PATH
        source: String,
        /// File or folder to write to; default: the current folder
        dest: Option<PathBuf>,
        /// Download all blobs below a folder
        #[arg(short, long)]
        recursive: bool,
    },
    /// Upload a file as a blob
    #[command(
        after_help = "Examples:\n  cyclecloud locker put data.tgz local/blobs/demo/\n  \
        cyclecloud locker put -r demo az://account/container/blobs/demo"
    )]
    Put {
        /// The file
        source: PathBuf,
        /// LOCKER/PATH, or the URL of a place in object storage; with a slash at its end the blob gets the file's name
        target: String,
        /// Upload all files below a folder
        #[arg(short, long)]
        recursive: bool,
    },
    /// Remove a blob
    #[command(after_help = "Example:\n  cyclecloud locker rm local/blobs/demo/data.tgz")]
    Rm {
        /// LOCKER/PATH, or the URL of a place in object storage
        target: String,
        /// Remove all blobs below a folder
        #[arg(short, long)]
        recursive: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Listing {
    /// LOCKER[/FOLDER], or az://ACCOUNT/CONTAINER[/FOLDER], s3://BUCKET[/FOLDER], gs://BUCKET[/FOLDER]; default: the
    /// lockers themselves
    pub(crate) target: Option<String>,
    /// Also show sizes, in bytes
    #[arg(short, long)]
    pub(crate) long: bool,
    /// Show everything below, not only the next step
    #[arg(short, long)]
    pub(crate) recursive: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StartCluster {
    /// Name of the cluster
    pub(crate) cluster: String,
    /// In test mode: nodes run the tests of their projects when they are ready
    #[arg(short, long)]
    pub(crate) test: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Cluster {
    /// Name of the cluster
    pub(crate) cluster: String,
}

#[derive(Debug, Args)]
pub(crate) struct DeleteCluster {
    /// Name of the cluster
    pub(crate) cluster: String,
    /// Terminate it first if it runs
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Wait until a cluster is as wanted; fails when a node fails, or the time is over
    #[command(
        after_help = "Examples:\n  cyclecloud cluster wait demo --ready --timeout 20m\n  cyclecloud cluster wait demo --terminated"
    )]
    Wait(Wait),
}

#[derive(Debug, Args)]
pub(crate) struct Wait {
    /// Name of the cluster
    pub(crate) cluster: String,
    /// Until all its nodes are Ready (the default)
    #[arg(long)]
    pub(crate) ready: bool,
    /// Until it is terminated, or gone
    #[arg(long, conflicts_with = "ready")]
    pub(crate) terminated: bool,
    /// Do not end when a node fails: it may be retried
    #[arg(long)]
    pub(crate) keep_waiting: bool,
    /// How long at most: 90s, 20m, 2h
    #[arg(long, value_name = "DURATION", default_value = "30m", value_parser = duration)]
    pub(crate) timeout: Duration,
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed: jiff::SignedDuration = text.parse().map_err(|error: jiff::Error| error.to_string())?;
    Duration::try_from(parsed).map_err(|_| "it is negative".to_owned())
}

#[derive(Debug, Args)]
pub(crate) struct AddNode {
    /// Name of the cluster
    pub(crate) cluster: String,
    /// The node array
    #[arg(short, long, value_name = "NODEARRAY")]
    pub(crate) template: String,
    /// How many nodes
    #[arg(short, long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) count: u32,
    /// Machine type, if the array has several
    #[arg(short, long, value_name = "TYPE")]
    pub(crate) machine_type: Option<String>,
    /// Name of the node, or a pattern with %d; default: NODEARRAY-%d
    #[arg(short, long, value_name = "NAME")]
    pub(crate) name: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct OfNodes {
    /// Name of the cluster
    pub(crate) cluster: String,
    /// Names of nodes
    #[arg(required = true, value_name = "NODE")]
    pub(crate) nodes: Vec<String>,
    /// Do not ask at a terminal
    #[arg(long)]
    pub(crate) no_prompt: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ImportCluster {
    /// Name of the new cluster; default: the name in the template file
    pub(crate) cluster: Option<String>,
    /// The template file
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The cluster within the file, when its name is another
    #[arg(short = 'c', long, value_name = "NAME")]
    pub(crate) template: Option<String>,
    /// Values of parameters: a file with a JSON object
    #[arg(short, long, value_name = "FILE")]
    pub(crate) parameters: Option<PathBuf>,
    /// Value of one parameter; wins over the file. May be repeated
    #[arg(short = 'P', long = "parameter", value_name = "NAME=VALUE", value_parser = parameter)]
    pub(crate) values: Vec<(String, String)>,
    /// Replace a cluster of this name
    #[arg(long)]
    pub(crate) force: bool,
}

fn parameter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

#[derive(Debug, Args)]
pub(crate) struct ShowCluster {
    /// Name of the cluster; default: all
    pub(crate) cluster: Option<String>,
    /// Also show what nodes are doing and why they failed
    #[arg(short, long)]
    pub(crate) long: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ShowNodes {
    /// Name of a node; default: all
    pub(crate) name: Option<String>,
    /// Only nodes of this cluster
    #[arg(short, long)]
    pub(crate) cluster: Option<String>,
    /// How to write them
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
    /// More columns: template, machine type, host name, node id; of a single node also its properties and tests
    #[arg(short, long)]
    pub(crate) long: bool,
    /// Also what each node is and should be
    #[arg(long)]
    pub(crate) states: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A table; below a failed node the reason
    #[default]
    Text,
    /// An array of records
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct Events {
    /// Name of the cluster; default: all
    pub(crate) cluster: Option<String>,
    /// Show new events as they happen, until Ctrl-C
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Only events of this priority and above: low, medium, high
    #[arg(long, default_value = "medium", value_name = "PRIORITY")]
    pub(crate) priority: Priority,
    /// Only events of this level and above: info, warn, error
    #[arg(long, default_value = "info", value_name = "LEVEL")]
    pub(crate) level: Level,
    /// How many of the last events to show
    #[arg(short = 'n', long, default_value_t = 50, value_name = "N")]
    pub(crate) number: u32,
}

#[derive(Debug, Subcommand)]
#[command(rename_all = "snake_case")]
pub(crate) enum Messages {
    /// Show messages as they pass, until Ctrl-C
    #[command(after_help = "Examples:\n  \
        cyclecloud messages tail --key 'demo.*.log'\n  \
        cyclecloud messages tail --key 'site.#' --json | jq .body")]
    Tail(TailMessages),
}

#[derive(Debug, Args)]
pub(crate) struct TailMessages {
    /// Only those whose routing key matches: `*` is one word, `#` any number of words; may be repeated
    #[arg(short, long, value_name = "PATTERN")]
    pub(crate) key: Vec<String>,
    /// One JSON object a line, with all that is known of the message
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
#[command(rename_all = "snake_case")]
pub(crate) enum User {
    /// Make an account
    #[command(after_help = "Example:\n  \
        echo \"$PASSWORD\" | cyclecloud user add alice --password-stdin --full-name 'Alice Liddell' --key ~/.ssh/id_ed25519.pub \
        --node-user")]
    Add(AddUser),
    /// Change an account; what is not given stays as it is
    #[command(after_help = "Example:\n  cyclecloud user change alice --node-admin true")]
    Change(ChangeUser),
    /// Show all accounts
    #[command(after_help = "Example:\n  cyclecloud user list")]
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show an account with its keys
    #[command(after_help = "Example:\n  cyclecloud user show alice")]
    Show {
        /// Name of the account
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Let a disabled account be used again
    #[command(after_help = "Example:\n  cyclecloud user enable alice")]
    Enable {
        /// Name of the account
        name: String,
    },
    /// Let nobody use an account, neither here nor on nodes
    #[command(after_help = "Example:\n  cyclecloud user disable alice")]
    Disable {
        /// Name of the account
        name: String,
    },
    /// Delete an account; its uid is not given again
    #[command(after_help = "Example:\n  cyclecloud user delete alice")]
    Delete {
        /// Name of the account
        name: String,
    },
    /// Add and remove public keys
    #[command(subcommand)]
    Key(UserKey),
}

#[derive(Debug, Args)]
pub(crate) struct AddUser {
    /// Name of the account on the server and on nodes, as Linux allows it
    pub(crate) name: String,
    /// Read the password from the first line of stdin instead of asking for it
    #[arg(long)]
    pub(crate) password_stdin: bool,
    /// Name for people
    #[arg(long, value_name = "NAME")]
    pub(crate) full_name: Option<String>,
    /// Number of the account on every node; default: the next free one from 20000
    #[arg(long)]
    pub(crate) uid: Option<u32>,
    /// File with a public key; may be repeated
    #[arg(long = "key", value_name = "FILE")]
    pub(crate) keys: Vec<PathBuf>,
    /// May log in to all nodes
    #[arg(long)]
    pub(crate) node_user: bool,
    /// May log in to all nodes and become root there
    #[arg(long)]
    pub(crate) node_admin: bool,
    /// May do everything on the server
    #[arg(long)]
    pub(crate) administrator: bool,
    /// A program of the site: may hear the messages of nodes and send some of its own, over AMQP
    #[arg(long)]
    pub(crate) plugin: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ChangeUser {
    /// Name of the account
    pub(crate) name: String,
    /// Read a new password from the first line of stdin
    #[arg(long)]
    pub(crate) password_stdin: bool,
    /// Name for people
    #[arg(long, value_name = "NAME")]
    pub(crate) full_name: Option<String>,
    /// Number of the account on every node; files keep their old one
    #[arg(long)]
    pub(crate) uid: Option<u32>,
    /// Whether nodes may have the account at all
    #[arg(long, value_name = "true|false")]
    pub(crate) node_access: Option<bool>,
    /// Whether it may log in to all nodes
    #[arg(long, value_name = "true|false")]
    pub(crate) node_user: Option<bool>,
    /// Whether it may log in to all nodes and become root there
    #[arg(long, value_name = "true|false")]
    pub(crate) node_admin: Option<bool>,
    /// Whether it may do everything on the server
    #[arg(long, value_name = "true|false")]
    pub(crate) administrator: Option<bool>,
    /// Whether it may hear the messages of nodes and send some of its own, over AMQP
    #[arg(long, value_name = "true|false")]
    pub(crate) plugin: Option<bool>,
}

#[derive(Debug, Subcommand)]
#[command(rename_all = "snake_case")]
pub(crate) enum UserKey {
    /// Add a public key
    #[command(after_help = "Example:\n  cyclecloud user key add alice ~/.ssh/id_ed25519.pub")]
    Add {
        /// Name of the account
        name: String,
        /// File with one public key; - is stdin
        file: PathBuf,
    },
    /// Remove a public key
    #[command(
        after_help = "Example:\n  cyclecloud user key remove alice SHA256:uNiVztksCsDhcc0u9e8BrrJXVGWeiqKmFTBUMFwgnOE"
    )]
    Remove {
        /// Name of the account
        name: String,
        /// As `user show` prints it
        fingerprint: String,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_every_argument_has_help() {
        Cli::command().debug_assert();
        fn check(command: &clap::Command) {
            for argument in command.get_arguments() {
                assert!(
                    argument.get_help().is_some() || argument.is_global_set(),
                    "{} {argument}",
                    command.get_name()
                );
            }
            let is_leaf = command.get_subcommands().next().is_none();
            assert!(
                !is_leaf
                    || command
                        .get_after_help()
                        .is_some_and(|help| help.to_string().contains("Example")),
                "{} has no example",
                command.get_name()
            );
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }
}
