"""What the README and docs say is tried as it stands."""

import re

from conftest import ROOT
import pytest

from keras_aae import flagfiles
from keras_aae import models

README = (ROOT / "README.md").read_text()


def run_example(text):
    """Runs the indented code of a page, with one epoch of two steps where it says how many."""
    code = "".join(line[4:] + "\n" for line in text.splitlines() if line.startswith("    "))
    assert "model.fit(" in code
    names = {}
    code = re.sub(r"steps_per_epoch=\d+", "steps_per_epoch=2", code)
    exec(re.sub(r"epochs=\d+", "epochs=1", code), names)
    return names


def test_the_python_example_runs():
    names = run_example(README.split("## From Python")[1].split("## ")[0])
    assert names["code"]["style"].shape == (8, 10)


def test_the_python_page_runs_from_top_to_bottom(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = run_example((ROOT / "docs/PYTHON.md").read_text())
    assert names["images"].shape == (500, 28, 28, 1)
    assert names["samples"].shape == (16, 28, 28, 1)
    assert names["answer"]["cluster"].shape == (500,)
    assert (tmp_path / "saved_models/ring/1/saved_model.pb").exists()


def test_every_flagfile_that_ships_is_in_the_readme_and_the_other_way_round():
    named = set(re.findall(r"`(\w+\.cfg)`", README))
    assert {path.name for path in flagfiles.shipped()} == named - {"config.cfg"}


@pytest.mark.parametrize(
    "path",
    [
        *("README.md", "CONTRIBUTING.md", "SECURITY.md"),
        *("docs/RESULTS.md", "docs/PYTHON.md", "docs/SCALE.md", "docs/RELIABILITY.md"),
    ],
)
def test_links_lead_somewhere(path):
    page = ROOT / path
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_the_public_names_are_there():
    import keras_aae

    for name in keras_aae.__all__:
        assert getattr(keras_aae, name) is not None
    classes = {models.get(name).__name__ for name in models.NAMES}
    assert classes <= set(keras_aae.__all__)
