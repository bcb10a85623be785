//! Results in the form that JUnit has made common, for continuous integration.

use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

use super::{Case, Outcome, SpecResult};

/// All results as one document. Characters that XML does not know become U+FFFD.
pub(crate) fn document(results: &[SpecResult], hostname: Option<&str>) -> io::Result<Vec<u8>> {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let mut all = BytesStart::new("testsuites");
    all.push_attribute(("name", "jetpack test"));
    count(&mut all, results);
    writer.write_event(Event::Start(all))?;
    for result in results {
        suite(&mut writer, result, hostname)?;
    }
    writer.write_event(Event::End(BytesEnd::new("testsuites")))?;
    let mut document = writer.into_inner();
    document.push(b'\n');
    Ok(document)
}

fn suite(writer: &mut Writer<Vec<u8>>, result: &SpecResult, hostname: Option<&str>) -> io::Result<()> {
    let mut suite = BytesStart::new("testsuite");
    let name = format!("{}:{}", result.project, result.spec);
    suite.push_attribute(("name", clean(&name).as_str()));
    count(&mut suite, std::slice::from_ref(result));
    // The schema wants seconds without a zone.
    let started = result.started.strftime("%Y-%m-%dT%H:%M:%S").to_string();
    suite.push_attribute(("timestamp", started.as_str()));
    if let Some(hostname) = hostname {
        suite.push_attribute(("hostname", clean(hostname).as_str()));
    }
    writer.write_event(Event::Start(suite))?;
    for case in &result.cases {
        write_case(writer, &name, case)?;
    }
    writer.write_event(Event::End(BytesEnd::new("testsuite")))
}

fn count(element: &mut BytesStart<'_>, results: &[SpecResult]) {
    let sum = |outcome| {
        results
            .iter()
            .map(|result| u64::from(result.count(outcome)))
            .sum::<u64>()
    };
    let tests: usize = results.iter().map(|result| result.cases.len()).sum();
    let seconds: f64 = results.iter().map(|result| result.seconds).sum();
    for (name, value) in [
        ("tests", tests.to_string()),
        ("failures", sum(Outcome::Failed).to_string()),
        ("errors", sum(Outcome::Error).to_string()),
        ("skipped", sum(Outcome::Skipped).to_string()),
        ("time", format!("{seconds:.3}")),
    ] {
        element.push_attribute((name, value.as_str()));
    }
}

fn write_case(writer: &mut Writer<Vec<u8>>, suite: &str, case: &Case) -> io::Result<()> {
    // `test_x.py::TestY::test_z` is test `test_z` of class `TestY` in file `test_x.py`.
    let (class, name) = case.name.rsplit_once("::").unwrap_or(("", case.name.as_str()));
    let class = if class.is_empty() {
        suite.to_owned()
    } else {
        format!("{suite}.{}", class.replace("::", "."))
    };
    let mut element = BytesStart::new("testcase");
    element.push_attribute(("classname", clean(&class).as_str()));
    element.push_attribute(("name", clean(name).as_str()));
    element.push_attribute(("time", format!("{:.3}", case.seconds).as_str()));
    let verdict = match case.outcome {
        Outcome::Passed => return writer.write_event(Event::Empty(element)),
        Outcome::Failed => "failure",
        Outcome::Error => "error",
        Outcome::Skipped => "skipped",
    };
    writer.write_event(Event::Start(element))?;
    let mut why = BytesStart::new(verdict);
    why.push_attribute(("message", clean(&case.summary).as_str()));
    if case.details.is_empty() {
        writer.write_event(Event::Empty(why))?;
    } else {
        writer.write_event(Event::Start(why))?;
        writer.write_event(Event::Text(BytesText::new(&clean(&case.details))))?;
        writer.write_event(Event::End(BytesEnd::new(verdict)))?;
    }
    writer.write_event(Event::End(BytesEnd::new("testcase")))
}

/// Without the characters that no XML document may hold (XML 1.0, section 2.2).
fn clean(text: &str) -> String {
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    text.chars()
        .map(|c| if allowed(c) { c } else { '\u{fffd}' })
        .collect()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;
    use quick_xml::Reader;

    use super::*;

    fn result(name: &str, summary: &str, details: &str) -> SpecResult {
        let case = |outcome| Case {
            name: name.to_owned(),
            outcome,
            seconds: 0.25,
            summary: summary.to_owned(),
            details: details.to_owned(),
        };
        SpecResult {
            project: "p".to_owned(),
            spec: "s".to_owned(),
            started: Timestamp::UNIX_EPOCH,
            seconds: 0.5,
            cases: vec![case(Outcome::Passed), case(Outcome::Failed)],
        }
    }

    #[test]
    fn the_document_has_the_known_form() {
        let results = [result("test_x.py::T::test_y", "1 != 2", "a < b & c\n")];
        let document = String::from_utf8(document(&results, Some("n1")).unwrap()).unwrap();
        let expected = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="jetpack test" tests="2" failures="1" errors="0" skipped="0" time="0.500">
  <testsuite name="p:s" tests="2" failures="1" errors="0" skipped="0" time="0.500" timestamp="1970-01-01T00:00:00" hostname="n1">
    <testcase classname="p:s.test_x.py.T" name="test_y" time="0.250"/>
    <testcase classname="p:s.test_x.py.T" name="test_y" time="0.250">
      <failure message="1 != 2">a &lt; b &amp; c
</failure>
    </testcase>
  </testsuite>
</testsuites>
"#;
        assert_eq!(document, expected);
    }

    proptest! {
        #[test]
        fn any_output_makes_a_well_formed_document(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let text = String::from_utf8_lossy(&bytes);
            let results = [result(&text, &text, &text)];
            let document = document(&results, Some(&text)).unwrap();
            let document = str::from_utf8(&document).unwrap();
            prop_assert!(document.chars().all(|c| c >= ' ' || matches!(c, '\t' | '\n' | '\r')));
            let mut reader = Reader::from_str(document);
            reader.config_mut().check_end_names = true;
            loop {
                match reader.read_event().unwrap() {
                    Event::Eof => break,
                    Event::Start(element) | Event::Empty(element) => {
                        for attribute in element.attributes() {
                            attribute.unwrap();
                        }
                    }
                    _ => {}
                }
            }
        }
    }
}
