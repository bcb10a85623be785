"""Small things that programs on a node need."""

import configparser
import datetime
import fcntl
import json
import logging
import os
import sys
import tempfile

from jetpack import _home

__all__ = [
    "Response",
    "UserError",
    "already_running",
    "get_cyclecloud_connection",
    "is_linux",
    "is_windows",
    "iso_8601_timestamp",
    "parse_config",
    "query_cyclecloud",
    "setup_logging",
]

_NO_DEFAULT = object()
_LOCKS = {}


class UserError(Exception):
    """Something that the person who called can put right. The text says what."""


def setup_logging(level=logging.INFO):
    """Sends what a program logs to standard error, in the form of the node's own logs. Gives the root logger."""
    root = logging.getLogger()
    if not root.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-8s %(message)s"))
        root.addHandler(handler)
    root.setLevel(level)
    return root


def is_linux():
    """Whether this node runs Linux."""
    return sys.platform.startswith("linux")


def is_windows():
    """Whether this node runs Windows."""
    return sys.platform.startswith("win")


def iso_8601_timestamp(when=None):
    """A time, else now, as `2026-11-24T08:15:30.123Z`. One without a time zone is taken for UTC."""
    if when is None:
        when = datetime.datetime.now(datetime.timezone.utc)
    elif when.tzinfo is not None:
        when = when.astimezone(datetime.timezone.utc)
    return "{}.{:03d}Z".format(when.strftime("%Y-%m-%dT%H:%M:%S"), when.microsecond // 1000)


def already_running(name=None):
    """Whether another process runs that has asked this before with the same name, else with the name of its program.

    The first to ask keeps the name until it ends, however it ends.
    """
    name = name or os.path.basename(sys.argv[0] or "python")
    name = "".join(c if c.isalnum() or c in "._-" else "_" for c in name)
    path = os.path.join(_lock_folder(), "{}.running".format(name))
    if path in _LOCKS:
        return False
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return True
    _LOCKS[path] = lock
    return False


def _lock_folder():
    run = _home.path("run")
    if os.access(run, os.W_OK):
        return run
    folder = os.path.join(tempfile.gettempdir(), "jetpack-{}".format(os.getuid()))
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        status = os.lstat(folder)
        # Somebody else's folder could hold a lock that never ends.
        if status.st_uid != os.getuid() or os.path.islink(folder):
            raise UserError("`{}` belongs to somebody else".format(folder)) from None
    return folder


class Config(configparser.ConfigParser):
    """Settings by section: `config["identity"]["cluster_name"]`, `config.get("identity", "cluster_name")` and
    `config.get("identity").get("cluster_name")`."""

    def get(self, section, option=_NO_DEFAULT, **kwargs):
        if isinstance(option, str):
            return super().get(section, option, **kwargs)
        if self.has_section(section):
            return self[section]
        return None if option is _NO_DEFAULT else option


def parse_config(path=None):
    """The settings of the node, `config/jetpack.ini`, or of another file.

    Section `cycle_server` has `webserver`, `api_username` and `api_password`; section `identity` has `cluster_name`,
    `node_id`, `node_name`, `instance_id` and `cluster_session_id`. Both are always there, if need be without members.
    """
    config = Config(interpolation=None, strict=False, delimiters=("=", ":"), inline_comment_prefixes=None)
    file = path or _home.path("config", "jetpack.ini")
    try:
        with open(file, encoding="utf-8-sig") as stream:
            config.read_file(stream)
    except FileNotFoundError:
        if path is not None:
            raise UserError("`{}` does not exist".format(file)) from None
    except (OSError, ValueError, configparser.Error) as cause:
        raise UserError("cannot read `{}`: {}".format(file, cause)) from cause
    for section in ("cycle_server", "identity"):
        if not config.has_section(section):
            config.add_section(section)
    if path is None:
        _add_connection(config)
    return config


def _add_connection(config):
    """Address and credential of the server are in `config/connection.json`, as far as this user may read it."""
    try:
        tree = _CONNECTION.load(UserError)
    except UserError:
        return
    for key, option in (("url", "webserver"), ("username", "api_username"), ("password", "api_password")):
        if key in tree and not config.has_option("cycle_server", option):
            config.set("cycle_server", option, str(tree[key]))
    if "cluster" in tree and not config.has_option("identity", "cluster_name"):
        config.set("identity", "cluster_name", str(tree["cluster"]))


_CONNECTION = _home.JsonFile("the connection file", "config", "connection.json")


def get_cyclecloud_connection(config=None, timeout=60):
    """A connection to the server and the headers that identify this node: `(http.client.HTTPConnection, dict)`.

    The certificate of the server's own authority, `config/ca.pem`, is the one that counts where there is one.
    """
    # Only programs that talk to the server pay for these.
    import base64
    import http.client
    import ssl
    from urllib.parse import urlsplit

    config = parse_config(None) if config is None else config
    server = config["cycle_server"]
    url = urlsplit(server.get("webserver") or "")
    if url.scheme not in ("http", "https") or not url.hostname:
        raise UserError("this node knows no server; `jetpack initialize` tells it")
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    user, password = server.get("api_username"), server.get("api_password")
    if user is None or password is None:
        raise UserError("the credential of this node cannot be read; root and members of the group `cyclecloud` may")
    token = base64.b64encode("{}:{}".format(user, password).encode("utf-8")).decode("ascii")
    headers["Authorization"] = "Basic " + token
    if url.scheme == "http":
        return http.client.HTTPConnection(url.hostname, url.port, timeout=timeout), headers
    authority = _home.path("config", "ca.pem")
    context = ssl.create_default_context(cafile=authority if os.path.exists(authority) else None)
    return http.client.HTTPSConnection(url.hostname, url.port, timeout=timeout, context=context), headers


class Response:
    """What the server answered: `status` (also `status_code`), `reason`, `headers`, `text`, `read()` and `json()`."""

    def __init__(self, status, reason, headers, content):
        self.status = self.status_code = status
        self.reason = reason
        self.headers = headers
        self.content = content

    @property
    def ok(self):
        """Whether the server did what was asked."""
        return 200 <= self.status < 300

    @property
    def text(self):
        """The body as text."""
        return self.content.decode("utf-8", "replace")

    def read(self):
        """The body."""
        return self.content

    def json(self):
        """The body as JSON."""
        return json.loads(self.text)


def query_cyclecloud(path, body=None, method=None, config=None):
    """Asks the server: `path` below its URL, `body` text, bytes or anything with a JSON form. Without a method, GET, or
    POST with a body. Every answer is a `Response`; a server that does not answer is a `UserError`.
    """
    import http.client
    from urllib.parse import urlsplit

    config = parse_config(None) if config is None else config
    connection, headers = get_cyclecloud_connection(config)
    if body is not None and not isinstance(body, (str, bytes)):
        body = json.dumps(body)
    if isinstance(body, str):
        body = body.encode("utf-8")
    url = config["cycle_server"]["webserver"]
    below = urlsplit(url).path.rstrip("/")
    target = "{}/{}".format(below, path.lstrip("/"))
    try:
        connection.request(method or ("GET" if body is None else "POST"), target, body=body, headers=headers)
        answer = connection.getresponse()
        return Response(answer.status, answer.reason, answer.headers, answer.read())
    except (OSError, http.client.HTTPException) as cause:
        raise UserError("`{}` does not answer: {}".format(url, cause)) from cause
    finally:
        connection.close()
