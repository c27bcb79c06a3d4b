"""Checkpoints and resuming, in one process; test_launch.py kills the real command."""

import math
import os
import re
import shutil
import signal
import subprocess

from conftest import bars
from conftest import mounted
import numpy as np
import pytest
import tensorflow as tf
from test_models import make

from keras_aae import config as config_lib
from keras_aae import data
from keras_aae import errors
from keras_aae import files
from keras_aae import interrupts
from keras_aae import models
from keras_aae.models import optimizers
from keras_aae.training import checkpoints as checkpoints_lib
from keras_aae.training import loop
from keras_aae.training import run_directory
from keras_aae.training import runtime


def dataset():
    (x, y), (x_test, y_test) = bars(48), bars(12, seed=1)
    return data.Dataset(
        data.Split(x, y), data.Split(x_test, y_test), data.Split(x_test, y_test), tuple("abc")
    )


def run(
    path,
    steps=6,
    model_name="semisup",
    learning_rate=1e-2,
    rule="joint",
    evaluate_every=2,
    examples=None,
    **settings,
):
    """Trains in a directory, from its checkpoint where there is one; returns model and rows."""
    if models.VARIANTS[model_name].labels == "few":
        settings["labelled_batch_size"] = 6
    config = config_lib.Config(
        model=model_name,
        steps=steps,
        evaluate_every=evaluate_every,
        batch_size=12,
        **settings,
    )
    model = make(model_name, update_rule=rule)
    model.compile(optimizers.Adam(learning_rate))
    directory = run_directory.RunDirectory(path)
    if not directory.exists():
        with directory.claim(config, examples or dataset()):
            pass
    checkpoints = checkpoints_lib.Checkpoints(model, directory)
    loop.train(model, examples or dataset(), config, directory, checkpoints, runtime.Runtime())
    return model, checkpoints.rows


@pytest.mark.parametrize(
    ("model_name", "rule"),
    [*((name, "joint") for name in models.NAMES), ("semisup", "sequential")],
)
def test_a_resumed_run_ends_where_an_unbroken_one_ends(tmp_path, model_name, rule):
    settings = {"model_name": model_name, "rule": rule}
    whole, rows = run(tmp_path / "whole", steps=6, **settings)
    shutil.copytree(tmp_path / "whole", tmp_path / "parts")
    for part in (tmp_path / "parts/checkpoints").glob("ckpt-6.*"):
        part.unlink()  # As if it had been killed after the fourth step.
    parts, resumed_rows = run(tmp_path / "parts", steps=6, **settings)
    for first, second in zip(whole.variables, parts.variables, strict=True):
        np.testing.assert_array_equal(first.numpy(), second.numpy(), err_msg=first.path)
    assert timeless(rows) == [pytest.approx(row) for row in timeless(resumed_rows)]
    assert [row["step"] for row in rows] == [2, 4, 6]


def test_propagated_labels_are_drawn_in_the_first_steps_alone(tmp_path, monkeypatch, capsys):
    """And a run that is interrupted among them ends where an unbroken one ends."""
    few = dataset()
    few = few._replace(train=few.train._replace(y=np.where(np.arange(48) < 24, few.train.y, -1)))
    drawn, minibatches = [], loop.minibatches

    def noted(drawn_from, config, start):
        drawn.append((start, int(np.sum(drawn_from.train.y >= 0))))
        return minibatches(drawn_from, config, start)

    monkeypatch.setattr(loop, "minibatches", noted)
    whole, _ = run(tmp_path / "whole", steps=6, propagation_steps=4, examples=few)
    run(tmp_path / "parts", steps=2, propagation_steps=2, examples=few)
    parts, _ = run(tmp_path / "parts", steps=6, propagation_steps=4, examples=few)
    (_, propagated), *_ = drawn
    assert 24 < propagated <= 48
    assert f"labels: 24 given, {propagated - 24} propagated" in capsys.readouterr().out
    assert drawn == [(0, propagated), (4, 24), (0, propagated), (2, propagated), (4, 24)]
    for first, second in zip(whole.variables, parts.variables, strict=True):
        np.testing.assert_array_equal(first.numpy(), second.numpy(), err_msg=first.path)


def test_a_finished_training_is_not_repeated(tmp_path):
    first, _ = run(tmp_path)
    second, rows = run(tmp_path)
    assert len(rows) == 3
    np.testing.assert_array_equal(*(m.encoder.get_weights()[0] for m in (first, second)))


def timeless(rows):
    return [{**row, "seconds": 0} for row in rows]


@pytest.mark.parametrize(
    ("hook", "step", "model_name"),
    [
        ("on_train_batch_end", 5, "semisup"),
        ("on_train_batch_end", 5, "clustering"),
        ("on_train_batch_end", 4, "semisup"),
        ("on_epoch_end", 4, "semisup"),
    ],
    ids=["within an epoch", "of clusters", "at its last step", "as it is evaluated"],
)
def test_a_signal_saves_at_once_and_the_run_goes_on_to_the_same_end(
    tmp_path, monkeypatch, hook, step, model_name
):
    """The rows of the table, too, are those of a run that was never interrupted."""
    settings = {"evaluate_every": 4, "steps": 8, "model_name": model_name}
    whole, rows = run(tmp_path / "whole", **settings)
    original = getattr(loop.Monitor, hook)

    def interrupted(self, number, logs=None):
        if int(self.model.step) == step:
            os.kill(os.getpid(), signal.SIGTERM)
        original(self, number, logs)

    with monkeypatch.context() as patch, pytest.raises(interrupts.Interrupted) as caught:
        patch.setattr(loop.Monitor, hook, interrupted)
        run(tmp_path / "parts", **settings)
    assert caught.value.status == 143
    place = tmp_path / f"parts/checkpoints/ckpt-{step}.json"
    record = files.read_record(place)
    record["running"] += [1.0, 2.0] if record["running"] else []  # As early runs of 0.4 did.
    files.write_record(place, record)
    parts, resumed = run(tmp_path / "parts", **settings)
    assert timeless(rows) == timeless(resumed)
    for first, second in zip(whole.variables, parts.variables, strict=True):
        np.testing.assert_array_equal(first.numpy(), second.numpy(), err_msg=first.path)


def test_a_second_signal_does_not_wait(monkeypatch):
    with pytest.raises(interrupts.Interrupted) as caught, interrupts.awaited() as interrupt:
        os.kill(os.getpid(), signal.SIGHUP)
        assert interrupt().status == 129
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("the second signal was not raised")
    assert caught.value.status == 130
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_signal_is_raised_whatever_else_went_wrong():
    with pytest.raises(interrupts.Interrupted), interrupts.awaited():
        os.kill(os.getpid(), signal.SIGTERM)
        raise errors.NotFiniteError("a loss is not finite")


def test_a_signal_that_is_ignored_stays_ignored(monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interrupts.raised():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def damage(path, how, step="6", what="*"):
    for file in path.glob(f"checkpoints/ckpt-{step}.{what}"):
        file.write_bytes(how(file.read_bytes()))


def flip(content):
    return content[:-9] + bytes([content[-9] ^ 4]) + content[-8:]


def restored(path):
    """A model, and its checkpoints, from the last checkpoint of a run that can be read."""
    model = make("semisup")
    model.compile(optimizers.Adam(1e-2))
    checkpoints = checkpoints_lib.Checkpoints(model, run_directory.RunDirectory(path))
    assert checkpoints.restore() == int(model.step.numpy())
    return model, checkpoints


def assert_the_one_before_is_restored(path, capsys):
    model, checkpoints = restored(path)
    assert int(model.step.numpy()) == 4
    assert re.search(r"ckpt-6.*damaged.*trying the one before", capsys.readouterr().err)
    assert [row["step"] for row in checkpoints.rows] == [2, 4]
    for part in path.glob("checkpoints/ckpt-6.*"):
        shutil.rmtree(part) if part.is_dir() and not part.is_symlink() else part.unlink()
    whole, _ = restored(path)
    assert "damaged" not in capsys.readouterr().err
    for first, second in zip(whole.variables, model.variables, strict=True):
        np.testing.assert_array_equal(first.numpy(), second.numpy(), err_msg=first.path)


@pytest.mark.parametrize("how", [lambda b: b[: len(b) // 2], lambda b: b"", flip])
@pytest.mark.parametrize("what", ["json", "index", "data-*"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(trained, how, what, capsys):
    path, _ = trained
    damage(path, how, what=what)
    assert_the_one_before_is_restored(path, capsys)


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: path.symlink_to("x")])
def test_a_part_that_cannot_be_read_is_damage_too(trained, make, capsys):
    path, _ = trained
    (part,) = path.glob("checkpoints/ckpt-6.data-*")
    part.unlink()
    make(part)
    assert_the_one_before_is_restored(path, capsys)


def test_a_run_goes_on_from_the_one_before_to_the_same_end(trained):
    path, whole = trained
    damage(path, flip, what="data-*")
    again, rows = run(path)
    assert [row["step"] for row in rows] == [2, 4, 6]
    for first, second in zip(whole.variables, again.variables, strict=True):
        np.testing.assert_array_equal(first.numpy(), second.numpy(), err_msg=first.path)


def test_damaged_checkpoints_of_later_steps_leave_the_others_alone(trained):
    """And names that only look like those of checkpoints are none."""
    path, _ = trained
    for name in ("ckpt-88.json", "ckpt-99.json", "ckpt-0009.json", "ckpt-\u0664.json"):
        (path / "checkpoints" / name).write_text("{}")
    shutil.copy(next(path.glob("checkpoints/ckpt-6.index")), path / "checkpoints/ckpt-6.index~")
    _, rows = run(path, steps=8)
    assert [row["step"] for row in rows] == [2, 4, 6, 8]
    records = {each.name for each in path.glob("checkpoints/ckpt-[0-9]*.json")}
    assert {"ckpt-6.json", "ckpt-8.json", "ckpt-88.json", "ckpt-99.json"} <= records


@pytest.fixture
def trained(tmp_path, trained_once):
    """The directory of a run that was trained for six steps, to change, and its model."""
    path, model = trained_once
    shutil.copytree(path, tmp_path / "run")
    return tmp_path / "run", model


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory):
    path = tmp_path_factory.mktemp("trained") / "run"
    return path, run(path)[0]


def test_only_damaged_checkpoints_are_an_error_that_removes_nothing(trained):
    path, _ = trained
    damage(path, lambda content: content[:10], step="*")
    before = sorted(path.rglob("*"))
    with pytest.raises(errors.UserError, match="none of its checkpoints can be resumed from"):
        run(path)
    assert sorted(path.rglob("*")) == before


def test_a_checkpoint_of_another_model_is_called_that(trained, capsys):
    with pytest.raises(errors.UserError, match="none of its checkpoints"):
        run(trained[0], model_name="aae")
    said = capsys.readouterr().err
    assert "ckpt-6: a checkpoint of another model than these settings make" in said
    assert "damaged" not in said


def test_a_checkpoint_past_the_steps_is_refused(trained):
    with pytest.raises(errors.UserError, match=r"at step 6, past --steps=4"):
        run(trained[0], steps=4)


def test_partial_checkpoints_are_removed(trained):
    """What a kill leaves: TensorFlow's temporary folder, and files without their record."""
    path, _ = trained
    (path / "checkpoints/ckpt-9_temp").mkdir()
    (path / "checkpoints/ckpt-9_temp/part").write_bytes(b"half")
    (path / "checkpoints/ckpt-7.index").write_bytes(b"half")
    (path / "checkpoints/notes.txt").write_text("mine")
    _, rows = run(path, steps=8)
    assert [row["step"] for row in rows] == [2, 4, 6, 8]
    names = {re.sub(r"\.(index|data-.*)$", "", name.name) for name in path.glob("checkpoints/*")}
    assert names == {"ckpt-6", "ckpt-6.json", "ckpt-8", "ckpt-8.json", "notes.txt"}


def test_a_checkpoint_is_on_the_disk_before_its_record_is_there(tmp_path, monkeypatch):
    """The order without which a loss of power leaves a record of what is not there."""
    run(tmp_path / "run", steps=2)
    calls = []
    monkeypatch.setattr(files, "sync", lambda path: calls.append(path.name.split(".")[-1][:4]))
    write = files.write_record
    monkeypatch.setattr(
        files, "write_record", lambda path, record: (calls.append("record"), write(path, record))
    )
    run(tmp_path / "run", steps=4)
    start = calls.index("data")
    assert calls[start : start + 4] == ["data", "inde", "chec", "record"]


def test_a_checkpoint_of_another_run_is_not_gone_on_from(tmp_path, capsys):
    """A run that is removed while it is at work writes into the one that takes its place."""
    run(tmp_path / "old", steps=4)
    run(tmp_path / "new", steps=2)
    for file in tmp_path.glob("old/checkpoints/ckpt-4.*"):
        shutil.copy(file, tmp_path / "new/checkpoints")
    run(tmp_path / "new", steps=6)
    said = capsys.readouterr()
    assert "ckpt-4: a checkpoint of another run; trying the one before" in said.err
    assert "Going on from step 2" in said.out


def test_a_run_whose_directory_is_replaced_ends(tmp_path, monkeypatch):
    config = config_lib.Config(steps=6, evaluate_every=2, batch_size=12, labelled_batch_size=6)
    directory = run_directory.RunDirectory(tmp_path / "run")
    model = make("semisup")
    model.compile(optimizers.Adam(1e-2))
    with directory.claim(config, dataset()):
        checkpoints = checkpoints_lib.Checkpoints(model, directory)
        checkpoints.save()
        shutil.rmtree(tmp_path / "run")
        for _ in range(2):
            with pytest.raises(errors.UserError, match="run: the directory was removed or repl"):
                checkpoints.save()
            with pytest.raises(errors.UserError, match="run: the directory was removed or repl"):
                directory.write_results({})
            with run_directory.RunDirectory(tmp_path / "run").claim(config, dataset()):
                pass
    assert not list(tmp_path.glob("run/checkpoints/*"))


def test_a_disk_that_became_read_only_is_told(tmp_path):
    """A real one, in the midst of a run."""
    with mounted(tmp_path / "disk", "size=64m") as place:
        run(place / "run", steps=4)
        subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
        with pytest.raises(errors.UserError, match=r"not writable \(Read-only file system"):
            run(place / "run", steps=6)


def test_events_hold_each_step_once_after_a_kill(tmp_path):
    """The events of a process that died after its last checkpoint are replaced."""
    run(tmp_path, steps=4)
    for file in tmp_path.glob("checkpoints/ckpt-4.*"):
        file.unlink()
    run(tmp_path, steps=6)
    steps = [
        event.step
        for file in tmp_path.glob("tensorboard/events.*")
        for event in tf.compat.v1.train.summary_iterator(str(file))
        for value in event.summary.value
        if value.tag == "reconstruction"
    ]
    assert steps == [2, 4, 6]


def checkpoints_of(path):
    model = make("semisup")
    model.compile(optimizers.Adam(1e-2))
    return checkpoints_lib.Checkpoints(model, run_directory.RunDirectory(path))


def test_a_full_disk_is_reported_and_keeps_the_last_checkpoint(tmp_path, monkeypatch):
    run(tmp_path, steps=2)

    def full(self, path, options=None):
        folder = tmp_path / "checkpoints/ckpt-4_temp"
        folder.mkdir()
        (folder / "part").write_bytes(b"what there was space for")
        (tmp_path / "checkpoints/ckpt-4.data-00000-of-00001").touch()
        message = "{{function_node __wrapped__SaveV2_x}} No space left on device [Op:SaveV2]"
        raise tf.errors.ResourceExhaustedError(None, None, message)

    with monkeypatch.context() as patch:
        patch.setattr(tf.train.Checkpoint, "write", full)
        with pytest.raises(errors.UserError, match=r"No space left on device \[Op"):
            run(tmp_path, steps=4)
    left = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    assert left == {"ckpt-2.json", "ckpt-2.index", "ckpt-2.data-00000-of-00001"}
    # As after SIGKILL: it goes before anything is written.
    (tmp_path / "checkpoints/ckpt-4_temp").mkdir()
    assert checkpoints_of(tmp_path).restore() == 2
    assert not (tmp_path / "checkpoints/ckpt-4_temp").exists()
    _, rows = run(tmp_path, steps=4)
    assert [row["step"] for row in rows] == [2, 4]


def test_the_learning_rate_is_that_of_the_settings_not_of_the_checkpoint(tmp_path):
    """So that going back to a checkpoint goes on at half of it."""
    run(tmp_path, steps=2, learning_rate=1e-2)
    model, _ = run(tmp_path, steps=2, learning_rate=5e-3)
    assert float(model.optimizer.learning_rate) == pytest.approx(5e-3)
    rates = [float(each.learning_rate) for each in model.optimizers.values()]
    np.testing.assert_allclose(rates, 5e-3, rtol=1e-6)


def test_a_loss_that_is_not_finite_stops_the_run_before_its_checkpoint(tmp_path):
    with pytest.raises(errors.NotFiniteError, match="loss is not finite"):
        run(tmp_path, learning_rate=math.inf)
    assert not list(tmp_path.glob("checkpoints/ckpt-*"))


def test_weights_that_are_not_finite_make_no_checkpoint(tmp_path, monkeypatch):
    original = loop.Monitor.on_epoch_end

    def spoilt(self, epoch, logs=None):
        if epoch == 1:
            weight = self.model.encoder.trainable_variables[0]
            weight.assign(tf.fill(weight.shape, np.nan))
        original(self, epoch, logs)

    monkeypatch.setattr(loop.Monitor, "on_epoch_end", spoilt)
    with pytest.raises(errors.NotFiniteError, match="kernel has values that are not finite"):
        run(tmp_path)
    assert [path.name for path in tmp_path.glob("checkpoints/*.json")] == ["ckpt-2.json"]
