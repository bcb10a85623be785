"""Telling the server what this cluster is to have.

    import jetpack.autoscale
    jetpack.autoscale.set(corecount=100)
    jetpack.autoscale.scale_by_jobs([{"name": "17", "nodearray": "execute", "request_cpus": 4}])

A request ends after five minutes, or after `expiration_interval` seconds, if it is not made again; and a request replaces
the one before it with the same `request_set`.
"""

import json

from jetpack import _cli
from jetpack.util import UserError

__all__ = ["scale_by_jobs", "set", "update"]

DEFAULT_ARRAY = "execute"


def set(name=DEFAULT_ARRAY, corecount=None, instancecount=None):  # noqa: A001 - the name that scripts use
    """Asks for this many cores, or this many nodes, of a node array."""
    if (corecount is None) == (instancecount is None):
        raise UserError("give either `corecount` or `instancecount`")
    definition = {"Name": name}
    if corecount is not None:
        definition["TargetCoreCount"] = int(corecount)
    else:
        definition["TargetCount"] = int(instancecount)
    update([definition])


def update(definitions, expiration_interval=None, request_set="standard"):
    """Merges definitions into the node arrays of the cluster: each a dictionary with `Name` and any attributes of an
    array. One dictionary alone is taken for a list with it.
    """
    if isinstance(definitions, dict):
        definitions = [definitions]
    args = ["autoscale", "--file", "-", "--request-set", request_set]
    if expiration_interval is not None:
        args += ["--expiration", str(int(expiration_interval))]
    try:
        _cli.run(args, stdin=json.dumps(list(definitions)))
    except _cli.CommandError as cause:
        raise UserError(str(cause)) from cause


def scale_by_jobs(jobs, expiration_interval=None, request_set="standard"):
    """Asks for what these jobs need, each a dictionary:

    - `name`: any, for people;
    - `nodearray`: where it runs, else `execute`;
    - `request_cpus`: cores, else 1;
    - `grouped`: its nodes must be close to each other. Each such job gets a group of its own, as large as the largest;
    - `average_runtime`: accepted; every job gets its cores now, however long it runs.

    Arrays that no job names are not asked for any more.
    """
    cores, groups = {}, {}
    for job in jobs:
        array = job.get("nodearray") or DEFAULT_ARRAY
        cpus = job.get("request_cpus")
        cpus = 1 if cpus is None else int(cpus)
        if cpus < 0:
            raise UserError("job `{}` asks for {} cores".format(job.get("name", ""), cpus))
        if str(job.get("grouped", False)).lower() == "true":
            groups.setdefault(array, []).append(cpus)
        else:
            cores[array] = cores.get(array, 0) + cpus
    definitions = []
    for array in sorted(cores.keys() | groups.keys()):
        definition = {"Name": array}
        if array in cores:
            definition["TargetCoreCount"] = cores[array]
        if array in groups:
            definition["TargetGroupCount"] = len(groups[array])
            definition["GroupCoreCount"] = max(groups[array])
        definitions.append(definition)
    update(definitions, expiration_interval, request_set)
