"""Finds flagfiles by name and puts their flags on the command line.

`--flagfile=semisup.cfg` means the file of that path where there is one, else the flagfile of that
name that ships with the project, in a checkout or in an installed wheel. A flagfile may name
others.
"""

from collections.abc import Iterator
import os
import pathlib

from keras_aae import errors
from keras_aae import reading

_HERE = pathlib.Path(__file__).resolve().parent
# A wheel carries launch/ inside the package; in a checkout it stands beside it.
_SHIPPED = (_HERE / "shipped_flagfiles", _HERE.parent / "launch")
_DEEPEST = 20  # Flagfiles that each name the next.
_MOST = 100  # That one command reads, those read twice counted twice.
_LONGEST = 1 << 20  # Bytes of one.


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
    name = os.path.expanduser(name)
    for path in (beside / name, pathlib.Path(name), *(folder / name for folder in _SHIPPED)):
        if os.path.isfile(path):
            return path
    known = ", ".join(path.name for path in shipped())
    raise errors.UserError(
        f"--flagfile={name}: no such file. Those that ship with keras_aae: {known}"
    )


def expand(arguments: list[str]) -> list[str]:
    """The arguments with each `--flagfile` replaced by the flags in the file.

    Args:
        arguments: Command-line arguments, without the program's name.

    Raises:
        UserError: a flagfile is missing, is not text, or names itself, or there are too many.
    """
    return _expand(arguments, (), iter(range(_MOST)))


def _expand(
    arguments: list[str], reading_now: tuple[pathlib.Path, ...], numbers: Iterator[int]
) -> list[str]:
    """As `expand`.

    Args:
        arguments: The arguments.
        reading_now: The flagfiles that they are in, outermost first.
        numbers: A number for each flagfile that may still be read.
    """
    beside = reading_now[-1].parent if reading_now else pathlib.Path()
    expanded, remaining = [], iter(arguments)
    for argument in remaining:
        flag, equals, name = argument.partition("=")
        if flag not in ("--flagfile", "-flagfile"):
            expanded.append(argument)
            continue
        path = find(name if equals else next(remaining, ""), beside).resolve()
        if path in reading_now:
            raise errors.UserError(f"--flagfile={name}: {path.name} names itself")
        if len(reading_now) == _DEEPEST or next(numbers, None) is None:
            raise errors.UserError(
                f"--flagfile={path}: expected at most {_MOST} flagfiles in all, and {_DEEPEST} "
                "that each name the next"
            )
        expanded += _expand(_flags_in(path), (*reading_now, path), numbers)
    return expanded


def _flags_in(path: pathlib.Path) -> list[str]:
    """The flags in a flagfile: its lines less blank ones and comments."""
    lines = [line.strip() for line in _text_of(path).splitlines()]
    flags = [line for line in lines if line and not line.startswith(("#", "//"))]
    for line in flags:
        if not line.startswith("-"):
            raise errors.UserError(
                f"--flagfile={path}: expected lines like --flag=value. Received: {line[:80]!r}"
            )
    return flags


def _text_of(path: pathlib.Path) -> str:
    try:
        with reading.open_regular(path) as file:
            content = file.read(_LONGEST + 1)
        if len(content) > _LONGEST:
            raise ValueError(f"longer than {_LONGEST:,} bytes")
        return content.decode("utf-8-sig")  # Windows's editors begin a file with a mark.
    except (OSError, ValueError) as error:
        why = reading.reason(error)
        raise errors.UserError(f"--flagfile={path}: not readable as text ({why})") from error
