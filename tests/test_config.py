import dataclasses
import inspect
import json
import os
import shlex

from conftest import config_of
import pytest

from keras_aae import config
from keras_aae import errors
from keras_aae import models


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"labels": -2}, ["--labels", "at least -1", "-2"]),
        ({"labels": 1.5}, ["--labels", "int", "1.5"]),
        ({"mode": "fly"}, ["--mode", "train, evaluate, export", "fly"]),
        ({"model": "gan"}, ["--model", "semisup", "gan"]),
        ({"name": "../up"}, ["--name", "../up"]),
        ({"learning_rate": float("nan")}, ["--learning_rate", "finite", "nan"]),
        ({"validation": 1.0}, ["--validation", "at most 0.9"]),
        ({"steps": 1000, "evaluate_every": 300}, ["--steps", "--evaluate_every=300", "1000"]),
        ({"mode": "export"}, ["--mode=export", "--run_dir"]),
        ({"labels": 0}, ["--labels=0", "--model=semisup"]),
        ({"mode": "convert"}, ["--mode=convert", "--run_dir"]),
        ({"precision": "int8,int4"}, ["--precision", "int8,int4"]),
        ({"run_dir": "a\nb"}, ["--run_dir", "one line"]),
        ({"dataset": "a\0b"}, ["--dataset", "plain text", r"'a\x00b'"]),
        ({"dataset": "caf\udce9"}, ["--dataset", "in UTF-8", r"'caf\udce9'"]),
        ({"dataset": "a\u202eb"}, ["--dataset", "plain text", r"'a\u202eb'"]),
        ({"steps": 10**400}, ["--steps", "at most 2147483647"]),
        ({"learning_rate": 10**400}, ["--learning_rate", "a finite number"]),
        ({"views": "letters"}, ["--views", "digits, photos, none", "letters"]),
        (
            {"model": "clustering", "labels": 0, "views": "photos", "agreement_weight": 0.0},
            ["--views=photos", "--model=clustering", "--agreement_weight=0"],
        ),
        ({"views": "none", "agreement_weight": 2.0}, ["--agreement_weight=2.0", "--views=none"]),
        ({"max_memory": 0.0}, ["--max_memory", "at least 0.001"]),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(setting, words):
    with pytest.raises(errors.UserError) as caught:
        config.Config(**setting)
    for word in words:
        assert word in str(caught.value)


def test_the_record_of_a_run_gives_the_same_settings_back():
    settings = config.Config(name="x", learning_rate=1 / 3, labels=-1, dataset="a folder=b/c")
    kept = json.loads(json.dumps(dataclasses.asdict(settings)))
    assert config.Config.from_settings(kept, "run.json") == settings


@pytest.mark.parametrize("changed", [{"no_such": 1}, {"labels": "many"}, {"steps": 7}])
def test_settings_of_another_version_are_refused(changed):
    kept = dataclasses.asdict(config.Config()) | changed
    with pytest.raises(errors.UserError, match=r"run\.json: not the settings of a run of this"):
        config.Config.from_settings(kept, "run.json")


def test_the_command_can_be_pasted_into_a_shell():
    settings = config.Config(dataset="my data/$(rm x) 'set'.npz", labels=30)
    words = shlex.split(settings.command())
    assert words[:3] == ["python", "-m", "keras_aae.launch"]
    assert "--dataset=my data/$(rm x) 'set'.npz" in words


def test_differences_ignore_where_things_are():
    mine = config.Config(
        run_dir="a", export_dir="b", data_dir="c", strategy="single", max_memory=3.0, seed=4
    )
    assert mine.differences(config.Config()) == ["--seed=4 (there: 0)"]


def test_the_command_repeats_the_settings_that_are_not_the_default():
    settings = config.Config(labels=10, run_dir="there")
    assert settings.command() == "python -m keras_aae.launch --labels=10"


def test_every_setting_has_help_and_a_plain_type():
    for field in dataclasses.fields(config.Config):
        assert field.metadata["help"].endswith("."), field.name
        assert field.metadata["group"], field.name
        assert field.type in (str, int, float), field.name


@pytest.mark.parametrize("name", models.NAMES)
def test_what_is_known_of_a_variant_is_what_its_class_says(name):
    variant, cls = models.VARIANTS[name], models.get(name)
    assert variant.labels == cls.labels
    parameters = {}
    for base in cls.__mro__:
        if "__init__" in vars(base) and base.__module__.startswith("keras_aae"):
            parameters = {**inspect.signature(base.__init__).parameters, **parameters}
    names = {field.name for field in dataclasses.fields(config.Config)} - {"seed", "steps"}
    if "agreement_weight" not in parameters:
        names -= {"views"}  # Of use to phases of one's own alone, which have no flag.
    assert variant.settings == names & set(parameters)
    own = config.Config(model=name)
    for setting in variant.settings:
        assert getattr(own, setting) == parameters[setting].default, setting


@pytest.mark.parametrize(
    "settings",
    [
        {"model": "vae", "agreement_weight": 5.0},
        {"model": "supervised", "class_prior": "learned"},
        {"model": "clustering", "class_prior": "learned"},
        {"model": "clustering", "pseudo_label_weight": 1.0},
        {"model": "vae", "posterior": "universal"},
        {"model": "aae", "num_clusters": 3},
        {"model": "aae", "views": "digits"},
        {"model": "aae", "labelled_batch_size": 10},
        {"model": "vae", "adversarial_momentum": 0.1},
        {"model": "clustering", "labels": 100},
    ],
)
def test_a_setting_that_the_model_does_not_use_is_refused(settings):
    name = next(key for key in settings if key != "model")
    with pytest.raises(errors.UserError, match=f"--{name}=.*--model={settings['model']}"):
        config.Config(**settings)


def test_the_defaults_of_a_model_are_its_own():
    own = config.Config(model="label_informed")
    assert (own.prior, own.style_size) == ("gaussian_mixture", 2)
    assert (config.Config().prior, config.Config().style_size) == ("gaussian", 10)


def test_a_smoke_test_on_the_embedded_data_has_labels_for_it():
    small = config.Config(dataset="mnist", labels=2000).smoke().on_mnist_5k()
    assert (small.dataset, small.labels, small.steps) == ("mnist_5k", 1000, 20)
    unlabelled = config.Config(dataset="mnist", model="aae").on_mnist_5k()
    assert not unlabelled.labels
    for of_other_classes, labels in ((26, 20), (3, 10), (-1, -1)):
        small = config.Config(dataset="letters", labels=of_other_classes).on_mnist_5k()
        assert small.labels == labels

    sized = config.Config(dataset="pictures", image_size=32, on_bad_image="skip").on_mnist_5k()
    assert (sized.image_size, sized.on_bad_image) == (None, "fail")


def test_a_path_may_begin_at_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    found = config.Config(run_dir="~/run", export_dir="~/models", dataset="~/x.npz")
    places = (found.run_dir, found.export_dir, found.dataset)
    assert places == tuple(f"/home/someone/{name}" for name in ("run", "models", "x.npz"))
    assert config.Config(mode="table", runs="~/a,b,~/c").runs == "/home/someone/a,b,/home/someone/c"


def test_the_flagfile_of_a_run_without_views_repeats_it():
    without = config.Config(views="none")
    assert config_of(*without.to_flagfile().split()) == without


def test_what_a_smoke_test_sets_itself_is_not_swept():
    config.Config(sweep="learning_rate=0.001,0.0003").smoke()
    with pytest.raises(errors.UserError, match="--sweep=steps=400,800: --smoke has its own"):
        config.Config(sweep="steps=400,800").smoke()


def test_keras_runs_on_tensorflow_whatever_it_runs_on_elsewhere(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    with errors.importing_tensorflow():
        assert os.environ["KERAS_BACKEND"] == "tensorflow"
