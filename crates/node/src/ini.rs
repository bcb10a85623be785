//! INI files that people edit: `[section]`, `key = value`, whole-line comments with `#` or `;`.
//!
//! What is not changed is written back as it was read: comments, order, blank lines, unknown keys.
//! Sections are case-sensitive, keys are not.

use std::fmt;

/// A line that has no meaning in an INI file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {problem}")]
pub struct IniError {
    /// The file, as given to [`Ini::parse`].
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// What is wrong.
    pub problem: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Line {
    /// Comments and blank lines, as written.
    Other(String),
    Section(String, String),
    Entry {
        text: String,
        section: String,
        key: String,
        value: String,
        number: usize,
    },
}

/// The content of an INI file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ini {
    lines: Vec<Line>,
}

/// One setting, as found in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The section that it is in.
    pub section: &'a str,
    /// As written.
    pub key: &'a str,
    /// Without the blanks around it.
    pub value: &'a str,
    /// Counted from 1; 0 when it was set since.
    pub line: usize,
}

impl Ini {
    /// Reads the text of an INI file; `file` names it in errors.
    ///
    /// # Errors
    /// At the first line that is neither section, `key = value` nor comment, is a key before the first
    /// section, or sets a key again.
    pub fn parse(file: &str, text: &str) -> Result<Self, IniError> {
        let mut ini = Self::default();
        let mut section: Option<String> = None;
        for (index, written) in text.lines().enumerate() {
            let number = index + 1;
            let wrong = |problem: String| IniError {
                file: file.to_owned(),
                line: number,
                problem,
            };
            // Editors of other systems put a mark in front of the first line.
            let line = written.trim_start_matches('\u{feff}').trim();
            if line.is_empty() || line.starts_with(['#', ';']) {
                ini.lines.push(Line::Other(written.to_owned()));
            } else if let Some(rest) = line.strip_prefix('[') {
                let name = rest
                    .strip_suffix(']')
                    .map(str::trim)
                    .filter(|name| !name.is_empty() && !name.contains(['[', ']']))
                    .ok_or_else(|| wrong(format!("`{line}` is not a section; expected `[name]`")))?;
                section = Some(name.to_owned());
                ini.lines.push(Line::Section(written.to_owned(), name.to_owned()));
            } else {
                let (key, value) = line
                    .split_once(['=', ':'])
                    .map(|(key, value)| (key.trim(), value.trim()))
                    .filter(|(key, _)| !key.is_empty())
                    .ok_or_else(|| wrong(format!("`{line}` is not a setting; expected `key = value`")))?;
                let section = section
                    .clone()
                    .ok_or_else(|| wrong(format!("`{key}` stands before the first section")))?;
                if let Some(first) = ini.find(&section, key) {
                    return Err(wrong(format!(
                        "`{key}` is set again; the first time is in line {first}",
                        first = first.line
                    )));
                }
                ini.lines.push(Line::Entry {
                    text: written.to_owned(),
                    section,
                    key: key.to_owned(),
                    value: value.to_owned(),
                    number,
                });
            }
        }
        Ok(ini)
    }

    /// All settings in the order of the file.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.lines.iter().filter_map(|line| match line {
            Line::Entry {
                section,
                key,
                value,
                number,
                ..
            } => Some(Entry {
                section,
                key,
                value,
                line: *number,
            }),
            _ => None,
        })
    }

    /// One setting.
    pub fn find(&self, section: &str, key: &str) -> Option<Entry<'_>> {
        self.entries()
            .find(|entry| entry.section == section && entry.key.eq_ignore_ascii_case(key))
    }

    /// Sets a key: in its place if it is there, else at the end of its section, which is made if need be.
    /// Line breaks in `value` become blanks, since a value is one line.
    pub fn set(&mut self, section: &str, key: &str, value: &str) {
        let value = value.lines().map(str::trim).collect::<Vec<_>>().join(" ");
        let new = |key: &str| Line::Entry {
            text: format!("{key} = {value}").trim_end().to_owned(),
            section: section.to_owned(),
            key: key.to_owned(),
            value: value.clone(),
            number: 0,
        };
        let mut end_of_section = None;
        for (index, line) in self.lines.iter_mut().enumerate() {
            match line {
                Line::Entry {
                    section: in_section,
                    key: old,
                    ..
                } if in_section == section => {
                    if old.eq_ignore_ascii_case(key) {
                        *line = new(&old.clone());
                        return;
                    }
                    end_of_section = Some(index + 1);
                }
                Line::Section(_, name) if name == section => end_of_section = Some(index + 1),
                _ => {}
            }
        }
        match end_of_section {
            Some(index) => self.lines.insert(index, new(key)),
            None => {
                if !self.lines.is_empty() {
                    self.lines.push(Line::Other(String::new()));
                }
                self.lines
                    .push(Line::Section(format!("[{section}]"), section.to_owned()));
                self.lines.push(new(key));
            }
        }
    }
}

impl fmt::Display for Ini {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            let (Line::Other(text) | Line::Section(text, _) | Line::Entry { text, .. }) = line;
            writeln!(f, "{text}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "# by hand\n[cycle_server]\nWebServer = http://h:8080\n\n; odd\n[mine]\nx: a = b\n";

    fn get<'a>(ini: &'a Ini, section: &str, key: &str) -> Option<&'a str> {
        ini.find(section, key).map(|entry| entry.value)
    }

    #[test]
    fn values_are_found_whatever_the_case_of_the_key() {
        let ini = Ini::parse("f", TEXT).unwrap();
        assert_eq!(get(&ini, "cycle_server", "webserver"), Some("http://h:8080"));
        assert_eq!(get(&ini, "mine", "x"), Some("a = b"));
        assert_eq!(get(&ini, "mine", "webserver"), None);
    }

    #[test]
    fn what_is_not_set_stays_as_it_was() {
        let mut ini = Ini::parse("f", TEXT).unwrap();
        ini.set("cycle_server", "webserver", "https://h");
        ini.set("cycle_server", "new", "1");
        ini.set("identity", "node_id", "abc");
        assert_eq!(
            ini.to_string(),
            "# by hand\n[cycle_server]\nWebServer = https://h\nnew = 1\n\n; odd\n[mine]\nx: a = b\n\n\
             [identity]\nnode_id = abc\n"
        );
    }

    #[test]
    fn errors_name_file_and_line() {
        for (text, expected) in [
            (
                "[a]\nno setting\n",
                "f.ini:2: `no setting` is not a setting; expected `key = value`",
            ),
            ("x = 1\n", "f.ini:1: `x` stands before the first section"),
            ("[a\n", "f.ini:1: `[a` is not a section; expected `[name]`"),
            (
                "[a]\nx=1\n[b]\nx=1\n[a]\nX=2\n",
                "f.ini:6: `X` is set again; the first time is in line 2",
            ),
        ] {
            assert_eq!(Ini::parse("f.ini", text).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn a_value_cannot_bring_a_section_of_its_own() {
        let mut ini = Ini::default();
        ini.set("a", "x", "1\n[b]\ny = 2");
        let again = Ini::parse("f", &ini.to_string()).unwrap();
        assert_eq!(again.entries().count(), 1);
    }

    proptest! {
        #[test]
        fn what_was_set_is_read_again(
            sets in proptest::collection::vec(("[a-c]", "[a-e]{1,2}", "[ -~]{0,12}"), 0..12)
        ) {
            let mut ini = Ini::parse("f", TEXT).unwrap();
            for (section, key, value) in &sets {
                ini.set(section, key, value);
            }
            let again = Ini::parse("f", &ini.to_string()).unwrap();
            for (section, key, _) in &sets {
                let last = sets.iter().rev().find(|(s, k, _)| s == section && k == key).unwrap();
                prop_assert_eq!(get(&again, section, key), Some(last.2.trim()));
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            let _ = Ini::parse("f", &text);
        }
    }
}
