//! Cluster templates: text in, model out, no input or output of its own.
//!
//! [`parse`] reads the text format of cluster templates, [`resolve`] applies parameters and inheritance
//! and gives the [`ClusterDefinition`] that the server works from. Both accept the whole text or refuse it
//! with the file, line and column of the first thing that is wrong. The module must not know the store,
//! providers or nodes that run.

mod amend;
mod definition;
mod error;
mod expression;
mod inherit;
mod lexer;
mod parameters;
mod parser;
mod resolve;
mod suggest;
mod syntax;
mod value;

#[cfg(test)]
mod tests;

pub use amend::{AmendError, amend, derive};
pub use definition::{ArrayDefinition, ClusterDefinition, NodeDefinition, SpecReference};
pub use error::{Position, TemplateError};
pub use expression::{Filter, FilterError};
pub use parser::parse;
pub use resolve::resolve;
pub use syntax::{Attribute, Kind, Operator, Section, Template};
