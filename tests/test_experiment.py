"""Whole runs of the shipped flagfiles, made small, and of colour images."""

import os

from absl import flags
import numpy as np
from PIL import Image
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_aae import data
from keras_aae import errors
from keras_aae import experiment
from keras_aae import flagfiles
from keras_aae import launch
from keras_aae import models


def read(*arguments):
    values = flags.FlagValues()
    launch.define_flags(values)
    return launch.read_config(["launch", *arguments, "--run_dir=run"], values)


def smoke(name):
    return read(f"--flagfile={name}.cfg", "--smoke")


ONE_OF_EACH = {
    "aae": "likelihood",
    "label_informed": "aae_mog_labels",
    "vae": "vae_mog",
    "supervised": "supervised",
    "semisup": "semisup_paper",
    "clustering": "clustering_30",
    "dimreduce": "dimreduce_2d_100",
    "dimreduce_unsup": "dimreduce_2d_unsup",
}


BRIEF = ("--labels=100", "--updates=4", "--evaluate_every=2", "--validation=0.2")


def test_smoke_is_a_valid_small_form_of_every_flagfile():
    for path in flagfiles.shipped():
        small = smoke(path.stem)
        assert (small.dataset, small.updates) == ("mnist_5k", 20)
        assert small.labels <= 1000
    assert set(ONE_OF_EACH) == set(models.NAMES)


@pytest.mark.parametrize("model", models.NAMES)
def test_every_variant_runs_with_its_smoke_settings(model, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    config = smoke(ONE_OF_EACH[model])
    assert config.model == model
    results = experiment.run(config)
    assert results["updates"] == 20
    assert all(np.isfinite(value) for value in results["test"].values())
    assert set(results["prior_match"]) == {"sliced_wasserstein_ratio", "hole_rate", "outside_rate"}
    assert ("likelihood" in results) == (config.parzen_samples > 0)
    if models.get(model).tells == "cluster":
        assert {"normalized_mutual_information", "adjusted_rand_index"} < set(results["test"])
        assert 1 <= results["test"]["clusters_in_use"] <= config.num_clusters
    loaded = tf.saved_model.load(results["export"])
    assert "generate" in loaded.signatures
    assert capsys.readouterr().out.splitlines()[-1].startswith("test  ")


def coloured_digits(count, seed):
    """MNIST digits of 32x32 pasted in one colour on a texture of others; their labels."""
    generator = np.random.default_rng(seed)
    digits = data.load("mnist_5k").train
    chosen = np.concatenate(
        [np.flatnonzero(digits.y == label)[: count // 10] for label in range(10)]
    )
    ink = np.pad(digits.x[chosen], ((0, 0), (2, 2), (2, 2), (0, 0))) / 255.0
    coarse = generator.uniform(0, 120, (len(chosen), 4, 4, 3))
    texture = np.repeat(np.repeat(coarse, 8, axis=1), 8, axis=2)
    colour = generator.uniform(130, 255, (len(chosen), 1, 1, 3))
    return (texture * (1 - ink) + colour * ink).astype(np.uint8), digits.y[chosen]


def write_folder(path, images, labels):
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        folder = path / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{index}.png")


def test_the_whole_path_of_svhn_on_a_folder_of_coloured_digits(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "digits/train", *coloured_digits(300, seed=0))
    write_folder(tmp_path / "digits/test", *coloured_digits(60, seed=1))
    config = read("--flagfile=svhn.cfg", "--dataset=digits", *BRIEF)
    results = experiment.run(config)
    assert results["examples"] == {"train": 240, "validation": 60, "test": 60}
    loaded = tf.saved_model.load(results["export"])
    images, _ = coloured_digits(10, seed=2)
    answer = loaded.signatures["classify"](image=tf.constant(images))
    assert answer["class_probabilities"].shape == (10, 10)
    style = loaded.signatures["encode"](image=tf.constant(images))["style"]
    assert style.shape == (10, 20)
    for name in ("reconstructions", "style_against_class", "confusion"):
        assert (tmp_path / f"run/figures/{name}.png").stat().st_size > 0


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
    config = read("--flagfile=svhn.cfg", f"--data_dir={tmp_path}/tfds", *BRIEF)
    with tfds.testing.mock_data(num_examples=300, data_dir=tmp_path / "tfds"):
        results = experiment.run(config)
    assert results["examples"] == {"train": 240, "validation": 60, "test": 300}
    assert 0 <= results["test"]["error_rate"] <= 1
    assert (tmp_path / results["export"] / "saved_model.pb").exists()


def test_a_run_without_its_export_says_so(tmp_path):
    for results, what in (({"export": None}, "this run"), ({"export": str(tmp_path)}, tmp_path)):
        with pytest.raises(errors.UserError, match=f"{what}: no SavedModel there"):
            experiment.exported(results)


def test_the_papers_settings_are_those_of_its_appendix():
    config = read("--flagfile=semisup_paper.cfg")
    rates = [experiment._schedule(config)(step) for step in (0, 30_000, 30_001, 600_001)]
    np.testing.assert_allclose(rates, [0.01, 0.01, 0.001, 0.0001], rtol=1e-6)
    dataset = data.load("mnist_5k", labels=100)
    model = experiment.build_model(config, dataset)
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
