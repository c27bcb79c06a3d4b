"""Finds flagfiles by name and puts their flags on the command line.

`--flagfile=semisup.cfg` means the file of that path where there is one, else the flagfile of that
name that ships with the project, in a checkout or in an installed wheel. A flagfile may name
others.
"""

import pathlib

from keras_aae import errors

_HERE = pathlib.Path(__file__).resolve().parent
# A wheel carries launch/ inside the package; in a checkout it stands beside it.
_SHIPPED = (_HERE / "shipped_flagfiles", _HERE.parent / "launch")


def shipped() -> list[pathlib.Path]:
    """The flagfiles that ship with the project, by name."""
    return sorted(path for folder in _SHIPPED for path in folder.glob("*.cfg"))


def find(name: str, beside: pathlib.Path = pathlib.Path()) -> pathlib.Path:
    """The path of a flagfile.

    Args:
        name: A path, or the bare name of a shipped flagfile.
        beside: The folder that a relative path starts from.

    Raises:
        UserError: there is no such file.
    """
    for path in (beside / name, pathlib.Path(name), *(folder / name for folder in _SHIPPED)):
        if path.is_file():
            return path
    known = ", ".join(path.name for path in shipped())
    raise errors.UserError(
        f"--flagfile={name}: no such file. Those that ship with keras_aae: {known}"
    )


def expand(
    arguments: list[str], beside: pathlib.Path = pathlib.Path(), reading: tuple = ()
) -> list[str]:
    """The arguments with each `--flagfile` replaced by the flags in the file.

    Args:
        arguments: Command-line arguments, without the program's name.
        beside: The folder that relative flagfile paths start from.
        reading: The flagfiles being read, outermost first.

    Raises:
        UserError: a flagfile is missing, is not text, or names itself.
    """
    expanded, remaining = [], iter(arguments)
    for argument in remaining:
        flag, equals, name = argument.partition("=")
        if flag not in ("--flagfile", "-flagfile"):
            expanded.append(argument)
            continue
        path = find(name if equals else next(remaining, ""), beside).resolve()
        if path in reading:
            raise errors.UserError(f"--flagfile={name}: {path.name} names itself")
        expanded += expand(_flags_in(path), path.parent, (*reading, path))
    return expanded


def _flags_in(path: pathlib.Path) -> list[str]:
    """The flags in a flagfile: its lines less blank ones and comments."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise errors.UserError(f"--flagfile={path}: not readable as text ({error})") from error
    flags = [line for line in lines if line and not line.startswith(("#", "//"))]
    for line in flags:
        if not line.startswith("-"):
            raise errors.UserError(
                f"--flagfile={path}: expected lines like --flag=value. Received: {line[:80]!r}"
            )
    return flags
