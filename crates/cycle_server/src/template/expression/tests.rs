//! What expressions come to.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// A few names.
struct Table(Value);

impl Names for Table {
    fn value(&self, name: &str, _: Position, _: &Meter) -> Result<Option<Value>, Fault> {
        let record = self.0.as_object().unwrap();
        Ok(record
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.clone()))
    }
}

fn table() -> Table {
    Table(json!({
        "Count": 4, "Name": "Grid", "Flag": true, "Nothing": null, "Half": 0.5,
        "Subnet": {"ResourceGroup": "net", "Name": "a"}, "Sizes": {"small": 2, "Large": 16},
        "Zones": ["1", "2"],
    }))
}

fn evaluate(text: &str) -> Result<Value, String> {
    let start = Position { line: 1, column: 1 };
    Expression::parse(text, start)
        .and_then(|expression| expression.evaluate(&table(), &Meter::default()))
        .map_err(|fault| {
            format!(
                "{}:{}: {}",
                fault.position.line, fault.position.column, fault.message
            )
        })
}

#[track_caller]
fn gives(cases: &[(&str, Value)]) {
    for (text, value) in cases {
        assert_eq!(evaluate(text).as_ref(), Ok(value), "{text}");
    }
}

#[test]
fn literals() {
    gives(&[
        ("1", json!(1)),
        ("0x1F", json!(31)),
        ("1.5e3", json!(1500.0)),
        ("`2h`", json!(7200)),
        ("TRUE", json!(true)),
        ("undefined", Value::Null),
        (r#""a \"b\" \\ \n \d""#, json!("a \"b\" \\ \n \\d")),
        ("{1, \"a\", {}, }", json!([1, "a", []])),
        ("[a = 1; b = a + 1; ]", json!({"a": 1, "b": 2})),
        ("[Label=\"x\"; Value=-1]", json!({"Label": "x", "Value": -1})),
        ("[Count = Count + 1; c = Count]", json!({"Count": 5, "c": 5})),
        ("'Name'", json!("Grid")),
        ("$name", json!("Grid")),
        (" ( ( 1 ) ) ", json!(1)),
    ]);
}

#[test]
fn operators_bind_and_associate_as_in_classads() {
    gives(&[
        ("1 + 2 * 3", json!(7)),
        ("(1 + 2) * 3", json!(9)),
        ("10 - 4 - 3", json!(3)),
        ("7 / 2", json!(3)),
        ("7 / 2.0", json!(3.5)),
        ("-7 % 4", json!(-3)),
        ("1 | 2 ^ 3 & 1", json!(3)),
        ("1 << 4 >> 2", json!(4)),
        ("-1 >>> 60", json!(15)),
        ("~0", json!(-1)),
        ("!Flag || Count > 3 && Half < 1", json!(true)),
        ("1 < 2 == true", json!(true)),
        ("Flag ? 1 : false ? 2 : 3", json!(1)),
        ("false ? 1 : false ? 2 : 3", json!(3)),
        ("Nothing ?: \"x\"", json!("x")),
        ("- -3", json!(3)),
    ]);
}

#[test]
fn texts_are_equal_in_any_case_and_identical_only_in_the_same() {
    gives(&[
        ("Name == \"GRID\"", json!(true)),
        ("Name != \"GRID\"", json!(false)),
        ("Name === \"GRID\"", json!(false)),
        ("Name is \"Grid\"", json!(true)),
        ("Name isnt \"GRID\"", json!(true)),
        ("\"a\" < \"B\"", json!(true)),
        ("1 == 1.0", json!(true)),
        ("1 is 1.0", json!(false)),
        ("Zones =?= {\"1\", \"2\"}", json!(true)),
        ("Zones =!= {\"1\"}", json!(true)),
        ("\"GRID\" in {\"x\", Name}", json!(true)),
        ("1 in {\"1\", true}", json!(false)),
        ("nope in {1}", Value::Null),
    ]);
}

#[test]
fn undefined_goes_through_but_for_what_decides_without_it() {
    gives(&[
        ("nope", Value::Null),
        ("nope == 1", Value::Null),
        ("nope + 1", Value::Null),
        ("!nope", Value::Null),
        ("nope && false", json!(false)),
        ("nope && true", Value::Null),
        ("nope || true", json!(true)),
        ("nope || false", Value::Null),
        ("nope ? 1 : 2", Value::Null),
        ("nope is undefined", json!(true)),
        ("Nothing === undefined", json!(true)),
        ("nope.member", Value::Null),
        ("nope[0]", Value::Null),
        ("strcat(\"a\", nope)", Value::Null),
        ("isUndefined(nope)", json!(true)),
        ("ifUndefined(nope, 3)", json!(3)),
    ]);
}

#[test]
fn errors_are_swallowed_only_where_they_are_asked_for() {
    gives(&[
        ("isError(1 / 0)", json!(true)),
        ("isError(1)", json!(false)),
        ("error is error", json!(true)),
        ("1 / 0 isnt error", json!(false)),
        ("false && error", json!(false)),
        ("true || error", json!(true)),
        ("ifThenElse(true, 1, error)", json!(1)),
        ("isUndefined(error)", json!(false)),
    ]);
    for (text, message) in [
        (
            "error",
            "1:1: found `error`, expected a value: a condition of the template is not met",
        ),
        (
            "1 + 1 / 0",
            "1:7: found a division by zero, expected another divisor",
        ),
        (
            "\"a\" == 1",
            "1:5: found the text `a`, expected a number, as on the other side",
        ),
        (
            "Name + 1",
            "1:6: found the text `Grid`, expected numbers on both sides; `strcat` joins texts",
        ),
        (
            "Name && true",
            "1:6: found the text `Grid`, expected true or false",
        ),
        (
            "Name.x",
            "1:5: found the text `Grid`, expected a record with the member `x`",
        ),
        (
            "Zones[2]",
            "1:6: found the index `2`, expected one below 2 from 0",
        ),
        (
            "9223372036854775807 + 1",
            "1:21: found a result that is too large, expected an integer of 64 bits",
        ),
        ("1 << 64", "1:3: found a shift by `64`, expected 0 to 63 bits"),
        (
            "[a = b; b = a].a",
            "1:6: found an expression that refers to itself or is nested too deeply, expected one that has an end",
        ),
        (
            "substr(1, 2)",
            "1:1: found `1` as argument 1 of `substr`, expected a text",
        ),
        ("toLower()", "1:1: found `toLower` with 0 arguments, expected 1"),
        (
            "substr(\"\")",
            "1:1: found `substr` with 1 arguments, expected 2 to 3",
        ),
        (
            "strcta(1)",
            "1:1: found the function `strcta`, expected one that exists (did you mean `strcat`?)",
        ),
        (
            "\n regexp(\"(\", \"\")",
            "2:2: found the pattern `(` in `regexp`, expected a regular expression: Parsing error at position 1: Opening parenthesis without closing parenthesis",
        ),
    ] {
        assert_eq!(evaluate(text), Err(message.to_owned()), "{text}");
    }
}

#[test]
fn members_and_indices() {
    gives(&[
        ("Subnet.ResourceGroup", json!("net")),
        ("subnet.RESOURCEGROUP", json!("net")),
        ("Subnet.nope", Value::Null),
        ("Sizes[\"large\"] * 2", json!(32)),
        ("Sizes[toLower(\"SMALL\")]", json!(2)),
        ("Zones[1]", json!("2")),
        ("{[a=1], [a=2], [b=3]}.a", json!([1, 2, null])),
        ("[a = [b = {7}]].a.b[0]", json!(7)),
    ]);
}

#[test]
fn functions() {
    gives(&[
        ("STRCAT(\"a\", 1, true, 1.5)", json!("a1true1.5")),
        ("ifthenelse(Flag, \"y\", \"n\")", json!("y")),
        ("ifThenElse(nope, 1, 2)", Value::Null),
        ("strjoin(\",\", {1, undefined, \"b\"})", json!("1,b")),
        ("join(\"-\", \"a\", 2)", json!("a-2")),
        ("split(\"a, b  c\")", json!(["a", "b", "c"])),
        ("split(\"a/b:c\", \"/:\")", json!(["a", "b", "c"])),
        ("substr(\"abcdef\", 2)", json!("cdef")),
        ("substr(\"abcdef\", -1, 1)", json!("f")),
        ("substr(\"abcdef\", 1, 2)", json!("bc")),
        ("substr(\"abcdef\", 1, -2)", json!("bcd")),
        ("substr(\"äöü\", 1, 99)", json!("öü")),
        ("substr(\"abc\", 9)", json!("")),
        ("toLower(\"ÄB\")", json!("äb")),
        ("toUpper(\"äb\")", json!("ÄB")),
        ("trim(\"  a \")", json!("a")),
        ("size(\"äb\")", json!(2)),
        ("size(Zones)", json!(2)),
        ("size(Subnet)", json!(2)),
        ("startsWith(Name, \"Gr\")", json!(true)),
        ("endsWith(Name, \"Gr\")", json!(false)),
        ("strcmp(\"a\", \"b\")", json!(-1)),
        ("stricmp(\"A\", \"a\")", json!(0)),
        ("regexp(\"^g.*d$\", Name)", json!(false)),
        ("regexp(\"^g.*d$\", Name, \"i\")", json!(true)),
        ("regexp(\"a(?!b)\", \"ab\")", json!(false)),
        (
            "regexps(\"^([^/]+)/(.*)$\", \"rg/vnet/sub\", \"\\\\2 of $1\")",
            json!("vnet/sub of rg"),
        ),
        ("regexps(\"x\", \"abc\", \"y\")", json!("")),
        ("regexps(\"b\", \"abcb\", \"<\\0>\", \"fg\")", json!("a<b>c<b>")),
        ("replace(\"b\", \"abcb\", \"\")", json!("acb")),
        ("replaceAll(\"[^a-z]\", \"a-b c\", \"_\")", json!("a_b_c")),
        ("regexpMember(\"^1\", Zones)", json!(true)),
        ("member(\"1\", Zones)", json!(true)),
        ("identicalMember(1, Zones)", json!(false)),
        ("int(\" 12 \") + int(3.9) + int(true)", json!(16)),
        ("real(\"1.5\")", json!(1.5)),
        ("string(1)", json!("1")),
        ("bool(\"True\")", json!(true)),
        ("floor(1.7)", json!(1)),
        ("ceiling(1.2)", json!(2)),
        ("round(1.5)", json!(2)),
        ("abs(-3)", json!(3)),
        ("pow(2, 10)", json!(1024)),
        ("pow(2, -1)", json!(0.5)),
        ("sum({1, 2, 3})", json!(6)),
        ("avg({1, 2})", json!(1.5)),
        ("min({3, 1.5})", json!(1.5)),
        ("max(3, 7, 5)", json!(7)),
        (
            "isString(Name) && isInteger(Count) && isReal(Half) && isBoolean(Flag) && isList(Zones) && isClassAd(Subnet)",
            json!(true),
        ),
    ]);
}

#[test]
fn what_is_not_well_formed_is_refused_where_it_is() {
    for (text, message) in [
        (
            "",
            "1:1: found the end of the expression, expected a value, a name or a function",
        ),
        (
            "1 2",
            "1:3: found `2`, expected an operator or the end of the expression",
        ),
        ("(1", "1:3: found the end of the expression, expected `)`"),
        ("{1 2}", "1:4: found `2`, expected `,` or `}`"),
        ("[a=1, b=2]", "1:5: found `,`, expected `;` or `]`"),
        ("[1=2]", "1:2: found `1`, expected a name or `]`"),
        ("[a]", "1:3: found `]`, expected `=`"),
        ("a ? b", "1:6: found the end of the expression, expected `:`"),
        (
            "f(1,,2)",
            "1:5: found `,`, expected a value, a name or a function",
        ),
        ("a.1", "1:3: found `1`, expected the name of a member after `.`"),
        (
            "\"a",
            "1:1: found `\"` without a second one, expected it before the end of the expression",
        ),
        ("1 +\n  @", "2:3: found `@`, expected an expression"),
        ("10m", "1:1: found `10m`, expected a number"),
        (
            "99999999999999999999",
            "1:1: found `99999999999999999999`, expected a number",
        ),
        (
            "`x`",
            "1:1: found a back-tick, expected a time such as `10m` between two of them",
        ),
        (
            "a = 1",
            "1:3: found `=`, expected an operator or the end of the expression",
        ),
    ] {
        assert_eq!(evaluate(text), Err(message.to_owned()), "{text}");
    }
}

#[test]
fn what_is_too_deep_too_long_or_too_much_is_refused() {
    for text in [
        "(".repeat(10_000),
        "{".repeat(10_000),
        "!".repeat(10_000) + "Flag",
        vec!["1"; 10_000].join("+"),
        "a?".repeat(10_000),
        format!("Zones{}", "[0]".repeat(10_000)),
    ] {
        let message = evaluate(&text).unwrap_err();
        assert!(message.contains("nested too deeply"), "{message}");
    }
    assert!(evaluate(&" ".repeat(70_000)).unwrap_err().contains("70000 bytes"));
    let wide = format!("strcat({})", vec!["\"abc\""; 5000].join(","));
    assert_eq!(evaluate(&wide).unwrap().as_str().map(str::len), Some(15_000));
    let slow = "regexp(\"(a*)*(?=b)c\", \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\")";
    assert!(
        evaluate(slow).is_ok_and(|value| value == json!(false))
            || evaluate(slow).unwrap_err().contains("too long")
    );
}

#[test]
fn names_from_outside_are_those_that_no_record_has() {
    let text = "strcat(A, [b = a; c = b; d = D].c, e.f, true)";
    let expression = Expression::parse(text, Position { line: 1, column: 1 }).unwrap();
    let names: Vec<_> = expression.names().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["A", "a", "D", "e"]);
    let expression = Expression::parse("f(g(1), size(2))", Position::default()).unwrap();
    let fault = expression.unknown_function().unwrap();
    assert!(fault.message.contains("`f`"), "{fault:?}");
}

/// Expressions that are well formed, with all their parentheses.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        (-1000_i64..1000).prop_map(|number| number.to_string()),
        "[a-z]{0,4}".prop_map(|text| format!("\"{text}\"")),
        prop::sample::select(vec![
            "Count",
            "Name",
            "Flag",
            "nope",
            "true",
            "undefined",
            "error",
            "1.5",
            "Zones",
            "Subnet"
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 48, 4, |inner| {
        let operator = prop::sample::select(vec![
            "+", "-", "*", "/", "%", "<", "<=", "==", "!=", "is", "isnt", "&&", "||", "in", "&", "<<",
        ]);
        let function = prop::sample::select(FUNCTION_NAMES.with(Clone::clone));
        prop_oneof![
            (inner.clone(), operator, inner.clone()).prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
            prop::collection::vec(inner.clone(), 0..4).prop_map(|list| format!("{{{}}}", list.join(", "))),
            (function, prop::collection::vec(inner.clone(), 0..4))
                .prop_map(|(name, list)| format!("{name}({})", list.join(", "))),
            ("[a-z]", inner.clone()).prop_map(|(name, value)| format!("[{name} = {value}]")),
            (inner.clone(), "[a-z]{1,3}").prop_map(|(value, name)| format!("({value}).{name}")),
            (inner.clone(), inner).prop_map(|(list, index)| format!("({list})[{index}]")),
        ]
    })
}

thread_local! {
    static FUNCTION_NAMES: Vec<&'static str> = functions::names().collect();
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,60}") {
        drop(evaluate(&text));
    }

    #[test]
    fn what_is_well_formed_is_read_and_has_one_value(text in expression()) {
        let start = Position { line: 1, column: 1 };
        let parsed = Expression::parse(&text, start);
        prop_assert!(parsed.is_ok(), "{text}: {parsed:?}");
        prop_assert_eq!(evaluate(&text), evaluate(&text));
    }

    #[test]
    fn parentheses_change_nothing(text in expression()) {
        let bare = evaluate(&text).map_err(drop);
        prop_assert_eq!(bare, evaluate(&format!("({text})")).map_err(drop));
    }
}

#[test]
fn filters_choose_records() {
    let record = json!({
        "Name": "execute-1", "State": "Started", "CoreCount": 8, "Hostname": "ip-1", "Configuration": {"role": "worker"},
        "KeepAlive": false,
    });
    let record = record.as_object().unwrap();
    for (filter, is_meant) in [
        ("State === \"Started\"", true),
        ("state == \"started\"", true),
        ("State === \"started\"", false),
        ("State == \"Started\" && CoreCount >= 4", true),
        ("CoreCount < 4 || !KeepAlive", true),
        ("HostName in {\"ip-1\", \"ip-2\"}", true),
        ("HostName in {\"ip-3\"}", false),
        ("Configuration.role == \"worker\"", true),
        ("Nothing == 1", false),
        ("Nothing =!= 1", true),
        ("isUndefined(Nothing)", true),
        ("Name", false),
        ("CoreCount / 0 == 1", false),
        ("true", true),
    ] {
        assert_eq!(
            Filter::parse(filter).unwrap().matches(record),
            is_meant,
            "{filter}"
        );
    }
    for (filter, error) in [("State ==", "9"), ("f(1)", "function `f`"), ("", "1")] {
        let refused = Filter::parse(filter).unwrap_err().to_string();
        assert!(refused.contains(error), "{filter}: {refused}");
    }
}
