"""Where the files of this node are, and trees of JSON with dotted keys."""

import json
import os

_HERE = os.path.dirname(os.path.abspath(__file__))
_DEFAULT = "/opt/cycle/jetpack"


def home():
    """The node's home: `$CYCLECLOUD_HOME`, else the one that this package belongs to."""
    given = os.environ.get("CYCLECLOUD_HOME")
    if given:
        return os.path.abspath(given)
    # HOME/system/embedded/lib/python/jetpack
    root, below = _HERE, ("jetpack", "python", "lib", "embedded", "system")
    for name in below:
        root, last = os.path.split(root)
        if last != name:
            return _DEFAULT
    return root


def path(*names):
    """A file of the home."""
    return os.path.join(home(), *names)


def lookup(tree, key):
    """`(True, value)` of a dotted key, else `(False, None)`.

    At each level the longest run of steps that is a key wins, so that keys which contain dots themselves are found.
    Members of lists are not addressed.
    """
    if not isinstance(tree, dict):
        return False, None
    if key in tree:
        return True, tree[key]
    dot = key.rfind(".")
    while dot > 0:
        below = tree.get(key[:dot])
        if isinstance(below, dict):
            found, value = lookup(below, key[dot + 1 :])
            if found:
                return True, value
        dot = key.rfind(".", 0, dot)
    return False, None


class JsonFile:
    """A file of JSON that is read again only when it has changed."""

    def __init__(self, what, *names):
        self._what = what
        self._names = names
        self._seen = None
        self._tree = {}

    def load(self, error):
        """The tree in the file. Everything that can be wrong with it is raised as `error`, with a text for people."""
        file = path(*self._names)
        try:
            with open(file, "rb") as stream:
                stat = os.fstat(stream.fileno())
                seen = (file, stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)
                if seen == self._seen:
                    return self._tree
                content = stream.read()
        except FileNotFoundError as cause:
            raise error("{} `{}` does not exist yet".format(self._what, file)) from cause
        except PermissionError as cause:
            text = "permission to read `{}` is denied; root and members of the group `cyclecloud` may read it"
            raise error(text.format(file)) from cause
        except OSError as cause:
            raise error("cannot read `{}`: {}".format(file, cause.strerror)) from cause
        try:
            tree = json.loads(content.decode("utf-8-sig"))
        except ValueError as cause:
            raise error("{} `{}` is not valid: {}".format(self._what, file, cause)) from cause
        if not isinstance(tree, dict):
            raise error("{} `{}` is not valid: it is no object".format(self._what, file))
        self._seen, self._tree = seen, tree
        return tree
