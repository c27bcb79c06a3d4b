"""Checkpoints and resuming, in one process; test_launch.py kills the real command."""

import math

from conftest import bars
import keras
import numpy as np
import pytest
import tensorflow as tf
from test_models import make

from keras_aae import config as config_lib
from keras_aae import data
from keras_aae import errors
from keras_aae import models
from keras_aae.training import checkpoints as checkpoints_lib
from keras_aae.training import loop
from keras_aae.training import run_directory


def dataset():
    (x, y), (x_test, y_test) = bars(48), bars(12, seed=1)
    return data.Dataset(
        data.Split(x, y), data.Split(x_test, y_test), data.Split(x_test, y_test), tuple("abc")
    )


def run(path, steps=6, model_name="semisup", learning_rate=1e-2, rule="joint"):
    """Trains in a directory, from its checkpoint where there is one; returns model and rows."""
    learns = models.VARIANTS[model_name].labels
    batches = {"labelled_batch_size": 6} if learns == "few" else {}
    config = config_lib.Config(
        model=model_name, steps=steps, evaluate_every=2, batch_size=12, **batches
    )
    model = make(model_name, update_rule=rule)
    model.compile(keras.optimizers.Adam(learning_rate))
    directory = run_directory.RunDirectory(path)
    path.mkdir(exist_ok=True)
    checkpoints = checkpoints_lib.Checkpoints(model, directory)
    loop.train(model, dataset(), config, directory, checkpoints)
    return model, directory.read_metrics(steps)


@pytest.mark.parametrize(
    ("model_name", "rule"),
    [*((name, "joint") for name in models.NAMES), ("semisup", "sequential")],
)
def test_a_resumed_run_ends_where_an_unbroken_one_ends(tmp_path, model_name, rule):
    settings = {"model_name": model_name, "rule": rule}
    whole, rows = run(tmp_path / "whole", steps=6, **settings)
    run(tmp_path / "parts", steps=4, **settings)
    parts, resumed_rows = run(tmp_path / "parts", steps=6, **settings)
    for first, second in zip(whole.variables, parts.variables, strict=True):
        np.testing.assert_array_equal(first.numpy(), second.numpy(), err_msg=first.path)
    timeless = [[{**row, "seconds": 0} for row in each] for each in (rows, resumed_rows)]
    assert timeless[0] == [pytest.approx(row) for row in timeless[1]]
    assert [row["step"] for row in rows] == [2, 4, 6]


def test_a_finished_training_is_not_repeated(tmp_path):
    first, _ = run(tmp_path)
    second, rows = run(tmp_path)
    assert len(rows) == 3
    np.testing.assert_array_equal(*(m.encoder.get_weights()[0] for m in (first, second)))


def damage(path, how):
    for file in path.glob("checkpoints/ckpt-6*"):
        file.write_bytes(how(file.read_bytes()))


@pytest.mark.parametrize(
    "how", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"x" * len(b)]
)
def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path, how, capsys):
    whole, _ = run(tmp_path)
    damage(tmp_path, how)
    again, rows = run(tmp_path)
    assert "ckpt-6: damaged checkpoint" in capsys.readouterr().err
    assert [row["step"] for row in rows] == [2, 4, 6]
    np.testing.assert_array_equal(*(m.encoder.get_weights()[0] for m in (whole, again)))


def test_only_damaged_checkpoints_are_an_error(tmp_path):
    run(tmp_path)
    for file in tmp_path.glob("checkpoints/ckpt-*"):
        file.write_bytes(file.read_bytes()[:10])
    with pytest.raises(errors.UserError, match=r"checkpoints: no readable checkpoint"):
        run(tmp_path)


def test_a_full_disk_is_reported_and_keeps_the_last_checkpoint(tmp_path, monkeypatch):
    run(tmp_path, steps=2)

    def full(self, **kwargs):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(tf.train.CheckpointManager, "save", full)
        with pytest.raises(errors.UserError, match="No space left"):
            run(tmp_path, steps=4)
    _, rows = run(tmp_path, steps=4)
    assert [row["step"] for row in rows] == [2, 4]


def test_a_loss_that_is_not_finite_stops_the_run_before_its_checkpoint(tmp_path):
    with pytest.raises(
        errors.UserError, match=r"loss is no longer finite at step 2.*learning_rate"
    ):
        run(tmp_path, learning_rate=math.inf)
    assert not list(tmp_path.glob("checkpoints/ckpt-*"))
