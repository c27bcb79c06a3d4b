"""What the README and docs say is tried as it stands."""

import re

from conftest import ROOT
import pytest

from keras_aae import flagfiles
from keras_aae import models

README = (ROOT / "README.md").read_text()


def test_the_python_example_runs():
    code = "".join(
        line[4:] + "\n"
        for line in README.split("## From Python")[1].split("## ")[0].splitlines()
        if line.startswith("    ")
    )
    assert "model.fit(" in code
    code = code.replace("steps_per_epoch=100, epochs=10", "steps_per_epoch=2, epochs=1")
    names = {}
    exec(code, names)
    assert names["code"]["style"].shape == (8, 10)


def test_every_flagfile_that_ships_is_in_the_readme_and_the_other_way_round():
    named = set(re.findall(r"`(\w+\.cfg)`", README))
    assert {path.name for path in flagfiles.shipped()} == named - {"config.cfg"}


@pytest.mark.parametrize("path", ["README.md", "CONTRIBUTING.md", "docs/RESULTS.md"])
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
