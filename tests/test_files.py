"""What the disk holds after a kill, a loss of power, a full disk and a flipped bit."""

import errno
import os
import stat

from conftest import mounted
import hypothesis
from hypothesis import strategies
import pytest

from keras_aae import errors
from keras_aae import files
from keras_aae import reading


def test_content_is_on_the_disk_before_it_takes_its_place(tmp_path, monkeypatch):
    """The order of calls without which a loss of power leaves an empty or half a file."""
    calls, replace = [], os.replace
    monkeypatch.setattr(files, "sync", lambda path: calls.append(("sync", path.is_dir())))
    monkeypatch.setattr(os, "replace", lambda *a: (calls.append("replace"), replace(*a)))
    files.write(tmp_path / "a/b.txt", "text")
    assert calls == [("sync", True), ("sync", False), "replace", ("sync", True)]
    assert (tmp_path / "a/b.txt").read_text() == "text"


def test_the_entry_of_every_new_folder_is_on_the_disk(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(files, "sync", calls.append)
    files.make_folder(tmp_path / "a/b")
    assert set(calls) == {tmp_path, tmp_path / "a"}
    files.make_folder(tmp_path / "a/b", exist_ok=True)
    assert len(calls) == 2 and (tmp_path / "a/b").is_dir()


def test_a_file_that_cannot_be_written_whole_leaves_the_old_one(tmp_path, monkeypatch):
    files.write(tmp_path / "b.txt", "old")

    def full(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "sync", full)
    with pytest.raises(errors.UserError, match=r"b.txt: not writable \(No space left on device\)"):
        files.write(tmp_path / "b.txt", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["b.txt"]
    assert (tmp_path / "b.txt").read_text() == "old"


@pytest.fixture
def full_disk(tmp_path):
    """A real disk of one megabyte."""
    with mounted(tmp_path / "disk", "size=1m") as place:
        yield place


def test_a_really_full_disk_is_named(full_disk):
    files.write(full_disk / "a", b"old")
    with pytest.raises(errors.UserError, match=r"a: not writable \(No space left on device\)"):
        files.write(full_disk / "a", bytes(2 << 20))
    assert (full_disk / "a").read_bytes() == b"old"
    assert [path.name for path in full_disk.iterdir()] == ["a"]


def test_only_what_was_left_unfinished_is_removed(tmp_path):
    (tmp_path / "a/.unfinished-mine").mkdir(parents=True)
    for name in ("a/.unfinished-0123-b.txt", "a/b.txt", ".unfinished-0123-c.json"):
        (tmp_path / name).write_text("")
    files.remove_unfinished(tmp_path)
    files.remove_unfinished(tmp_path / "gone")
    left = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*"))
    # Those in a folder within it may be another's.
    assert left == ["a", "a/.unfinished-0123-b.txt", "a/.unfinished-mine", "a/b.txt"]


def test_names_of_files_that_are_not_utf_8_are_written_as_they_are(tmp_path):
    files.write(tmp_path / "list.csv", "caf\udce9.png\n")
    assert (tmp_path / "list.csv").read_bytes() == b"caf\xe9.png\n"


def test_the_fault_of_the_disk_opens_a_long_message():
    long = RuntimeError("x" * 300 + " No space left on device\nand more")
    assert reading.reason(long).startswith("No space left on device: xxx")
    assert len(reading.reason(long)) == 200
    assert reading.reason(OSError(30, "Read-only file system")) == "Read-only file system"


def test_a_lock_is_one_process_s_at_a_time(tmp_path):
    first = files.try_lock(tmp_path / ".lock")
    assert first
    assert files.try_lock(tmp_path / ".lock") is None
    first.close()
    files.try_lock(tmp_path / ".lock").close()


BOTH_LOCKS = [files.try_lock, lambda path: files.locked(path).__enter__()]


@pytest.mark.parametrize("lock", BOTH_LOCKS)
def test_a_file_system_without_locks_is_named(tmp_path, monkeypatch, lock):
    def missing(*_):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr("fcntl.flock", missing)
    with pytest.raises(errors.UserError, match=r"\.lock: not writable \(Function not implemented"):
        lock(tmp_path / ".lock")


@pytest.mark.parametrize("lock", BOTH_LOCKS)
def test_a_lock_changes_nothing_and_follows_no_link(tmp_path, lock):
    (tmp_path / "precious.txt").write_text("kept")
    (tmp_path / ".lock").symlink_to("precious.txt")
    with pytest.raises(errors.UserError, match=r"\.lock: not writable"):
        lock(tmp_path / ".lock")
    files.try_lock(tmp_path / "precious.txt").close()
    assert (tmp_path / "precious.txt").read_text() == "kept"


RECORD = {"step": 12, "rows": [{"loss": 0.1 + 0.2, "none": None}], "text": "ü\n"}


def test_a_record_comes_back(tmp_path):
    assert files.read_record(tmp_path / "record.json") is None
    files.write_record(tmp_path / "record.json", RECORD)
    assert files.read_record(tmp_path / "record.json") == RECORD


def test_any_flipped_bit_of_a_record_is_seen_or_changes_nothing(tmp_path):
    path = tmp_path / "record.json"
    files.write_record(path, RECORD)
    good = path.read_bytes()
    for position in range(len(good) * 8):
        changed = bytearray(good)
        changed[position // 8] ^= 1 << position % 8
        path.write_bytes(changed)
        try:
            assert files.read_record(path) == RECORD
        except errors.UserError as error:
            assert str(error).startswith(f"{path}: damaged")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"7", b"{}", b"\xff", b"[" * 100_000])
def test_what_is_no_record_is_damaged(tmp_path, content):
    (tmp_path / "record.json").write_bytes(content)
    with pytest.raises(errors.UserError, match=r"record\.json: damaged"):
        files.read_record(tmp_path / "record.json")


def test_a_pipe_in_the_place_of_a_record_is_not_waited_for(tmp_path, no_hang):
    os.mkfifo(tmp_path / "record.json")
    with pytest.raises(errors.UserError, match=r"damaged \(not a regular file\)"):
        files.read_record(tmp_path / "record.json")
    with pytest.raises(OSError, match="not a regular file"):
        files.digest_of_file(tmp_path / "record.json")


@hypothesis.settings(max_examples=200, derandomize=True, deadline=None, database=None)
@hypothesis.given(strategies.data())
def test_whatever_a_record_becomes_it_is_told_or_reads_as_before(tmp_path_factory, drawn):
    """Pieces are cut out, put in and changed, as a disk or a person may do."""
    path = tmp_path_factory.getbasetemp() / "changed.json"
    files.write_record(path, RECORD)
    content = path.read_bytes()
    start = drawn.draw(strategies.integers(0, len(content)))
    stop = drawn.draw(strategies.integers(start, min(len(content), start + 20)))
    path.write_bytes(content[:start] + drawn.draw(strategies.binary(max_size=8)) + content[stop:])
    try:
        assert files.read_record(path) == RECORD
    except errors.UserError as error:
        assert str(error).startswith(f"{path}: damaged")


def test_a_file_keeps_its_permissions_when_it_is_replaced(tmp_path):
    path = tmp_path / "models.config"
    files.write(path, "old")
    path.chmod(0o664)
    before = os.umask(0o077)
    try:
        files.write(path, "new")
        files.write(tmp_path / "other", "new")
    finally:
        os.umask(before)
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o664
    assert stat.S_IMODE((tmp_path / "other").stat().st_mode) == 0o600
