"""The contract of every model's SavedModel."""

import json
import os
import pathlib
import tempfile

from conftest import bars
from conftest import rows
import keras
import numpy as np
import processes
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2
from test_models import SHAPE
from test_models import make

from keras_aae import errors
from keras_aae import files
from keras_aae import models
from keras_aae.deployment import export
from keras_aae.deployment import model_base
from keras_aae.deployment import signatures
from keras_aae.models import networks
from keras_aae.models import observation

# What a C++ server without Python or XLA refuses, and what would make answers depend on the past.
FORBIDDEN = {"PyFunc", "EagerPyFunc", "PyFuncStateless", "AssignVariableOp", "AssignAddVariableOp"}


def load(model, base):
    """A model and its loaded export."""
    path = export.export(model, base)
    loaded = tf.saved_model.load(str(path))
    loaded.path = str(path)
    return model, loaded


@pytest.fixture(scope="module", params=models.NAMES)
def exported(request, tmp_path_factory):
    """A small model and its loaded export."""
    model = make(request.param, class_names=("a", "b", "c"))
    return load(model, tmp_path_factory.mktemp("models") / request.param)


@pytest.fixture(scope="module", params=models.NAMES)
def default(request, tmp_path_factory):
    """A model of digits with its default networks, and its loaded export."""
    model = models.get(request.param)((28, 28, 1), seed=0)
    return load(model, tmp_path_factory.mktemp("models") / request.param)


def call(loaded, name, **inputs):
    return loaded.signatures[name](**{key: tf.constant(value) for key, value in inputs.items()})


def check(model, loaded, count):
    """Holds an export against its model, on so many examples."""
    side = model.example_shape[0]
    images, labels = (values[:count] for values in bars(max(count, 1), side=side))
    expected = model(images, tf.constant(labels))
    code = call(loaded, "encode", image=images)
    for part, value in model.encode(images).items():
        np.testing.assert_allclose(code[part], value, atol=1e-6)
    whole = {**code, **model.label_code(tf.constant(labels))}
    whole = {part: whole[part] for part in model.parts}
    decoded = call(loaded, "decode", **whole)
    assert decoded["image"].shape == (count, side, side, 1)
    np.testing.assert_allclose(decoded["image"], expected, atol=1e-6)
    given = {"label": labels} if len(model.encoder_parts) < len(model.parts) else {}
    again = call(loaded, "reconstruct", image=images, **given)
    np.testing.assert_allclose(again["image"], expected, atol=1e-6)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_signatures_equal_the_model_at_any_batch_size(exported, count):
    check(*exported, count)


def test_every_warm_up_request_is_one_that_the_model_answers(exported):
    _, loaded = exported
    path = pathlib.Path(loaded.path)
    records = tf.data.TFRecordDataset(str(path / "assets.extra/tf_serving_warmup_requests"))
    called = set()
    for record in records.as_numpy_iterator():
        request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        inputs = {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
        signature = loaded.signatures[request.model_spec.signature_name]
        outputs = signature(**{key: tf.constant(value) for key, value in inputs.items()})
        assert all(len(value) == 1 for value in outputs.values())
        assert request.model_spec.name == path.parent.name
        called.add(request.model_spec.signature_name)
    assert called == set(loaded.signatures) - {"serving_default"}
    (version,) = model_base.versions(path.parent.parent)
    assert version == (path.parent.name, 1, ("canary", "stable"))


@pytest.mark.parametrize("count", [0, 1, 5])
def test_the_default_networks_take_any_batch_size_too(default, count):
    check(*default, count)
    _, loaded = default
    for name, signature in loaded.signatures.items():
        whole = rows(signature, 5)
        expected = signature(**{key: tf.constant(value) for key, value in whole.items()})
        answer = call(loaded, name, **{key: value[:count] for key, value in whole.items()})
        for key, value in expected.items():
            np.testing.assert_allclose(answer[key], value[:count], atol=1e-5, err_msg=name)


def test_networks_of_ones_own_take_an_empty_batch_too(tmp_path):
    layers = keras.layers
    backbone = keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Conv2D(4, 3, 2), layers.BatchNormalization()]
    )
    model = models.get("aae")((8, 8, 3), network=networks.Backbone(backbone))
    _, loaded = load(model, tmp_path / "model")
    answer = call(loaded, "reconstruct", image=np.zeros((0, 8, 8, 3), np.uint8))
    assert answer["image"].shape == (0, 8, 8, 3)


@pytest.mark.parametrize("wrong", [[99, 99], [-1, -1], [-(2**31), 0], [0, 2**31 - 1]])
def test_a_class_or_cluster_that_is_not_there_is_refused(exported, wrong):
    model, loaded = exported
    for name, signature in loaded.signatures.items():
        inputs = rows(signature, 2)
        for key in {"label", "cluster"} & set(inputs):
            kind, most = model.categorical.name, model.categorical.size - 1
            received = rf"{min(wrong)}\] \[to\] \[{max(wrong)}\]"
            said = rf"Expected each {kind} from 0 to {most}\. Received:\] \[{received}"
            with pytest.raises(tf.errors.InvalidArgumentError, match=said):
                call(loaded, name, **{**inputs, key: np.array(wrong, np.int32)})
            call(loaded, name, **{**inputs, key: np.array([0, most], np.int32)})


def test_generate_takes_a_row_for_each_sample_and_is_repeatable(exported):
    _, loaded = exported
    inputs = {"seed": np.array([3, 4, 3])}
    for name in {"label", "cluster"} & set(
        loaded.signatures["generate"].structured_input_signature[1]
    ):
        inputs[name] = np.array([1, 1, 1], np.int32)
    images = call(loaded, "generate", **inputs)["image"].numpy()
    assert images.shape == (3, *SHAPE)
    np.testing.assert_allclose(images[0], images[2], atol=1e-6)
    assert not np.allclose(images[0], images[1], atol=1e-6)
    np.testing.assert_array_equal(images, call(loaded, "generate", **inputs)["image"])


def test_the_default_classifies_where_there_are_classes(exported):
    model, loaded = exported
    images, _ = bars(4)
    answer = call(loaded, "serving_default", image=images)
    if not model.prediction:
        assert set(answer) == set(model.encoder_parts)
        return
    code = call(loaded, "encode", image=images)
    assert set(answer) == {model.prediction, f"{model.prediction}_probabilities"} | set(code)
    for part, value in code.items():
        np.testing.assert_allclose(answer[part], value, atol=1e-6)
    assert answer[model.prediction].dtype == tf.int32
    np.testing.assert_array_equal(
        answer[model.prediction], model.classify(images)[model.prediction]
    )


@pytest.mark.parametrize("count", [0, 1, 5])
def test_floats_in_0_to_1_are_taken_like_bytes(exported, count):
    _, loaded = exported
    images, labels = (values[:count] for values in bars(max(count, 1)))
    scaled = (images / 255).astype(np.float32)
    for name in set(loaded.signatures) - {"decode", "generate", "serving_default"}:
        if name.endswith(("_float", "_bytes")):
            continue
        _, inputs = loaded.signatures[name].structured_input_signature
        given = {key: labels for key in inputs if key != "image"}
        expected = call(loaded, name, image=images, **given)
        answer = call(loaded, f"{name}_float", image=scaled, **given)
        assert set(answer) == set(expected)
        for key, value in expected.items():
            np.testing.assert_allclose(answer[key], value, atol=1e-5)


def test_image_files_are_taken_like_their_pixels(exported):
    model, loaded = exported
    images, _ = bars(3)
    files = np.array([tf.io.encode_png(image).numpy() for image in images])
    default = signatures.default(model)
    expected = call(loaded, default, image=images)
    answer = call(loaded, f"{default}_bytes", image_bytes=files)
    assert set(answer) == set(expected)
    for key, value in expected.items():
        np.testing.assert_allclose(answer[key], value, atol=1e-6)
    with pytest.raises(tf.errors.InvalidArgumentError, match="JPEG"):
        call(loaded, f"{default}_bytes", image_bytes=np.array([b"no image"]))


def test_images_of_other_channels_and_features_have_no_signature_for_files():
    for shape in ((8, 8, 4), (5,)):
        assert not any("bytes" in name for name in signatures.of(models.get("aae")(shape)))


def test_transfer_keeps_the_style_and_sets_the_class_or_cluster(exported):
    model, loaded = exported
    if not model.categorical:
        assert "transfer" not in loaded.signatures
        return
    images, _ = bars(3)
    chosen = np.array([2, 0, 1], np.int32)
    name = {"class": "label", "cluster": "cluster"}[model.categorical.name]
    answer = call(loaded, "transfer", image=images, **{name: chosen})["image"]
    part = f"{model.categorical.name}_probabilities"
    code = {part: tf.one_hot(chosen, model.parts[part]), "style": model.encode(images)["style"]}
    np.testing.assert_allclose(answer, model.decode(code), atol=1e-6)


def test_the_graph_holds_nothing_that_a_server_refuses(exported):
    _, loaded = exported
    for name, function in loaded.signatures.items():
        graph = function.graph.as_graph_def()
        nodes = [*graph.node, *(node for f in graph.library.function for node in f.node_def)]
        found = {node.op for node in nodes}
        assert not found & FORBIDDEN, name
        assert not any("_XlaMustCompile" in node.attr for node in nodes), name
        assert not any("_XlaMustCompile" in f.attr for f in graph.library.function), name
        random = {op for op in found if "Random" in op}
        assert all(op.startswith("Stateless") for op in random), random


def test_the_card_lists_the_inputs_and_outputs_as_they_are(exported):
    _, loaded = exported
    folder = pathlib.Path(loaded.path) / "assets.extra"
    card = json.loads((folder / "model_card.json").read_text())["signatures"]
    assert set(card) == set(loaded.signatures) - {"serving_default"}
    page = (folder / "README.md").read_text()
    for name, listed in card.items():
        function = loaded.signatures[name]
        _, inputs = function.structured_input_signature
        for key, spec in inputs.items():
            assert listed["inputs"][key].startswith(f"{spec.dtype.name} [?")
        assert set(listed["inputs"]) == set(inputs)
        assert set(listed["outputs"]) == set(function.structured_outputs)
        assert f"| `{name}` |" in page
    assert json.loads((folder / "model_card.json").read_text())["classes"] == ["a", "b", "c"]
    assert card["encode"]["inputs"] == {"image": "uint8 [?, 12, 12, 1]"}
    assert card["decode"]["outputs"] == {"image": "float32 [?, 12, 12, 1]"}


def test_features_go_in_and_come_out_raw(tmp_path):
    x = np.random.default_rng(0).normal(100, 5, (20, 3)).astype(np.float32)
    model = models.get("aae")((3,), style_size=2, observation=observation.of(x))
    loaded = tf.saved_model.load(str(export.export(model, tmp_path)))
    output = call(loaded, "reconstruct", features=x)["features"]
    np.testing.assert_allclose(output, model(x), rtol=1e-5)
    assert abs(float(tf.reduce_mean(output)) - 100) < 20


def leave_unfinished(base, ready, done):
    """An export that stops in its midst, until it is told to go or is killed."""
    with export._unfinished(base) as folder:
        (folder / "half").write_text("half")
        ready.set()
        done.wait(60)


def test_versions_count_up_and_what_dead_processes_left_goes(tmp_path):
    (tmp_path / "7").mkdir()
    (tmp_path / "notes").mkdir()
    # One that is killed as it waits leaves its event unusable: each has its own.
    ready, done = ([processes.context().Event() for _ in range(2)] for _ in range(2))
    dead, running = (
        processes.context().Process(target=leave_unfinished, args=(tmp_path, *events))
        for events in zip(ready, done, strict=True)
    )
    dead.start()
    ready[0].wait(60)
    dead.kill()
    dead.join()
    assert len(list(tmp_path.glob(".unfinished-*"))) == 2
    (tmp_path / ".unfinished-killed-before-its-lock").mkdir()
    (tmp_path / ".unfinished-killed-after-its-folder.lock").touch()
    running.start()
    try:
        ready[1].wait(60)
        (left,) = (path for path in tmp_path.glob(".unfinished-*") if path.is_dir())
        assert export.export(make("aae"), tmp_path) == tmp_path / "8"
        assert (left / "half").exists()
    finally:
        done[1].set()
        running.join()
    assert sorted(os.listdir(tmp_path)) == [".export.lock", "7", "8", "notes"]


def test_an_export_of_the_same_run_and_step_is_found_again(tmp_path):
    model = make("aae")
    paths = [export.export(model, tmp_path / "digits", run=run) for run in ("a", "a", "b", "", "")]
    assert [path.name for path in paths] == ["1", "1", "2", "3", "4"]
    model.step.assign_add(1)
    assert export.export(model, tmp_path / "digits", run="a").name == "5"


def test_weights_that_are_not_finite_are_not_exported(tmp_path):
    model = make("aae")
    weight = model.averaged_decoder.trainable_variables or model.averaged_decoder.variables
    weight[0].assign(tf.fill(weight[0].shape, np.inf))
    with pytest.raises(errors.UserError, match="not finite"):
        export.export(model, tmp_path / "digits")
    assert not (tmp_path / "digits").exists()


def test_a_version_is_on_the_disk_before_it_takes_its_place(tmp_path, monkeypatch):
    calls, rename = [], pathlib.Path.rename
    monkeypatch.setattr(files, "sync", lambda path: calls.append(path.name))
    monkeypatch.setattr(
        pathlib.Path, "rename", lambda self, to: (calls.append("rename"), rename(self, to))
    )
    export.export(make("aae"), tmp_path / "digits")
    place = calls.index("rename")
    assert {"saved_model.pb", "variables.index", "model_card.json", "variables"} <= set(
        calls[:place]
    )
    assert calls[place + 1] == "digits"


def export_some(base, count):
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    model = make("aae")
    for _ in range(count):
        export.export(model, base / "digits")


def test_processes_that_export_under_one_name_all_get_their_version(tmp_path):
    exporting = [
        processes.context().Process(target=export_some, args=(tmp_path, 2)) for _ in range(2)
    ]
    for process in exporting:
        process.start()
    for process in exporting:
        process.join()
    assert [process.exitcode for process in exporting] == [0, 0]
    versions = model_base.numbers(tmp_path, "digits")
    assert versions == [1, 2, 3, 4]
    for version in versions:
        assert (tmp_path / f"digits/{version}/saved_model.pb").exists()
    labels = {each.number: each.labels for each in model_base.versions(tmp_path)}
    assert labels[1] == ("stable",)
    assert labels[4] == ("canary",)


def test_whichever_of_two_exports_registers_first_the_labels_are_the_same(tmp_path):
    for number in (1, 2):
        (tmp_path / f"digits/{number}").mkdir(parents=True)
    for _ in range(2):
        model_base.register(tmp_path, "digits")
        found = [each.labels for each in model_base.versions(tmp_path)]
        assert found == [("stable",), ("canary",)]


def test_a_version_that_fails_is_never_seen(tmp_path, monkeypatch):
    def fail(model, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export, "_write", fail)
    with pytest.raises(errors.UserError, match="No space left"):
        export.export(make("aae"), tmp_path)
    assert [name for name in os.listdir(tmp_path) if name.isdigit()] == []


def test_an_export_is_for_whom_the_umask_lets_read(tmp_path):
    before = os.umask(0o077)
    try:
        path = export.export(make("aae"), tmp_path / "model")
    finally:
        os.umask(before)
    for each in (path, *path.rglob("*")):
        assert each.stat().st_mode & 0o777 == (0o700 if each.is_dir() else 0o600)


def test_a_full_temporary_folder_is_told(monkeypatch):
    def full(*_, **__):
        raise tf.errors.OutOfRangeError(None, None, "variables: File too large")

    monkeypatch.setattr(export, "_write", full)
    with (
        pytest.raises(errors.UserError, match=r"model: not writable \(.*File too large"),
        export.temporary(make("aae")),
    ):
        pass


@pytest.mark.parametrize(
    ("place", "message"),
    [("gone", "no temporary folder: set TMPDIR"), ("a [1]", "TMPDIR=.*without the characters")],
)
def test_a_temporary_folder_that_cannot_be_had_is_told(tmp_path, monkeypatch, place, message):
    (tmp_path / "a [1]").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / place))
    with pytest.raises(errors.UserError, match=message), export.temporary(make("aae")):
        pass
