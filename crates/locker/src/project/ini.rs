//! `project.ini`. Brackets nest in it, which a stock INI parser does not know.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use protocol::check_name;

/// What a project is when its author does not say.
const DEFAULT_KIND: &str = "application";
/// The version of a project whose author does not say.
const DEFAULT_VERSION: &str = "1.0.0";

/// What a `project.ini` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProjectIni {
    /// `[project] name`
    pub name: String,
    /// `[project] label`: the name for people.
    pub label: Option<String>,
    /// `[project] type`: `application`, `scheduler`, or any other word.
    pub kind: String,
    /// `[project] version`
    pub version: String,
    /// `[project] autoupgrade`
    pub autoupgrade: bool,
    /// `[blobs] Files` of all sections of that kind: paths below `blobs/`, wildcards allowed.
    pub blobs: Vec<String>,
    /// `[spec NAME]`
    pub specs: BTreeMap<String, Spec>,
    /// `[config KEY]`
    pub config: Vec<ConfigParameter>,
    /// Sections of kinds that have no meaning here, as they are.
    pub others: Vec<Section>,
}

/// `[spec NAME]`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spec {
    /// Chef run list.
    pub run_list: Vec<String>,
}

/// `[config KEY]`: a setting that the project offers, for user interfaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigParameter {
    /// The setting.
    pub key: String,
    /// `Label`, `Required`, `DefaultValue` and so on, as written.
    pub attributes: Vec<(String, String)>,
    /// `[[record …]]` and `[[[[list …]]]]` below it, as they are.
    pub sections: Vec<Section>,
}

/// A section as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Number of brackets.
    pub rank: usize,
    /// First word, as written.
    pub kind: String,
    /// The rest of the header; may be empty.
    pub name: String,
    /// Line of the header, from 1.
    pub line: usize,
    /// Its keys.
    pub entries: Vec<Entry>,
}

/// One key of a [`Section`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// As written.
    pub key: String,
    /// Without quotes and comment.
    pub value: String,
    /// Line of the key, from 1.
    pub line: usize,
}

/// A `project.ini` that cannot be read or understood.
#[derive(Debug, thiserror::Error)]
pub enum IniError {
    /// The system refused.
    #[error("cannot read `{path}`", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It says something that makes no sense.
    #[error("{path}:{line}: {problem}", path = path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
}

struct Problem {
    line: usize,
    problem: String,
}

fn problem(line: usize, problem: impl Into<String>) -> Problem {
    Problem {
        line,
        problem: problem.into(),
    }
}

impl ProjectIni {
    /// Reads `PROJECT/project.ini`.
    ///
    /// # Errors
    /// [`IniError`], with file and line.
    pub fn read(path: &Path) -> Result<Self, IniError> {
        let text = std::fs::read_to_string(path).map_err(|source| IniError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text, path)
    }

    /// Understands the text of a `project.ini`; `path` is for errors.
    ///
    /// # Errors
    /// [`IniError::Syntax`], with file and line.
    pub fn parse(text: &str, path: &Path) -> Result<Self, IniError> {
        sections(text)
            .and_then(Self::from_sections)
            .map_err(|Problem { line, problem }| IniError::Syntax {
                path: path.to_owned(),
                line,
                problem,
            })
    }

    fn from_sections(sections: Vec<Section>) -> Result<Self, Problem> {
        let mut ini = Self {
            kind: DEFAULT_KIND.to_owned(),
            version: DEFAULT_VERSION.to_owned(),
            ..Self::default()
        };
        let mut project_line = None;
        let mut within_config = false;
        for section in sections {
            let kind = section.kind.to_ascii_lowercase();
            let nested = within_config && section.rank > 1;
            within_config = kind == "config" || nested && matches!(kind.as_str(), "record" | "list");
            match kind.as_str() {
                "project" => {
                    project_line = Some(section.line);
                    ini.project(section)?;
                }
                "blobs" => {
                    for entry in section.entries.iter().filter(|entry| entry.is("files")) {
                        for file in list(&entry.value) {
                            crate::path::check(&file)
                                .map_err(|error| problem(entry.line, error.to_string()))?;
                            if !ini.blobs.contains(&file) {
                                ini.blobs.push(file);
                            }
                        }
                    }
                }
                "spec" => {
                    check_name("spec", &section.name)
                        .map_err(|error| problem(section.line, error.to_string()))?;
                    let spec = ini.specs.entry(section.name).or_default();
                    for entry in section.entries.iter().filter(|entry| entry.is("run_list")) {
                        spec.run_list = list(&entry.value);
                    }
                }
                "config" => ini.config.push(ConfigParameter {
                    key: section.name,
                    attributes: section
                        .entries
                        .into_iter()
                        .map(|entry| (entry.key, entry.value))
                        .collect(),
                    sections: Vec::new(),
                }),
                _ => match ini.config.last_mut() {
                    Some(config) if nested && within_config => config.sections.push(section),
                    _ => ini.others.push(section),
                },
            }
        }
        match project_line {
            None => Err(problem(1, "there is no section `[project]`")),
            Some(line) if ini.name.is_empty() => Err(problem(line, "`[project]` has no `name`")),
            Some(_) => Ok(ini),
        }
    }

    fn project(&mut self, section: Section) -> Result<(), Problem> {
        for entry in section.entries {
            let check = |what, name: &str| {
                check_name(what, name).map_err(|error| problem(entry.line, error.to_string()))
            };
            match entry.key.to_ascii_lowercase().as_str() {
                "name" => {
                    check("project", &entry.value)?;
                    self.name = entry.value;
                }
                "version" => {
                    check("version", &entry.value)?;
                    if entry.value == "blobs" {
                        return Err(problem(entry.line, "the version cannot be `blobs`"));
                    }
                    self.version = entry.value;
                }
                "label" => self.label = Some(entry.value).filter(|label| !label.is_empty()),
                "type" if !entry.value.is_empty() => self.kind = entry.value,
                "autoupgrade" => {
                    self.autoupgrade = matches!(
                        entry.value.to_ascii_lowercase().as_str(),
                        "true" | "yes" | "on" | "1"
                    );
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Entry {
    fn is(&self, key: &str) -> bool {
        self.key.eq_ignore_ascii_case(key)
    }
}

/// `a, b` with or without quotes; empty members do not count.
fn list(value: &str) -> Vec<String> {
    value
        .split([',', '\n'])
        .map(|member| unquote(member.trim()).to_owned())
        .filter(|member| !member.is_empty())
        .collect()
}

fn sections(text: &str) -> Result<Vec<Section>, Problem> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    let mut sections: Vec<Section> = Vec::new();
    while let Some((number, line)) = lines.next() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if trimmed.starts_with('[') {
            sections.push(header(strip_comment(trimmed), number)?);
            continue;
        }
        let Some(section) = sections.last_mut() else {
            return Err(problem(number, format!("`{trimmed}` is in no section")));
        };
        let indented = line.starts_with([' ', '\t']);
        if let Some((key, operator, value)) = assignment(trimmed) {
            let value = match operator {
                ":=" => expression(value, number, &mut lines)?,
                _ => plain(value, number, &mut lines)?,
            };
            section.entries.push(Entry {
                key: key.to_owned(),
                value,
                line: number,
            });
        } else if let Some(entry) = section.entries.last_mut().filter(|_| indented) {
            // The rest of a value, as configparser takes it.
            entry.value.push('\n');
            entry.value.push_str(strip_comment(trimmed));
        } else {
            return Err(problem(
                number,
                format!("`{trimmed}` is neither a section nor `key = value`"),
            ));
        }
    }
    Ok(sections)
}

fn header(text: &str, line: usize) -> Result<Section, Problem> {
    let rank = text.len() - text.trim_start_matches('[').len();
    let closing = text.len() - text.trim_end_matches(']').len();
    if rank != closing {
        return Err(problem(
            line,
            format!("`{text}` has {rank} opening and {closing} closing brackets"),
        ));
    }
    let inner = text.trim_start_matches('[').trim_end_matches(']').trim();
    let (kind, name) = inner.split_once(char::is_whitespace).unwrap_or((inner, ""));
    if kind.is_empty() {
        return Err(problem(line, format!("`{text}` has no name")));
    }
    Ok(Section {
        rank,
        kind: kind.to_owned(),
        name: unquote(name.trim()).to_owned(),
        line,
        entries: Vec::new(),
    })
}

/// Key, `=` or `:=`, and what follows.
fn assignment(line: &str) -> Option<(&str, &str, &str)> {
    let equals = line.find('=')?;
    let (key, operator) = match line[..equals].strip_suffix(':') {
        Some(key) => (key, ":="),
        None => (&line[..equals], "="),
    };
    let key = key.trim();
    // `file=1.tgz` after a comma is a member of a list, not a key; so is anything with a blank first.
    (!key.is_empty() && !key.contains(',')).then(|| (key, operator, line[equals + 1..].trim()))
}

fn plain<'a>(
    value: &str,
    line: usize,
    lines: &mut impl Iterator<Item = (usize, &'a str)>,
) -> Result<String, Problem> {
    for quotes in ["'''", "\"\"\""] {
        let Some(rest) = value.strip_prefix(quotes) else {
            continue;
        };
        let mut text = rest.to_owned();
        loop {
            if let Some(end) = text.find(quotes) {
                text.truncate(end);
                return Ok(text);
            }
            let Some((_, more)) = lines.next() else {
                return Err(problem(line, format!("{quotes} is never closed")));
            };
            text.push('\n');
            text.push_str(more);
        }
    }
    Ok(unquote(strip_comment(value)).to_owned())
}

/// A ClassAd expression, kept as text. It goes on until its brackets are closed.
fn expression<'a>(
    value: &str,
    line: usize,
    lines: &mut impl Iterator<Item = (usize, &'a str)>,
) -> Result<String, Problem> {
    let mut text = value.to_owned();
    while open_brackets(&text) > 0 {
        let Some((_, more)) = lines.next() else {
            return Err(problem(line, "the brackets of this expression are never closed"));
        };
        text.push('\n');
        text.push_str(more);
    }
    Ok(text)
}

fn open_brackets(text: &str) -> isize {
    let mut open = 0;
    let mut quote = None;
    let mut escaped = false;
    for c in text.chars() {
        match quote {
            _ if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(end) if c == end => quote = None,
            Some(_) => {}
            None => match c {
                '"' | '\'' => quote = Some(c),
                '{' | '[' | '(' => open += 1,
                '}' | ']' | ')' => open -= 1,
                _ => {}
            },
        }
    }
    open
}

/// Takes ` # …` away, unless it is within quotes.
fn strip_comment(value: &str) -> &str {
    let mut quote = None;
    let mut before = ' ';
    for (index, c) in value.char_indices() {
        match quote {
            Some(end) if c == end => quote = None,
            Some(_) => {}
            None if c == '#' && before.is_whitespace() => return value[..index].trim_end(),
            // An apostrophe within a word is none.
            None if matches!(c, '"' | '\'')
                && !before.is_alphanumeric()
                && value[index + 1..].contains(c) =>
            {
                quote = Some(c);
            }
            None => {}
        }
        before = c;
    }
    value.trim_end()
}

fn unquote(value: &str) -> &str {
    ['"', '\'']
        .iter()
        .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote))
        .unwrap_or(value)
}

#[cfg(test)]
#[path = "ini_tests.rs"]
mod tests;
