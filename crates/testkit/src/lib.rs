//! For tests only: a whole site in a scratch folder, and waiting for conditions.
//!
//! Everything here runs the real programs, as a user would, and fails the test with the reason when something is not
//! as it should be. It knows the programs by their command lines and files alone, and none of our crates.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failure here is a failed test"
)]

mod booted;
mod emulator;
mod http;
mod metadata;
mod process;
mod projects;
mod proxy;
mod rabbitmq;
mod site;
mod wait;

pub use booted::in_booted_machine;
pub use emulator::{AZURE_ACCOUNT, AZURE_KEY, AZURE_SAS, Azure, Gcs, S3, S3_KEY_ID, S3_SECRET};
pub use http::{Answer, get, request};
pub use metadata::{Cloud, FakeMetadata, Mood, azure_document, refusing_url};
pub use process::{Program, Run, alive, kill_hard, program, run};
pub use projects::Project;
pub use proxy::{Fault, Proxy};
pub use rabbitmq::RabbitMq;
pub use site::{Node, Site};
pub use wait::{PATIENCE, wait_for};
