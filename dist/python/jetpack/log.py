"""Messages for the server's event log.

    from jetpack import log
    log.warn("licence server is slow")

A message is kept until the server has it, also while the server is away.
"""

from jetpack import _cli
from jetpack.util import UserError

__all__ = ["debug", "error", "info", "log", "send", "warn", "warning"]


def log(message, level="info", priority=None):
    """Writes a message. Levels are info, warn and error; priorities low, medium and high, and without one the usual
    priority of the level. Raises `jetpack.util.UserError` when it is refused.
    """
    args = ["log", "--level", level]
    if priority is not None:
        args += ["--priority", priority]
    try:
        _cli.run(args + ["--", str(message)])
    except _cli.CommandError as cause:
        raise UserError(str(cause)) from cause


send = log


def debug(message):
    """A message that nobody needs to see: it goes to the log of the server, not to the page of the cluster."""
    log(message, "info", "low")


def info(message, priority=None):
    """A message of level info."""
    log(message, "info", priority)


def warn(message, priority=None):
    """A message of level warn."""
    log(message, "warn", priority)


warning = warn


def error(message, priority=None):
    """A message of level error."""
    log(message, "error", priority)
