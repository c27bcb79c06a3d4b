"""The contract of every model's SavedModel."""

import os

from conftest import bars
import numpy as np
import pytest
import tensorflow as tf
from test_models import SHAPE
from test_models import make

from keras_aae import errors
from keras_aae import export
from keras_aae import models
from keras_aae import observation

# What a C++ server without Python or XLA refuses, and what would make answers depend on the past.
FORBIDDEN = {"PyFunc", "EagerPyFunc", "PyFuncStateless", "AssignVariableOp", "AssignAddVariableOp"}


@pytest.fixture(scope="module", params=models.NAMES)
def exported(request, tmp_path_factory):
    """A model and its loaded export."""
    model = make(request.param)
    path = export.export(model, tmp_path_factory.mktemp("models") / request.param)
    return model, tf.saved_model.load(str(path))


def call(loaded, name, **inputs):
    return loaded.signatures[name](**{key: tf.constant(value) for key, value in inputs.items()})


@pytest.mark.parametrize("count", [0, 1, 5])
def test_signatures_equal_the_model_at_any_batch_size(exported, count):
    model, loaded = exported
    images, labels = (values[:count] for values in bars(max(count, 1)))
    expected = model(images, tf.constant(labels))
    code = call(loaded, "encode", image=images)
    for part, value in model.encode(images).items():
        np.testing.assert_allclose(code[part], value, atol=1e-6)
    whole = {**code, **model.condition(tf.constant(labels))}
    whole = {part: whole[part] for part in model.parts}
    decoded = call(loaded, "decode", **whole)
    assert decoded["image"].shape == (count, *SHAPE)
    np.testing.assert_allclose(decoded["image"], expected, atol=1e-6)
    given = {"label": labels} if len(model.inferred) < len(model.parts) else {}
    again = call(loaded, "reconstruct", image=images, **given)
    np.testing.assert_allclose(again["image"], expected, atol=1e-6)


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
    if not model.tells:
        assert set(answer) == set(model.inferred)
        return
    assert set(answer) == {model.tells, f"{model.tells}_probabilities"}
    assert answer[model.tells].dtype == tf.int32
    np.testing.assert_array_equal(answer[model.tells], model.classify(images)[model.tells])


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


def test_features_go_in_and_come_out_raw(tmp_path):
    x = np.random.default_rng(0).normal(100, 5, (20, 3)).astype(np.float32)
    model = models.get("aae")((3,), style_size=2, network="mlp", observation=observation.of(x))
    loaded = tf.saved_model.load(str(export.export(model, tmp_path)))
    output = call(loaded, "reconstruct", features=x)["features"]
    np.testing.assert_allclose(output, model(x), rtol=1e-5)
    assert abs(float(tf.reduce_mean(output)) - 100) < 20


def test_versions_count_up_and_leftovers_go(tmp_path):
    model = make("aae")
    (tmp_path / "7").mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / ".unfinished-1").mkdir()
    assert export.export(model, tmp_path) == tmp_path / "8"
    assert sorted(os.listdir(tmp_path)) == ["7", "8", "notes"]


def test_a_version_that_fails_is_never_seen(tmp_path, monkeypatch):
    def fail(model, path):
        path.mkdir()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export, "_write", fail)
    with pytest.raises(errors.UserError, match="No space left"):
        export.export(make("aae"), tmp_path)
    assert [name for name in os.listdir(tmp_path) if name.isdigit()] == []
