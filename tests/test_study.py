"""Studies: the runs of several seeds or values, their summary, its table and page."""

import dataclasses
import json
import re

from conftest import fork
import numpy as np
import pytest

from keras_aae import config as config_lib
from keras_aae import errors
from keras_aae import experiment
from keras_aae import files
from keras_aae import interrupts
from keras_aae import plan
from keras_aae import study as study_lib
from keras_aae.deployment import model_base
from keras_aae.reporting import figures
from keras_aae.reporting import study_page
from keras_aae.reporting import tables
from keras_aae.training import run_directory

RUNS = [
    {"name": "digits", "seed": seed, "steps": 10, "train_seconds": 60.0, "validation": {}}
    | {"test": {"error_rate": rate, "reconstruction_mse": 0.01}, "prior_match": {}}
    | {"curve": [{"step": 5, "seconds": 30.0, "error_rate": 2 * rate}]}
    for seed, rate in enumerate((0.01, 0.02, 0.03))
]


def summary(*values):
    """A study with all seeds of `RUNS` for each value; errors are ten times that for later ones."""
    runs = []
    for index, value in enumerate(values):
        for run in RUNS:
            error = run["test"]["error_rate"] * 10**index
            numbers = {"validation": {"error_rate": error}, "test": {"error_rate": error}}
            runs.append({"value": value, "directory": f"{value}-{run['seed']}"})
            runs[-1]["results"] = run | numbers
    return {"name": "digits", "command": "keras_aae", "runs": runs, "failed": {}}


def variations(**settings):
    return plan.variations(config_lib.Config(**settings))


def test_each_seed_is_tried_with_each_value_of_a_sweep():
    found = variations(seeds="0,3", sweep="learning_rate=0.1,1e-3", steps=400)
    assert [each.name for each in found] == [
        *("learning_rate=0.1,seed=0", "learning_rate=0.1,seed=3"),
        *("learning_rate=0.001,seed=0", "learning_rate=0.001,seed=3"),
    ]
    assert [each.value for each in found[1:3]] == ["learning_rate=0.1", "learning_rate=0.001"]
    expected = config_lib.Config(learning_rate=0.001, seed=3, steps=400)
    assert found[-1].config == expected


def test_a_sweep_alone_and_seeds_alone_are_studies():
    assert [each.name for each in variations(sweep="network=mlp,conv")] == [
        *("network=mlp", "network=conv"),
    ]
    assert [(each.name, each.value) for each in variations(seeds="7")] == [("seed=7", "")]
    assert not plan.is_study(config_lib.Config())


def test_the_name_of_a_run_is_one_folder():
    (found,) = variations(sweep="dataset=my [data]/x.npz")
    assert "/" not in found.name
    assert "[" not in found.name
    assert found.config.dataset == "my [data]/x.npz"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seeds": "0,1,0"}, "seed=0 stands there twice"),
        ({"seeds": "0,,1"}, "--seeds: expected text like"),
        ({"seeds": "-1"}, "--seeds: expected text like"),
        ({"sweep": "learning_rate"}, "--sweep: expected text like"),
        ({"sweep": "no_such=1"}, "Received: 'no_such', which can't be swept"),
        ({"sweep": "run_dir=a,b"}, "can't be swept"),
        ({"sweep": "version=1,2"}, "can't be swept"),
        ({"sweep": "seed=1,2", "seeds": "1"}, "can't be swept"),
        ({"sweep": "steps=10,x"}, "expected values of type int. Received: 'x'"),
        ({"sweep": "network=mlp,lstm"}, "--network: expected one of"),
        ({"sweep": "labels=100,0"}, "--labels=0"),
        ({"seeds": "0,1", "seed": 3}, "expected --seed or --seeds, not both"),
        ({"seeds": "0", "export_dir": "models"}, "--export_dir=models: --seeds and --sweep train"),
        ({"seeds": "0", "mode": "export", "run_dir": "x"}, "--mode=export: --seeds and --sweep"),
    ],
)
def test_a_study_that_makes_no_sense_is_refused(settings, message):
    with pytest.raises(errors.UserError, match=re.escape(message)):
        variations(**settings)


def test_a_group_has_the_mean_and_the_deviation_over_its_seeds():
    (group,) = tables.groups(summary(""))
    assert group.name == "digits"
    error = group.numbers()["test.error_rate"]
    assert error.mean == pytest.approx(0.02)
    assert error.deviation == pytest.approx(0.01)  # sqrt((1 + 0 + 1) / (3 - 1)) percent.
    assert tables.Spread((0.5,)).deviation == 0


def test_a_table_shows_every_seed_and_drops_none():
    header, row = tables.rows(tables.groups(summary("")))
    cells = dict(zip(header, row, strict=True))
    assert cells["seeds"] == "0, 1, 2"
    assert cells["test error, %"] == "2.00 ± 1.00 (1.00, 2.00, 3.00)"
    assert cells["steps"] == "10"
    assert cells["minutes"] == "1.0"
    assert "nats" not in cells
    assert tables.markdown([["a", "b"], ["1", "2"]]) == "| a | b |\n|---|---|\n| 1 | 2 |\n"


def test_five_minutes_of_training_have_their_error():
    rows = [{"step": n, "seconds": 100.0 * n, "error_rate": 1 / n} for n in (1, 3, 4)]
    assert tables.numbers({"curve": rows})["early.error_rate"] == 1 / 3
    assert tables.numbers({"curve": rows[2:]}) == {}


def test_what_one_run_lacks_is_not_averaged_over_the_others():
    study = summary("")
    del study["runs"][0]["results"]["test"]
    header, _ = tables.rows(tables.groups(study))
    assert "test error, %" not in header


def test_the_validation_error_decides_a_sweep():
    groups = tables.groups(summary("rate=1", "rate=2"))
    assert study_page.best(groups) == ("validation.error_rate", groups[0])
    for run in groups[0].results:
        run["validation"] = {"error_rate": 0.9, "reconstruction_mse": 0.1}
    assert study_page.best(groups) == ("validation.error_rate", groups[1])
    for run in groups[1].results:
        run["validation"] = {"reconstruction_mse": 0.2}
    assert study_page.best(groups) is None
    for run in groups[0].results:
        del run["validation"]["error_rate"]
    assert study_page.best(groups) == ("validation.reconstruction_mse", groups[0])


def test_runs_without_a_validation_number_have_a_page_without_curves():
    nothing = summary("rate=1", "rate=2")
    for run in nothing["runs"]:
        run["results"] |= {"validation": {}, "curve": [{"step": 5, "seconds": 30.0}]}
    page = study_page.render(nothing, 6)
    assert "Least" not in page
    assert "Learning curves" not in page
    assert "Learning curves" in study_page.render(summary("rate=1"), 3)


def test_a_page_names_the_best_links_the_reports_and_escapes():
    page = study_page.render(summary("rate=1", "<b>"), 6)
    assert "Least validation error rate: <b>digits rate=1</b>" in page
    assert "6 of 6 runs" in page
    page = study_page.render(summary("rate=1", "<b>"), 8)
    assert "Least" not in page  # Groups of other seeds would be compared.
    assert 'href="rate%3D1-0/report.html"' in page
    assert "6 of 8 runs" in page
    failed = {"rate=9,seed=0": "not finite", "<i>": "x"}
    page = study_page.render(summary("rate=1", "<b>") | {"failed": failed}, 8)
    assert "Least validation error rate: <b>digits rate=1</b>" in page
    assert "<code>rate=9,seed=0</code>: not finite</p>" in page
    assert "<code>&lt;i&gt;</code>" in page
    assert "digits &lt;b&gt;" in page


def test_what_was_measured_on_other_examples_is_not_compared():
    page = study_page.render(summary("validation=0.1", "validation=0.5"), 6)
    assert "Least" not in page


def test_bands_show_the_mean_and_the_range():
    curves = {"a": {"error_rate": (np.array([1, 2]), np.array([[1.0, 2.0], [3.0, 6.0]]))}}
    (axes,) = figures.bands(curves).axes
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [2, 4])
    corners = axes.collections[0].get_paths()[0].vertices
    assert {(1, 1), (1, 3), (2, 2), (2, 6)} <= {tuple(each) for each in corners}


@pytest.mark.parametrize("first", [{}, {"mse": (np.array([1]), np.array([[4.0]]))}])
def test_bands_show_what_only_later_groups_have(first):
    curves = {"a": first, "b": {"error_rate": (np.array([1]), np.array([[2.0]]))}}
    titles = [axes.get_title() for axes in figures.bands(curves).axes]
    assert titles == [*first, "error rate"]


def test_a_table_reads_studies_and_refuses_what_is_none(tmp_path):
    files.write_record(tmp_path / "summary.json", summary("rate=1", "rate=2"))
    for path in (tmp_path, tmp_path / "summary.json"):
        assert [group.name for group in tables.read(str(path))] == [
            "digits rate=1",
            "digits rate=2",
        ]
    (tmp_path / "summary.json").write_text("{")
    with pytest.raises(errors.UserError, match=r"summary\.json: damaged"):
        tables.read(str(tmp_path))
    with pytest.raises(errors.UserError, match="expected the directory of a run"):
        tables.read(str(tmp_path / "nowhere"))


@pytest.fixture(scope="module")
def study(tmp_path_factory, bars_npz):
    """A folder with a study of two seeds, `both`, the run of one of them, `alone`; its settings."""
    folder = tmp_path_factory.mktemp("study")
    settings = {"labels": 30, "style_size": 2, "steps": 6, "evaluate_every": 2, "batch_size": 12}
    settings |= {"labelled_batch_size": 6, "dataset": str(bars_npz), "network": "mlp"}
    study_lib.run(config_lib.Config(**settings, seeds="0,1", run_dir=str(folder / "both")))
    alone = {"run_dir": str(folder / "alone"), "export_dir": str(folder / "models")}
    experiment.run(config_lib.Config(**settings, seed=1, **alone))
    return folder, settings


def test_a_study_leaves_a_run_for_each_seed_a_summary_and_a_page(study):
    folder, settings = study
    kept = files.read_record(folder / "both/summary.json")
    assert [run["directory"] for run in kept["runs"]] == ["seed=0", "seed=1"]
    assert (folder / "both/study.html").stat().st_size > 10_000
    for run in kept["runs"]:
        assert (folder / "both" / run["directory"] / "report.html").exists()
        results = json.loads((folder / "both" / run["directory"] / "results.json").read_text())
        assert run["results"]["test"] == results["test"]
        assert [row["step"] for row in run["results"]["curve"]] == [2, 4, 6]
        assert str(folder) not in run["results"]["command"].replace(settings["dataset"], "")
    assert model_base.numbers(folder / "both/saved_models", "semisup") == [1, 2]


def test_a_run_of_a_study_is_the_run_of_its_seed(study):
    folder, _ = study
    one, other = (
        json.loads((folder / name / "results.json").read_text())
        for name in ("both/seed=1", "alone")
    )
    for name in ("validation", "test", "prior_match"):
        assert one[name] == other[name]


def test_the_command_line_trains_only_the_seeds_that_are_missing(study):
    folder, settings = study
    flags = [f"--{name}={value}" for name, value in settings.items()]
    done = fork(*flags, "--seeds=0,1,5", "--run_dir=both", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("this run is finished; nothing to train") == 2
    assert len(files.read_record(folder / "both/summary.json")["runs"]) == 3
    groups = [*tables.read(str(folder / "both")), *tables.read(str(folder / "alone"))]
    table = tables.markdown(tables.rows(groups)).splitlines()
    assert "\n".join(table[:3]) in done.stdout
    assert table[3].startswith("| semisup | 1 |")


def test_the_directory_of_a_run_is_not_that_of_a_study(study):
    folder, settings = study
    with pytest.raises(errors.UserError, match="holds a single run"):
        study_lib.run(config_lib.Config(**settings, seeds="0", run_dir=str(folder / "alone")))
    other = settings | {"steps": 8}
    with pytest.raises(errors.UserError, match="both/seed=0: holds a run with other settings"):
        study_lib.run(config_lib.Config(**other, seeds="0,1,5", run_dir=str(folder / "both")))
    with pytest.raises(errors.UserError, match="both: holds a study with other runs: seed=1"):
        study_lib.run(config_lib.Config(**settings, seeds="0,5", run_dir=str(folder / "both")))
    with pytest.raises(errors.UserError, match="both: holds a study; give a run another one"):
        run_directory.RunDirectory(folder / "both").check(config_lib.Config(**settings))


def test_a_study_that_two_processes_work_on_is_refused(study):
    folder, settings = study
    with (
        files.try_lock(folder / "both/.lock"),
        pytest.raises(errors.UserError, match="both: another process is at work there"),
    ):
        study_lib.run(config_lib.Config(**settings, seeds="0,1,5", run_dir=str(folder / "both")))


def test_runs_that_are_finished_stay_in_the_summary_of_a_study_that_is_stopped(study, monkeypatch):
    """The extended study stops at its second run."""
    folder, settings = study
    before = files.read_record(folder / "both/summary.json")["runs"]

    run = experiment.run

    def stopped(config):
        if config.seed:
            raise interrupts.Interrupted(15)
        return run(config)

    monkeypatch.setattr(experiment, "run", stopped)
    with pytest.raises(interrupts.Interrupted):
        study_lib.run(config_lib.Config(**settings, seeds="0,1,5,9", run_dir=str(folder / "both")))
    assert files.read_record(folder / "both/summary.json")["runs"] == before


def test_a_run_that_cannot_be_does_not_keep_a_study_from_the_others(study, monkeypatch, capsys):
    folder, settings = study
    run = experiment.run

    def diverging(config):
        if config.seed == 9:
            raise errors.NotFiniteError("the reconstruction loss is not finite")
        return run(config)

    monkeypatch.setattr(experiment, "run", diverging)
    asked = config_lib.Config(**settings, seeds="9,0,1,5", run_dir=str(folder / "both"))
    with pytest.raises(errors.UserError, match=r"^seed=9: the reconstruction loss is not finite$"):
        study_lib.run(asked)
    assert "seed=9: the reconstruction loss is not finite" in capsys.readouterr().err
    kept = files.read_record(folder / "both/summary.json")
    assert [each["directory"] for each in kept["runs"]] == ["seed=0", "seed=1", "seed=5"]
    assert kept["failed"] == {"seed=9": "the reconstruction loss is not finite"}


def test_another_model_in_a_sweep_has_its_own_defaults():
    found = variations(sweep="model=semisup,label_informed,aae", labels=None)
    own = [(each.config.prior, each.config.style_size) for each in found]
    assert own == [("gaussian", 10), ("gaussian_mixture", 2), ("gaussian", 10)]
    assert [each.name for each in found][1] == "model=label_informed"
    kept = variations(sweep="model=aae,vae", style_size=4)
    assert {each.config.style_size for each in kept} == {4}


def test_settings_of_a_study_are_not_those_of_its_runs():
    (found,) = variations(seeds="4")
    assert dataclasses.asdict(found.config)["seeds"] == ""
    assert "--seeds" not in found.config.command()
    assert "--seeds=4" in config_lib.Config(seeds="4").command()
