"""Runs one file of tests for `jetpack test`: with pytest where it is there, else with unittest and what it takes to run
plain functions.

    python -m jetpack._runner FILE RESULTS

The current folder is that of the tests. What tests print goes where it always goes; results are written to RESULTS, one
JSON object a line, so that they are known up to the test that hangs or crashes:

    {"start": "test_x.py::test_a"}
    {"test": "test_x.py::test_a", "outcome": "passed", "seconds": 0.1, "summary": "", "details": ""}
    {"done": "pytest 8.3.4"}

Outcomes are passed, failed (an assertion), error (the test could not be carried out) and skipped.
"""

import importlib.util
import inspect
import json
import os
import sys
import time
import traceback
import unittest

# Most of the text of one result that is kept: its end, where the reason stands.
MAX_DETAILS = 64 << 10


class Results:
    """The file of results."""

    def __init__(self, path):
        self._file = open(path, "a", encoding="utf-8")
        self.bad = 0

    def _write(self, line):
        # Any text: half a pair of surrogates is no UTF-8, but it is JSON.
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def start(self, test):
        """A test begins."""
        self._write({"start": test})

    def add(self, test, outcome, seconds=0.0, summary="", details=""):
        """A test has ended."""
        if outcome in ("failed", "error"):
            self.bad += 1
        self._write(
            {
                "test": test,
                "outcome": outcome,
                "seconds": round(seconds, 6),
                "summary": first_line(summary),
                "details": str(details)[-MAX_DETAILS:],
            }
        )

    def done(self, runner):
        """All tests of the file have ended."""
        self._write({"done": runner})


def first_line(text):
    """The first line that says something, of bounded length."""
    for line in str(text).splitlines():
        if line.strip():
            return line.strip()[:500]
    return ""


# With pytest.


class Plugin:
    """Hears from pytest how tests go."""

    def __init__(self, results):
        self._results = results
        self._tests = {}

    def pytest_runtest_logstart(self, nodeid, location):
        self._results.start(nodeid)
        self._tests[nodeid] = {"outcome": "passed", "seconds": 0.0, "summary": "", "details": ""}

    def pytest_runtest_logreport(self, report):
        test = self._tests.setdefault(
            report.nodeid, {"outcome": "passed", "seconds": 0.0, "summary": "", "details": ""}
        )
        test["seconds"] += report.duration
        if report.failed:
            # The test itself failed; before and after it, its fixtures did.
            outcome = "failed" if report.when == "call" else "error"
            if test["outcome"] not in ("failed", "error"):
                test["outcome"], test["summary"] = outcome, crash(report)
            test["details"] += report.longreprtext + "\n"
        elif report.skipped and test["outcome"] == "passed":
            test["outcome"] = "skipped"
            test["summary"] = known_to_fail(report) if hasattr(report, "wasxfail") else reason(report)

    def pytest_runtest_logfinish(self, nodeid, location):
        test = self._tests.pop(nodeid, None)
        if test is not None:
            self._results.add(nodeid, **test)

    def pytest_collectreport(self, report):
        if report.failed:
            # The text ends with the exception.
            lines = [line for line in report.longreprtext.splitlines() if line.startswith("E ")]
            summary = lines[-1][1:] if lines else crash(report)
            self._results.add(report.nodeid, "error", 0.0, summary, report.longreprtext)
        elif report.skipped:
            self._results.add(report.nodeid, "skipped", 0.0, reason(report))


def crash(report):
    """The exception in one line."""
    place = getattr(report.longrepr, "reprcrash", None)
    return place.message if place is not None else report.longreprtext


def known_to_fail(report):
    """Why a test that failed as expected does so."""
    return "it is known to fail" + (": " + report.wasxfail if report.wasxfail else "")


def reason(report):
    """Why a test was skipped."""
    text = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else report.longreprtext
    return text[len("Skipped: ") :] if text.startswith("Skipped: ") else text


def with_pytest(pytest, name, results):
    """Runs the file with pytest, with the `conftest.py` and `pytest.ini` that stand beside it."""
    options = ["-p", "no:cacheprovider", "--rootdir", os.getcwd(), name]
    code = int(pytest.main(options, plugins=[Plugin(results)]))
    # 0 and 1 are told by the results, 5 is a file without tests.
    if code not in (0, 1, 5) and not results.bad:
        words = {2: "pytest was interrupted", 3: "pytest had an internal error", 4: "pytest was called wrongly"}
        results.add(name, "error", 0.0, words.get(code, "pytest ended with {}".format(code)))
    results.done("pytest {}".format(pytest.__version__))


# Without pytest.


class Unittest(unittest.TestResult):
    """Hears from unittest how tests go."""

    def __init__(self, name, results):
        super().__init__()
        self._name = name
        self._results = results
        self._began = time.monotonic()

    def _id(self, test):
        # Of a failed setUpClass there is no test.
        method = getattr(test, "_testMethodName", None)
        if method is None:
            return "{}::{}".format(self._name, getattr(test, "description", str(test)))
        return "{}::{}::{}".format(self._name, type(test).__name__, method)

    def startTest(self, test):
        super().startTest(test)
        self._began = time.monotonic()
        self._results.start(self._id(test))

    def _end(self, test, outcome, summary="", details=""):
        end(self._results, self._id(test), outcome, self._began, summary, details)

    def addSuccess(self, test):
        self._end(test, "passed")

    def addFailure(self, test, err):
        self._end(test, "failed", *describe(err))

    def addError(self, test, err):
        self._end(test, "error", *describe(err))

    def addSkip(self, test, reason):
        self._end(test, "skipped", reason)

    def addExpectedFailure(self, test, err):
        self._end(test, "skipped", "it is known to fail")

    def addUnexpectedSuccess(self, test):
        self._end(test, "failed", "it was expected to fail, and succeeded")

    def addSubTest(self, test, subtest, err):
        if err is not None:
            outcome = "failed" if issubclass(err[0], test.failureException) else "error"
            name = "{} {}".format(self._id(test), subtest._subDescription())
            end(self._results, name, outcome, self._began, *describe(err))


def describe(err):
    """An exception in one line, and where it came from."""
    kind, value, trace = err
    # What called the test is of no interest.
    while trace is not None and is_ours(trace.tb_frame):
        trace = trace.tb_next
    text = "".join(traceback.format_exception(kind, value, trace))
    words = str(value)
    return ("{}: {}".format(kind.__name__, words) if words else kind.__name__), text


def is_ours(frame):
    """Whether a frame belongs to this file or to unittest."""
    return frame.f_code.co_filename == __file__ or "__unittest" in frame.f_globals


def end(results, name, outcome, began, summary="", details=""):
    """A test has ended: says so to people and to the file of results."""
    if details:
        print(details, end="", flush=True)
    print("{} {}{}".format(name, outcome, ": " + first_line(summary) if summary else ""), flush=True)
    results.add(name, outcome, time.monotonic() - began, summary, details)


def call(function, *argument):
    """Calls a fixture with its argument if it takes one."""
    if function is not None:
        takes = [p for p in inspect.signature(function).parameters.values() if p.default is p.empty]
        function(*argument[: len(takes)])


def fixture(owner, *names):
    """The first of these functions that there is."""
    for name in names:
        if callable(getattr(owner, name, None)):
            return getattr(owner, name)
    return None


def needs(function):
    """Names of the arguments that only pytest could fill."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = inspect.signature(function).parameters.values()
    return [p.name for p in parameters if p.kind in kinds and p.default is p.empty]


class Plain:
    """Runs functions, and methods of classes that are no `TestCase`, as pytest would."""

    def __init__(self, results):
        self._results = results

    def guarded(self, name, work, starts=True):
        """Runs `work` as a test of this name; whether it succeeded."""
        if starts:
            self._results.start(name)
        began = time.monotonic()
        try:
            work()
        except unittest.SkipTest as skip:
            end(self._results, name, "skipped", began, str(skip))
        except AssertionError:
            end(self._results, name, "failed", began, *describe(sys.exc_info()))
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: B902 - sys.exit() in a test is an error of the test
            end(self._results, name, "error", began, *describe(sys.exc_info()))
        else:
            if starts:
                end(self._results, name, "passed", began)
            return True
        return False

    def test(self, name, function, before, after):
        """One test with what comes before and after it."""

        def work():
            wanted = needs(function)
            if wanted:
                text = "it takes `{}`, which only pytest gives; install pytest for the node's Python"
                raise RuntimeError(text.format("`, `".join(wanted)))
            call(before, function)
            try:
                result = function()
                if inspect.iscoroutine(result):
                    result.close()
                    raise RuntimeError("it is asynchronous; put it into an `unittest.IsolatedAsyncioTestCase`")
            finally:
                call(after, function)

        self.guarded(name, work)

    def tests_of_class(self, name, kind):
        """The tests of a class."""
        methods = [method for method in dir(kind) if method.startswith("test") and callable(getattr(kind, method))]
        # In the order in which they were written, those of parents first.
        order = [method for parent in reversed(kind.__mro__) for method in vars(parent)]
        methods.sort(key=order.index)
        if not methods or not self.guarded(name, lambda: call(fixture(kind, "setup_class"), kind), starts=False):
            return
        for method in methods:
            instance = kind()
            self.test(
                "{}::{}".format(name, method),
                getattr(instance, method),
                fixture(instance, "setup_method", "setup"),
                fixture(instance, "teardown_method", "teardown"),
            )
        self.guarded(name, lambda: call(fixture(kind, "teardown_class"), kind), starts=False)


BASES = (unittest.TestCase, unittest.FunctionTestCase, getattr(unittest, "IsolatedAsyncioTestCase", None))


def load(name):
    """The file as a module, with its folder on the path, so that it finds what stands beside it."""
    path = os.path.abspath(name)
    folder = os.path.dirname(path)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    module_name = os.path.splitext(os.path.basename(path))[0]
    spec = importlib.util.spec_from_file_location(module_name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    spec.loader.exec_module(module)
    return module


def with_unittest(name, results):
    """Runs the file with the standard library alone."""
    plain = Plain(results)
    loaded = []
    if not plain.guarded(name, lambda: loaded.append(load(name)), starts=False):
        return
    module = loaded[0]
    setup = fixture(module, "setup_module", "setUpModule")
    teardown = fixture(module, "teardown_module", "tearDownModule")
    for own in ("setUpModule", "tearDownModule"):
        # unittest would call them once for its own tests alone.
        module.__dict__.pop(own, None)
    members = list(vars(module).items())
    if not plain.guarded(name, lambda: call(setup, module), starts=False):
        return
    result = Unittest(name, results)
    for member_name, member in members:
        member_id = "{}::{}".format(name, member_name)
        if isinstance(member, type) and issubclass(member, unittest.TestCase):
            if member not in BASES:
                unittest.defaultTestLoader.loadTestsFromTestCase(member).run(result)
        elif isinstance(member, type) and member_name.startswith("Test") and member.__init__ is object.__init__:
            plain.tests_of_class(member_id, member)
        elif inspect.isfunction(member) and member_name.startswith("test"):
            before, after = fixture(module, "setup_function"), fixture(module, "teardown_function")
            plain.test(member_id, member, before, after)
    plain.guarded(name, lambda: call(teardown, module), starts=False)


def main(name, path):
    """Runs the file and gives the exit code: 0 when all results are written, whatever they are."""
    sys.argv = [name]
    results = Results(path)
    pytest = import_pytest()
    if pytest is not None:
        with_pytest(pytest, name, results)
    else:
        with_unittest(name, results)
        results.done("unittest")
    return 0


def import_pytest():
    """pytest, if this Python has it."""
    try:
        import pytest
    except ImportError:
        return None
    return pytest


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
