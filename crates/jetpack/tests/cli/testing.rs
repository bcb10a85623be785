//! `jetpack test`: real tests, run by the real Python of this machine.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::home::{Home, Run};
use crate::python::node;

/// Passing and failing tests of both styles.
const PLAIN: &str = "import helper

def setup_module(module):
    helper.made = True

def test_made():
    assert helper.made

def test_bad():
    print('said before')
    assert helper.answer() == 42, 'wrong answer'
";
const CASES: &str = "import os
import unittest
import jetpack.config
from jetpack.util import is_linux

class Node(unittest.TestCase):
    def test_role(self):
        self.assertIn('scheduler', jetpack.config.get('roles', []))
        self.assertTrue(is_linux())

    def test_environment(self):
        self.assertEqual(os.environ['CYCLECLOUD_SPEC_NAME'], 'default')
        self.assertEqual(os.path.basename(os.getcwd()), 'tests')

    @unittest.skip('not on this machine')
    def test_gpu(self):
        pass
";

/// A node with two projects, and tests for the specs that a test names.
fn project(files: &[(&str, u32, &str)]) -> Home {
    let home = node();
    let data = json!({
        "roles": ["scheduler"],
        "cyclecloud": {"cluster_init_specs": [
            {"project": "second", "spec": "default", "version": "1.2.0", "locker": "l"},
            {"project": "first", "spec": "default", "version": "1.0.0", "locker": "l"},
        ]},
    });
    home.write("config/node.json", &data.to_string());
    for (path, mode, text) in files {
        let path = home.path().join("../cluster-init").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        durable::write(&path, *mode, text.as_bytes()).unwrap();
    }
    home
}

/// What was reported to the server.
fn reports(home: &Home) -> Vec<Value> {
    let folder = home.path().join("run/outbox");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    files
        .iter()
        .map(|path| serde_json::from_slice::<Value>(&std::fs::read(path).unwrap()).unwrap())
        .filter(|message| message["type"] == "test")
        .map(|message| message["data"].clone())
        .collect()
}

/// The output without the times that tests took.
fn timeless(run: &Run) -> String {
    let lines = run
        .stdout
        .lines()
        .map(|line| match line.split_once(" skipped in ") {
            Some((start, _)) => format!("{start} skipped"),
            None => line.to_owned(),
        });
    lines.map(|line| line + "\n").collect()
}

fn mixed() -> Home {
    project(&[
        ("first/default/tests/test_plain.py", 0o644, PLAIN),
        (
            "first/default/tests/helper.py",
            0o644,
            "def answer():\n    return 41\n",
        ),
        ("second/default/tests/node_test.py", 0o755, CASES),
        (
            "second/default/tests/check.sh",
            0o755,
            "#!/bin/sh\necho checked $CYCLECLOUD_PROJECT_NAME\n",
        ),
        ("second/default/tests/data.txt", 0o644, "no test\n"),
    ])
}

#[test]
fn tests_run_in_the_order_of_the_specs_and_a_failure_is_exit_code_1() {
    let home = mixed();
    let run = home.run(&["test"]);
    assert_eq!(run.code, 1, "{run:?}");
    let output = timeless(&run);
    let (shown, summary) = output.split_once("\n\n").unwrap();
    assert_eq!(
        summary,
        "second:default: 3 passed, 0 failed, 0 errors, 1 skipped\n  \
           skipped node_test.py::Node::test_gpu: not on this machine\n\
         first:default: 1 passed, 1 failed, 0 errors, 0 skipped\n  \
           FAILED test_plain.py::test_bad: AssertionError: wrong answer\n"
    );
    let starts: Vec<_> = shown.lines().filter(|line| line.contains(":default: ")).collect();
    assert_eq!(
        starts,
        [
            "second:default: check.sh",
            "second:default: node_test.py",
            "first:default: test_plain.py"
        ]
    );
    assert!(
        shown.contains("\nchecked second\n") && shown.contains("\nsaid before\n"),
        "{shown}"
    );
    assert!(
        run.stderr.ends_with("Error: 1 of 6 tests did not pass\n"),
        "{run:?}"
    );

    let reports = reports(&home);
    assert_eq!(reports.len(), 2, "{reports:#?}");
    assert_eq!(
        (
            &reports[0]["project"],
            &reports[0]["passed"],
            &reports[0]["skipped"]
        ),
        (&json!("second"), &json!(3), &json!(1))
    );
    assert_eq!(
        (&reports[1]["spec"], &reports[1]["passed"], &reports[1]["failed"]),
        (&json!("default"), &json!(1), &json!(1))
    );
    let failure = &reports[1]["failures"][0];
    assert_eq!(failure["test"], "test_plain.py::test_bad");
    let message = failure["message"].as_str().unwrap();
    assert!(
        message.contains("helper.answer() == 42") && message.contains("wrong answer"),
        "{message}"
    );
    let left: Vec<_> = std::fs::read_dir(home.path().join("../cluster-init/first/default/tests"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 2, "nothing is left beside the tests: {left:?}");
}

#[test]
fn one_project_or_spec_can_be_chosen_and_success_is_exit_code_0() {
    let home = mixed();
    let run = home.run(&["test", "--project", "second", "--spec=default"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(!run.stdout.contains("first"), "{run:?}");
    assert_eq!(reports(&home).len(), 1);
    home.fails(
        &["test", "--project", "third"],
        "Error: `third` is not a project of this node, which has: second, first\n",
    );
    home.fails(
        &["test", "--spec", "gpu"],
        "Error: `gpu` is not a spec of this node, which has: default\n\
         Hint: specs of a node are in `jetpack config cyclecloud.cluster_init_specs`\n",
    );
}

#[test]
fn no_tests_are_no_failure() {
    let home = project(&[("first/default/tests/helper.py", 0o644, "")]);
    let run = home.run(&["test"]);
    assert_eq!(
        (run.code, run.stdout.as_str(), run.stderr.as_str()),
        (0, "", "there are no tests\n")
    );
    assert!(!home.path().join("run/outbox").exists() || reports(&home).is_empty());
    home.write("config/node.json", "{}");
    assert_eq!(home.run(&["test"]).code, 0);
}

#[test]
fn a_test_that_hangs_or_crashes_is_named_and_the_others_run() {
    let home = project(&[
        (
            "first/default/tests/test_1.py",
            0o644,
            "import time\ndef test_good(): pass\ndef test_hang(): time.sleep(1000)\n",
        ),
        (
            "first/default/tests/test_2.py",
            0o644,
            "import os, signal\ndef test_crash(): os.kill(os.getpid(), signal.SIGSEGV)\n",
        ),
        ("first/default/tests/test_3.py", 0o644, "import no_such_module\n"),
        ("first/default/tests/test_4.py", 0o644, "def broken(:\n"),
        ("first/default/tests/test_5.sh", 0o755, "#!/no/such/shell\n"),
        (
            "first/default/tests/test_6.sh",
            0o755,
            "#!/bin/sh\necho reason\nexit 7\n",
        ),
        ("first/default/tests/test_7.py", 0o644, "def test_last(): pass\n"),
    ]);
    let run = home.run(&["test", "--timeout", "3"]);
    assert_eq!(run.code, 1, "{run:?}");
    for expected in [
        "first:default: 2 passed, 1 failed, 5 errors, 0 skipped in ",
        "  ERROR test_1.py::test_hang: time limit reached after 3 s\n",
        "  ERROR test_2.py::test_crash: killed by SIGSEGV\n",
        "  ERROR test_3.py: ModuleNotFoundError: No module named 'no_such_module'\n",
        "  ERROR test_4.py: SyntaxError: ",
        "test_5.sh` names the interpreter `/no/such/shell`, which does not exist\n",
        "  FAILED test_6.sh: return code: 7\n",
    ] {
        assert!(run.stdout.contains(expected), "{expected}\n{}", run.stdout);
    }
    assert_eq!(reports(&home)[0]["failures"][4]["test"], "test_5.sh");
}

#[test]
fn results_are_written_as_junit_xml_whatever_tests_print() {
    let home = mixed();
    let text = "def test_odd():\n    raise ValueError('\\x00\\x1b[31m<red> & ]]> \\ud800')\n";
    let path = home
        .path()
        .join("../cluster-init/first/default/tests/test_odd.py");
    durable::write(&path, 0o644, text.as_bytes()).unwrap();
    let path = home.path().join("../cluster-init/first/default/tests/bytes.sh");
    durable::write(&path, 0o755, b"#!/bin/sh\nprintf '\\377\\000\\010'\nexit 1\n").unwrap();
    let run = home.run_in(&home.path(), &["test", "--junit-xml", "logs/results.xml"]);
    assert_eq!(run.code, 1, "{run:?}");
    // Read by somebody else's parser.
    let read = "import sys, xml.etree.ElementTree as e
r = e.parse(sys.argv[1]).getroot()
print(r.tag, r.get('tests'), [(s.get('name'), s.get('tests'), len(s.findall('testcase'))) for s in r])
print(sorted(c.get('classname') + ' ' + c.get('name') for c in r.iter('testcase') if c.find('failure') is not None))";
    #[expect(clippy::disallowed_methods, reason = "an independent reader of the file")]
    let read = Command::new(home.path().join("system/embedded/bin/python"))
        .args(["-c", read])
        .arg(home.path().join("logs/results.xml"))
        .output()
        .unwrap();
    let said = String::from_utf8(read.stdout).unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    assert!(
        said.starts_with("testsuites 8 [('second:default', '4', 4), ('first:default', '4', 4)]\n"),
        "{said}"
    );
    assert!(said.contains("'first:default bytes.sh'"), "{said}");
    assert!(said.contains("'first:default.test_plain.py test_bad'"), "{said}");

    let run = home.run(&["test", "--junit-xml", "none/results.xml"]);
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (1, ""),
        "nothing was run: {run:?}"
    );
    assert!(run.stderr.ends_with("none` does not exist\n"), "{run:?}");
}

#[test]
fn pytest_is_used_where_it_is() {
    let packages = packages_with_pytest();
    let home = project(&[
        (
            "first/default/tests/test_fixtures.py",
            0o644,
            "import pytest, helper
def test_folder(tmp_path): assert tmp_path.is_dir() and helper.x
@pytest.mark.parametrize('n', [1, 2])
def test_each(n, own): assert n == own
@pytest.mark.skip(reason='later')
def test_later(): pass
@pytest.mark.xfail(reason='known')
def test_known(): assert False
@pytest.fixture
def bad(): raise OSError('no disk')
def test_setup(bad): pass
",
        ),
        (
            "first/default/tests/conftest.py",
            0o644,
            "import pytest\n@pytest.fixture\ndef own(): return 1\n",
        ),
        ("first/default/tests/helper.py", 0o644, "x = 1\n"),
        (
            "first/default/tests/test_import.py",
            0o644,
            "import no_such_module\n",
        ),
    ]);
    #[expect(
        clippy::disallowed_methods,
        reason = "the test starts the program that it tests"
    )]
    let output = Command::new(env!("CARGO_BIN_EXE_jetpack"))
        .arg("test")
        .env_clear()
        .env("CYCLECLOUD_HOME", home.path())
        .env("PYTHONPATH", packages)
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stdout}");
    for expected in [
        "first:default: 2 passed, 1 failed, 2 errors, 2 skipped in ",
        "  FAILED test_fixtures.py::test_each[2]: assert 2 == 1\n",
        "  skipped test_fixtures.py::test_later: later\n",
        "  skipped test_fixtures.py::test_known: it is known to fail: known\n",
        "  ERROR test_fixtures.py::test_setup: OSError: no disk\n",
        "  ERROR test_import.py: ModuleNotFoundError: No module named 'no_such_module'\n",
    ] {
        assert!(stdout.contains(expected), "{expected}\n{stdout}");
    }
}

/// Where the Python of the development tools keeps pytest.
fn packages_with_pytest() -> String {
    let python = std::env::var("JETPACK_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let find = "import os, pytest; print(os.path.dirname(os.path.dirname(pytest.__file__)))";
    #[expect(clippy::disallowed_methods, reason = "a tool of the tests")]
    let output = Command::new(&python).args(["-c", find]).output().unwrap();
    assert!(
        output.status.success(),
        "`{python}` has no pytest: run `make test`, which makes an environment with it and sets JETPACK_TEST_PYTHON"
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn interrupted_it_ends_the_test_and_tells_what_ran() {
    let home = project(&[
        ("first/default/tests/1.sh", 0o755, "#!/bin/sh\necho first\n"),
        (
            "first/default/tests/2.sh",
            0o755,
            "#!/bin/sh\necho $$ >\"$CYCLECLOUD_HOME/pid\"\nexec sleep 1000\n",
        ),
        (
            "first/default/tests/3.sh",
            0o755,
            "#!/bin/sh\ntouch \"$CYCLECLOUD_HOME/third\"\n",
        ),
    ]);
    #[expect(
        clippy::disallowed_methods,
        reason = "the test starts the program that it tests"
    )]
    let child: Child = Command::new(env!("CARGO_BIN_EXE_jetpack"))
        .arg("test")
        .env_clear()
        .env("CYCLECLOUD_HOME", home.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let end = Instant::now() + Duration::from_secs(30);
    let pid = loop {
        let text = std::fs::read_to_string(home.path().join("pid")).unwrap_or_default();
        if text.ends_with('\n') {
            break text.trim().to_owned();
        }
        assert!(Instant::now() < end, "the test does not run");
        std::thread::sleep(Duration::from_millis(10));
    };
    let id = child.id().to_string();
    #[expect(clippy::disallowed_methods, reason = "the signal that a terminal would send")]
    let sent = Command::new("/bin/sh")
        .args(["-c", &format!("kill -INT {id}")])
        .status()
        .unwrap();
    assert!(sent.success());
    let output = child.wait_with_output().unwrap();
    let (stdout, stderr) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert_eq!(output.status.code(), Some(1), "{stdout}{stderr}");
    assert!(stdout.contains("first:default: 1 passed, "), "{stdout}");
    assert_eq!(stderr, "Error: stopped; the results above are not complete\n");
    assert!(
        !PathBuf::from(format!("/proc/{pid}/cwd")).exists(),
        "the test was ended"
    );
    assert!(!home.path().join("third").exists());
}

#[test]
fn bad_options_are_refused() {
    let home = mixed();
    for line in [
        &["test", "--timeout", "soon"][..],
        &["test", "--timeout", "0"],
        &["test", "--timeout=-5"],
        &["test", "--project"],
        &["test", "slurm"],
    ] {
        let run = home.run(line);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{run:?}");
    }
    Home::new().fails(
        &["test"],
        "Error: this machine is no node: `$HOME/run` does not exist\n\
         Hint: `jetpack initialize` makes it one; CYCLECLOUD_HOME names another home\n",
    );
}
