//! One action of one resource while it is applied.

use std::path::PathBuf;

use serde_json::Value;

use super::catalogue::{Default, Kind};
use super::error::{Cause, Failure};
use super::machine::Machine;
use super::request::{Report, Request};
use super::runner::{Options, Shared, perform};

/// What a resource gets to do its work: the request, the machine, and the report to write.
pub(crate) struct Act<'a> {
    pub(crate) request: &'a Request,
    pub(crate) kind: &'static Kind,
    pub(crate) action: &'a str,
    pub(crate) machine: &'a Machine,
    pub(crate) options: &'a Options,
    pub(crate) shared: &'a Shared,
    pub(crate) report: Report,
}

impl<'a> Act<'a> {
    pub(crate) fn new(
        request: &'a Request,
        kind: &'static Kind,
        action: &'a str,
        machine: &'a Machine,
        options: &'a Options,
        shared: &'a Shared,
    ) -> Self {
        Self {
            request,
            kind,
            action,
            machine,
            options,
            shared,
            report: Report::default(),
        }
    }

    pub(crate) fn into_report(self) -> Report {
        self.report
    }

    /// Records a change, and says whether to make it: not under dry run.
    #[must_use = "a change is made only when this says so"]
    pub(crate) fn will(&mut self, sentence: impl Into<String>) -> bool {
        self.report.updated = true;
        self.report.changes.push(sentence.into());
        !self.options.dry_run
    }

    /// As [`Act::will`], for a change that is made of several sentences.
    #[must_use = "a change is made only when this says so"]
    pub(crate) fn will_all(&mut self, sentences: Vec<String>) -> bool {
        self.report.updated |= !sentences.is_empty();
        self.report.changes.extend(sentences);
        !self.options.dry_run
    }

    /// Something does not hold but is no failure.
    pub(crate) fn warn(&mut self, text: impl Into<String>) {
        self.report.warnings.push(text.into());
    }

    /// Under dry run what an earlier resource would have made is not there: that is no failure then, but a warning.
    pub(crate) fn assume(&mut self, failure: impl Into<Failure>) -> Result<(), Failure> {
        let failure = failure.into();
        if !self.options.dry_run {
            return Err(failure);
        }
        let cause = failure.cause;
        self.warn(format!(
            "assuming that an earlier resource would have helped: {cause}"
        ));
        Ok(())
    }

    /// Does what another request asks, as a part of this one.
    pub(crate) fn apply(&mut self, request: &Request) -> Result<(), Failure> {
        let report = perform(request, self.machine, self.options, self.shared).map_err(Cause::Within)?;
        self.report.updated |= report.updated;
        self.report.changes.extend(report.changes);
        self.report.warnings.extend(report.warnings);
        if let Some(diff) = report.diff {
            self.report.diff.get_or_insert_default().push_str(&diff);
        }
        Ok(())
    }

    /// Whether contents and commands are kept out of the report. What programs say about users is needed to find a
    /// fault, and never holds their passwords.
    pub(crate) fn is_sensitive(&self) -> bool {
        let mut secrets = self.kind.properties.iter().filter(|property| property.sensitive);
        self.flag("sensitive")
            || (self.kind.name != "user" && secrets.any(|property| self.set(property.name).is_some()))
    }

    /// The value that the recipe set.
    pub(crate) fn set(&self, name: &str) -> Option<&'a Value> {
        let request = self.request;
        let get = |name: &str| request.properties.get(name).filter(|value| !value.is_null());
        get(name).or_else(|| {
            let property = self.kind.property(name)?;
            property.aliases.iter().find_map(|alias| get(alias))
        })
    }

    /// The value that the recipe set, else the default.
    pub(crate) fn value(&self, name: &str) -> Option<Value> {
        debug_assert!(
            self.kind.property(name).is_some(),
            "{} has no {name}",
            self.kind.name
        );
        match self.set(name) {
            Some(value) => Some(value.clone()),
            None => match self.kind.property(name)?.default {
                Default::Name => Some(Value::from(self.request.name.as_str())),
                default => default.value(),
            },
        }
    }

    /// A text; numbers are written out.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        text_of(&self.value(name)?)
    }

    /// A text that the catalogue has a default for, or requires.
    pub(crate) fn need(&self, name: &'static str) -> Result<String, Failure> {
        self.text(name).ok_or_else(|| Failure::missing(name))
    }

    /// `true` or `false`; false when it is not set and has no default.
    pub(crate) fn flag(&self, name: &str) -> bool {
        match self.set(name) {
            Some(Value::Bool(value)) => *value,
            Some(Value::String(text)) => matches!(text.as_str(), "true" | "yes" | "1"),
            Some(_) => true,
            None => matches!(
                self.kind.property(name).map(|property| property.default),
                Some(Default::Boolean(true))
            ),
        }
    }

    /// A number; a text that is one is taken too.
    pub(crate) fn number(&self, name: &'static str) -> Result<Option<i64>, Failure> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Number(number)) => Ok(number
                .as_i64()
                .or_else(|| number.as_f64().map(|float| float as i64))),
            Some(Value::String(text)) => match text.trim().parse() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(Failure::invalid(name, format!("`{text}` is no number"))),
            },
            Some(other) => Err(Failure::invalid(name, format!("{other} is no number"))),
        }
    }

    /// A list; one text is a list of it.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        match self.value(name) {
            Some(Value::Array(values)) => values.iter().filter_map(text_of).collect(),
            Some(value) => text_of(&value).into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// A list; one text is split at its commas.
    pub(crate) fn comma_list(&self, name: &str) -> Vec<String> {
        let list = self.list(name);
        let names = list.iter().flat_map(|text| text.split(',')).map(str::trim);
        names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }

    /// Names with values as texts.
    pub(crate) fn pairs(&self, name: &str) -> Vec<(String, String)> {
        let Some(Value::Object(map)) = self.value(name) else {
            return Vec::new();
        };
        let text = |value: &Value| text_of(value).unwrap_or_default();
        map.iter()
            .map(|(name, value)| (name.clone(), text(value)))
            .collect()
    }

    /// Where a path of the machine is that a property holds. It must be absolute.
    pub(crate) fn path(&self, name: &'static str) -> Result<PathBuf, Failure> {
        let path = self.need(name)?;
        if !path.starts_with('/') {
            return Err(Failure::invalid(
                name,
                format!("`{path}` is not an absolute path"),
            ));
        }
        Ok(self.machine.path(path))
    }

    /// Refuses to go on where there is no running system to talk to.
    pub(crate) fn need_live(&self) -> Result<(), Failure> {
        if self.machine.is_live() {
            return Ok(());
        }
        let what = self.kind.name;
        Err(Cause::Unsupported(format!(
            "`{what}` needs the running system, not a folder in its place"
        ))
        .into())
    }
}

/// A value as text; none for null, lists and hashes.
pub(crate) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
