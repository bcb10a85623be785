"""Properties of this node and its machine: `config/properties.json`.

    from jetpack import props
    props.get("cyclecloud.owner")
    props.set("site.rack", "r12")
"""

import json

from jetpack import _cli, _home

__all__ = ["PropsError", "get", "set"]

_NO_DEFAULT = object()
_FILE = _home.JsonFile("the file of properties", "config", "properties.json")


class PropsError(Exception):
    """The properties, or one of them, are not to be had."""


def get(key=None, default=_NO_DEFAULT):
    """The value of a dotted key, or without a key all properties as a tree.

    A key that nobody set gives `default`, and without one raises `PropsError`, as properties that cannot be read do.
    """
    tree = _FILE.load(PropsError)
    if key is None:
        return json.loads(json.dumps(tree))
    found, value = _home.lookup(tree, key)
    if found:
        return value
    if default is _NO_DEFAULT:
        raise PropsError("the key `{}` was not found in the properties of this node".format(key))
    return default


def set(key, value):  # noqa: A001 - the name that scripts use
    """Sets a property of this node to a value that JSON has, and tells the server.

    Raises `PropsError` when that is refused, `TypeError` for a value that JSON does not have.
    """
    if "=" in key:
        raise PropsError("the key `{}` has an equals sign".format(key))
    try:
        # As JSON: a text that looks like a number stays a text.
        _cli.run(["props", "set", "--json", "--", key, json.dumps(value)])
    except _cli.CommandError as cause:
        raise PropsError(str(cause)) from cause
