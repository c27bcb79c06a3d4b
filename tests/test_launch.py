"""The real command line, in processes of its own and a temporary directory."""

import dataclasses
import json
import os
import pathlib
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import time

from conftest import ROOT
from conftest import SMOKE
from conftest import command
from conftest import config_of
from conftest import fork
from conftest import launch
from conftest import run_here
import keras
import numpy as np
import processes
import pytest
import tensorflow as tf

import keras_aae
from keras_aae import config as config_lib
from keras_aae import data as data_lib
from keras_aae import experiment
from keras_aae import files
from keras_aae import flagfiles
from keras_aae import launch as launcher
from keras_aae.data import sources
from keras_aae.reporting import comparison

SMOKE_UNLABELLED = tuple(flag for flag in SMOKE if not flag.startswith(("--labels", "--labelled")))
OLD_RUN = ROOT / "tests/golden/run_0.1.0"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--labls=3"], "Unknown command line flag 'labls'. Did you mean: .*labels"),
        (["--labels=-5"], "--labels: expected at least -1. Received: -5"),
        (["--labels=few"], "--labels=few"),
        (["--flagfile=gone.cfg"], "gone.cfg: no such file.*quickstart.cfg"),
        (["--flagfile"], "no such file"),
        (["semisup.cfg"], "expected flags only.*semisup.cfg"),
        (["--mode=evaluate"], "--run_dir"),
        (["--mode=compare"], "--runs"),
        (["--mode=export", "--run_dir=nowhere"], "nowhere: expected the directory of a run"),
        (["--steps"], "steps"),
        (
            ["--model=vae", "--agreement_weight=5"],
            "--agreement_weight=5.0: --model=vae doesn't use",
        ),
        (["--precision=int8"], "--precision: --mode=train doesn't use it. What does: .*convert"),
        (["--model=vae", "--agreement_weight=1"], "doesn't use it. Those that do: semisup"),
        (["--mode=table", "--runs=a", "--run_dir=b"], "--run_dir: --mode=table doesn't use it"),
        (["--mode=promote", "--run_dir=b"], "--run_dir: --mode=promote doesn't use it"),
        (["--mode=compare", "--runs=a", "--export_dir=b"], "--export_dir: --mode=compare doesn't"),
        (["--mode=table", "--runs=a", "--smoke"], "--smoke: expected --mode=train. Rec.*table"),
        (["--views=none", "--agreement_weight=1"], "--agreement_weight=1.0: --views=none has no"),
        (["--views=none", "--pseudo_label_weight=1"], "pseudo_label_weight=1.0: --views=none has"),
        (["--model=aae", "--labels=100"], "--labels=100: --model=aae learns from none"),
        (["--mode=export", f"--run_dir={OLD_RUN}"], "keras_aae 0.1.0 or older wrote this run"),
        (["--dataset=gone.npz"], "gone.npz: no such file"),
        (["--dataset=../gone/"], "no such folder"),
        (["--dataset=no_such_set"], "no_such_set: neither a file, a folder nor"),
    ],
)
def test_a_mistake_gets_one_clear_line_and_no_tensorflow(tmp_path, arguments, message):
    code = (
        "import sys\n"
        "from keras_aae import launch\n"
        "try:\n    launch.run()\n"
        "finally:\n    assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert re.fullmatch(rf"keras_aae: .*{message}.*\n", done.stderr), done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("flag", ["--help", "-h", "--helpshort", "--helpfull"])
def test_help_is_short_in_groups_or_full_and_needs_no_tensorflow(tmp_path, flag):
    code = (
        "import sys\nfrom keras_aae import launch\nlaunch.run()\n"
        "assert not {'tensorflow', 'numpy'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, flag],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    shown = {line.split()[0].removeprefix("--") for line in lines if line.startswith("  --")}
    fields = {field.name: field for field in dataclasses.fields(config_lib.Config)}
    full = flag == "--helpfull"
    expected = {name for name, field in fields.items() if full or field.metadata["brief"]}
    assert shown == expected | {"smoke", "flagfile"}
    groups = [line for line in lines if line in {f.metadata["group"] for f in fields.values()}]
    assert groups[:3] == ["Run", "Data", "Model"]
    assert full or len(lines) < 60
    assert max(map(len, lines)) <= 100
    assert done.stderr == ""


def test_help_is_there_where_python_drops_docstrings(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONOPTIMIZE": "2"}
    done = subprocess.run(command("--help"), cwd=tmp_path, env=environment, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"--run_dir" in done.stdout


def test_the_version_is_told(tmp_path):
    assert launch("--version", cwd=tmp_path).stdout == f"keras_aae {keras_aae.__version__}\n"


def test_importing_the_package_costs_no_tensorflow():
    code = "import sys, keras_aae; assert 'tensorflow' not in sys.modules; keras_aae.Config()"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.parametrize("path", flagfiles.shipped(), ids=lambda path: path.name)
def test_a_shipped_flagfile_opens_with_its_command_and_is_valid(path):
    head = path.read_text().split("--name=")[0]
    assert f"#   python -m keras_aae.launch --flagfile={path.name}" in head
    assert "Two CPU cores: about" in head
    assert config_of(f"--flagfile={path.name}").name == path.stem


LONGER = (*SMOKE, "--steps=24")


@pytest.fixture(scope="module")
def finished(tmp_path_factory, bars_npz):
    """A finished run of the command line: its working directory, with run/ and saved_models/."""
    path = tmp_path_factory.mktemp("work")
    done = launch(f"--dataset={bars_npz}", "--run_dir=run", "--name=bars", *LONGER, cwd=path)
    assert done.returncode == 0, done.stderr
    (path / "stdout.txt").write_text(done.stdout)
    return path


def results(path):
    return json.loads((path / "run/results.json").read_text())


PROMISED = [
    "config.cfg",
    "results.json",
    "metrics.csv",
    "model.keras",
    "examples.npz",
    "report.html",
    "run.json",
    "figures/reconstructions.png",
    "figures/samples.png",
    "figures/style_against_class.png",
    "figures/confusion.png",
    "figures/codes_against_prior.png",
    "figures/nearest_training_images.png",
    "figures/learning_curves.png",
]


def assert_complete(path, steps=24):
    for name in (*PROMISED, f"checkpoints/ckpt-{steps}.json"):
        assert (path / "run" / name).stat().st_size > 0, name
    assert list((path / "run/tensorboard").glob("events.*"))
    assert (path / results(path)["export"] / "saved_model.pb").exists()
    assert not list((path / "run").rglob("*unfinished*"))


def test_a_run_leaves_everything_that_is_promised(finished):
    assert_complete(finished)
    found = results(finished)
    assert found["model"] == "semisup"
    assert found["labels"] == found["labels_given"] == 30
    assert (found["seed"], found["steps"]) == (0, 24)
    assert found["train_seconds"] > 0
    assert found["images_per_second"] > 0
    assert 0 <= found["validation"]["error_rate"] <= 1
    assert 0 <= found["test"]["error_rate"] <= 1
    assert 0 <= found["test"]["reconstruction_mse"] <= 1
    assert set(found["prior_match"]) == {
        "sliced_wasserstein_ratio",
        "hole_rate",
        "outside_rate",
    }
    assert found["export"] == "saved_models/bars/1"
    card = finished / "saved_models/bars/1/assets.extra/model_card.json"
    assert json.loads(card.read_text())["test"] == found["test"]
    last = (finished / "stdout.txt").read_text().splitlines()[-1]
    assert last == f"test       error rate {found['test']['error_rate']:.4f}"


def test_the_report_needs_no_network_and_shows_the_command(finished):
    page = (finished / "run/report.html").read_text()
    links = re.findall(r"""(?:src|href)=["']?([^"'\s>]*)""", page)
    assert len(links) == len(list((finished / "run/figures").glob("*.png"))) >= 7
    assert all(link.startswith("data:image/png;base64,") for link in links)
    assert "@import" not in page
    assert "url(" not in page
    assert "--name=bars" in page


def test_output_that_nobody_reads_ends_it_without_a_word(finished, tmp_path):
    """As after `| head -1`."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as output:
        arguments = ("--mode=versions", f"--export_dir={finished / 'saved_models'}")
        done = launch(*arguments, cwd=tmp_path, stdout=output)
    assert done.returncode == 128 + signal.SIGPIPE
    assert "Error" not in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("year", [1970, 1979, 2108])
def test_a_clock_that_models_cannot_be_dated_by_is_refused_at_once(monkeypatch, year):
    monkeypatch.setattr(time, "localtime", lambda *_: time.struct_time((year, *[1] * 8)))
    with pytest.raises(keras_aae.UserError, match=f"the clock says that it is {year}; .* 1980 to"):
        launcher.main(config_of("--dataset=mnist_5k"))


@pytest.mark.skipif(not pathlib.Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_output_that_finds_no_room_is_said_in_one_line(tmp_path, flag):
    with open("/dev/full", "w") as output:
        done = launch(flag, cwd=tmp_path, stdout=output)
    assert done.returncode == 2
    assert done.stderr == "keras_aae: the output can't be written: No space left on device\n"


def test_a_model_of_keras_in_the_place_of_the_runs_is_refused(copied, monkeypatch):
    monkeypatch.chdir(copied[0])
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save("run/model.keras")
    with pytest.raises(keras_aae.UserError, match=r"model.keras: not readable .*: Sequential"):
        keras_aae.load("run")
    with pytest.raises(ValueError, match=r"expected a model of keras_aae. Received: Sequential"):
        keras_aae.load("run/model.keras")


def test_a_flag_that_a_finished_run_does_not_use_is_refused_at_its_default_too(finished):
    with pytest.raises(keras_aae.UserError, match="--num_clusters=16: --model=semisup doesn't use"):
        config_of("--mode=export", f"--run_dir={finished / 'run'}", "--num_clusters=16")


def test_a_smoke_test_replaces_only_what_would_have_to_be_downloaded(
    tmp_path, bars_npz, monkeypatch
):
    for own in (tmp_path, bars_npz):
        small = config_of(f"--dataset={own}", "--labels=2001", "--smoke")
        assert (small.dataset, small.labels, small.steps) == (str(own), 2001, 20)
    assert config_of("--dataset=mnist", "--data_dir=there", "--smoke").dataset == "mnist"
    for there, expected in ((True, ("mnist", 2000, 20)), (False, ("mnist_5k", 1000, 20))):
        monkeypatch.setattr(sources, "is_at_hand", lambda name, there=there: there)
        small = config_of("--dataset=mnist", "--labels=2000", "--smoke")
        assert (small.dataset, small.labels, small.steps) == expected


def test_a_finished_run_is_not_trained_again(finished, bars_npz, monkeypatch, capsys):
    monkeypatch.chdir(finished)
    before = {file: file.stat().st_mtime_ns for file in (finished / "run").glob("[!.]*")}
    found = run_here(f"--dataset={bars_npz}", "--run_dir=run", "--name=bars", *LONGER)
    assert found["test"] == results(finished)["test"]
    assert "run: this run is finished" in capsys.readouterr().out
    assert {file: file.stat().st_mtime_ns for file in (finished / "run").glob("[!.]*")} == before


def test_a_finished_run_on_other_data_is_refused(copied, monkeypatch):
    path, arguments = copied
    monkeypatch.chdir(path)
    with np.load(path / "bars.npz") as data:
        changed = dict(data)
    changed["x_train"] = 255 - changed["x_train"]
    np.savez(path / "bars.npz", **changed)
    with pytest.raises(keras_aae.UserError, match="holds a run on other data"):
        run_here(*arguments)


def test_a_finished_run_whose_export_is_gone_exports_again(copied, monkeypatch):
    path, arguments = copied
    monkeypatch.chdir(path)
    shutil.rmtree(path / "saved_models", ignore_errors=True)
    # Another run has exported to its place, and the model that it kept is gone.
    card = path / "saved_models/bars/1/assets.extra/model_card.json"
    card.parent.mkdir(parents=True)
    card.write_text(json.dumps({"source": {"run": "another", "step": 6}}))
    (path / "run/model.keras").unlink()
    found = run_here(*arguments)
    assert found["export"] == "saved_models/bars/2"
    assert (path / found["export"] / "saved_model.pb").exists()
    assert keras_aae.load(path / "run").latents


def test_a_run_is_not_where_its_versions_go(tmp_path, bars_npz, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for run_dir in ("saved_models/bars", "saved_models/../saved_models/bars"):
        with pytest.raises(keras_aae.UserError, match="there the versions of the exported model"):
            run_here(f"--dataset={bars_npz}", f"--run_dir={run_dir}", "--name=bars", *SMOKE)
    assert not pathlib.Path("saved_models").exists()


def test_other_settings_in_the_directory_of_a_run_are_refused(finished, bars_npz):
    done = fork(
        f"--dataset={bars_npz}", "--run_dir=run", "--name=bars", *LONGER, "--seed=5", cwd=finished
    )
    assert done.returncode == 2
    assert "--seed=5 (there: 0)" in done.stderr.splitlines()[-1]


def test_evaluate_works_on_the_finished_run(finished, monkeypatch):
    monkeypatch.chdir(finished)
    before = results(finished)
    (finished / "run/results.json").unlink()
    run_here("--mode=evaluate", "--run_dir=run")
    assert results(finished)["test"] == before["test"]
    kept = files.read_record(finished / "run/results.json")
    found = {"class_consistency": {"judge": "b", "share": 0.9, "by_value": [0.8, 1.0]}}
    found["likelihood"] = {"nats": 5.0, "standard_error": 1.0, "samples": 20, "bandwidth": 0.1}
    found["likelihood"]["curve"] = [[0.1, 5.0], [0.2, 4.0]]
    found["machine"] = "another"  # It trained; train_seconds are its.
    files.write_record(finished / "run/results.json", {**kept, **found})
    run_here("--mode=evaluate", "--run_dir=run")
    assert {key: results(finished)[key] for key in found} == found


def test_a_finished_run_without_its_checkpoints_is_not_trained_again(finished, tmp_path, bars_npz):
    shutil.copytree(finished / "run", tmp_path / "run")
    for path in (tmp_path / "run/checkpoints").iterdir():
        path.unlink()
    arguments = [f"--dataset={bars_npz}", f"--run_dir={tmp_path}/run", "--name=bars", *LONGER]
    with pytest.raises(keras_aae.UserError, match=r"no checkpoint of this run, which is finished"):
        run_here(*arguments, f"--export_dir={tmp_path}/saved_models")
    run_here("--mode=export", f"--run_dir={tmp_path}/run", f"--export_dir={tmp_path}/saved_models")
    assert (tmp_path / "saved_models/bars/1").exists()
    (tmp_path / "run/run.json").unlink()
    with pytest.raises(keras_aae.UserError, match=r"run\.json: missing"):
        keras_aae.load(tmp_path / "run")


@pytest.fixture
def copied(finished, tmp_path, bars_npz):
    """A copy of the finished run to change, with its data; the arguments to go on with."""
    work = tmp_path / "work"
    shutil.copytree(finished, work)
    shutil.copy(bars_npz, work)
    return work, ["--dataset=bars.npz", "--run_dir=run", "--name=bars", *LONGER]


@pytest.mark.parametrize(
    "arguments",
    [
        ("export", "--parzen_samples=7"),
        ("convert", "--parzen_samples=7"),
        ("convert", "--export_dir=elsewhere"),
        ("evaluate", "--export_dir=elsewhere"),
        ("evaluate", "--strategy=mirrored"),
        ("evaluate", "--on_nan=rollback"),
        ("evaluate", "--steps_per_execution=2"),
        ("convert", "--dataset=moved.npz"),
        ("export", "--data_dir=moved"),
    ],
)
def test_what_a_mode_would_not_change_of_a_finished_run_is_refused(finished, arguments):
    mode, flag = arguments
    name = flag.partition("=")[0]
    given = (f"--mode={mode}", f"--run_dir={finished}/run")
    with pytest.raises(keras_aae.UserError, match=f"{name}: --mode={mode} doesn't use it"):
        config_of(*given, flag)
    config_of(*given, f"--flagfile={finished}/run/config.cfg")  # Nothing is changed.


def test_without_the_checkpoint_of_its_last_step_a_run_is_not_evaluated(copied, monkeypatch):
    work, _ = copied
    monkeypatch.chdir(work)
    before = (work / "run/results.json").read_bytes()
    last = max(int(path.stem[5:]) for path in work.glob("run/checkpoints/ckpt-*.json"))
    (work / f"run/checkpoints/ckpt-{last}.index").unlink()
    evaluate = ("--mode=evaluate", "--run_dir=run")
    with pytest.raises(keras_aae.UserError, match=f"last step, {last}; .*results that are there"):
        run_here(*evaluate)
    assert (work / "run/results.json").read_bytes() == before
    (work / "run/results.json").unlink()
    with pytest.raises(keras_aae.UserError, match="train it to its end first"):
        run_here(*evaluate)


def test_a_run_whose_data_changed_is_refused(copied, monkeypatch):
    work, arguments = copied
    monkeypatch.chdir(work)
    with np.load(work / "bars.npz") as data:
        np.savez(work / "bars.npz", **{**data, "x_train": 255 - data["x_train"]})
    before = (work / "run/results.json").read_bytes()
    with pytest.raises(keras_aae.UserError, match="holds a run on other data"):
        run_here(*arguments, "--parzen_samples=10")
    assert (work / "run/results.json").read_bytes() == before


def test_a_finished_run_gives_what_is_asked_for_later(copied, monkeypatch, capsys):
    """A likelihood; though its results were damaged, and its export killed at the very end."""
    work, arguments = copied
    monkeypatch.chdir(work)
    (work / "saved_models/models.config").unlink()
    (work / "run/results.json").write_bytes(b"{")
    run_here(*arguments, "--parzen_samples=20")
    assert "results.json: damaged" in capsys.readouterr().err
    assert results(work)["likelihood"]["samples"] == 20
    assert results(work)["export"] == "saved_models/bars/1"
    assert sorted(path.name for path in (work / "saved_models/bars").glob("[0-9]*")) == ["1"]
    assert 'name: "bars"' in (work / "saved_models/models.config").read_text()


def test_another_place_to_export_to_is_honoured(copied, monkeypatch):
    work, _ = copied
    monkeypatch.chdir(work)
    settings = files.read_record(work / "run/run.json")["settings"]
    config = config_lib.Config(**{**settings, "run_dir": "run", "export_dir": "other"})
    assert experiment.run(config)["export"] == "other/bars/1"
    assert (work / "other/bars/1/saved_model.pb").exists()
    assert experiment.run(config)["export"] == "other/bars/1"


def test_where_an_export_cannot_go_is_refused_before_training(tmp_path, bars_npz, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = config_lib.Config(dataset=str(bars_npz), name="models.config", run_dir="run")
    with pytest.raises(keras_aae.UserError, match="is a file of the model base"):
        experiment.run(config)
    assert not pathlib.Path("run").exists()


@pytest.fixture
def too_fast(tmp_path, monkeypatch):
    """The settings of a run of SGD, but for its rate and steps, in a folder with its data."""
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).normal(0, 1, (80, 3)).astype(np.float32)
    np.savez("x.npz", x_train=x)
    settings = {"dataset": "x.npz", "model": "aae", "run_dir": "run", "optimizer": "sgd"}
    return config_lib.Config(**settings, schedule="constant", batch_size=12)


def test_a_rate_that_is_too_high_stops_or_is_halved(tmp_path, too_fast):
    config = dataclasses.replace(too_fast, learning_rate=3.0, steps=6, evaluate_every=6)
    with pytest.raises(keras_aae.UserError, match=r"not finite at step \d.*--on_nan=rollback"):
        experiment.run(config)
    assert not pathlib.Path("saved_models").exists()
    found = experiment.run(dataclasses.replace(config, on_nan="rollback"))
    assert [set(each) for each in found["rollbacks"][:1]] == [{"step", "reason", "checkpoint"}]
    assert results(tmp_path)["rollbacks"] == found["rollbacks"]
    loaded = tf.saved_model.load(found["export"])
    x = np.load("x.npz")["x_train"]
    answer = loaded.signatures["reconstruct"](features=tf.constant(x))["features"]
    assert np.isfinite(answer).all()


def test_a_checkpoint_that_training_fails_from_again_and_again_is_left(too_fast, capsys):
    """The high rate has spoilt its weights, though they are finite."""
    steps = {"steps": 4, "evaluate_every": 1}
    found = experiment.run(
        dataclasses.replace(too_fast, learning_rate=10.0, on_nan="rollback", **steps)
    )
    first, *_, last = found["rollbacks"]
    assert first["checkpoint"] > 0
    assert [each["checkpoint"] for each in found["rollbacks"]] == 4 * [first["checkpoint"]]
    message = f"at step {last['step']}: going back to step 0, at half the learning rate"
    assert message in capsys.readouterr().err
    assert [row["step"] for row in found["curve"]] == [1, 2, 3, 4]


def test_the_checkpoint_that_a_start_anew_writes_is_trusted_as_the_first_one_was():
    places: list[int] = []
    for _ in range(8):
        places.append(experiment._place_to_go_back_to(200, [200] * len(places)))
    assert places == 2 * [200, 200, 200, 0]
    assert experiment._place_to_go_back_to(200, [200, 200, 200, 400]) == 200
    assert experiment._place_to_go_back_to(200, [None]) == 200  # As early runs of 0.4 kept it.


def test_an_example_that_is_too_far_from_the_others_is_not_exported(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    x[55, 1] = 1e30
    np.savez("table.npz", x_train=x[:50], x_test=x[50:])
    arguments = ("--dataset=table.npz", "--run_dir=run", "--model=aae", *SMOKE_UNLABELLED)
    with pytest.raises(keras_aae.UserError, match="mse of the test examples is inf: some are too"):
        run_here(*arguments)
    assert not (tmp_path / "saved_models").exists()
    assert not (tmp_path / "run/results.json").exists()


def test_the_savedmodel_works_without_this_package_and_has_the_same_error(finished, bars_npz):
    code = (
        "import sys, numpy as np, tensorflow as tf\n"
        "model = tf.saved_model.load(sys.argv[1])\n"
        "data = np.load(sys.argv[2])\n"
        "answer = model.signatures['classify'](image=tf.constant(data['x_test'][..., :]))\n"
        "assert not any(name.startswith('keras_aae') for name in sys.modules)\n"
        "print('error', np.mean(answer['class'].numpy() != data['y_test']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, finished / "saved_models/bars/1", bars_npz],
        cwd=finished,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[1]) == pytest.approx(results(finished)["test"]["error_rate"])


def start_and_interrupt(path, arguments, signal_number):
    """Starts the command, waits for its next checkpoint and sends the signal; its exit status."""
    checkpoints, stderr = path / "run/checkpoints", path / "stderr.txt"
    before = set(checkpoints.glob("*.json"))
    process = processes.start(arguments, path, stderr=stderr)
    deadline = time.monotonic() + 120
    while not set(checkpoints.glob("*.json")) - before:
        assert process.is_alive(), stderr.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(process.pid, signal_number)
    process.join(60)
    return process.exitcode, stderr.read_text()


def test_a_killed_run_goes_on_and_ends_where_an_unbroken_one_ends(finished, tmp_path):
    """The kept flagfile, SIGTERM, the command that is printed then, SIGKILL, the flagfile again."""
    arguments = [f"--flagfile={finished}/run/config.cfg", "--run_dir=run"]
    status, output = start_and_interrupt(tmp_path, arguments, signal.SIGTERM)
    assert status == 143
    assert "Traceback" not in output
    assert "\nkeras_aae: interrupted" in output
    line = re.search(r"keras_aae: to go on: (.*)", output)[1]
    assert line.endswith(" --mode=train --run_dir=run")
    status, _ = start_and_interrupt(tmp_path, shlex.split(line)[3:], signal.SIGKILL)
    assert status == -signal.SIGKILL
    assert not (tmp_path / "run/results.json").exists()
    done = fork(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Going on from step" in done.stdout
    assert_complete(tmp_path)
    for key in ("validation", "test"):
        assert results(tmp_path)[key] == results(finished)[key]
    tables = [(path / "run/metrics.csv").read_text().splitlines() for path in (tmp_path, finished)]
    timeless = [[row.split(",")[:1] + row.split(",")[2:] for row in table] for table in tables]
    assert timeless[0] == timeless[1]


def takes_signals(process):
    """Whether the program has begun to handle SIGTERM."""
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"SigCgt:\s*(\w+)", status)[1], 16) >> (signal.SIGTERM - 1) & 1


@pytest.mark.parametrize("seconds", [0, 3])
def test_ctrl_c_during_the_start_ends_it_in_one_line(tmp_path, bars_npz, seconds):
    process = subprocess.Popen(
        command(f"--dataset={bars_npz}", "--run_dir=run", *LONGER),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    while not takes_signals(process):
        time.sleep(0.02)
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert output.splitlines()[-1].startswith("keras_aae: interrupted")
    assert "Traceback" not in output


def test_a_full_disk_gets_one_clear_line(tmp_path, bars_npz):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    done = launch(f"--dataset={bars_npz}", "--run_dir=run", *SMOKE, cwd=tmp_path, preexec_fn=limit)
    assert done.returncode == 2, done.stderr
    assert "checkpoints: not writable (File too large" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_feature_vectors_without_labels_train_the_basic_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).normal([50, -3, 0], [9, 0.1, 1], (200, 3))
    np.savez(tmp_path / "table.npz", x_train=x[:150], x_test=x[150:])
    run_here("--dataset=table.npz", "--run_dir=run", *SMOKE_UNLABELLED, "--model=aae")
    assert set(results(tmp_path)["test"]) == {"reconstruction_mse"}
    assert (tmp_path / "run/figures/codes_against_prior.png").exists()


def test_runs_are_compared_on_one_page(finished, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("bars", "plain"):
        shutil.copytree(finished / "run", tmp_path / name)
        found = files.read_record(tmp_path / name / "results.json")
        files.write_record(tmp_path / name / "results.json", {**found, "name": name})
    (tmp_path / "plain/figures/confusion.png").unlink()
    run_here("--mode=compare", "--runs=bars,plain", "--run_dir=both")
    page = (tmp_path / "both/comparison.html").read_text()
    assert "<h1>bars, plain</h1>" in page
    shown = ("codes_against_prior", "style_against_class", "samples", "reconstructions")
    assert page.count("data:image/png;base64,") == 2 * len(shown) + 1
    assert "http" not in page
    with pytest.raises(keras_aae.UserError, match="nowhere: expected the directory of a run"):
        comparison.render([str(tmp_path / "nowhere")])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset=table.npz", "--model=aae", "--network=conv"], "network='conv'"),
        (
            ["--dataset=table.npz", "--model=aae", "--parzen_samples=10"],
            "--parzen_samples: expected images",
        ),
        (["--dataset=images.npz"], "has no labels, and --model=semisup learns from them"),
    ],
)
def test_what_cannot_work_with_the_data_leaves_no_directory_behind(
    tmp_path, monkeypatch, arguments, message
):
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).normal(size=(50, 3))
    np.savez("table.npz", x_train=x, x_test=x)
    np.savez("images.npz", x_train=np.zeros((40, 12, 12), np.uint8))
    with pytest.raises(keras_aae.UserError, match=message):
        run_here(*arguments, "--run_dir=run")
    assert not pathlib.Path("run").exists()


def test_the_default_labels_fit_three_classes_and_a_smoke_test_keeps_the_users_data(
    tmp_path, bars_npz, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    run_here(f"--dataset={bars_npz}", "--smoke", "--network=mlp")
    (run,) = (tmp_path / "runs").iterdir()
    found = json.loads((run / "results.json").read_text())
    assert found["dataset"] == str(bars_npz)
    assert found["labels_given"] == 30
    assert found["steps"] == 20


def test_a_finished_run_needs_neither_its_data_nor_its_place(
    finished, tmp_path, monkeypatch, capsys
):
    """It is moved, read, exported and converted where nothing else is."""
    shutil.copytree(finished / "run", tmp_path / "moved/run")
    before = json.loads((tmp_path / "moved/run/results.json").read_text())
    record = files.read_record(tmp_path / "moved/run/run.json")
    record["settings"]["dataset"] = "gone.npz"
    files.write_record(tmp_path / "moved/run/run.json", record)
    work = tmp_path / "elsewhere"
    work.mkdir()
    monkeypatch.chdir(work)
    for flags_ in (["--mode=export"], ["--mode=convert", "--precision=float32,int8"]):
        run_here(*flags_, "--run_dir=../moved/run")
    assert "classify-int8.tflite" in capsys.readouterr().out
    after = json.loads((tmp_path / "moved/run/results.json").read_text())
    assert after["export"] == "saved_models/bars/1"
    assert after["test"] == before["test"]
    rows = {(row["use"], row["precision"]): row for row in after["edge"]}
    assert len(rows) == 6
    error = rows["classify", "float32"]["error_rate"]
    assert error == pytest.approx(before["test"]["error_rate"])
    assert (tmp_path / "moved/run/edge/classes.txt").read_text().split() == ["0", "1", "2"]
    card = work / "saved_models/bars/1/assets.extra/model_card.json"
    assert json.loads(card.read_text())["classes"] == ["0", "1", "2"]
    assert len(list((tmp_path / "moved/run/figures").glob("*.png"))) >= 7
    page = (tmp_path / "moved/run/report.html").read_text()
    assert "classify-int8.tflite" in page
    assert page.count("data:image/png;base64,") == len(
        list((tmp_path / "moved/run/figures").glob("*.png"))
    )


def test_a_run_suggests_what_to_label_next(finished, tmp_path, bars_npz, capsys):
    shutil.copytree(finished / "run", tmp_path / "run")
    run_here("--mode=suggest", f"--run_dir={tmp_path}/run", f"--dataset={bars_npz}")
    assert f"suggestions {tmp_path}/run/suggestions.csv" in capsys.readouterr().out
    header, *rows = (tmp_path / "run/suggestions.csv").read_text().splitlines()
    assert header == "example,predicted,confidence,distance"
    train = data_lib.load(str(bars_npz), labels=30).train
    assert len(rows) == min(100, int((train.y < 0).sum()))
    assert len({row.split(",")[0] for row in rows}) == len(rows)
    assert (tmp_path / "run/figures/suggestions.png").exists()
    assert "<h2>Suggestions</h2>" in (tmp_path / "run/report.html").read_text()


def test_a_run_judges_what_another_generates(finished, tmp_path, capsys):
    shutil.copytree(finished / "run", tmp_path / "run")
    arguments = ("--mode=judge", f"--run_dir={tmp_path}/run", f"--runs={finished}/run")
    with pytest.raises(keras_aae.UserError, match="expected another run than it judges"):
        run_here(*arguments)
    record = files.read_record(tmp_path / "run/run.json")
    files.write_record(tmp_path / "run/run.json", {**record, "id": "another"})
    run_here(*arguments)
    found = results(tmp_path)
    consistency, distance = found["class_consistency"], found["kernel_distance"]
    assert consistency["judge"] == distance["judge"] == f"{finished}/run"
    assert len(consistency["by_value"]) == 3
    assert capsys.readouterr().out.splitlines()[-2:] == [
        f"class consistency {consistency['share']:.4f}",
        f"kernel distance   {distance['generated']:.4f}",
    ]
    report = (tmp_path / "run/report.html").read_text()
    assert '<p class="soft">Class consistency' in report
    assert '<p class="soft">Kernel distance' in report


def test_a_run_is_named_after_its_model_where_no_name_is_given():
    assert config_of("--model=vae", "--labels=0").name == "vae"
    assert config_of("--name=mine").name == "mine"
    assert "--name" not in config_of("--model=vae", "--labels=0").command()


def test_load_gives_the_model_of_a_run_to_go_on_with(finished, bars_npz):
    model = keras_aae.load(finished / "run")
    with np.load(bars_npz) as data:
        images, labels = data["x_test"][..., :], data["y_test"]
    error = np.mean(model.classify(images)["class"].numpy() != labels)
    assert error == pytest.approx(results(finished)["test"]["error_rate"])
    assert model.class_names == ("0", "1", "2")
    assert int(model.step) == 24
    model.fit(images, labels, batch_size=12, verbose=0)
    assert int(model.step) == 29
    with pytest.raises(keras_aae.UserError, match="expected the directory of a run"):
        keras_aae.load(finished / "nowhere")
    with pytest.raises(keras_aae.UserError, match=r"0\.1\.0 or older wrote this run"):
        keras_aae.load(OLD_RUN)


def test_long_executions_change_nothing_but_the_speed(finished, tmp_path, bars_npz):
    arguments = [f"--dataset={bars_npz}", "--run_dir=run", "--name=bars", *LONGER]
    done = fork(*arguments, "--steps_per_execution=2", "--strategy=single", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert_complete(tmp_path)
    assert results(tmp_path)["test"] == results(finished)["test"]


def test_mirrored_devices_take_the_steps_of_one(tmp_path, bars_npz):
    """With SGD: a mirrored step is compiled in another way, and Adam makes more of its rounding."""
    found = {}
    for strategy in ("single", "mirrored"):
        place = tmp_path / strategy
        place.mkdir()
        arguments = [f"--dataset={bars_npz}", "--run_dir=run", "--name=bars", *SMOKE]
        arguments += ["--optimizer=sgd", "--learning_rate=0.03", "--steps_per_execution=2"]
        done = fork(*arguments, f"--strategy={strategy}", cwd=place)
        assert done.returncode == 0, done.stderr
        assert_complete(place, steps=6)
        found[strategy] = results(place)["test"]
    assert found["mirrored"] == pytest.approx(found["single"], rel=1e-6, abs=0)
