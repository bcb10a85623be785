"""Makes `system/embedded` a virtual environment of the Python that runs this file.

Called by the launcher `system/embedded/bin/python` with the folder as its argument. Prints the interpreter to use: the
one of the environment, or this one itself when the environment cannot be written.

A virtual environment needs no tool to be made: it is a file `pyvenv.cfg` and a link to the interpreter. Nothing is
downloaded and nothing is installed.
"""

import os
import sys


def replace(path, text):
    """Writes a file so that nobody ever sees half of it."""
    temporary = "{}.new-{}".format(path, os.getpid())
    with open(temporary, "w") as file:
        file.write(text)
    os.chmod(temporary, 0o644)
    os.replace(temporary, path)


def make_folder(path):
    """Makes a folder that everybody may read, whatever the umask."""
    if not os.path.isdir(path):
        make_folder(os.path.dirname(path))
        os.mkdir(path)
        os.chmod(path, 0o755)


def link(target, path):
    """Makes or replaces a link."""
    temporary = "{}.new-{}".format(path, os.getpid())
    os.symlink(target, temporary)
    os.replace(temporary, path)


def make(embedded, interpreter):
    """Makes the environment and gives its interpreter. The link comes last: it says that all is there."""
    version = "python{}.{}".format(*sys.version_info[:2])
    bin_folder = os.path.join(embedded, "bin")
    packages = os.path.join(embedded, "lib", version, "site-packages")
    make_folder(packages)
    if sys.maxsize > 2**32 and not os.path.lexists(os.path.join(embedded, "lib64")):
        # Where some distributions keep packages with binary parts.
        link("lib", os.path.join(embedded, "lib64"))
    # Relative to the folder of the file, so that the home may be moved.
    replace(os.path.join(packages, "jetpack.pth"), "../../python\n")
    settings = [
        ("home", os.path.dirname(interpreter)),
        ("include-system-site-packages", "true"),
        ("version", "{}.{}.{}".format(*sys.version_info[:3])),
    ]
    replace(
        os.path.join(embedded, "pyvenv.cfg"),
        "".join("{} = {}\n".format(*setting) for setting in settings),
    )
    wanted = os.path.join(bin_folder, version)
    link(interpreter, wanted)
    for name in os.listdir(bin_folder):
        path = os.path.join(bin_folder, name)
        if name.startswith("python3.") and path != wanted and os.path.islink(path):
            os.unlink(path)
    return wanted


def base_interpreter():
    """The interpreter outside of any environment, by the name that stays when the system gets a newer one."""
    return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)


def main():
    if sys.version_info < (3, 6):
        return 1
    interpreter = base_interpreter()
    try:
        print(make(sys.argv[1], interpreter))
    except OSError:
        print(interpreter)
    return 0


if __name__ == "__main__":
    sys.exit(main())
