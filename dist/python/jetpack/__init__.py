"""The node's side of Jetpack, for Python programs on the node.

`jetpack.config`, `jetpack.props` and `jetpack.cluster_init` read the files of the node; everything that the server must
hear of goes through the command `jetpack`, which keeps it until the server has it.
"""

from jetpack._version import VERSION as __version__

__all__ = ["__version__"]


def __getattr__(name):
    """`import jetpack` alone is enough for `jetpack.config.get(...)`, from Python 3.7 on."""
    import importlib

    if name.startswith("_"):
        raise AttributeError("module 'jetpack' has no attribute {!r}".format(name))
    try:
        return importlib.import_module("jetpack." + name)
    except ModuleNotFoundError:
        raise AttributeError("module 'jetpack' has no attribute {!r}".format(name)) from None
