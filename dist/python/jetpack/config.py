"""What this node is configured to be: `config/node.json`.

    import jetpack.config
    jetpack.config.get("cyclecloud.cluster.name")
    jetpack.config.get("slurm.version", "23.02")
"""

from jetpack import _home

__all__ = ["ConfigError", "get"]

_NO_DEFAULT = object()
_FILE = _home.JsonFile("the node configuration", "config", "node.json")


class ConfigError(Exception):
    """The node configuration, or a key of it, is not to be had."""


def get(key, default=_NO_DEFAULT):
    """The value of a dotted key, as Python's own type.

    A key that nobody set gives `default`, and without one raises `ConfigError`. A configuration that cannot be read
    raises `ConfigError` even with a default: what it says is not known then.
    """
    found, value = _home.lookup(_FILE.load(ConfigError), key)
    if found:
        return value
    if default is _NO_DEFAULT:
        raise ConfigError("the key `{}` was not found in the node configuration".format(key))
    return default
