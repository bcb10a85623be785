//! One module for each group of commands.

mod blobs;
mod clusters;
mod events;
mod fetch;
mod initialize;
mod lockers;
mod manage;
mod messages;
mod nodes;
mod project;
mod project_test;
mod users;
mod wait;

use crate::cli::{Cli, ClusterCommand, Command};
use crate::client::Client;
use crate::config::Config;

/// Does what the command line says.
pub(crate) async fn run(cli: Cli) -> anyhow::Result<()> {
    let config = Config::read(cli.config.as_deref())?;
    let client = || Client::new(config.require_server()?);
    match cli.command {
        Command::Initialize(args) => initialize::run(config, args).await,
        Command::Project(command) => project::run(config, command).await,
        Command::Locker(command) => lockers::run(&config, command).await,
        Command::ImportCluster(args) => clusters::import(&client()?, args).await,
        Command::StartCluster(args) => clusters::start(&client()?, &args.cluster, args.test).await,
        Command::TerminateCluster(args) => clusters::terminate(&client()?, &args.cluster).await,
        Command::DeleteCluster(args) => manage::delete_cluster(&client()?, &args).await,
        Command::Cluster(ClusterCommand::Wait(args)) => wait::run(&client()?, &args).await,
        Command::AddNode(args) => manage::add(&client()?, args).await,
        Command::StartNode(args) => manage::nodes(&client()?, manage::Action::Start, args).await,
        Command::TerminateNode(args) => manage::nodes(&client()?, manage::Action::Terminate, args).await,
        Command::DeallocateNode(args) => manage::nodes(&client()?, manage::Action::Deallocate, args).await,
        Command::RemoveNode(args) => manage::nodes(&client()?, manage::Action::Remove, args).await,
        Command::RebootNode(args) => manage::nodes(&client()?, manage::Action::Restart, args).await,
        Command::ReimageNode(args) => manage::nodes(&client()?, manage::Action::Reimage, args).await,
        Command::Retry(args) => clusters::retry(&client()?, &args.cluster).await,
        Command::ShowCluster(args) => clusters::show(&client()?, args).await,
        Command::ShowNodes(args) => nodes::show(&client()?, args).await,
        Command::Issues { cluster } => nodes::issues(&client()?, cluster.as_deref()).await,
        Command::User(command) => users::run(&client()?, command).await,
        Command::Messages(command) => messages::run(&client()?, command).await,
        Command::Events(args) => events::show(&client()?, args).await,
    }
}
