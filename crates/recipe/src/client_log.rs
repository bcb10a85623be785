//! The log that users of Chef read: `logs/chef-client.log`.
//!
//! The form is that of chef-client's documentation formatter: a line for each resource and action, what was changed below it,
//! and in parentheses why nothing was. Messages are lines with time and level.

use std::io::Write;
use std::sync::Arc;

use converge::resource::Report;
use node::clock::Clock;

use crate::error::RecipeError;
use crate::event::{Event, Level, Observer};

/// Indentation ends there: deeper it tells a reader nothing.
const DEEPEST: usize = 40;

/// Room that is kept for the next event.
const KEPT: usize = 64 << 10;

/// Writes what happens.
pub struct ClientLog<W> {
    to: W,
    /// What an event says, written at its end in one piece.
    pending: Vec<u8>,
    clock: Arc<dyn Clock>,
    recipe: String,
    /// Whether output of code ended without a line end.
    open_line: bool,
    updated: usize,
    total: usize,
}

impl<W> std::fmt::Debug for ClientLog<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientLog").finish_non_exhaustive()
    }
}

impl<W: Write> ClientLog<W> {
    /// Writes to a file or to somebody's screen. What cannot be written is lost: a full disk must not stop a converge.
    pub fn new(to: W, clock: Arc<dyn Clock>) -> Self {
        Self {
            to,
            pending: Vec::new(),
            clock,
            recipe: String::new(),
            open_line: false,
            updated: 0,
            total: 0,
        }
    }

    fn line(&mut self, depth: usize, text: &str) {
        if std::mem::take(&mut self.open_line) {
            self.pending.push(b'\n');
        }
        for line in text.lines() {
            for _ in 0..depth.min(DEEPEST) {
                self.pending.extend_from_slice(b"  ");
            }
            self.pending.extend_from_slice(line.as_bytes());
            self.pending.push(b'\n');
        }
    }

    fn of_recipe(&mut self, depth: usize, recipe: &str) {
        if depth == 0 && self.recipe != recipe {
            recipe.clone_into(&mut self.recipe);
            self.line(0, &format!("Recipe: {recipe}"));
        }
    }

    fn message(&mut self, level: Level, text: &str) {
        let level = match level {
            Level::Debug => "DEBUG",
            Level::Info => "INFO",
            Level::Warn => "WARN",
            Level::Error => "ERROR",
        };
        let now = self.clock.now().strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string();
        self.line(0, &format!("[{now}] {level}: {text}"));
    }

    fn applied(&mut self, depth: usize, resource: &str, action: &str, report: &Report) {
        self.total += 1;
        if !report.updated {
            self.line(depth + 1, &format!("* {resource} action {action} (up to date)"));
            return self.details(depth, report);
        }
        self.updated += 1;
        self.line(depth + 1, &format!("* {resource} action {action}"));
        for change in &report.changes {
            self.line(depth + 2, &format!("- {change}"));
        }
        if let Some(diff) = &report.diff {
            self.line(depth + 2, diff);
        }
        self.details(depth, report);
    }

    fn details(&mut self, depth: usize, report: &Report) {
        for warning in &report.warnings {
            self.line(depth + 2, &format!("! {warning}"));
        }
    }

    fn failed(&mut self, error: &RecipeError) {
        let rule = "=".repeat(80);
        let mut text = format!("\n{rule}\n");
        match error {
            RecipeError::Failed(failure) => {
                match &failure.resource {
                    Some(resource) => text.push_str(&format!("Error executing action on {resource}\n")),
                    None => text.push_str("Recipe Compile Error\n"),
                }
                text.push_str(&format!(
                    "{rule}\n\n{}\n{}\n",
                    failure.class,
                    "-".repeat(failure.class.len())
                ));
                text.push_str(&format!("{}\n", failure.message.trim_end()));
                if let Some(declared) = &failure.declared {
                    text.push_str(&format!(
                        "\nResource Declaration:\n---------------------\n# In {declared}\n"
                    ));
                }
                if !failure.backtrace.is_empty() {
                    text.push_str("\nCookbook Trace: (most recent call first)\n----------------------------------------\n");
                    for line in failure.backtrace.iter().take(15) {
                        text.push_str(&format!("  {line}\n"));
                    }
                }
            }
            other => text.push_str(&format!("{other}\n")),
        }
        self.line(0, &text);
        let (updated, total) = (self.updated, self.total);
        self.line(0, &format!("\nRun failed: {updated}/{total} resources updated"));
    }
}

impl<W: Write + Send + Sync> Observer for ClientLog<W> {
    fn observe(&mut self, event: &Event<'_>) {
        match event {
            Event::Phase("compile") => self.line(0, "Compiling cookbooks..."),
            Event::Phase("deferred") => self.line(0, "Running deferred blocks..."),
            Event::Phase(_) => self.line(0, "Converging resources"),
            Event::Message(level, text) => self.message(*level, text),
            Event::Output(bytes) => {
                self.pending.extend_from_slice(bytes);
                self.open_line = bytes.last().is_some_and(|last| *last != b'\n');
            }
            Event::Applied {
                depth,
                recipe,
                resource,
                action,
                report,
                ..
            } => {
                self.of_recipe(*depth, recipe);
                self.applied(*depth, resource, action, report);
            }
            Event::Begun {
                depth,
                recipe,
                resource,
                action,
            } => {
                self.of_recipe(*depth, recipe);
                self.line(depth + 1, &format!("* {resource} action {action}"));
            }
            Event::Change { depth, lines } => {
                for line in *lines {
                    self.line(depth + 1, &format!("- {line}"));
                }
            }
            Event::Ended { depth, updated, .. } => {
                self.total += 1;
                self.updated += usize::from(*updated);
                if !updated {
                    self.line(depth + 2, "(up to date)");
                }
            }
            Event::Skipped {
                depth,
                recipe,
                resource,
                action,
                why,
            } => {
                self.of_recipe(*depth, recipe);
                let why = match *why {
                    "action :nothing" => "skipped due to action :nothing".to_owned(),
                    guard => format!("skipped due to {guard}"),
                };
                self.line(depth + 1, &format!("* {resource} action {action} ({why})"));
            }
            Event::Retried {
                depth,
                resource,
                attempt,
                retries,
                message,
            } => {
                let text = format!(
                    "* {resource} failed (try {attempt} of {}): {message}; retrying",
                    retries + 1
                );
                self.line(depth + 1, &text);
            }
            Event::Ignored {
                depth,
                resource,
                action,
                message,
            } => {
                let text = format!(
                    "* {resource} action {action} failed: {message}; ignore_failure is set, continuing"
                );
                self.line(depth + 1, &text);
            }
            Event::Failed(error) => self.failed(error),
            Event::Rebooting(reason) => {
                let (updated, total) = (self.updated, self.total);
                let text = format!("\nRebooting: {reason}\nRun ended, {updated}/{total} resources updated");
                self.line(0, &text);
            }
            Event::Finished => {
                let (updated, total) = (self.updated, self.total);
                self.line(0, &format!("\nRun finished, {updated}/{total} resources updated"));
            }
        }
        let _ = self.to.write_all(&self.pending).and_then(|()| self.to.flush());
        self.pending.clear();
        self.pending.shrink_to(KEPT);
    }
}
