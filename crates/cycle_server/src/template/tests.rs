//! Behaviour of parser and resolver together.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("{other} is not an object"),
    }
}

fn define(text: &str, parameters: Value) -> Result<ClusterDefinition, String> {
    parse("t.txt", text)
        .and_then(|template| resolve(&template, "test", &object(parameters)))
        .map_err(|error| error.to_string())
}

/// The configuration of the only node, whose section ends with `text`.
fn configuration(text: &str, parameters: Value) -> Value {
    let definition = define(&format!("[cluster c]\n[[node n]]\n{text}"), parameters).unwrap();
    Value::Object(definition.nodes[0].configuration.clone())
}

#[test]
fn a_realistic_template_gives_the_whole_model() {
    let template = parse("grid.txt", include_str!("testdata/grid.txt")).unwrap();
    let given = object(json!({
        "owner": "Ann $Owner",
        "Credentials": "azure",
        "ExecuteCount": "3",
        "UsePublicIp": false,
        "ExecuteSpecs": {"site:gpu:1.0.0": {"Name": "site:gpu:1.0.0", "Project": "site", "Spec": "gpu", "Version": "1.0.0"}},
    }));
    let definition = resolve(&template, "my grid", &given).unwrap();
    let found = serde_json::to_string_pretty(&definition).unwrap() + "\n";
    assert_eq!(found, include_str!("testdata/grid.json"), "{found}");
    assert_eq!(
        serde_json::from_str::<ClusterDefinition>(&found).unwrap(),
        definition,
        "a stored definition is read back"
    );
}

#[test]
fn the_shipped_example_resolves() {
    let text = include_str!("../../../../examples/clusters/workqueue.txt");
    let definition = define(text, json!({"ExecuteCount": 5})).unwrap();
    assert_eq!(definition.arrays[0].initial_count, 5);
    let specs: Vec<_> = definition.arrays[0]
        .node
        .cluster_init
        .iter()
        .map(|spec| (spec.project.as_str(), spec.spec.as_str(), spec.version.as_deref()))
        .collect();
    assert_eq!(
        specs,
        [("site", "default", Some("1.0.0")), ("workqueue", "execute", None)]
    );
}

#[test]
fn bad_templates_say_where_and_what() {
    let node = "[cluster c]\n[[node n]]\n";
    let cases: Vec<(String, &str)> = vec![
        (
            String::new(),
            "t.txt:1:1: found no `[cluster NAME]` section, expected one",
        ),
        (
            "a = 1".into(),
            "t.txt:1:1: found `a` outside any section, expected `[cluster NAME]` before it",
        ),
        (
            "[cluster]".into(),
            "t.txt:1:1: found `[cluster]`, expected a name after `cluster`",
        ),
        (
            "[cluster a]\n[cluster b]".into(),
            "t.txt:2:1: found `[cluster b]` as a second cluster, expected one `[cluster]` in a file",
        ),
        (
            "[cluster c]\n  [[node n]\n".into(),
            "t.txt:2:11: found `]`, expected `]]`",
        ),
        (
            "[cluster c]\n[[node n".into(),
            "t.txt:2:9: found the end of the line, expected `]]`",
        ),
        (
            "[cluster c] x".into(),
            "t.txt:1:13: found `x` after the section header, expected the end of the line",
        ),
        (
            "[cluster c]\n[node n]".into(),
            "t.txt:2:1: found `[node n]`, expected the form `[[node NAME]]`",
        ),
        (
            "[[node n]]\n[cluster c]".into(),
            "t.txt:1:1: found `[[node n]]` outside other sections, expected it below `[cluster NAME]`",
        ),
        (
            "[cluster c]\n[[[configuration]]]".into(),
            "t.txt:2:1: found `[[[configuration]]]` in `[cluster c]`, expected it below a `[[node]]` or a `[[nodearray]]`",
        ),
        (
            "[cluster c]\n[[nodes n]]".into(),
            "t.txt:2:1: found a section of kind `nodes`, expected one of cluster, node, nodearray, configuration, cluster-init, volume, network-interface, input-endpoint, noderef, environment, parameters, parameter, list, record",
        ),
        (
            format!("{node}[[nodearray N]]"),
            "t.txt:3:1: found a second `N`, expected each name once",
        ),
        (
            "[cluster c]\n[[node ../n]]".into(),
            "t.txt:2:1: found a name that cannot be used: node `../n` starts with a dot or a dash",
        ),
        (
            format!("{node}\thello"),
            "t.txt:3:2: found `hello`, expected `KEY = VALUE` or a section header",
        ),
        (
            format!("{node}= 1"),
            "t.txt:3:1: found `=` at the start of the line, expected a key before it",
        ),
        (
            format!("{node}a b = 1"),
            "t.txt:3:2: found ` ` in a key, expected letters, digits and `._-*/@+`",
        ),
        (
            format!("{node}a..b = 1"),
            "t.txt:3:1: found the key `a..b`, expected a name on both sides of each dot",
        ),
        (
            format!("{node}a = \"b"),
            "t.txt:3:5: found `\"` without a second one, expected it before the end of the line",
        ),
        (
            format!("{node}a = '''b\nc = 1"),
            "t.txt:3:5: found `'''` without a second one, expected it before the end of the file",
        ),
        (
            format!("{node}a = '''b\nc''' d"),
            "t.txt:4:6: found `d` after `'''`, expected the end of the line",
        ),
        (
            format!("{node}a = x$nope"),
            "t.txt:3:6: Parameter nope is not known (referenced by node n)",
        ),
        (
            format!("{node}[[[configuration]]]\nö = '''\n  ${{nope}}'''"),
            "t.txt:5:3: Parameter nope is not known (referenced by node n)",
        ),
        (
            format!("{node}a = ${{b"),
            "t.txt:3:5: found `${` without `}`, expected `${Parameter}`",
        ),
        (
            format!("{node}a = 1, ${{strcat(a, b)}}"),
            "t.txt:3:17: Parameter a is not known (referenced by node n)",
        ),
        (
            format!("{node}[[[configuration]]]\na := b + 1"),
            "t.txt:4:6: Parameter b is not known (referenced by node n)",
        ),
        (
            format!("{node}a = $p\n[parameters]\n[[parameter p]]\nDefaultValue := f(1)"),
            "t.txt:6:17: found the function `f`, expected one that exists",
        ),
        (
            format!("{node}a = x${{1 +}}"),
            "t.txt:3:11: found the end of the expression, expected a value, a name or a function",
        ),
        (
            format!("{node}a := strcat(\"x\", 1 / 0)"),
            "t.txt:3:20: found a division by zero, expected another divisor",
        ),
        (
            format!("{node}Extends = m"),
            "t.txt:3:11: found the parent `m`, expected the name of a node or node array",
        ),
        (
            format!("{node}Extends = m\n[[node m]]\nExtends = n"),
            "t.txt:5:11: found the cycle `n` -> `m` -> `n`, expected parents that do not extend their children",
        ),
        (
            "[cluster c]\n[[node defaults]]\nExtends = n\n[[node n]]\nExtends = n".into(),
            "t.txt:5:11: found the cycle `defaults` -> `n` -> `n`, expected parents that do not extend their children",
        ),
        (
            "[cluster c]\n[[nodearray a]]\nInitialCount = many".into(),
            "t.txt:3:16: found `many`, expected `InitialCount` to be a whole number from 0",
        ),
        (
            "[cluster c]\nMaxCount = -1".into(),
            "t.txt:2:12: found `-1`, expected `MaxCount` to be a whole number from 0",
        ),
        (
            format!("{node}KeepAlive = yes"),
            "t.txt:3:13: found `yes`, expected true or false",
        ),
        (
            format!("{node}ShutdownPolicy = stop"),
            "t.txt:3:18: found `stop`, expected `terminate` or `deallocate`",
        ),
        (
            format!("{node}[[[cluster-init foo]]]"),
            "t.txt:3:1: found the cluster-init `foo`, expected `[[[cluster-init PROJECT:SPEC:VERSION]]]` or the attributes `Project` and `Spec`",
        ),
        (
            format!("{node}[[[cluster-init ..:default]]]"),
            "t.txt:3:1: found a name that cannot be used, expected `[[[cluster-init PROJECT:SPEC:VERSION]]]` or the attributes `Project` and `Spec`: project `..` starts with a dot or a dash",
        ),
        (
            "[cluster c]\n[parameters]\n[[parameter p]]\nRequired = True".into(),
            "t.txt:3:1: found no value for the required parameter `p`, expected one",
        ),
        (
            "[cluster c]\n[parameters]\n[[parameter p]]\nParameterType = Integer\nDefaultValue = few".into(),
            "t.txt:5:16: found `few`, expected an integer",
        ),
        (
            "[cluster c]\n[[parameter p]]\n[noderef x]".into(),
            "t.txt:3:1: found `[noderef x]`, expected nodes and node arrays only: this kind of section is not supported",
        ),
    ];
    for (text, message) in cases {
        assert_eq!(
            define(&text, json!({})).map(drop),
            Err(message.to_owned()),
            "{text}"
        );
    }
}

#[test]
fn bad_parameters_are_refused() {
    let text = "[cluster c]\n[parameters]\n[[parameter Count]]\nParameterType = Integer\n[[parameter Flag]]\nDefaultValue = true";
    assert_eq!(
        define(text, json!({"Cuont": 1})).unwrap_err(),
        "Parameter Cuont is not known"
    );
    assert_eq!(
        define(text, json!({"Count": "three"})).unwrap_err(),
        "t.txt:3:1: found the value `three` for parameter `Count`, expected an integer"
    );
    assert_eq!(
        define(text, json!({"Flag": "maybe"})).unwrap_err(),
        "t.txt:5:1: found the value `maybe` for parameter `Flag`, expected true or false"
    );
    let definition = define(text, json!({"count": "3", "Flag": "False"})).unwrap();
    assert_eq!(
        Value::Object(definition.parameters),
        json!({"Count": 3, "Flag": false})
    );
}

#[test]
fn parameters_keep_their_type_alone_and_become_text_inside_text() {
    let text = "[[[configuration]]]\na = $n\nb = 123$n\nc = 123${n}789\nd = \"$n\"\ne = $n, x$n\nf = $l\ng = $u\nh = [$u]\ni = $5 and $\nj = $s\n\
        [parameters]\n[[parameter n]]\nDefaultValue = 5\n[[parameter l]]\nDefaultValue = a, 2\n[[parameter u]]\n[[parameter s]]\n";
    assert_eq!(
        configuration(text, json!({"s": "has $n, ${n} and # in it"})),
        json!({
            "a": 5, "b": "1235", "c": "1235789", "d": "5", "e": [5, "x5"], "f": ["a", 2],
            "h": "[]", "i": "$5 and $", "j": "has $n, ${n} and # in it"
        })
    );
}

#[test]
fn overridden_and_unused_expressions_do_not_matter() {
    let text = "[cluster c]\n[[node defaults]]\nImageName = ${f(1)}\n[[node base]]\nAbstract = true\nZone := f(2)\n[[node n]]\nImageName = plain\n";
    let definition = define(text, json!({})).unwrap();
    assert_eq!(definition.nodes.len(), 1);
    assert_eq!(definition.nodes[0].attributes["ImageName"], "plain");
}

#[test]
fn expressions_stand_for_their_values() {
    let text = "[cluster c]\nMaxCoreCount = ${Cores * Nodes}\n[[node n]]\n\
        MachineType = ${Sizes[Kind]}\nImageName = \"img-${toLower(Kind)}-$Nodes\"\nInterruptible := Cores > 4 && Nodes isnt undefined\n\
        Zone := ifThenElse(Nodes > 100, 1, undefined)\nTags := {\"a\", strcat(\"b\", Nodes)}\n\
        [[[configuration]]]\nsubnet = ${Subnet.Name}\nboth = ${Derived}, ${ClusterName}\nlong := \'\'\'\nifThenElse(Nodes == 3,\n  \"three\", \"other\")\n\'\'\'\n\
        [parameters All]\n[[parameter Cores]]\nDefaultValue = 8\n[[parameter Nodes]]\nDefaultValue = 3\n[[parameter Kind]]\nDefaultValue = Big\n\
        [[parameter Derived]]\nDefaultValue := strcat(Kind, \"-\", Cores * 2)\n\
        [[parameter Sizes]]\nHidden = true\n[[[record DefaultValue]]]\nBig = E64\nSmall = D2\n\
        [[parameter Subnet]]\n[[[record DefaultValue]]]\nName = inner\n";
    let definition = define(text, json!({"Cores": 16})).unwrap();
    assert_eq!(definition.max_core_count, Some(48));
    let node = &definition.nodes[0];
    assert_eq!(node.machine_types, ["E64"]);
    let attributes = &node.attributes;
    assert_eq!(attributes["ImageName"], "img-big-3");
    assert_eq!(attributes["Interruptible"], true);
    assert_eq!(attributes["Tags"], json!(["a", "b3"]));
    assert!(!attributes.contains_key("Zone"), "undefined is absent");
    assert_eq!(
        json!(node.configuration),
        json!({"subnet": "inner", "both": ["Big-32", "test"], "long": "three"})
    );
    assert_eq!(definition.parameters["Derived"], "Big-32");
}

#[test]
fn a_chain_of_defaults_is_evaluated_once() {
    let mut text = "[cluster c]\n[[node n]]\nx = ${size(P30)}\ny = ${true}\nz = \"${strcat(\"a\", \"}\")}\"\n[parameters]\n[[parameter P0]]\nDefaultValue := {1}\n".to_owned();
    for number in 1..=30 {
        text.push_str(&format!(
            "[[parameter P{number}]]\nDefaultValue := {{size(P{}), size(P{})}}\n",
            number - 1,
            number - 1
        ));
    }
    let node = &define(&text, json!({})).unwrap().nodes[0];
    assert_eq!(node.attributes["x"], 2);
    assert_eq!(node.attributes["y"], true);
    assert_eq!(node.attributes["z"], "a}");
}

#[test]
fn an_expression_that_refers_to_itself_has_no_value() {
    let text = "[cluster c]\n[[node n]]\nx = $A\n[parameters]\n[[parameter A]]\nDefaultValue := B + 1\n[[parameter B]]\nDefaultValue := A\n";
    let error = define(text, json!({})).unwrap_err().to_string();
    assert!(error.contains("refers to itself"), "{error}");
}

#[test]
fn a_diamond_of_parents_counts_the_common_one_once() {
    let text = "[cluster c]\n[[node d]]\nAbstract=true\nx=d\ny=d\n[[[cluster-init p:d]]]\n[[node a]]\nAbstract=true\nExtends=d\nx=a\n[[[cluster-init p:a]]]\n\
        [[node b]]\nAbstract=true\nExtends=d\n[[[cluster-init p:b]]]\n[[node n]]\nExtends = a, b\n";
    let node = &define(text, json!({})).unwrap().nodes[0];
    assert_eq!(
        (&node.attributes["x"], &node.attributes["y"]),
        (&json!("a"), &json!("d"))
    );
    let specs: Vec<_> = node.cluster_init.iter().map(|spec| spec.spec.as_str()).collect();
    assert_eq!(specs, ["d", "a", "b"]);
    assert!(!node.attributes.contains_key("Extends") && !node.attributes.contains_key("Abstract"));
}

#[test]
fn a_required_parameter_may_be_missing_where_the_form_may_leave_it_out() {
    let text =
        "[cluster c]\n[parameters]\nConditions.Excluded := Kind != \"a\"\n[[parameter p]]\nRequired = true";
    assert_eq!(define(text, json!({})).unwrap().parameters["p"], Value::Null);
}

#[test]
fn tabs_line_ends_of_windows_and_a_byte_order_mark_are_fine() {
    let text =
        "\u{feff}[CLUSTER c]\r\n\t[[Node n]]\t# the only one\r\n\tkeepalive=TRUE\r\n\ta.b = '''x\r\ny'''\r\n";
    let definition = define(text, json!({})).unwrap();
    assert!(definition.nodes[0].keep_alive);
    assert_eq!(definition.nodes[0].attributes["a"], json!({"b": "x\ny"}));
}

#[test]
fn attributes_keep_their_text_beside_their_type() {
    let template = parse(
        "t.txt",
        "[cluster c]\n[parameters]\nDescription = One, two and 3\n[[parameter p]]\nLabel = \"A, \\\"b\\\"\"\nConditions.Hidden := A && !B # why\n",
    )
    .unwrap();
    let group = &template.sections[1];
    assert_eq!(group.attribute("description").unwrap().text(), "One, two and 3");
    let parameter = &group.sections[0];
    assert_eq!(parameter.attribute("Label").unwrap().text(), "A, \"b\"");
    let hidden = parameter.attribute("Conditions.Hidden").unwrap();
    assert_eq!(
        (hidden.operator, hidden.raw.as_str()),
        (Operator::Expression, "A && !B")
    );
}

/// Lines that look like templates, so that the parser gets far.
fn lines() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        Just("[cluster c]".to_owned()),
        Just("[[node defaults]]".to_owned()),
        "\\[\\[node(array)? [a-d]\\]\\]",
        "\\[\\[\\[(configuration|cluster-init|volume|list|record)( [a-c:./]{0,6})?\\]\\]\\]",
        "\\[{1,4}parameters?( [a-c])?\\]{1,4}",
        "(Extends|Abstract|Order|MachineType|InitialCount|DefaultValue|Required|a\\.b) ?:?= ?[a-c$\\{\\}\"', 0-9#]{0,12}",
        "\\PC{0,20}",
        Just("x = '''".to_owned()),
    ];
    prop::collection::vec(line, 0..24).prop_map(|lines| lines.join("\n"))
}

/// Text that needs no thought inside quotes.
fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::from),
        (-1_000_000_i64..1_000_000).prop_map(Value::from),
        "[a-zA-Z #,'=\"äß/:;\\[\\]-]{0,12}".prop_map(Value::from),
    ]
}

fn print(value: &Value) -> String {
    match value {
        Value::String(text) => format!("\"{}\"", text.replace('"', "\\\"")),
        Value::Array(values) => values.iter().map(print).collect::<Vec<_>>().join(" , "),
        other => other.to_string(),
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "(?s).{0,200}") {
        drop(define(&text, json!({})));
    }

    #[test]
    fn no_lines_make_it_panic(text in lines()) {
        drop(define(&text, json!({})));
    }

    #[test]
    fn printed_values_are_read_back(
        values in prop::collection::btree_map(
            "[a-z]{1,4}",
            prop_oneof![scalar(), prop::collection::vec(scalar(), 2..5).prop_map(Value::from)],
            0..8,
        ),
    ) {
        let mut text = "[[[configuration]]]\n".to_owned();
        for (key, value) in &values {
            text.push_str(&format!("\t{key} = {}  # note\n", print(value)));
        }
        let expected: Map<_, _> = values.into_iter().collect();
        prop_assert_eq!(configuration(&text, json!({})), Value::Object(expected));
    }
}
