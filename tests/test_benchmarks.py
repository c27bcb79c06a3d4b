"""What the benchmarks count and divide; how fast anything is stands in no test."""

import subprocess
import sys

from conftest import ROOT
import pytest

from benchmarks import cases
from benchmarks import contest
from benchmarks import limit
from benchmarks import tables


def test_ratios_are_those_within_a_round():
    """A machine that is three times slower for a round changes no ratio."""
    table = tables.ratios({"ours": [1.0, 3.0, 1.0], "other": [2.0, 6.0, 2.2]})
    assert table.splitlines()[2:] == ["| ours | 1.00 | 1.0 |", "| other | 2.00 | 2.2 |"]


def test_multiply_adds_of_dense_layers():
    """2x3 and 3x5: forward 21, gradients of weights 21, of inputs 15, of the first one 6 more."""
    assert limit._products((2, 3, 5), rows=1) == 21 + 21 + 15
    assert limit._products((2, 3, 5), rows=10, inputs=True) == 10 * (21 + 21 + 15 + 6)
    assert limit._products((2, 3, 5), rows=1, weights=False, inputs=True) == 21 + 15 + 6
    assert limit._parameters((2, 3, 5)) == 9 + 20


def test_a_contestant_that_ends_is_named(monkeypatch):
    case = cases.Case("no such thing", {}, ("nobody",), 1)
    monkeypatch.setitem(cases.CASES, "nothing", case)
    with pytest.raises(RuntimeError, match="nobody: ended with status 1"):
        contest.contest("nothing", rounds=1)


def test_an_unknown_case_is_refused():
    command = [sys.executable, "-m", "benchmarks", "--cases=fast"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 2
    assert "--cases: expected some of aae, semisup" in ended.stderr
