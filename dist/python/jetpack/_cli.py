"""Calling the command `jetpack`."""

import os
import subprocess

from jetpack import _home


class CommandError(Exception):
    """The command `jetpack` failed; the text is its own."""


def run(args, stdin=None):
    """Runs `jetpack ARGS` and gives its standard output. Raises `CommandError` when it fails."""
    program = _home.path("bin", "jetpack")
    if not os.path.exists(program):
        # A home without programs of its own uses the installed ones.
        program = "jetpack"
    environment = dict(os.environ, CYCLECLOUD_HOME=_home.home())
    try:
        process = subprocess.Popen(
            [program] + list(args),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )
    except OSError as cause:
        raise CommandError("cannot start `{}`: {}".format(program, cause.strerror)) from cause
    out, err = process.communicate((stdin or "").encode("utf-8"))
    if process.returncode != 0:
        text = err.decode("utf-8", "replace").strip()
        lines = [line[len("Error: ") :] for line in text.splitlines() if line.startswith("Error: ")]
        raise CommandError(lines[0] if lines else text or "`jetpack` ended with {}".format(process.returncode))
    return out.decode("utf-8", "replace")
