//! Messages and REST models shared by nodes, server and tools.
//!
//! Everything that crosses the network has its one definition here: the message [`Envelope`] of
//! both transports, the node configuration that answers `GET /clusterlink/userdata/ID`, the
//! commands that the server sends to nodes, the AMQP names, and the bodies of the REST calls.
//!
//! The crate holds plain data with serde. It must not know how any of it is sent, stored or acted
//! upon: no sockets, no files, no clocks.

mod command;
mod configuration;
mod envelope;
mod event;
mod ids;
mod message;
mod report;
pub mod rest;
mod secret;
mod tail;
pub mod topology;
mod tree;

pub use command::{Command, CommandKind};
pub use configuration::{Amqp, ClusterInitSpec, LockerRef, NodeConfiguration, NodeUser, Transport};
pub use envelope::{Envelope, MessageType, Messages};
pub use event::{Event, Level, Priority, WordError};
pub use ids::{IdError, check_name};
pub use message::{
    ConvergeFailure, ConvergeStep, Heartbeat, Installation, InstallationStatus, Log, Phase, RecipesReport,
    Shutdown, ShutdownCause, ShutdownPolicy, SlowResource, StepState,
};
pub use report::{
    AUTOSCALE_EXPIRATION, Autoscale, Condition, ConditionStatus, Custom, CustomError, DEFAULT_ARRAY,
    IssueUpload, Properties, STANDARD_REQUEST_SET, TestFailure, TestReport,
};
pub use secret::NewSecret;
pub use tail::PassingMessage;
pub use tree::{lookup, merge, set_dotted};
