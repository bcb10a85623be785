"""Tests of the package `jetpack`, run by the node's own Python in a home that each test fills.

`crates/jetpack/tests/cli/python.rs` runs them, with the real command `jetpack`.
"""

import http.server
import io
import json
import logging
import os
import subprocess
import sys
import threading
import unittest
from contextlib import redirect_stderr

import jetpack
import jetpack.autoscale
import jetpack.config
import jetpack.converge as jc
import jetpack.util
from jetpack import cluster_init, log, props

HOME = os.environ["CYCLECLOUD_HOME"]


def write(name, content):
    path = os.path.join(HOME, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content if isinstance(content, bytes) else json.dumps(content).encode("utf-8"))


def remove(name):
    try:
        os.unlink(os.path.join(HOME, name))
    except FileNotFoundError:
        pass


def outbox():
    """Type and data of the messages that wait, oldest first; they are taken out."""
    folder = os.path.join(HOME, "run/outbox")
    messages = []
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        if name.endswith(".json"):
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                message = json.load(file)
            os.unlink(os.path.join(folder, name))
            messages.append((message["type"], message["data"]))
    return messages


class Config(unittest.TestCase):
    def setUp(self):
        write(
            "config/node.json",
            {
                "roles": ["a", "b"],
                "n": None,
                "cyclecloud": {"cluster": {"name": "demo"}, "flag": True, "count": 3},
                "kafka": {"zookeeper.connect": "h:1", "zookeeper": {"port": 2}},
            },
        )

    def test_values_have_their_own_types(self):
        self.assertEqual(jetpack.config.get("cyclecloud.cluster.name"), "demo")
        self.assertIs(jetpack.config.get("cyclecloud.flag"), True)
        self.assertEqual(jetpack.config.get("cyclecloud.count"), 3)
        self.assertIsNone(jetpack.config.get("n", "default"))
        self.assertEqual(jetpack.config.get("cyclecloud.cluster"), {"name": "demo"})
        self.assertIn("a", jetpack.config.get("roles", []))

    def test_keys_may_contain_dots(self):
        self.assertEqual(jetpack.config.get("kafka.zookeeper.connect"), "h:1")
        self.assertEqual(jetpack.config.get("kafka.zookeeper.port"), 2)

    def test_a_missing_key_gives_the_default_or_an_error(self):
        self.assertEqual(jetpack.config.get("none.at.all", []), [])
        self.assertIsNone(jetpack.config.get("none", None))
        with self.assertRaisesRegex(jetpack.config.ConfigError, "the key `none.x` was not found"):
            jetpack.config.get("none.x")
        with self.assertRaises(jetpack.config.ConfigError):
            jetpack.config.get("cyclecloud.count.x")

    def test_a_file_that_cannot_be_used_is_an_error_even_with_a_default(self):
        for content, text in [
            (b'{"half": ', "is not valid"),
            (b"\xff{}", "is not valid"),
            (b"[]", "it is no object"),
        ]:
            write("config/node.json", content)
            with self.assertRaisesRegex(jetpack.config.ConfigError, text):
                jetpack.config.get("x", "default")
        remove("config/node.json")
        with self.assertRaisesRegex(jetpack.config.ConfigError, "does not exist yet"):
            jetpack.config.get("x", "default")

    def test_a_change_is_seen(self):
        self.assertEqual(jetpack.config.get("cyclecloud.count"), 3)
        write("config/node.json", "\ufeff{}".encode("utf-8"))
        self.assertEqual(jetpack.config.get("cyclecloud.count", 0), 0)


class Props(unittest.TestCase):
    def test_properties_are_read_by_dotted_keys(self):
        write("config/properties.json", {"cyclecloud": {"owner": "ann"}, "os": {"id": "debian"}})
        self.assertEqual(props.get("cyclecloud.owner"), "ann")
        self.assertEqual(props.get("os.none", "x"), "x")
        self.assertEqual(props.get()["os"]["id"], "debian")
        with self.assertRaisesRegex(props.PropsError, "`os.none`"):
            props.get("os.none")

    def test_values_of_every_type_come_back_as_they_were_set(self):
        write("config/properties.json", {"os": {"id": "debian"}})
        values = {"text": "r12", "number_text": "4", "flag_text": "true", "dash": "-x", "number": -4, "none": None}
        values.update({"flag": True, "list": [0, "a"], "empty": "", "tree": {"a": {"b": 1.5}}})
        for name, value in values.items():
            props.set("site." + name, value)
        self.assertEqual(props.get(), {"os": {"id": "debian"}, "site": values})

    def test_what_cannot_be_set_is_an_error(self):
        write("config/properties.json", {"os": {"id": "debian"}})
        for key, problem in [("os.id.x", "is a value and no section"), ("a=b", "equals sign"), ("a..b", "empty step")]:
            with self.assertRaisesRegex(props.PropsError, problem):
                props.set(key, 1)
        with self.assertRaises(TypeError):
            props.set("a", object())
        self.assertEqual(props.get(), {"os": {"id": "debian"}})

    def test_no_file_is_an_error(self):
        remove("config/properties.json")
        with self.assertRaisesRegex(props.PropsError, "does not exist yet"):
            props.get("os.id", "x")


class Messages(unittest.TestCase):
    def setUp(self):
        outbox()

    def test_log(self):
        log.warn("slow")
        log.error("--broken", priority="low")
        log.log("said", level="info", priority="high")
        self.assertEqual(
            outbox(),
            [
                ("log", {"level": "warn", "priority": "medium", "message": "slow"}),
                ("log", {"level": "error", "priority": "low", "message": "--broken"}),
                ("log", {"level": "info", "priority": "high", "message": "said"}),
            ],
        )
        with self.assertRaises(jetpack.util.UserError):
            log.log("x", level="loud")

    def test_the_host_name_is_reported_without_touching_the_converge(self):
        jc._send_installation_status("warning")
        [(kind, data)] = outbox()
        self.assertEqual(kind, "heartbeat")
        self.assertEqual(data["hostname"], os.uname().nodename.split(".")[0])

    def test_autoscale_set_and_update(self):
        jetpack.autoscale.set(corecount=100)
        jetpack.autoscale.set(name="gpu", instancecount=2)
        jetpack.autoscale.update({"Name": "execute", "TargetCount": 1, "MachineType": "x"})
        jetpack.autoscale.update([{"Name": "a", "TargetCoreCount": 0}], expiration_interval=60, request_set="mine")
        standard = {"request_set": "standard", "expiration_seconds": 300}
        self.assertEqual(
            outbox(),
            [
                ("autoscale", dict(standard, definitions=[{"Name": "execute", "TargetCoreCount": 100}])),
                ("autoscale", dict(standard, definitions=[{"Name": "gpu", "TargetCount": 2}])),
                ("autoscale", dict(standard, definitions=[{"Name": "execute", "TargetCount": 1, "MachineType": "x"}])),
                (
                    "autoscale",
                    {
                        "definitions": [{"Name": "a", "TargetCoreCount": 0}],
                        "request_set": "mine",
                        "expiration_seconds": 60,
                    },
                ),
            ],
        )
        with self.assertRaises(jetpack.util.UserError):
            jetpack.autoscale.set(corecount=1, instancecount=1)
        with self.assertRaises(jetpack.util.UserError):
            jetpack.autoscale.update([{"TargetCount": 1}])

    def test_autoscale_by_jobs_adds_up_the_cores_of_each_array(self):
        jetpack.autoscale.scale_by_jobs(
            [
                {"name": "1", "nodearray": "execute", "request_cpus": 4},
                {"name": "2", "request_cpus": "8", "average_runtime": 60},
                {"name": "3"},
                {"name": "4", "nodearray": "mpi", "request_cpus": 16, "grouped": True},
                {"name": "5", "nodearray": "mpi", "request_cpus": 32, "grouped": "true"},
            ]
        )
        [(_, data)] = outbox()
        self.assertEqual(
            data["definitions"],
            [
                {"Name": "execute", "TargetCoreCount": 13},
                {"Name": "mpi", "TargetGroupCount": 2, "GroupCoreCount": 32},
            ],
        )


class ClusterInit(unittest.TestCase):
    def test_specs_come_in_their_order_with_their_folders(self):
        specs = [{"project": "b", "spec": "x", "version": "1.0.0"}, {"project": "a", "spec": "default"}]
        write("config/node.json", {"cyclecloud": {"cluster_init_specs": specs}})
        found = cluster_init.get_specs()
        self.assertEqual([spec["project"] for spec in found], ["b", "a"])
        self.assertEqual(found[0].version, "1.0.0")
        self.assertEqual(found[0].path, os.path.join(os.path.dirname(HOME), "cluster-init", "b", "x"))

    def test_the_settings_may_name_another_folder(self):
        write("config/node.json", {"cyclecloud": {"cluster_init_specs": [{"project": "p", "spec": "s"}]}})
        write("config/jetpack.ini", b"[converge]\ncluster_init_root = /srv/ci\n")
        self.addCleanup(remove, "config/jetpack.ini")
        self.assertEqual(cluster_init.get_specs()[0].path, "/srv/ci/p/s")


class Util(unittest.TestCase):
    def test_the_system(self):
        self.assertTrue(jetpack.util.is_linux())
        self.assertFalse(jetpack.util.is_windows())

    def test_timestamps(self):
        self.assertRegex(jetpack.util.iso_8601_timestamp(), r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")

    def test_logging_goes_to_stderr_once(self):
        root = logging.getLogger()
        before = root.handlers[:]
        self.addCleanup(lambda: root.handlers.__setitem__(slice(None), before))
        root.handlers[:] = []
        said = io.StringIO()
        with redirect_stderr(said):
            jetpack.util.setup_logging()
            jetpack.util.setup_logging()
            logging.info("hello")
        self.assertRegex(said.getvalue(), r"^\S+ \S+ INFO     hello\n$")

    def test_only_one_process_has_a_name(self):
        self.assertFalse(jetpack.util.already_running("one"))
        self.assertFalse(jetpack.util.already_running("one"))
        ask = "import jetpack.util, sys; sys.exit(jetpack.util.already_running('one'))"
        self.assertEqual(subprocess.call([sys.executable, "-c", ask]), 1)
        self.assertEqual(subprocess.call([sys.executable, "-c", ask.replace("one", "two")]), 0)
        self.assertFalse(jetpack.util.already_running("two"), "it is free again when its process has ended")

    def test_settings(self):
        write("config/jetpack.ini", b"# c\n[cycle_server]\nWebServer = http://h:1\n[identity]\ncluster_name = demo\n")
        self.addCleanup(remove, "config/jetpack.ini")
        write("config/connection.json", {"url": "http://other", "username": "id", "password": "p%x", "cluster": "demo"})
        self.addCleanup(remove, "config/connection.json")
        config = jetpack.util.parse_config(None)
        self.assertEqual(config["cycle_server"]["webserver"], "http://h:1")
        self.assertEqual(config.get("cycle_server", "api_password"), "p%x")
        self.assertEqual(config.get("identity").get("cluster_name"), "demo")
        self.assertEqual(config.get("none", {}), {})
        with self.assertRaises(jetpack.util.UserError):
            jetpack.util.parse_config("/none.ini")

    def test_the_server_is_asked_as_this_node(self):
        seen = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                seen.append((self.path, self.headers["Authorization"], json.loads(body.decode())))
                self.send_response(202)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *args):
                pass

        server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.addCleanup(server.server_close)
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        url = "http://127.0.0.1:{}/base".format(server.server_port)
        write("config/connection.json", {"url": url, "username": "id", "password": "s:1", "cluster": "demo"})
        self.addCleanup(remove, "config/connection.json")
        answer = jetpack.util.query_cyclecloud("/clusterlink/messages", json.dumps({"messages": []}), "POST")
        thread.join()
        self.assertEqual((answer.status, answer.json()), (202, {}))
        self.assertEqual(seen, [("/base/clusterlink/messages", "Basic aWQ6czox", {"messages": []})])

    def test_no_server_is_an_error_for_people(self):
        with self.assertRaisesRegex(jetpack.util.UserError, "knows no server"):
            jetpack.util.query_cyclecloud("/x")


class Package(unittest.TestCase):
    def test_the_version_is_that_of_the_command(self):
        said = subprocess.check_output([os.path.join(HOME, "bin/jetpack"), "--version"]).decode().strip()
        self.assertEqual(jetpack.__version__, said)

    @unittest.skipIf(sys.version_info < (3, 7), "modules have no attributes of their own making before 3.7")
    def test_modules_need_not_be_imported_one_by_one(self):
        code = "import jetpack; print(jetpack.util.is_linux())"
        self.assertEqual(subprocess.check_output([sys.executable, "-c", code]), b"True\n")
        with self.assertRaises(AttributeError):
            jetpack.nonsense

    def test_the_home_is_the_one_of_the_package_when_nobody_names_another(self):
        environment = {name: value for name, value in os.environ.items() if name != "CYCLECLOUD_HOME"}
        code = "from jetpack import _home; print(_home.home())"
        said = subprocess.check_output([sys.executable, "-c", code], env=environment)
        self.assertEqual(said.decode().strip(), HOME)


if __name__ == "__main__":
    unittest.main()
