//! Results in the form that JUnit has made common, for continuous integration.

use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

use super::NodeReport;

/// One suite for each node and spec. A node names only the tests that did not pass; of the others their number is known.
pub(super) fn document(reports: &[NodeReport]) -> io::Result<Vec<u8>> {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let mut all = BytesStart::new("testsuites");
    all.push_attribute(("name", "cyclecloud project test"));
    writer.write_event(Event::Start(all))?;
    for NodeReport { node, report } in reports {
        let mut suite = BytesStart::new("testsuite");
        let name = format!("{}:{}", report.project, report.spec);
        suite.push_attribute(("name", clean(&name).as_str()));
        suite.push_attribute(("hostname", clean(node).as_str()));
        let tests = report.passed + report.failed + report.errors + report.skipped;
        for (key, count) in [
            ("tests", tests),
            ("failures", report.failed),
            ("errors", report.errors),
            ("skipped", report.skipped),
        ] {
            suite.push_attribute((key, count.to_string().as_str()));
        }
        suite.push_attribute(("time", format!("{:.3}", report.seconds).as_str()));
        writer.write_event(Event::Start(suite))?;
        for failure in &report.failures {
            let mut case = BytesStart::new("testcase");
            case.push_attribute(("classname", clean(&name).as_str()));
            case.push_attribute(("name", clean(&failure.test).as_str()));
            writer.write_event(Event::Start(case))?;
            writer.write_event(Event::Start(BytesStart::new("failure")))?;
            writer.write_event(Event::Text(BytesText::new(&clean(&failure.message))))?;
            writer.write_event(Event::End(BytesEnd::new("failure")))?;
            writer.write_event(Event::End(BytesEnd::new("testcase")))?;
        }
        writer.write_event(Event::End(BytesEnd::new("testsuite")))?;
    }
    writer.write_event(Event::End(BytesEnd::new("testsuites")))?;
    let mut document = writer.into_inner();
    document.push(b'\n');
    Ok(document)
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
    use protocol::{TestFailure, TestReport};

    use super::*;

    #[test]
    fn what_failed_is_named_and_quoted() {
        let report = TestReport {
            project: "demo".to_owned(),
            spec: "default".to_owned(),
            passed: 2,
            failed: 1,
            seconds: 1.5,
            failures: vec![TestFailure {
                test: "test_a.py::test_b".to_owned(),
                message: "1 < 2 & \u{1}".to_owned(),
            }],
            ..TestReport::default()
        };
        let node = "head".to_owned();
        let document = String::from_utf8(document(&[NodeReport { node, report }]).unwrap()).unwrap();
        assert_eq!(
            document,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <testsuites name=\"cyclecloud project test\">\n  \
             <testsuite name=\"demo:default\" hostname=\"head\" tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"0\" \
             time=\"1.500\">\n    \
             <testcase classname=\"demo:default\" name=\"test_a.py::test_b\">\n      \
             <failure>1 &lt; 2 &amp; \u{fffd}</failure>\n    \
             </testcase>\n  \
             </testsuite>\n\
             </testsuites>\n"
        );
    }
}
