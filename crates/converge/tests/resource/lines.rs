//! Lines of files.

use converge::resource::Request;
use serde_json::{Value, json};

use crate::law::Scratch;

fn edited(kind: &str, text: &str, properties: &[(&str, Value)]) -> String {
    let scratch = Scratch::new();
    scratch.write("/etc/x", text);
    let mut request = Request::new(kind, "any").with("path", "/etc/x");
    for (name, value) in properties {
        request = request.with(*name, value.clone());
    }
    scratch.law(&request);
    scratch.read("/etc/x")
}

fn regexp(source: &str) -> Value {
    json!({ "regexp": source, "options": "" })
}

#[test]
fn a_line_is_appended_once() {
    assert_eq!(
        edited("append_if_no_line", "a\nb", &[("line", json!("c"))]),
        "a\nb\nc\n"
    );
    let scratch = Scratch::new();
    let request = Request::new("append_if_no_line", "x")
        .with("path", "/etc/new")
        .with("line", "one");
    let report = scratch.law(&request);
    assert_eq!(report.changes, ["create new file /etc/new"]);
    let request = Request::new("append_if_no_line", "x")
        .with("path", "/etc/none")
        .with("line", "x");
    let error = scratch.run(&request.with("ignore_missing", false)).unwrap_err();
    assert_eq!(error.cause.exception(), "Errno::ENOENT");
}

#[test]
fn a_line_is_replaced_or_added() {
    let replace = |text: &str, more: &[(&str, Value)]| {
        let mut properties = vec![("pattern", regexp("^port\\s*=")), ("line", json!("port=2"))];
        properties.extend(more.iter().cloned());
        edited("replace_or_add", text, &properties)
    };
    assert_eq!(replace("x\nport = 1\ny\n", &[]), "x\nport=2\ny\n");
    assert_eq!(replace("x\n", &[]), "x\nport=2\n");
    assert_eq!(replace("port=1\nport=3\n", &[]), "port=2\nport=2\n");
    assert_eq!(
        replace("port=1\nport=3\n", &[("remove_duplicates", json!(true))]),
        "port=2\n"
    );
    let scratch = Scratch::new();
    scratch.write("/etc/x", "x\n");
    let request = Request::new("replace_or_add", "x")
        .with("path", "/etc/x")
        .with("line", "port=2");
    let request = request.with("pattern", "^port").with("replace_only", true);
    assert!(!scratch.run(&request).unwrap().updated);
}

#[test]
fn lines_are_deleted_by_patterns_of_ruby() {
    let delete = |pattern: Value| edited("delete_lines", "one\nTwo\n# three\n", &[("pattern", pattern)]);
    assert_eq!(delete(json!("^#")), "one\nTwo\n");
    assert_eq!(
        delete(json!({ "regexp": "two", "options": "i" })),
        "one\n# three\n"
    );
    assert_eq!(delete(regexp("^(?!#)\\h*o?\\w+\\Z")), "# three\n");
    let scratch = Scratch::new();
    let request = Request::new("delete_lines", "x")
        .with("path", "/etc/passwd")
        .with("pattern", "(");
    let error = scratch.run(&request).unwrap_err();
    assert_eq!(error.property.as_deref(), Some("pattern"), "{error}");
}

#[test]
fn entries_of_lists_are_added_and_deleted() {
    let list = |kind: &str, text: &str, entry: &str, delim: Value, more: &[(&str, Value)]| {
        let mut properties = vec![
            ("pattern", regexp("People to call: |kernel\\(")),
            ("entry", json!(entry)),
        ];
        properties.push(("delim", delim));
        properties.extend(more.iter().cloned());
        edited(kind, text, &properties)
    };
    let plain = json!([", "]);
    assert_eq!(
        list(
            "add_to_list",
            "People to call: Joe, Bobby\n",
            "Karen",
            plain.clone(),
            &[]
        ),
        "People to call: Joe, Bobby, Karen\n"
    );
    assert_eq!(
        list(
            "delete_from_list",
            "People to call: Joe, Bobby\n",
            "Joe",
            plain,
            &[]
        ),
        "People to call: Bobby\n"
    );
    assert_eq!(
        list(
            "add_to_list",
            "kernel(\"a\" \"b\")\n",
            "c",
            json!([" ", "\""]),
            &[("ends_with", json!(")"))]
        ),
        "kernel(\"a\" \"b\" \"c\")\n"
    );
}

#[test]
fn lines_are_filtered() {
    let filter = |filters: Value| edited("filter_lines", "a\nb\na\n", &[("filters", filters)]);
    assert_eq!(filter(json!({ "after": ["^a", "x", "last"] })), "a\nb\na\nx\n");
    assert_eq!(
        filter(json!([{ "before": ["b", ["x", "y"]] }])),
        "a\nx\ny\nb\na\n"
    );
    assert_eq!(
        filter(json!([{ "replace": ["^b$", "c"] }, { "delete_lines": ["a"] }])),
        "c\n"
    );
}

#[test]
fn a_backup_is_kept_only_when_wanted() {
    let scratch = Scratch::new();
    scratch.write("/etc/x", "a\n");
    let request = Request::new("append_if_no_line", "x")
        .with("path", "/etc/x")
        .with("line", "b");
    scratch.law(&request);
    assert!(!scratch.backups().exists());
    scratch.law(&request.with("line", "c").with("backup", true));
    assert!(scratch.backups().join("etc").exists());
}
