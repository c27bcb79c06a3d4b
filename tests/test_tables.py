"""The documentation's tables are those that the kept results make."""

import dataclasses
import importlib.util
import re
import shlex

from absl import flags
from conftest import ROOT
import pytest

from keras_aae import errors
from keras_aae import files
from keras_aae import launch
from keras_aae.reporting import tables

_SPEC = importlib.util.spec_from_file_location("docs_tables", ROOT / "docs/tables.py")
docs_tables = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(docs_tables)

KEPT = sorted((ROOT / "docs/results").glob("*.json"))
# What a flagfile was measured on, where that is not the data set that it names.
MEASURED_ON = {"svhn": "svhn10k.npz", "cifar10": "cifar10_jpeg"}


@pytest.mark.parametrize("page", docs_tables.PAGES, ids=lambda page: page.name)
def test_no_number_of_a_table_is_typed_by_hand(page):
    text = page.read_text(encoding="utf-8")
    assert docs_tables.filled(text) == text


def test_every_kept_result_is_shown():
    pages = "".join(page.read_text(encoding="utf-8") for page in docs_tables.PAGES)
    shown = {
        name for block in re.findall(r"<!-- results: (.*) -->", pages) for name in block.split()
    }
    assert shown == {path.stem for path in KEPT}


def read_config(arguments):
    values = flags.FlagValues()
    launch.define_flags(values)
    return launch.read_config(["launch", *arguments], values)


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_a_kept_result_comes_from_the_flagfile_of_its_name(path):
    shipped = read_config([f"--flagfile={path.stem}.cfg"])
    dataset = MEASURED_ON.get(path.stem, shipped.dataset)
    shipped = dataclasses.replace(shipped, dataset=dataset)
    for run in files.read_record(path)["runs"]:
        trained = read_config(shlex.split(run["results"]["command"])[3:])
        assert shipped.differences(dataclasses.replace(trained, seed=shipped.seed)) == []


def test_a_record_that_is_no_summary_is_refused(tmp_path):
    files.write_record(tmp_path / "results.json", {"name": "bars"})
    with pytest.raises(errors.UserError, match=r"--runs=.*results.json: expected the summary of"):
        tables.read(str(tmp_path / "results.json"))
