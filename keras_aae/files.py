"""Files that are there whole or not at all, locks, and records that show their own damage."""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import secrets
import stat
import tempfile
from typing import Any
from typing import BinaryIO

from keras_aae import errors
from keras_aae import reading

UNFINISHED = ".unfinished-"  # Opens the name of what is not yet in its place.
_CHECKSUM = "checksum"  # The key of a record's own checksum.


def write(target: pathlib.Path, content: str | bytes) -> None:
    """Writes a file so that it is there whole or not at all, and makes its folder.

    Raises:
        UserError: it can't be written.
    """
    with replacing(target) as unfinished:
        # Names of files may be bytes that aren't UTF-8, and stay those.
        raw = content.encode(errors="surrogateescape") if isinstance(content, str) else content
        unfinished.write_bytes(raw)


@contextlib.contextmanager
def replacing(target: pathlib.Path) -> Iterator[pathlib.Path]:
    """A path to write a file to, which takes the target's place at the end; makes its folder.

    The content is on the disk before it takes the place, and the place before this returns: neither
    a killed process nor a loss of power leaves half a file.

    Raises:
        UserError: it can't be written.
    """
    name = f"{UNFINISHED}{secrets.token_hex(8)}-{target.name}"
    unfinished = target.with_name(name)
    with writing(target):
        make_folder(target.parent, exist_ok=True)
        try:
            yield unfinished
            _keep_permissions(target, unfinished)
            sync(unfinished)
            os.replace(unfinished, target)
            sync(target.parent)
        finally:
            unfinished.unlink(missing_ok=True)


def _keep_permissions(target: pathlib.Path, unfinished: pathlib.Path) -> None:
    """Gives a file the permissions of the one that it replaces, and its owner where that may be."""
    try:
        before = target.stat()
    except FileNotFoundError:
        return
    with contextlib.suppress(PermissionError):
        os.chown(unfinished, before.st_uid, before.st_gid)
    unfinished.chmod(stat.S_IMODE(before.st_mode))


def make_folder(path: pathlib.Path, *, exist_ok: bool = False) -> None:
    """Makes a folder and those it is in, and returns when the disk has the entries of all.

    Args:
        path: The folder.
        exist_ok: Whether it may be there.

    Raises:
        OSError: it can't be made.
    """
    missing = [each for each in (path, *path.parents) if not each.exists()]
    path.mkdir(parents=True, exist_ok=exist_ok)
    for made in missing:
        sync(made.parent)


def remove_unfinished(folder: pathlib.Path) -> None:
    """Removes what killed processes left in a folder that only this process writes to now.

    What is in folders within it may be others'.

    Raises:
        UserError: it can't be removed.
    """
    with writing(folder):
        for left in folder.glob(f"{UNFINISHED}*"):
            if left.is_file():
                left.unlink()


def sync(path: pathlib.Path) -> None:
    """Returns when the disk has a file's content, or a folder's entries."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def temporary_folder() -> Iterator[pathlib.Path]:
    """A folder that goes at the end.

    Raises:
        UserError: it can't be made.
    """
    try:
        folder = tempfile.TemporaryDirectory()
    except OSError as error:
        raise errors.UserError(f"no temporary folder: set TMPDIR to one ({error})") from error
    with folder as path:
        yield pathlib.Path(path)


@contextlib.contextmanager
def writing(path: pathlib.Path, *more: type[Exception]) -> Iterator[None]:
    """Turns an error of the operating system, like a full disk, into a UserError with the path.

    Args:
        path: What is written.
        *more: Other exceptions that mean the same.
    """
    expected: tuple[type[Exception], ...] = (OSError, *more)
    try:
        yield
    except expected as error:
        raise errors.UserError(f"{path}: not writable ({reading.reason(error)})") from error


def check_readable_by_tensorflow(path: pathlib.Path, flag: str) -> None:
    """Raises a UserError for a path that TensorFlow writes to and then can't read.

    It takes the path of what it reads for a pattern.
    """
    if set("[]*?\\") & set(str(path)):
        raise errors.UserError(
            f"{flag}={path}: expected a path without the characters [ ] * ? and \\, which "
            "TensorFlow takes for a pattern when it reads"
        )


# Locks


@contextlib.contextmanager
def locked(path: pathlib.Path) -> Iterator[None]:
    """Waits for a file's lock and holds it; the kernel frees that of a process that dies.

    Raises:
        UserError: the file can't be made, or locked: some network file systems have no locks.
    """
    with _open_lock(path) as file:
        with writing(path):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def try_lock(path: pathlib.Path) -> BinaryIO | None:
    """The open file with its lock, to close when done; None where another process holds it.

    Raises:
        UserError: as `locked`.
    """
    file = _open_lock(path)
    with writing(path):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
    return file


def is_at(file: BinaryIO, path: pathlib.Path) -> bool:
    """Whether an open file is the one at a path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.lstat(path))
    except FileNotFoundError:
        return False


def _open_lock(path: pathlib.Path) -> BinaryIO:
    """A file to lock: not what a link leads to, and nothing in it is changed."""
    with writing(path):
        return open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666), "r+b", 0)


# Records and checksums


def write_record(path: pathlib.Path, record: Mapping[str, Any]) -> None:
    """Writes a JSON object with its checksum.

    Raises:
        UserError: it can't be written.
    """
    whole = {**record, _CHECKSUM: _checksum(record)}
    write(path, json.dumps(whole, indent=2) + "\n")


def read_record(path: pathlib.Path) -> dict[str, Any] | None:
    """What `write_record` wrote, or None where there is no such file.

    Raises:
        UserError: it is damaged: not what was written.
    """
    try:
        with reading.open_regular(path) as file:
            record = json.loads(file.read())
        if record.pop(_CHECKSUM) != _checksum(record):
            raise ValueError("its checksum is another")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise errors.UserError(f"{path}: damaged ({reading.reason(error)})") from error
    return record


def _checksum(record: Mapping[str, Any]) -> str:
    return digest(json.dumps(record, sort_keys=True).encode())


def digest(content: bytes | memoryview) -> str:
    """The SHA-256 of some bytes, as `sha256:<hexadecimal>`."""
    return digest_of_parts([content])


def digest_of_parts(parts: Iterable[bytes | memoryview]) -> str:
    """The SHA-256 of bytes that come in parts, as of them in one piece."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part)
    return f"sha256:{whole.hexdigest()}"


def digest_of_file(path: pathlib.Path) -> str:
    """The SHA-256 of a file's content, as `sha256:<hexadecimal>`."""
    with reading.open_regular(path) as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
