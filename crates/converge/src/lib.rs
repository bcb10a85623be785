//! Brings a machine to the state that its projects describe.
//!
//! A converge is a [`Session`] of phases: projects are downloaded and unpacked ([`Plan`]), then their
//! scripts are run, each once. Whoever wants to know of it implements [`Reporter`]; what became of
//! it stands in the [`Ledger`]. A crash at any instant leaves a state from which the next session
//! reaches the same end.
//!
//! The crate must not know that a server exists: it gets specs and lockers, and reports to whom it
//! is told.

mod failure;
mod files;
mod flusher;
mod history;
mod ledger;
mod leftovers;
mod markers;
mod meter;
mod plan;
mod preview;
mod recipes;
mod report;
pub mod resource;
mod script;
mod scripts;
mod session;
mod stage;
mod steps;
mod sync;

pub use history::History;
pub use ledger::{Ledger, Status};
pub use plan::{Options, Plan};
pub use preview::{ChangeKind, FileChange, Preview, ScriptPreview, SpecChange, SpecPreview};
pub use recipes::{CHEF_FOLDER, Recipes, RecipesError, Wanted};
pub use report::{Event, Progress, Reporter, SkipReason};
pub use script::{Folder, Script, environment};
pub use session::{BeginError, ConvergeError, Session};
