"""Whole runs of the shipped flagfiles, made small, and of colour images."""

import os

from conftest import bars
from conftest import config_of
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_aae import assembly
from keras_aae import config as config_lib
from keras_aae import data
from keras_aae import errors
from keras_aae import experiment
from keras_aae import flagfiles
from keras_aae import models


def smoke(name):
    return config_of(f"--flagfile={name}.cfg", "--smoke")


def flagfile_of(model):
    """The name of the first shipped flagfile of that model."""
    return next(path.stem for path in flagfiles.shipped() if smoke(path.stem).model == model)


BRIEF = ("--run_dir=run", "--steps=4", "--evaluate_every=2")


def test_smoke_is_a_valid_small_form_of_every_flagfile():
    for path in flagfiles.shipped():
        small = smoke(path.stem)
        assert (small.dataset, small.steps) == ("mnist_5k", 20)
        assert (small.labels or 0) <= 1000


@pytest.fixture(scope="module")
def ten_bars(tmp_path_factory):
    """An .npz file of bars of ten classes, 20 pixels wide."""
    path = tmp_path_factory.mktemp("data") / "bars.npz"
    (x_train, y_train), (x_test, y_test) = (bars(n, n, 10, 20) for n in (400, 100))
    np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    return path


@pytest.mark.parametrize("model", models.NAMES)
def test_every_variant_runs_with_the_settings_of_its_flagfile(
    model, ten_bars, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    learns = models.VARIANTS[model].labels != "none"
    labels = ["--labels=100"] if learns else []
    flagfile = f"--flagfile={flagfile_of(model)}.cfg"
    config = config_of(flagfile, f"--dataset={ten_bars}", *labels, *BRIEF, "--parzen_samples=20")
    assert config.model == model
    results = experiment.run(config)
    assert results["steps"] == 4
    assert all(np.isfinite(value) for value in results["test"].values())
    assert set(results["prior_match"]) == {"sliced_wasserstein_ratio", "hole_rate", "outside_rate"}
    assert results["likelihood"]["samples"] == 20
    if models.get(model).prediction == "cluster":
        assert {"normalized_mutual_information", "adjusted_rand_index"} < set(results["test"])
        assert 1 <= results["test"]["clusters_in_use"] <= config.num_clusters
    loaded = tf.saved_model.load(results["export"])
    assert "generate" in loaded.signatures
    assert capsys.readouterr().out.splitlines()[-1].startswith("test  ")


def write_svhn_metadata(data_dir, count):
    """What TFDS knows of a prepared SVHN of `count` images a split, for a mock to make up."""
    builder = tfds.builder("svhn_cropped", data_dir=data_dir)
    files = tfds.core.ShardedFileTemplate(
        data_dir=builder.data_dir, dataset_name=builder.name, filetype_suffix="tfrecord"
    )
    splits = [
        tfds.core.SplitInfo(name=name, shard_lengths=[count], num_bytes=0, filename_template=files)
        for name in ("train", "test")
    ]
    builder.info.set_splits(tfds.core.splits.SplitDict(splits))
    os.makedirs(builder.data_dir)
    builder.info.write_to_directory(builder.data_dir)


def test_the_whole_path_of_svhn_on_the_mock_data_of_tfds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_svhn_metadata(tmp_path / "tfds", 300)
    flags = ("--flagfile=svhn.cfg", f"--data_dir={tmp_path}/tfds", "--labels=100")
    config = config_of(*flags, "--network=conv", "--validation=0.2", *BRIEF)
    with tfds.testing.mock_data(num_examples=300, data_dir=tmp_path / "tfds"):
        results = experiment.run(config)
    assert results["examples"] == {"train": 240, "validation": 60, "test": 300}
    assert 0 <= results["test"]["error_rate"] <= 1
    assert sum(results["learned_shares"].values()) == pytest.approx(1)
    assert (
        "shares of the classes that the prior learned:"
        in (tmp_path / "run/report.html").read_text()
    )
    loaded = tf.saved_model.load(results["export"])
    answer = loaded.signatures["classify"](image=tf.zeros([10, 32, 32, 3], tf.uint8))
    assert answer["class_probabilities"].shape == (10, 10)
    assert answer["style"].shape == (10, 20)
    for name in ("reconstructions", "style_against_class", "confusion"):
        assert (tmp_path / f"run/figures/{name}.png").stat().st_size > 0


def test_the_papers_settings_are_those_of_its_appendix():
    config = config_of("--flagfile=semisup_paper.cfg")
    rates = [assembly._schedule(config)(step) for step in (0, 30_000, 30_001, 600_001)]
    np.testing.assert_allclose(rates, [0.01, 0.01, 0.001, 0.0001], rtol=1e-6)
    dataset = data.load("mnist_5k", labels=100)
    model = assembly.build_model(config, dataset)
    # A weight under SGD is a factor on the rate: 0.1 for all but the reconstruction.
    weights = {phase.name: phase.weight for phase in model.phases}
    assert weights == {
        "reconstruction": 784,
        "discrimination": 10,
        "generation": 10,
        "classification": 10,
    }
    momenta = {name: optimizer.momentum for name, optimizer in model.optimizers.items()}
    assert momenta == {
        "reconstruction": 0.9,
        "discrimination": 0.1,
        "generation": 0.1,
        "classification": 0.9,
    }


@pytest.mark.parametrize(("smallest", "given"), [(30, 30), (5, 12), (1, 3)])
def test_the_default_labels_are_what_the_smallest_class_has(tmp_path, smallest, given):
    """After a fifth of each class is held out: 4 of 5, and 1 of 1."""
    (x, y), path = bars(90), tmp_path / "set.npz"
    kept = (y != 2) | (np.cumsum(y == 2) <= smallest)
    np.savez(path, x_train=x[kept], y_train=y[kept])
    config = config_lib.Config(dataset=str(path), validation=0.2)
    assert (assembly.load_data(config).train.y >= 0).sum() == given


def test_a_class_that_only_test_examples_have_is_named(tmp_path):
    (x, y), path = bars(90), tmp_path / "set.npz"
    np.savez(path, x_train=x[y < 2], y_train=y[y < 2], x_test=x, y_test=y)
    with pytest.raises(errors.UserError, match="class 2 has no labelled training example"):
        assembly.load_data(config_lib.Config(dataset=str(path)))


@pytest.mark.parametrize(
    "setting",
    [
        {"pixel_loss": "squared_error"},
        {"augment_shift": 3},
        {"model": "clustering", "views": "photos"},
    ],
)
def test_settings_of_images_are_refused_for_features(tmp_path, monkeypatch, setting):
    monkeypatch.chdir(tmp_path)
    np.savez("x.npz", x_train=np.random.default_rng(0).normal(size=(50, 3)))
    config = config_lib.Config(**{"dataset": "x.npz", "model": "aae", "run_dir": "run"} | setting)
    with pytest.raises(errors.UserError, match="has feature vectors, not images"):
        experiment.run(config)
    assert not (tmp_path / "run").exists()
