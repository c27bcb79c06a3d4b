"""What programs print where that can't be printed."""

import os
import pathlib
import subprocess
import sys

from conftest import ROOT
import pytest

PROGRAM = """
from keras_aae import console
import sys
with console.printing():
    print("mean ± deviation")
    print("a word", file=sys.stderr)
    sys.exit(3)
"""


def run(shell, **variables):
    """The status, output and errors of a shell command, in which "$@" stands for the program."""
    fixed = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""}
    environment = {**os.environ, **fixed, **variables}
    done = subprocess.run(
        ["bash", "-c", shell, "bash", sys.executable, "-c", PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


def test_what_is_printed_is_what_was_said():
    assert run('"$@"', PYTHONIOENCODING="utf-8") == (3, "mean ± deviation\n", "a word\n")


def test_what_an_encoding_lacks_is_escaped():
    status, output, _ = run('"$@"', PYTHONIOENCODING="ascii")
    assert (status, output) == (3, "mean \\xb1 deviation\n")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_outputs_swallow_what_is_printed(closed):
    status, output, errors = run(f'"$@" {closed}')
    assert status == 3
    assert (output, errors) == ("" if closed[0] == ">" else output, "" if "2" in closed else errors)
    assert "Traceback" not in output + errors


def test_nobody_reads_it():
    status, _, errors = run('"$@" | true; exit ${PIPESTATUS[0]}')
    assert status in (3, 141)  # The reader may have been there for long enough.
    assert errors == "a word\n"


@pytest.mark.skipif(not pathlib.Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_said():
    status, _, errors = run('"$@" > /dev/full')
    assert status == 2
    assert errors == ("a word\nkeras_aae: the output can't be written: No space left on device\n")
