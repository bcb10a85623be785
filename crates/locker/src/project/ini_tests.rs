//! Forms of `project.ini` as they occur in public projects, and a few that must not pass.

use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> ProjectIni {
    ProjectIni::parse(text, Path::new("project.ini")).unwrap()
}

fn refused(text: &str) -> String {
    ProjectIni::parse(text, Path::new("p/project.ini"))
        .unwrap_err()
        .to_string()
}

#[test]
fn a_plain_project() {
    let ini = parse(
        "[project]\nname = demo\nlabel = \"The Demo\"\ntype = scheduler\nversion = 2.1\nautoupgrade = True\n",
    );
    assert_eq!(ini.name, "demo");
    assert_eq!(ini.label.as_deref(), Some("The Demo"));
    assert_eq!(ini.kind, "scheduler");
    assert_eq!(ini.version, "2.1");
    assert!(ini.autoupgrade);
}

#[test]
fn what_is_not_said_has_a_default() {
    let ini = parse("[project]\nname=x\ntype =\n");
    assert_eq!(
        (ini.version.as_str(), ini.kind.as_str()),
        ("1.0.0", "application")
    );
    assert!(!ini.autoupgrade);
}

#[test]
fn a_byte_order_mark_crlf_tabs_and_case_do_not_matter() {
    let ini = parse("\u{feff}[PROJECT]\r\n\tName\t=\tx\r\n\tVersion=1.2.3   # the first\r\n");
    assert_eq!((ini.name.as_str(), ini.version.as_str()), ("x", "1.2.3"));
}

#[test]
fn blobs_of_all_sections_are_joined_with_wildcards_and_sub_paths() {
    let ini = parse(
        "[project]\nname = x\n[blobs]\nFiles = a.tgz, singularity-*,dir/c.rpm,\n[blobs optional]\nfiles=b.tgz , a.tgz\n\
         [[blobs more]]\n  Files = one.rpm,\n          two.rpm,  # the second\n    three=3.rpm\n",
    );
    assert_eq!(
        ini.blobs,
        [
            "a.tgz",
            "singularity-*",
            "dir/c.rpm",
            "b.tgz",
            "one.rpm",
            "two.rpm"
        ]
    );
}

#[test]
fn specs_have_run_lists_and_may_be_empty() {
    let ini = parse(
        "[project]\nname = x\n[spec scheduler]\nrun_list=role[pbs_scheduler], recipe[a::b]\n[spec empty]\n[ spec  login node ]\n",
    );
    assert_eq!(
        ini.specs["scheduler"].run_list,
        ["role[pbs_scheduler]", "recipe[a::b]"]
    );
    assert!(ini.specs["empty"].run_list.is_empty());
    assert!(ini.specs.contains_key("login node"));
}

#[test]
fn config_is_kept_with_what_nests_in_it() {
    let ini = parse(
        "[project]\nname = x\n\
         [config slurm.version]\nRequired = True\nLabel = Slurm Version\n\
         Config.Entries := {[Label=\"22.05 ]\"; Value=\"22\"], \n  [Label=\"23\"; Value=\"23\"]}\n\
         Description = '''<p># not\n a comment'''\n\
         [[[[list Config.Entries]]]]\nValue = 1\n\
         [[record DefaultValue]]\na = b\n\
         [config other]\nDefaultValue = 5\n\
         [target a]\nb = c\n",
    );
    assert_eq!(ini.config.len(), 2);
    let config = &ini.config[0];
    assert_eq!(config.key, "slurm.version");
    assert_eq!(config.attributes[0], ("Required".into(), "True".into()));
    assert!(config.attributes[2].1.ends_with("Value=\"23\"]}"));
    assert_eq!(config.attributes[3].1, "<p># not\n a comment");
    assert_eq!(config.sections.len(), 2);
    assert_eq!(
        (config.sections[0].rank, config.sections[0].kind.as_str()),
        (4, "list")
    );
    assert_eq!(ini.config[1].attributes, [("DefaultValue".into(), "5".into())]);
    assert_eq!(ini.others[0].kind, "target");
}

#[test]
fn a_hash_within_a_word_or_quotes_is_no_comment() {
    let ini = parse("[project] # it\nname = x # comment\nlabel = 'C # and C#' # yes\n; no\n");
    assert_eq!(ini.label.as_deref(), Some("C # and C#"));
    assert_eq!(
        parse("[project]\nname=x\nlabel = C# it's\n").label.as_deref(),
        Some("C# it's")
    );
}

#[test]
fn errors_name_file_and_line() {
    assert_eq!(refused(""), "p/project.ini:1: there is no section `[project]`");
    assert_eq!(
        refused("# x\n[project]\nversion=1\n"),
        "p/project.ini:2: `[project]` has no `name`"
    );
    assert_eq!(refused("a = b\n"), "p/project.ini:1: `a = b` is in no section");
    assert_eq!(
        refused("[project]\n[[x]\n"),
        "p/project.ini:2: `[[x]` has 2 opening and 1 closing brackets"
    );
    assert_eq!(
        refused("[project]\nname = x\nnonsense\n"),
        "p/project.ini:3: `nonsense` is neither a section nor `key = value`"
    );
    assert_eq!(
        refused("[project]\nname = x\n[config a]\nb := {\n\n"),
        "p/project.ini:4: the brackets of this expression are never closed"
    );
    assert!(refused("[project]\nname = x\n[]\n").ends_with(":3: `[]` has no name"));
    assert!(refused("[project]\nname = x\n[spec]\n").contains(":3: spec `` is empty"));
}

#[test]
fn names_that_leave_their_folder_are_refused() {
    assert!(refused("[project]\nname = ../x\n").contains(":2: project `../x`"));
    assert!(refused("[project]\nname = x\nversion = a/b\n").contains(":3: version `a/b`"));
    assert!(refused("[project]\nname = x\nversion = blobs\n").contains("cannot be `blobs`"));
    assert!(refused("[project]\nname = x\n[spec ../y]\n").contains(":3: spec `../y`"));
    assert!(refused("[project]\nname = x\n[blobs]\nFiles = a, ../b\n").contains(":4: the path `../b`"));
}

prop_compose! {
    fn name()(name in "[a-z][a-z0-9_.-]{0,8}") -> String { name }
}

proptest! {
    #[test]
    fn any_text_is_understood_or_refused_with_a_line_of_it(text in "([\\[\\]=:#'\"{}\\n ,a-c\\\\]|project|name){0,60}") {
        if let Err(error) = ProjectIni::parse(&text, Path::new("p")) {
            let IniError::Syntax { line, .. } = error else { panic!("{error}") };
            prop_assert!(line >= 1 && line <= text.lines().count().max(1));
        }
    }

    #[test]
    fn what_is_written_is_read(
        project in name(),
        blobs in proptest::collection::hash_set(name(), 0..5),
        specs in proptest::collection::btree_map(name(), proptest::collection::vec(name(), 0..3), 0..4),
        indent in "[ \t]{0,3}",
        comment in "( # [a-z' ]{0,5})?",
        end in "\r?\n",
    ) {
        use std::fmt::Write;
        let blobs: Vec<String> = blobs.into_iter().collect();
        let mut text = format!("{indent}[project]{comment}{end}{indent}name={project}{comment}{end}[blobs]{end}{indent}Files = {}{comment}{end}", blobs.join(","));
        for (spec, run_list) in &specs {
            write!(text, "{indent}[spec {spec}]{end}{indent}run_list = {}{comment}{end}{end}", run_list.join(" , ")).unwrap();
        }
        let ini = ProjectIni::parse(&text, Path::new("p")).unwrap();
        prop_assert_eq!(ini.name, project);
        prop_assert_eq!(ini.blobs, blobs);
        prop_assert_eq!(ini.specs.into_iter().map(|(name, spec)| (name, spec.run_list)).collect::<BTreeMap<_, _>>(), specs);
    }
}
