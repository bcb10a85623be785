//! Running the tests of the node's projects, for `jetpack test`.

mod discover;
mod junit;
mod results;
mod run;

pub(crate) use discover::{Spec, specs};
pub(crate) use junit::document;
pub(crate) use results::{Case, Outcome, SpecResult};
pub(crate) use run::{Run, run_spec};
