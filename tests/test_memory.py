import os

import numpy as np
import pytest

from keras_aae import errors
from keras_aae.data import memory

PHYSICAL = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def machine(root, groups, limits):
    """A machine's proc/ and sys/: the text of /proc/self/cgroup, and limits by file."""
    files = {"proc/self/cgroup": groups}
    files |= {f"sys/fs/cgroup/{file}": f"{limit}\n" for file, limit in limits.items()}
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


V1 = "5:cpu,cpuacct:/\n4:memory:/docker/ab\n0::/\n"


@pytest.mark.parametrize(
    ("groups", "limits", "expected"),
    [
        ("0::/\n", {"memory.max": 7_000_000}, 7_000_000),
        ("0::/\n", {"memory.max": "max"}, PHYSICAL),
        ("0::/a/b\n", {"a/memory.max": 5_000_000, "a/b/memory.max": 6_000_000}, 5_000_000),
        ("0::/a/b\n", {"a/memory.max": "max", "a/b/memory.max": 6_000_000}, 6_000_000),
        ("0::/a:b\n", {"a:b/memory.max": 6_000_000}, 6_000_000),
        (V1, {"memory/docker/ab/memory.limit_in_bytes": 4_000_000}, 4_000_000),
        (V1, {"memory/memory.limit_in_bytes": 3_000_000}, 3_000_000),  # In a container.
        (V1, {"memory/docker/ab/memory.limit_in_bytes": 2**63 - 4096}, PHYSICAL),
        (V1, {"cpu/docker/ab/memory.limit_in_bytes": 1}, PHYSICAL),
        ("", {}, PHYSICAL),
    ],
)
def test_the_smallest_limit_of_the_control_groups_counts(tmp_path, groups, limits, expected):
    assert memory.granted(machine(tmp_path, groups, limits)) == expected


def test_without_control_groups_the_machine_counts(tmp_path):
    assert memory.granted(tmp_path) == PHYSICAL


def test_half_of_what_is_granted_may_be_taken(monkeypatch):
    monkeypatch.setattr(memory, "granted", lambda: 8_000_000_000)
    memory.check("x.npz", 4_000_000_000, None)
    memory.check("x.npz", 7_000_000_000, 7.0)
    with pytest.raises(errors.UserError) as caught:
        memory.check("x.npz", 4_100_000_000, None)
    assert str(caught.value) == (
        "x.npz: takes about 4.1 GB of memory to read (images as bytes once, all else 3 times, "
        "labels as int64 or text). Expected: at most 4 GB, half of this machine's memory. A larger "
        "--max_memory allows more"
    )
    with pytest.raises(errors.UserError, match=r"about 7.1 GB .* at most 7 GB, --max_memory\."):
        memory.check("x.npz", 7_100_000_000, 7.0)


def test_bytes_are_kept_as_they_are_and_others_in_copies():
    assert memory.needed((10, 4, 5), np.dtype(np.uint8)) == 200
    assert memory.needed((10, 4, 5), np.dtype(np.float32)) == 3 * 800
    assert memory.needed((10,), np.dtype(np.int8)) == 3 * 80  # Labels are read as int64,
    assert memory.needed((10,), np.dtype("S7")) == 3 * 10 * 7 * 4  # or as text.
    assert memory.needed((2**40, 2**40), np.dtype(">f8")) == 3 * 2**83
