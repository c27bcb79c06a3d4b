"""Keras's contract: what users of Keras expect of compile, fit, evaluate, save and load."""

import json
import os
import subprocess
import sys

from conftest import ROOT
from conftest import bars
import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from test_models import SHAPE
from test_models import make
from test_models import minibatch
from test_models import snapshot
from test_models import train

import keras_aae
from keras_aae import data
from keras_aae import models
from keras_aae.data import augmentation
from keras_aae.models import networks
from keras_aae.models import optimizers
from keras_aae.models import phases
from keras_aae.models import priors
from keras_aae.models import saving

every_model = pytest.mark.parametrize("name", models.NAMES)
every_rule = pytest.mark.parametrize("rule", ["joint", "sequential"])


def compiled(name, optimizer=None, compile_settings=None, **settings):
    model = make(name, **settings)
    model.compile(optimizer or keras.optimizers.SGD(0.1), **(compile_settings or {}))
    return model


def weights(model):
    return [variable.numpy().copy() for variable in model.variables]


def assert_equal(first, second):
    for one, two in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, two)


# Compiling


def test_all_steps_are_trained_whatever_one_execution_takes():
    whole = compiled("semisup")
    train(whole, steps=20)
    for steps in (4, 10):
        parts = compiled("semisup", compile_settings={"steps_per_execution": steps})
        train(parts, steps=20)
        assert int(parts.step) == 20
        assert_equal(weights(whole), weights(parts))
    with pytest.raises(ValueError, match="multiple of steps_per_execution=3"):
        train(compiled("aae", compile_settings={"steps_per_execution": 3}), steps=20)


def test_the_last_batches_of_finite_data_are_trained_in_a_long_execution():
    x, _ = bars(25)
    model = compiled("aae", compile_settings={"steps_per_execution": 4})
    model.fit(x, batch_size=10, epochs=2, verbose=0)
    assert int(model.step) == 6


@every_rule
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_learning_rate_of_zero_reaches_every_optimizer(rule, optimizer):
    model = compiled("semisup", optimizer, update_rule=rule, average=0.0)
    before = [snapshot(n) for n in (model.encoder, model.decoder, *model.discriminators.values())]
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch: 0.0)
    dataset = tf.data.Dataset.from_tensors(minibatch()).repeat()
    model.fit(dataset, steps_per_epoch=2, epochs=2, verbose=0, callbacks=[schedule])
    after = [snapshot(n) for n in (model.encoder, model.decoder, *model.discriminators.values())]
    for one, two in zip(before, after, strict=True):
        assert_equal(one, two)
    model.optimizer.learning_rate = 0.1
    train(model, steps=1)
    for old, network in zip(before, (model.encoder, model.decoder), strict=False):
        assert not np.array_equal(old[0], snapshot(network)[0])


def test_the_adversarial_learning_rate_keeps_its_ratio():
    model = make("aae")
    model.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.02))
    rates = {name: float(o.learning_rate) for name, o in model.optimizers.items()}
    assert rates == {"autoencoder": pytest.approx(0.1), "adversary": pytest.approx(0.02)}
    model.optimizer.learning_rate = 0.01
    rates = {name: float(o.learning_rate) for name, o in model.optimizers.items()}
    assert rates == {"autoencoder": pytest.approx(0.01), "adversary": pytest.approx(0.002)}


def test_training_does_not_depend_on_what_was_made_before():
    """Keras counts the names of a process; TensorFlow adds gradients up in their order."""
    ends = []
    for digits in ("5", "9"):  # The second time with names like adam_99 and adam_100.
        for kind in ("adam", "dense"):
            while set(str(keras.backend.get_uid(kind))) != {digits}:
                pass
        model = make("aae")
        model.compile(keras.optimizers.Adam(0.01), keras.optimizers.Adam(0.01))
        train(model, steps=4)
        ends.append(model.get_weights())
    for first, second in zip(*ends, strict=True):
        np.testing.assert_array_equal(first, second)


def test_what_is_excluded_from_weight_decay_is_so_in_every_step():
    optimizer = keras.optimizers.AdamW(1e-3)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    model = make("aae")
    model.compile(optimizer)
    for each in model.optimizers.values():
        for variable in model.discriminators["style"].variables:
            assert each._use_weight_decay(variable) == (variable.name != "bias")


def test_the_adversarial_learning_rate_keeps_its_ratio_to_a_schedule(tmp_path):
    """Also in a model that was saved in the midst of it."""
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([1], [0.1, 0.01])
    eagerly = {"adversarial_optimizer": keras.optimizers.SGD(0.02), "run_eagerly": True}
    model = compiled("aae", keras.optimizers.SGD(schedule), eagerly)
    train(model, steps=3)
    model.save(tmp_path / "model.keras")
    for each in (model, keras.models.load_model(tmp_path / "model.keras")):
        rates = {name: float(o.learning_rate) for name, o in each.optimizers.items()}
        assert rates == {"autoencoder": pytest.approx(0.01), "adversary": pytest.approx(0.002)}


def test_an_adversarial_schedule_is_followed_whatever_the_other_rate_is():
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([1], [0.1, 0.01])
    eagerly = {"adversarial_optimizer": keras.optimizers.SGD(schedule), "run_eagerly": True}
    model = compiled("aae", keras.optimizers.SGD(0.5), eagerly)
    train(model, steps=3)
    assert float(model.optimizers["adversary"].learning_rate) == pytest.approx(0.01)


def test_reduce_on_plateau_reaches_every_optimizer():
    model = compiled("aae", keras.optimizers.SGD(1e-9))
    callback = keras.callbacks.ReduceLROnPlateau(
        "reconstruction", factor=0.5, patience=1, mode="min"
    )
    dataset = tf.data.Dataset.from_tensors(minibatch()).repeat()
    model.fit(dataset, steps_per_epoch=1, epochs=4, verbose=0, callbacks=[callback])
    rates = {float(o.learning_rate) for o in model.optimizers.values()}
    assert len(rates) == 1 and rates.pop() < 6e-10


@pytest.mark.parametrize(
    "settings", [{"loss": "mse"}, {"metrics": ["mse"]}, {"loss_weights": [1.0]}]
)
def test_losses_and_metrics_of_ones_own_are_refused(settings):
    with pytest.raises(ValueError, match=f"without {next(iter(settings))}"):
        make("aae").compile("adam", **settings)


def test_weights_of_examples_are_refused():
    x, y = bars(6)
    with pytest.raises(ValueError, match="no sample_weight"):
        compiled("semisup").fit(x, y, sample_weight=np.ones(6), verbose=0)
    with pytest.raises(ValueError, match="no sample_weight"):
        compiled("semisup").evaluate(x, y, sample_weight=np.ones(6), verbose=0)
    with pytest.raises(ValueError, match="no class_weight"):
        compiled("semisup").fit(x, y, class_weight={0: 2.0}, verbose=0)


def test_running_eagerly_is_honoured_and_gives_the_same():
    whole, eager = compiled("aae"), compiled("aae", compile_settings={"run_eagerly": True})
    calls, original = [], eager.train_step

    def spy(batch):
        calls.append(tf.executing_eagerly())
        return original(batch)

    eager.train_step = spy
    for model in (whole, eager):
        train(model, steps=3)
    assert calls == [True] * 3
    for one, two in zip(weights(whole), weights(eager), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-6)


def test_xla_is_honoured_where_it_can_be_and_else_refused():
    whole, jitted = make("aae"), make("aae")
    for model, jit_compile in ((whole, False), (jitted, True)):
        model.phases = model.phases[:1]  # The reconstruction: XLA draws other random numbers.
        model.compile(keras.optimizers.SGD(0.1), jit_compile=jit_compile)
        train(model, steps=2)
    assert jitted.jit_compile
    for one, two in zip(weights(whole), weights(jitted), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-5)
    with pytest.raises(ValueError, match="no kernel for affine views"):
        compiled("semisup", compile_settings={"jit_compile": True})


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_variables_of_another_precision_are_refused(dtype):
    """Their moving average would stand still."""
    with pytest.raises(ValueError, match=f"float32, like mixed_bfloat16. Received: {dtype}"):
        make("aae", dtype=dtype)


@every_model
@pytest.mark.parametrize(
    ("policy", "rule"), [("mixed_bfloat16", "joint"), ("mixed_float16", "sequential")]
)
def test_every_model_trains_in_mixed_precision(name, rule, policy):
    keras.config.set_dtype_policy(policy)
    try:
        compiling = {"run_eagerly": name != "semisup"}
        model = compiled(name, optimizers.Adam(1e-2), compiling, update_rule=rule)
    finally:
        keras.config.set_dtype_policy("float32")
    before = snapshot(model.encoder)
    losses = train(model, steps=3, count=12)
    assert all(np.isfinite(values).all() for values in losses.values())
    assert not np.array_equal(before[0], snapshot(model.encoder)[0])
    scaled = keras.optimizers.LossScaleOptimizer
    for optimizer in model.optimizers.values():
        assert isinstance(optimizer, scaled) == (policy == "mixed_float16")
    assert model.encode(bars(2)[0])["style"].dtype == tf.float32


@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_the_shipped_networks_compute_in_the_policys_dtype_and_end_in_float32(network):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = compiled("aae", network=network)
    finally:
        keras.config.set_dtype_policy("float32")
    train(model)
    for made in (model.encoder, model.decoder, model.discriminators["style"]):
        dtypes = [layer.compute_dtype for layer in made.layers if layer.weights]
        assert set(dtypes[:-1]) == {"bfloat16"}
        assert all(output.dtype == "float32" for output in tf.nest.flatten(made.output))


# Fitting and evaluating


@every_model
def test_fit_takes_arrays_whose_batches_dont_divide_and_evaluate_measures(name):
    x, y = bars(26)
    model = compiled(name, optimizers.Adam(1e-2))
    history = model.fit(
        x, y, batch_size=8, epochs=2, verbose=0, validation_data=bars(14, seed=1)
    ).history
    assert int(model.step) == 2 * 4
    measured = {phase.name for phase in model.phases if phase.measured}
    measured |= {"error_rate"} if model.prediction else set()
    assert {key.removeprefix("val_") for key in history if key.startswith("val_")} == measured
    held_out = data.Split(*bars(14, seed=1))
    numbers = model.evaluate(held_out, batch_size=5, verbose=0, return_dict=True)
    assert numbers == model.evaluate(*held_out, batch_size=5, verbose=0, return_dict=True)
    assert set(numbers) == measured
    assert all(np.isfinite(value) for value in numbers.values())


def test_labels_may_be_integers_a_column_or_one_hot_and_are_the_same():
    x, y = bars(16)
    y[8:] = -1
    one_hot = np.where(y[:, None] >= 0, np.eye(3)[y], 0)
    models_ = []
    for labels in (y, y.astype(np.int64), y[:, None], one_hot, one_hot.astype(int)):
        model = compiled("semisup", None, {"run_eagerly": True})
        model.fit(x, labels, batch_size=16, shuffle=False, verbose=0)
        models_.append(model)
        dataset = tf.data.Dataset.from_tensor_slices((x, labels)).batch(16)
        again = compiled("semisup", None, {"run_eagerly": True})
        again.fit(dataset, verbose=0)
        models_.append(again)
    for model in models_[1:]:
        for one, two in zip(weights(models_[0]), weights(model), strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-6)


def test_images_alone_train_a_model_without_labels_and_are_refused_by_one_with():
    x, y = bars(16)
    model = compiled("clustering")
    model.fit(tf.data.Dataset.from_tensor_slices(x).batch(8), verbose=0)
    model.fit(x, batch_size=8, verbose=0)
    assert int(model.step) == 4
    with pytest.raises(ValueError, match="SemiSupervisedAAE learns from them"):
        compiled("semisup").fit(x, verbose=0)
    minibatches = data.minibatches(data.Dataset(*[data.Split(x, y)] * 3, tuple("abc")))
    for name in ("semisup", "supervised", "label_informed"):
        with pytest.raises(ValueError, match="Expected minibatches with labels"):
            compiled(name).fit(minibatches, verbose=0)
        more = data.Dataset(*[data.Split(x, y + 1)] * 3, tuple("abcd"))
        with pytest.raises(ValueError, match=r"Expected minibatches of 3 classes\. .* up to 3"):
            compiled(name).fit(data.minibatches(more, labelled_batch_size=8), verbose=0)
        with pytest.raises(ValueError, match="integer labels from 0 to 2"):
            compiled(name).fit(x, y + 1, verbose=0)
    with pytest.raises(ValueError, match="16 labels"):
        compiled("semisup").fit(x, y[:5], verbose=0)
    for method in ("fit", "evaluate"):
        with pytest.raises(ValueError, match="no labels beside a Split"):
            getattr(compiled("semisup"), method)(data.Split(x, y), y, verbose=0)
    with pytest.raises(ValueError, match=r"Expected examples of shape \(12, 12, 1\)"):
        compiled("clustering").fit(x[:, :9], verbose=0)


@pytest.mark.parametrize(
    ("shape", "value", "message"),
    [
        (
            (12, 12, 1),
            200.0,
            r"float images in \[0, 1\]; divide bytes by 255. Received: 0.0 to 200.0",
        ),
        ((12, 12, 1), np.nan, "float images in .* Received: nan to nan"),
        ((3,), np.nan, "features that are finite numbers. Received: nan to nan"),
        ((3,), np.inf, "features that are finite numbers. Received: 0.0 to inf"),
    ],
)
def test_examples_out_of_range_are_refused_in_one_line(shape, value, message):
    model = models.get("aae")(shape, style_size=2, network="mlp")
    model.compile(keras.optimizers.SGD(0.1))
    x = np.zeros((6, *shape), np.float32)
    x[4] = value
    for use in (model.fit, model.evaluate, model.encode):
        with pytest.raises(ValueError, match=message) as caught:
            use(x, **({} if use == model.encode else {"verbose": 0}))
        assert "\n" not in str(caught.value)
    with pytest.raises(tf.errors.InvalidArgumentError, match=message[:20]):
        tf.function(model.encode)(tf.constant(x))


@pytest.mark.parametrize("wrong", [np.int64, bool, np.uint16, object, str])
def test_images_of_other_types_are_refused_in_one_line(wrong):
    x = bars(4)[0].astype(wrong)
    for use in (compiled("aae").fit, compiled("aae").evaluate):
        with pytest.raises(ValueError, match=r"Expected images of dtype uint8.* Received: \w+$"):
            use(x, verbose=0)


@pytest.mark.parametrize("wrong", [-2, 3, 0.5, np.nan])
def test_labels_out_of_range_are_refused_in_one_line(wrong):
    x, y = bars(6)
    y = np.where(np.arange(6) == 2, wrong, y)
    for use in (compiled("semisup").fit, compiled("semisup").evaluate):
        with pytest.raises(ValueError, match=r"^Expected integer labels from 0 to 2.*$"):
            use(x, y, verbose=0)


def test_an_average_of_the_optimizer_is_refused():
    average = keras.optimizers.Adam(use_ema=True)
    for optimizer in (average, keras.optimizers.LossScaleOptimizer(average)):
        with pytest.raises(ValueError, match="without use_ema"):
            make("aae").compile(optimizer)
        with pytest.raises(ValueError, match="without use_ema"):
            make("aae").compile("adam", optimizer)


def test_where_channels_are_in_other_models_changes_nothing():
    keras.config.set_image_data_format("channels_first")
    try:
        model = models.get("semisup")((12, 8, 3), seed=0)
        assert keras.config.image_data_format() == "channels_first"
    finally:
        keras.config.set_image_data_format("channels_last")
    x = np.random.default_rng(0).integers(0, 256, (5, 12, 8, 3), np.uint8)
    expected = models.get("semisup")((12, 8, 3), seed=0)
    np.testing.assert_array_equal(model(x), expected(x))


def test_lists_and_endless_minibatches_are_refused_where_they_do_not_belong():
    x, y = bars(16)
    model = compiled("semisup")
    for use in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match=r"array of examples.* Received: list"):
            use(list(x), list(y), verbose=0)
    minibatches = data.minibatches(data.Dataset(*[data.Split(x, y)] * 3, tuple("abc")))
    with pytest.raises(ValueError, match=r"examples that end\. Received: Mini"):
        model.evaluate(minibatches, verbose=0)


def test_a_data_set_of_three_splits_is_refused_where_one_is_meant():
    split = data.Split(*bars(16))
    model = compiled("semisup")
    for use in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match=r"like dataset\.train\. Received: Dataset$"):
            use(data.Dataset(split, split, split, tuple("abc")), verbose=0)
    for use in (model.encode, model.classify):
        with pytest.raises(ValueError, match=r"shape \(12, 12, 1\)\. Received: Split$"):
            use(split)


def test_the_error_rate_of_evaluate_is_that_of_classify():
    model = compiled("semisup", optimizers.Adam(1e-2))
    train(model, steps=30, count=24)
    x, y = bars(31, seed=3)
    y[::4] = -1
    known = y >= 0
    expected = np.mean(model.classify(x)["class"].numpy()[known] != y[known])
    got = model.evaluate(x, y, batch_size=7, verbose=0, return_dict=True)["error_rate"]
    assert got == pytest.approx(expected)
    unknown = model.evaluate(x, np.full(31, -1), verbose=0, return_dict=True)["error_rate"]
    assert np.isnan(unknown)


def test_the_error_rate_of_clusters_is_that_of_their_most_frequent_classes():
    from keras_aae import evaluation

    model = compiled("clustering", optimizers.Adam(1e-2))
    train(model, steps=10, count=24)
    x, y = bars(31, seed=3)
    expected = evaluation.Evaluator(model).evaluate(data.Split(x, y))["error_rate"]
    got = model.evaluate(x, y, batch_size=7, verbose=0, return_dict=True)["error_rate"]
    assert got == pytest.approx(expected)


def test_early_stopping_and_checkpoints_can_watch_the_error_rate(tmp_path):
    x, y = bars(24)
    model = compiled("semisup", keras.optimizers.SGD(0.0))
    callbacks = [
        keras.callbacks.EarlyStopping("val_error_rate", patience=1, mode="min"),
        keras.callbacks.ModelCheckpoint(
            tmp_path / "best.keras", "val_error_rate", save_best_only=True, mode="min"
        ),
    ]
    history = model.fit(
        x, y, epochs=9, verbose=0, validation_data=(x, y), callbacks=callbacks
    ).history
    assert len(history["val_error_rate"]) == 2
    loaded = keras.models.load_model(tmp_path / "best.keras")
    np.testing.assert_array_equal(loaded.classify(x)["class"], model.classify(x)["class"])


@every_model
def test_predict_is_the_reconstruction(name):
    x, y = bars(11)
    model = compiled(name)
    receives_labels = len(model.encoder_parts) < len(model.parts)
    inputs = (x, y) if receives_labels else x
    got = model.predict(inputs, batch_size=4, verbose=0)
    np.testing.assert_allclose(got, model(x, tf.constant(y)), atol=1e-6)
    if receives_labels:
        with pytest.raises(ValueError, match="Expected labels"):
            model(x)


@pytest.mark.parametrize("form", [np.eye(3, dtype="float32").__getitem__, lambda y: y[:, None]])
def test_predict_takes_the_forms_of_labels_that_fit_takes(form):
    x, y = bars(11)
    model = compiled("supervised")
    dataset = tf.data.Dataset.from_tensor_slices((x, form(y))).batch(4)
    np.testing.assert_allclose(model.predict(dataset, verbose=0), model(x, y), atol=1e-6)


@every_model
def test_summary_names_the_networks(name):
    lines = []
    make(name).summary(print_fn=lambda line, **_: lines.append(line))
    text = "\n".join(lines)
    assert "encoder" in text and "decoder" in text


# Saving


def state(model):
    """All that training goes on from."""
    return weights(model) + [
        variable.numpy()
        for name in sorted(model.optimizers)
        for variable in model.optimizers[name].variables
    ]


@pytest.mark.parametrize(
    ("name", "rule"), [*((name, "joint") for name in models.NAMES), ("semisup", "sequential")]
)
def test_a_saved_model_comes_back_and_trains_on_as_if_nothing_had_been(name, rule, tmp_path):
    settings = {"update_rule": rule, "class_names": ("a", "b", "c")}
    model = make(name, **settings)
    adversarial = optimizers.Adam(5e-3, beta_1=0.3)
    model.compile(optimizers.Adam(1e-2), adversarial, run_eagerly=True)
    train(model, steps=3)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded) is type(model)
    assert loaded.class_names == ("a", "b", "c")
    assert_equal(state(model), state(loaded))
    x, y = bars(5)
    np.testing.assert_array_equal(model(x, tf.constant(y)), loaded(x, tf.constant(y)))
    for each in (model, loaded):
        train(each, steps=2, count=10)
    assert_equal(state(model), state(loaded))


def test_a_saved_model_loads_in_a_process_that_has_imported_nothing_else(tmp_path):
    model = compiled("semisup", network="mlp", average=0.0)
    model.save(tmp_path / "model.keras")
    code = (
        "import sys, numpy, keras_aae\n"
        "model = keras_aae.load(sys.argv[1])\n"
        "print(model.encode(numpy.zeros((1, 12, 12, 1), numpy.uint8))['style'].numpy().tolist())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "model.keras"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    expected = model.encode(np.zeros((1, *SHAPE), np.uint8))["style"].numpy()
    np.testing.assert_allclose(json.loads(done.stdout), expected, rtol=1e-5)


@every_model
def test_a_clone_has_the_same_structure_and_new_weights_of_the_same_seed(name):
    model = compiled(name)
    clone = keras.models.clone_model(model)
    assert type(clone) is type(model)
    assert [v.shape for v in clone.variables] == [v.shape for v in model.variables]
    assert clone.get_config().keys() == model.get_config().keys()


def test_a_reduced_learning_rate_and_its_ratio_survive_saving(tmp_path):
    model = make("aae")
    model.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.02))
    model.optimizer.learning_rate = 0.01
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    rates = {name: float(o.learning_rate) for name, o in loaded.optimizers.items()}
    assert rates == {"autoencoder": pytest.approx(0.01), "adversary": pytest.approx(0.002)}


def test_the_two_optimizers_are_saved_apart():
    """Keras takes objects with one id() for one: what is serialised has to be alive together."""
    model = make("semisup")
    model.compile(keras.optimizers.Adam(1e-2), keras.optimizers.Adam(5e-3, beta_1=0.3))
    for _ in range(50):
        config = keras.saving.deserialize_keras_object(model.get_compile_config())
        assert config["optimizer"].beta_1 == pytest.approx(0.9)
        assert config["adversarial_optimizer"].beta_1 == pytest.approx(0.3)


def test_a_prior_of_ones_own_is_saved_by_its_registered_name_or_refused(tmp_path):
    @priors.register("shifted")
    def shifted(size):
        return tfp.distributions.MultivariateNormalDiag(tf.fill([size], 3.0), tf.ones(size))

    model = compiled("aae", prior="shifted")
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.priors["style"].mean(), [3.0, 3.0])
    with pytest.raises(ValueError, match=r"priors\.register"):
        make("aae", prior=shifted(2)).save(tmp_path / "other.keras")


@keras.saving.register_keras_serializable("tests")
class Prediction(phases.Phase):
    """A phase of one's own with a network of its own: the style gives the mean brightness."""

    def __init__(self):
        super().__init__("prediction")

    def build(self, model):
        self.network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        self.fixed = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])  # Not trained.

    def networks(self, model):
        return (self.network,)

    def loss(self, model, batch, code):
        brightness = tf.reduce_mean(batch.x, axis=[1, 2])
        wanted = self.fixed(brightness)
        return tf.reduce_mean((self.network(code["style"]) - wanted) ** 2, axis=-1)

    def get_config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def test_the_network_of_a_phase_of_ones_own_is_saved_with_the_model(tmp_path):
    model = compiled("aae", extra_phases=[Prediction()])
    train(model, steps=3)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert_equal(*(each.phases[-1].network.get_weights() for each in (model, loaded)))
    assert_equal(*(each.phases[-1].fixed.get_weights() for each in (model, loaded)))
    assert {id(v) for v in model.phases[-1].network.variables} <= {id(v) for v in model.variables}
    x, _ = bars(12)
    before, after = (each.evaluate(x, verbose=0, return_dict=True) for each in (model, loaded))
    assert before["prediction"] == pytest.approx(after["prediction"], rel=1e-5)


def test_a_network_that_a_phase_does_not_build_is_refused():
    phase = Prediction()
    phase.build = lambda model: None
    phase.network = keras.Sequential([keras.layers.Dense(1)])
    with pytest.raises(ValueError, match="Expected the networks of the phase prediction to be bui"):
        make("aae", extra_phases=[phase])


@keras.saving.register_keras_serializable("tests")
class OfPositions(models.get("aae")):
    """A subclass that hands its arguments on, without names."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)


def test_a_subclass_that_takes_any_arguments_comes_back(tmp_path):
    model = OfPositions(SHAPE, style_size=3, network="mlp", seed=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert_equal(weights(model), weights(loaded))
    assert loaded.parts == {"style": 3}


@keras.saving.register_keras_serializable("tests")
def darker(images, seed):
    return images / 2


class Odd(networks.Family):
    def __init__(self, width):
        self._mlp = networks.MLP(width=width, depth=1)

    def features(self, x):
        return self._mlp.features(x)

    def decoder(self, code_size, output_shape):
        return self._mlp.decoder(code_size, output_shape)

    def discriminator(self, code_size):
        return self._mlp.discriminator(code_size)


def test_what_could_not_be_loaded_again_is_not_saved(tmp_path):
    path = tmp_path / "model.keras"
    make("semisup", views=darker).save(path)
    assert keras_aae.load(path).views is darker
    nested = augmentation.Chain([augmentation.Cutout(0.3), bars])
    for views in (lambda images, seed: images, bars, Odd(8).features, nested):
        with pytest.raises(ValueError, match=r"Expected views to be registered"):
            make("semisup", views=views).save(path)
    with pytest.raises(ValueError, match=r"Expected Odd.get_config, to save the model"):
        models.get("aae")(SHAPE, network=Odd(8)).save(path)
    assert keras_aae.load(path).views is darker  # What was there stays.


def test_a_layer_that_was_hung_on_a_model_does_not_hinder_loading(tmp_path):
    model = make("aae")
    model.probe = keras.layers.Dense(3)
    model.encoder.trainable = False
    model.save(tmp_path / "model.keras")
    loaded = keras_aae.load(tmp_path / "model.keras")
    assert not loaded.encoder.trainable_variables
    assert loaded.decoder.trainable_variables
    assert not loaded.averaged_encoder.trainable_variables


def test_layers_of_which_nothing_was_saved_keep_their_flags():
    network = keras.Sequential([keras.layers.Dense(1)])
    saving.set_trainable(network, {"": False})
    assert not network.trainable
    assert network.layers[0].trainable


def test_a_layer_in_two_networks_keeps_its_flag():
    class Outer(keras.layers.Layer):
        def __init__(self, frozen):
            super().__init__()
            self.first = keras.Sequential([inner := keras.layers.Dense(1)])
            self.second = keras.Sequential([inner])
            self.second.trainable = not frozen
            inner.trainable = True

    flags = saving.trainable(Outer(frozen=True))
    other = Outer(frozen=False)
    saving.set_trainable(other, flags)
    assert saving.trainable(other) == flags
    assert other.first.layers[0].trainable


@pytest.mark.parametrize("policies", [("mixed_bfloat16", "float32"), ("float32", "mixed_float16")])
def test_a_model_is_loaded_with_the_dtype_policy_that_it_had(tmp_path, policies):
    of_model, of_process = policies
    try:
        keras.config.set_dtype_policy(of_model)
        model = compiled("aae")
        model.save(tmp_path / "model.keras")
        keras.config.set_dtype_policy(of_process)
        loaded = keras_aae.load(tmp_path / "model.keras")
        assert keras.config.dtype_policy().name == of_process
    finally:
        keras.config.set_dtype_policy("float32")
    assert loaded.dtype_policy.name == loaded.encoder.layers[1].dtype_policy.name == of_model
    x = bars(3)[0]
    np.testing.assert_array_equal(loaded.encode(x)["style"], model.encode(x)["style"])


@pytest.mark.parametrize("names", [np.array(["a", "b", "c"]), np.arange(3)])
def test_class_names_may_be_an_array(tmp_path, names):
    model = make("semisup", class_names=names)
    assert json.loads(json.dumps(model.class_names)) == [str(name) for name in names]
    model.save(tmp_path / "model.keras")
    assert keras_aae.load(tmp_path / "model.keras").class_names == model.class_names


def test_the_classification_loss_of_evaluate_is_that_of_the_labelled_examples():
    x, y = bars(24)
    model = compiled("semisup")
    few = np.where(np.arange(24) < 6, y, -1)
    alone = model.evaluate(x[:6], y[:6], verbose=0, return_dict=True)["classification"]
    for size in (6, 8, 24):
        found = model.evaluate(x, few, batch_size=size, verbose=0, return_dict=True)
        assert found["classification"] == pytest.approx(alone, rel=1e-5)


def test_a_batch_without_labels_does_not_count_in_the_logged_classification():
    x, y = bars(24)
    model = compiled("semisup", keras.optimizers.SGD(1e-9), views=None)
    few = np.where(np.arange(24) < 12, y, -1)
    settings = {"batch_size": 12, "shuffle": False, "verbose": 0}
    logged = model.fit(x, few, **settings).history["classification"][0]
    alone = model.fit(x[:12], few[:12], **settings).history["classification"][0]
    assert logged == pytest.approx(alone, rel=1e-4)


# Wrong input, and many examples


def test_float_images_out_of_range_are_refused():
    model = compiled("aae")
    images = bars(4)[0].astype(np.float32)
    for call in (model.encode, model):
        with pytest.raises(ValueError, match=r"float images in \[0, 1\].*Received: 0\.0 to 2"):
            call(images)
    with pytest.raises(ValueError, match="in \\[0, 1\\]"):
        model.encode(np.full((1, *SHAPE), np.nan, np.float32))
    with pytest.raises(tf.errors.InvalidArgumentError, match="float images in"):
        model.fit(tf.data.Dataset.from_tensor_slices(images).batch(4), verbose=0)
    with pytest.raises(ValueError, match="dtype uint8"):
        model.encode(bars(4)[0].astype(np.int64))


def test_feature_vectors_are_recognised_by_their_shape():
    x = np.random.default_rng(0).normal(50, 3, (20, 4)).astype(np.float32)
    model = models.get("aae")((4,), style_size=2)
    model.compile("adam")
    model.fit(x, verbose=0)
    assert model.predict(x, verbose=0).shape == (20, 4)
    assert model.observation.name == "features"


def test_a_class_out_of_range_is_refused():
    model = make("semisup")
    for values in ([0, 3], [-1, 0]):
        with pytest.raises(ValueError, match="Expected each class from 0 to 2"):
            model.generate(np.array([1, 2]), np.array(values))
        with pytest.raises(tf.errors.InvalidArgumentError, match="each class from 0 to 2"):
            tf.function(model.generate)(tf.constant([1, 2]), tf.constant(values))
    model, (images, _) = make("supervised"), bars(2)
    for values in ([0, 3], [-1, 0]):
        with pytest.raises(ValueError, match="Expected each class from 0 to 2"):
            model(images, np.array(values))
        with pytest.raises(tf.errors.InvalidArgumentError, match="each class from 0 to 2"):
            model.predict((images, np.array(values)), verbose=0)
    with pytest.raises(ValueError, match=r"to 2, as an integer. Received: dtype float\d+"):
        make("semisup").generate(np.array([1]), np.array([1.7]))
    with pytest.raises(ValueError, match="neither classes nor clusters"):
        make("aae").generate(np.array([1]), np.array([0]))
    with pytest.raises(ValueError, match="predicts neither"):
        make("aae").classify(bars(2)[0])


def test_as_many_classes_as_examples_are_wanted():
    model = make("semisup")
    message = "as many rows of each part of a code.*'class_probabilities': 3, 'style': 4"
    with pytest.raises(ValueError, match=message):
        model.generate(np.arange(4), np.zeros(3, int))
    with pytest.raises(ValueError, match=message):
        model.transfer(bars(4)[0], np.zeros(3, int))


def test_a_code_may_be_given_as_lists():
    model = make("semisup")
    code = {"style": [[0.5, -1.0]], "class_probabilities": [[0, 1, 0]]}
    arrays = {part: np.array(values, np.float32) for part, values in code.items()}
    np.testing.assert_array_equal(model.decode(code), model.decode(arrays))


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match=r"Expected a seed of 0 or more\. Received: seed=-1"):
        make("aae", seed=-1)
    with pytest.raises(ValueError, match=r"Expected a seed below 2\*\*31\. Received: seed=21474"):
        make("aae", seed=2**31)
    with pytest.raises(ValueError, match=r"Expected seed, a whole number from 0 on\. Received: -1"):
        data.minibatches(data.Dataset(*[data.Split(*bars(6))] * 3, tuple("abc")), seed=-1)


def test_a_decoder_that_receives_the_class_gets_the_class_of_each_example():
    model, (x, y) = compiled("supervised"), bars(12)
    y[3] = -1
    for use in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match="Expected labels: SupervisedAAE learns from them"):
            use(x, verbose=0)
        with pytest.raises(tf.errors.InvalidArgumentError, match="Expected each label from 0 to 2"):
            use(x, y, batch_size=12, verbose=0)


def test_logits_of_classes_are_those_of_a_model_that_has_some():
    model = make("aae")
    with pytest.raises(ValueError, match=r"AdversarialAutoencoder has none"):
        model.class_logits(model.encode(bars(2)[0], logits=True))


def test_encode_of_many_examples_goes_in_compiled_batches():
    model = make("semisup")
    images, _ = bars(1203)
    sizes, original = [], model._encode_batch

    def spy(part):
        sizes.append(len(part))
        return original(part)

    model._encode_batch = spy
    whole = model.encode(images)["style"].numpy()
    assert sizes == [500, 500, 203]
    assert isinstance(original, tf.types.experimental.PolymorphicFunction)
    np.testing.assert_allclose(whole[600:610], model.encode(images[600:610])["style"], atol=1e-6)


def test_a_label_informed_model_can_be_built_with_its_defaults():
    model = models.get("label_informed")(SHAPE)
    assert model.parts == {"style": 2}
    assert model.num_predicted == 10


def test_weights_set_by_hand_reach_inference_with_copy_to_average():
    model = make("aae")
    images = bars(3)[0]
    before = model.encode(images)["style"].numpy()
    model.encoder.set_weights([np.zeros_like(w) for w in model.encoder.get_weights()])
    np.testing.assert_array_equal(model.encode(images)["style"], before)
    model.copy_to_average()
    np.testing.assert_array_equal(model.encode(images)["style"], np.zeros_like(before))


@pytest.mark.parametrize("subclassed", [False, True])
def test_any_keras_model_can_be_the_backbone(subclassed, tmp_path):
    @keras.saving.register_keras_serializable("tests")
    class Subclassed(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense = keras.layers.Dense(7)
            self.flatten = keras.layers.Flatten()

        def call(self, x):
            return self.dense(self.flatten(x))

        def get_config(self):
            return {}

    backbone = (
        Subclassed()
        if subclassed
        else keras.Sequential(
            [keras.Input(SHAPE), keras.layers.Conv2D(5, 3), keras.layers.BatchNormalization()]
        )
    )
    network = networks.Backbone(backbone, scale=2.0, offset=-1.0)
    model = models.get("semisup")(SHAPE, num_classes=3, style_size=2, network=network, seed=0)
    model.compile("adam")
    before = snapshot(model.encoder)
    train(model, steps=2)
    assert not np.array_equal(before[0], snapshot(model.encoder)[0])
    averaged = model.averaged_encoder.variables
    assert not {id(v) for v in averaged} & {id(v) for v in model.encoder.variables}
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        loaded.encode(bars(3)[0])["style"], model.encode(bars(3)[0])["style"]
    )


def test_a_normalization_in_a_backbone_is_that_which_was_adapted(tmp_path):
    x = (5 + 3 * np.random.default_rng(0).normal(size=(60, 4))).astype(np.float32)
    normalization = keras.layers.Normalization()
    normalization.adapt(x)
    backbone = keras.Sequential([keras.Input((4,)), normalization])
    network = networks.Backbone(backbone, others=networks.MLP(8))
    model = models.get("aae")((4,), style_size=2, network=network, seed=0)
    for encoder in (model.encoder, model.averaged_encoder):
        (copy,) = (each for each in encoder._flatten_layers() if isinstance(each, type(backbone)))
        np.testing.assert_allclose(copy(x), backbone(x), atol=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras_aae.load(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.encode(x)["style"], model.encode(x)["style"], atol=1e-5)


@keras.saving.register_keras_serializable("tests")
class Frozen(keras.layers.Layer):
    """A layer whose get_config doesn't tell that a part of it isn't trainable."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.fixed, self.free = keras.layers.Dense(4), keras.layers.Dense(4)
        self.flat = keras.layers.Flatten()

    def build(self, shape):
        self.fixed.build((None, 144))
        self.free.build((None, 4))

    def call(self, x):
        return self.free(self.fixed(self.flat(x)))


def test_what_is_frozen_in_a_backbone_stays_so(tmp_path):
    backbone = Frozen()
    backbone(np.zeros((1, *SHAPE)))
    backbone.fixed.trainable = False
    settings = {"num_classes": 3, "style_size": 2, "seed": 0}
    model = models.get("semisup")(SHAPE, network=networks.Backbone(backbone), **settings)
    model.compile(keras.optimizers.SGD(0.1))
    model.save(tmp_path / "model.keras")
    for each in (model, keras.models.load_model(tmp_path / "model.keras")):
        (copy,) = (layer for layer in each.encoder.layers if isinstance(layer, Frozen))
        train(each, steps=2)
        np.testing.assert_array_equal(copy.fixed.kernel, backbone.fixed.kernel)
        assert not np.array_equal(copy.free.kernel, backbone.free.kernel)


def test_what_is_frozen_as_a_model_is_saved_is_so_in_what_is_loaded(tmp_path):
    backbone = keras.Sequential([keras.Input(SHAPE), keras.layers.Conv2D(2, 3)])
    backbone.trainable = False
    model = models.get("aae")(SHAPE, style_size=2, network=networks.Backbone(backbone), seed=0)
    for layer in model.encoder.layers:
        layer.trainable = True  # The second stage of fine-tuning.
    model.decoder.layers[0].trainable = False
    model.compile(optimizers.Adam(0.01))
    train(model, steps=2)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for each in (model, loaded):
        train(each, steps=2)
    trainable = [[v.shape for v in each.trainable_variables] for each in (model, loaded)]
    assert trainable[0] == trainable[1]
    assert_equal(weights(model), weights(loaded))


@keras.saving.register_keras_serializable("tests")
class WidthAlone(models.get("semisup")):
    """A constructor that takes neither a seed nor names of classes, and one it chooses itself."""

    def __init__(self, width=8, **kwargs):
        settings = {"num_classes": 3, "style_size": 2, "class_names": "abc"}
        super().__init__(SHAPE, network=networks.MLP(width), **settings, **kwargs)


@keras.saving.register_keras_serializable("tests")
class OwnSeed(WidthAlone):
    def __init__(self):
        super().__init__(seed=7)


@keras.saving.register_keras_serializable("tests")
class WidthAndMore(WidthAlone):
    def __init__(self, width, *rest, **kwargs):
        assert rest == (3, "b")
        super().__init__(width, **kwargs)


@keras.saving.register_keras_serializable("tests")
class WidthByPlace(WidthAlone):
    def __init__(self, width=9, /, **kwargs):
        super().__init__(width, **kwargs)


def more():
    return WidthAndMore(9, 3, "b")


def by_place():
    return WidthByPlace(7)


@pytest.mark.parametrize("kind", [WidthAlone, OwnSeed, more, by_place])
def test_a_constructor_may_take_other_arguments_than_it_passes_on(kind, tmp_path):
    model = kind()
    model.compile(keras.optimizers.SGD(0.1))
    train(model, steps=1)
    model.save(tmp_path / "model.keras")
    loaded = keras_aae.load(tmp_path / "model.keras")
    assert (loaded.seed, loaded.class_names) == (model.seed, ("a", "b", "c"))
    for each in (model, loaded):
        train(each, steps=2)
    assert_equal(weights(model), weights(loaded))
    assert keras.models.clone_model(model).seed == model.seed


def test_a_file_of_hdf5_is_left_as_it_is(tmp_path):
    (tmp_path / "kept.h5").write_text("kept")
    with pytest.raises(ValueError, match=r"a name that ends in \.keras"):
        make("aae").save(tmp_path / "kept.h5")
    assert (tmp_path / "kept.h5").read_text() == "kept"


def test_the_temperature_of_other_weights_is_forgotten():
    model = compiled("semisup")
    model.temperature.assign(3.0)
    model.fit(*bars(12), batch_size=12, verbose=0)
    assert float(model.temperature) == 1


def test_two_states_of_one_name_are_refused():
    model = make("semisup")
    with pytest.raises(ValueError, match=r"a name of its own for a state\. Received: step"):
        model.add_state("step", ())


@pytest.mark.parametrize(
    "y",
    [
        np.eye(5)[[0, 1, 2, 0]],
        np.full((4, 3), 0.1),
        np.ones((4, 3)),
        np.array([0, 1, -2, 2]),
        np.array(list("abca")),
    ],
    ids=["columns", "shares", "ones", "below", "text"],
)
def test_labels_that_are_none_are_refused(y):
    model = compiled("semisup")
    with pytest.raises(ValueError, match=r"Expected .*labels"):
        model.fit(bars(4)[0], y, verbose=0)


def test_predict_takes_a_data_set_with_labels():
    x, y = bars(6)
    model = compiled("supervised")
    got = model.predict(tf.data.Dataset.from_tensor_slices((x, y)).batch(3), verbose=0)
    np.testing.assert_allclose(got, model(x, tf.constant(y)), atol=1e-6)


def test_a_batch_of_numpy_arrays_is_trained_and_measured():
    x, y = bars(12)
    model = compiled("semisup")
    assert np.isfinite(model.train_on_batch(x, y)).all()
    assert np.isfinite(model.test_on_batch(x, y)).all()


def test_a_save_that_is_refused_leaves_the_file_as_it_is(tmp_path):
    path = tmp_path / "model.keras"
    make("aae").save(path)
    before = path.read_bytes()
    unnamed = make("aae", prior=tfp.distributions.MultivariateNormalDiag(tf.zeros(2)))
    with pytest.raises(ValueError, match="a prior with a name"):
        unnamed.save(path)
    assert path.read_bytes() == before


def test_a_drawn_seed_is_kept(tmp_path):
    model = make("vae", seed=None)
    model.save(tmp_path / "model.keras")
    assert keras_aae.load(tmp_path / "model.keras").seed == model.seed


@pytest.mark.parametrize(
    "arguments",
    [
        {"optimizer": None},
        {"jit_compile": "yes"},
        {"steps_per_execution": 0},
        {"steps_per_execution": "auto"},
    ],
)
def test_compile_refuses_what_it_does_not_honour(arguments):
    with pytest.raises(ValueError, match="Expected "):
        make("aae").compile(**arguments)


def test_a_ratio_to_a_learning_rate_of_zero_is_refused():
    with pytest.raises(ValueError, match="Expected a learning rate above 0"):
        make("aae").compile(keras.optimizers.Adam(0.0), keras.optimizers.Adam(1e-4))


@pytest.mark.parametrize("name", ["semisup", "supervised", "label_informed"])
@pytest.mark.parametrize("wrong", [3, -2, 0.5])
def test_a_data_set_s_wrong_labels_are_refused_in_training_and_evaluation(name, wrong):
    x, y = bars(4)
    dataset = tf.data.Dataset.from_tensors((x, np.array([wrong, *y[1:]], type(wrong))))
    model = make(name)
    model.compile(run_eagerly=True)
    for use in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match="integer labels from 0 to 2"):
            use(dataset, verbose=0)


def test_wrong_labels_are_refused_inside_the_compiled_step():
    x, y = bars(4)
    model = compiled("supervised")
    with pytest.raises(tf.errors.InvalidArgumentError, match="integer labels from 0 to 2"):
        model.fit(tf.data.Dataset.from_tensors((x, y + 1)), verbose=0)


def test_a_loss_scale_of_ones_own_comes_back(tmp_path):
    x, y = bars(12)
    scaling = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.Adam(1e-3), initial_scale=8.0, dynamic_growth_steps=3
    )
    model = make("semisup")
    model.compile(scaling, run_eagerly=True)
    model.fit(x, y, batch_size=12, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras_aae.load(tmp_path / "model.keras")
    for name, optimizer in model.optimizers.items():
        other = loaded.optimizers[name]
        assert isinstance(other, keras.optimizers.LossScaleOptimizer)
        assert (other.initial_scale, other.dynamic_growth_steps) == (8.0, 3)
        assert int(other.iterations) == 1
        for first, second in zip(optimizer.variables, other.variables, strict=True):
            np.testing.assert_array_equal(first, second, err_msg=first.path)


def test_compile_knows_no_other_argument():
    with pytest.raises(TypeError, match="unexpected keyword argument 'nonsense'"):
        make("aae").compile(nonsense=1)


@pytest.mark.parametrize("shape", [(28, 28), (), (None, None, 1), (0,), (2.5,)])
def test_a_shape_that_is_no_example_s_is_refused(shape):
    with pytest.raises(ValueError, match="Expected input_shape to be"):
        models.get("aae")(shape)


def test_a_model_s_file_that_is_not_there_is_named_as_that(tmp_path):
    with pytest.raises(ValueError, match="not found"):
        keras_aae.load(tmp_path / "gone.keras")
