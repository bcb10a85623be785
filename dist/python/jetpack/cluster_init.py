"""The projects of this node.

    from jetpack import cluster_init
    for spec in cluster_init.get_specs():
        print(spec["project"], spec["spec"], spec["path"])
"""

import os

from jetpack import _home, config, util

__all__ = ["Spec", "get_specs", "root"]


class Spec(dict):
    """One spec: `project`, `spec`, `version`, `locker`, and `path`, where its files are. Members are attributes too, and
    `name` is the name of the spec."""

    @property
    def name(self):
        return self.get("spec")

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


def root():
    """Where the projects are unpacked: `cluster_init_root` of jetpack.ini, else `/mnt/cluster-init` for the default home
    and a folder beside any other."""
    home = _home.home()
    settings = util.parse_config(None)
    given = settings.get("converge", "cluster_init_root", fallback="")
    if given:
        return os.path.join(home, given)
    if home == "/opt/cycle/jetpack":
        return "/mnt/cluster-init"
    return os.path.join(os.path.dirname(home), "cluster-init")


def get_specs():
    """The specs of this node, in the order in which they run."""
    folder = root()
    specs = []
    for spec in config.get("cyclecloud.cluster_init_specs", None) or []:
        spec = Spec(spec)
        spec.setdefault("path", os.path.join(folder, spec.get("project", ""), spec.get("spec", "")))
        specs.append(spec)
    return specs
