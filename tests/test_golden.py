"""What earlier code gave and wrote: losses to the last digit, a run that still loads, one refused.

`python tests/golden/record.py check` compares every flagfile under both update rules; here are few.
"""

import contextlib
import json
import pathlib
import shutil
import tempfile

from conftest import PROPERTY
from conftest import ROOT
from conftest import damaged
from conftest import fork
from golden import record
import hypothesis
from hypothesis import strategies
import numpy as np
import pytest

import keras_aae
from keras_aae import data
from keras_aae import errors
from keras_aae import flagfiles
from keras_aae.reporting import tables
from keras_aae.training import checkpoints
from keras_aae.training import run_directory

GOLDEN = ROOT / "tests/golden"
FEW = ("quickstart, joint", "vae_mog, joint", "aae_mog_labels, sequential")


def test_every_flagfile_has_golden_losses_under_both_rules():
    kept = json.loads(record.FILE.read_text())["cases"]
    rules = [f"{path.stem}, {rule}" for path in flagfiles.shipped() for rule in record.RULES]
    assert sorted(kept) == sorted(rules)
    parts = [part for case in kept.values() for part in case.values()]
    assert len(parts) == 2 * len(kept)
    assert all(len(v) == record.STEPS for part in parts for v in part["losses"].values())


def test_the_flagfiles_are_those_that_the_losses_were_recorded_with():
    kept = json.loads(record.FILE.read_text())["flags"]
    assert kept == {path.stem: record.flags_of(path) for path in flagfiles.shipped()}


@pytest.mark.parametrize("case", FEW)
def test_the_first_losses_are_the_golden_ones(case):
    """To the last digit on the kind of machine that recorded them, else of a frozen model."""
    kept = json.loads(record.FILE.read_text())
    name, rule = case.split(", ")
    exact = kept["machines"][name] == record.machine()
    found = record.run(name, rule, exact)
    assert record.differences(found, kept["cases"][case][record.part(exact)], exact) == []


def copy(name, folder):
    shutil.copytree(GOLDEN / name, folder / "run")
    shutil.copy(GOLDEN / "tiny.npz", folder)
    return folder


def test_a_run_of_this_format_still_loads_and_gives_its_numbers(tmp_path):
    folder = copy("run_0.4.0", tmp_path)
    expected = json.loads((folder / "run/results.json").read_text())
    model = keras_aae.load(folder / "run")
    test = data.Dataset.read(folder / "run/examples.npz").test
    numbers = keras_aae.evaluation.Evaluator(model).evaluate(test)
    assert numbers == pytest.approx(expected["test"], rel=1e-4)
    done = fork("--mode=evaluate", "--run_dir=run", cwd=folder)
    assert done.returncode == 0, done.stderr
    found = json.loads((folder / "run/results.json").read_text())
    for split in ("validation", "test"):
        assert found[split] == pytest.approx(expected[split], rel=1e-4)
    assert np.isfinite(found["prior_match"]["sliced_wasserstein_ratio"])


@hypothesis.given(choice=strategies.data())
@hypothesis.settings(PROPERTY, max_examples=50, phases=[hypothesis.Phase.generate])
def test_a_run_with_a_damaged_file_gives_its_numbers_or_is_refused(choice):
    """Whichever file it is, and whatever became of it."""
    expected = json.loads((GOLDEN / "run_0.4.0/results.json").read_text())
    name = choice.draw(strategies.sampled_from(sorted(READ)))
    with tempfile.TemporaryDirectory() as folder:
        run = copy("run_0.4.0", pathlib.Path(folder)) / "run"
        whole = (run / name).read_bytes()
        content = choice.draw(damaged(whole))
        (run / name).write_bytes(content)
        may_be_refused = content != whole and name not in FOR_PEOPLE
        with contextlib.suppress(*[errors.UserError] * may_be_refused):
            READ[name](run, expected)


def read_records(run, expected):
    (group,) = tables.read(str(run))
    assert group.results[0]["test"] == expected["test"]


def read_model(run, expected):
    model = keras_aae.load(run)
    test = data.Dataset.read(run / "examples.npz").test
    numbers = keras_aae.evaluation.Evaluator(model).evaluate(test)
    assert numbers == pytest.approx(expected["test"], rel=1e-4)


def restore(run, expected):
    directory = run_directory.RunDirectory(run)
    model = directory.load_model()
    assert checkpoints.Checkpoints(model, directory).restore() == expected["steps"]


FOR_PEOPLE = ("config.cfg", "metrics.csv")  # Whose damage changes nothing.
READ = {  # The files of a run, and what reads the run where they count.
    "run.json": read_records,
    "results.json": read_records,
    **dict.fromkeys(FOR_PEOPLE, read_records),
    "model.keras": read_model,
    "examples.npz": read_model,
    "checkpoints/ckpt-4.json": restore,
    "checkpoints/ckpt-4.index": restore,
    "checkpoints/ckpt-4.data-00000-of-00001": restore,
}


@pytest.mark.parametrize(
    ("mode", "name", "version"),
    [
        ("train", "run_0.1.0", "0.1.0 or older"),
        ("evaluate", "run_0.1.0", "0.1.0 or older"),
        ("export", "run_0.2.0", "0.2.0"),
        ("convert", "run_0.2.0", "0.2.0"),
        ("train", "run_0.3.0", "0.3.0"),
        ("export", "run_0.3.0", "0.3.0"),
    ],
)
def test_an_older_run_is_refused_in_one_line_that_names_its_version(tmp_path, mode, name, version):
    folder = copy(name, tmp_path)
    done = fork(f"--mode={mode}", "--run_dir=run", "--dataset=tiny.npz", cwd=folder)
    assert done.returncode == 2
    line = done.stderr.splitlines()[-1]
    assert line.startswith(f"keras_aae: --run_dir=run: keras_aae {version} wrote this run")
    assert "Traceback" not in done.stderr
