"""What the benchmarks count and divide; how fast anything is stands in no test."""

import importlib.util
import json
import sys

from conftest import ROOT
import pytest

from benchmarks import __main__ as benchmarks_main
from benchmarks import cases
from benchmarks import contest
from benchmarks import figure
from benchmarks import limit
from benchmarks import tables
from keras_aae import errors


def test_ratios_are_those_within_a_round():
    """A machine that is three times slower for a round changes no ratio."""
    table = tables.ratios({"ours": [1.0, 3.0, 1.0], "other": [2.0, 6.0, 2.2]})
    assert table.splitlines()[2:] == [
        "| ours | 1.00 | 1.00 to 1.00 | 1.0 |",
        "| other | 2.00 | 2.00 to 2.20 | 2.2 |",
    ]


def test_the_figure_has_a_panel_for_each_case_with_several_contestants():
    two = {"ours": [1.0, 1.0, 2.0], "PyTorch loop": [2.0, 3.0, 4.0]}
    picture = figure.bars({"aae": two, "quickstart": {"ours": [1.0]}, "command": two, "conv": two})
    assert [axes.get_title("left") for axes in picture.axes] == [
        cases.CASES[name].name for name in ("aae", "conv")
    ]
    picture.draw_without_rendering()
    for axes in picture.axes:
        assert [bar.get_width() for bar in axes.patches] == [1.0, 2.0]
        assert [label.get_text() for label in axes.get_yticklabels()] == ["ours", "PyTorch loop"]


def test_multiply_adds_of_dense_layers():
    """2x3 and 3x5: forward 21, gradients of weights 21, of inputs 15, of the first one 6 more."""
    assert limit.multiply_adds((2, 3, 5), rows=1) == 21 + 21 + 15
    assert limit.multiply_adds((2, 3, 5), rows=10, inputs=True) == 10 * (21 + 21 + 15 + 6)
    assert limit.multiply_adds((2, 3, 5), rows=1, weights=False, inputs=True) == 21 + 15 + 6
    assert limit.parameters((2, 3, 5)) == 9 + 20


def test_a_contestant_that_ends_is_named(monkeypatch):
    case = cases.Case("no such thing", {}, ("nobody",), 1)
    monkeypatch.setitem(cases.CASES, "nothing", case)
    with pytest.raises(errors.UserError, match="nobody: ended with status 1"):
        contest.contest("nothing", rounds=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cases=fast"], "--cases: expected some of aae, semisup"),
        (["--cases=command", "--rounds=0"], "--rounds: expected 1 or more"),
        (["--cases=command", "--reference=docs"], "--reference=docs: expected a checkout"),
        (["--cases=command", "--output=README.md"], "--output=README.md: not readable"),
        (["--cases=conv"], "expected torch: pip install"),
    ],
)
def test_what_cannot_be_measured_is_refused_at_once(monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["benchmarks", *arguments])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="2"):
        benchmarks_main.main()
    assert message in capsys.readouterr().err


def test_the_times_of_a_case_are_kept_beside_those_of_others(tmp_path):
    benchmarks_main._keep(tmp_path / "times.json", {"conv": {"ours": [1.0]}})
    benchmarks_main._keep(tmp_path / "times.json", {"aae": {"ours": [2.0]}})
    kept = json.loads((tmp_path / "times.json").read_text())
    assert kept == {"conv": {"ours": [1.0]}, "aae": {"ours": [2.0]}}
