//! The kinds, one file for each family.

mod access;
mod alternatives;
mod archive;
mod ark;
mod cron;
mod cyclecloud;
mod directory;
mod execute;
mod file;
mod git;
mod group;
mod hosts;
mod line;
mod link;
mod log;
mod mount;
pub(crate) mod package;
mod remote;
mod remote_directory;
mod repository;
mod route;
mod service;
mod signals;
mod system;
mod systemd_unit;
mod user;
mod yum_repository;

use super::act::Act;
use super::catalogue::Kind;
use super::error::Failure;

/// A kind and what applies it.
pub(crate) struct Definition {
    pub(crate) kind: Kind,
    pub(crate) run: fn(&mut Act<'_>) -> Result<(), Failure>,
}

/// All of them.
pub(crate) const ALL: &[&Definition] = &[
    &access::CRON_ACCESS,
    &access::SUDO,
    &access::USER_ULIMIT,
    &alternatives::ALTERNATIVES,
    &archive::ARCHIVE_FILE,
    &ark::ARK,
    &cron::CRON,
    &cron::CRON_D,
    &cyclecloud::EXPORT,
    &cyclecloud::MOUNT,
    &directory::DIRECTORY,
    &execute::BASH,
    &execute::CSH,
    &execute::EXECUTE,
    &execute::KSH,
    &execute::PERL,
    &execute::POWERSHELL_SCRIPT,
    &execute::PYTHON,
    &execute::RUBY,
    &execute::SCRIPT,
    &execute::SH,
    &file::COOKBOOK_FILE,
    &file::FILE,
    &file::TEMPLATE,
    &git::GIT,
    &group::GROUP,
    &hosts::HOSTSFILE_ENTRY,
    &hosts::SSH_KNOWN_HOSTS_ENTRY,
    &line::ADD_TO_LIST,
    &line::APPEND_IF_NO_LINE,
    &line::DELETE_FROM_LIST,
    &line::DELETE_LINES,
    &line::FILTER_LINES,
    &line::REPLACE_OR_ADD,
    &link::LINK,
    &log::LOG,
    &mount::MOUNT,
    &mount::SWAP_FILE,
    &package::APT_PACKAGE,
    &package::CHEF_GEM,
    &package::DNF_PACKAGE,
    &package::DPKG_PACKAGE,
    &package::GEM_PACKAGE,
    &package::PYTHON_PACKAGE,
    &package::RPM_PACKAGE,
    &package::YUM_PACKAGE,
    &package::ZYPPER_PACKAGE,
    &remote::HTTP_REQUEST,
    &remote::REMOTE_FILE,
    &remote_directory::REMOTE_DIRECTORY,
    &repository::APT_PREFERENCE,
    &repository::APT_REPOSITORY,
    &repository::APT_UPDATE,
    &yum_repository::YUM_REPOSITORY,
    &yum_repository::ZYPPER_REPOSITORY,
    &route::ROUTE,
    &service::SERVICE,
    &signals::BREAKPOINT,
    &signals::CHEF_SLEEP,
    &signals::NOTIFY_GROUP,
    &signals::OHAI,
    &signals::REBOOT,
    &signals::RUBY_BLOCK,
    &system::HOSTNAME,
    &system::KERNEL_MODULE,
    &system::LOCALE,
    &system::SELINUX_STATE,
    &system::SYSCTL,
    &system::TIMEZONE,
    &systemd_unit::SYSTEMD_UNIT,
    &user::USER,
];
