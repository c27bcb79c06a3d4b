"""What must hold for every registered model: found here once, over the whole map."""

import math
import random

from conftest import bars
import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_aae import models
from keras_aae.models import aae
from keras_aae.models import adversaries
from keras_aae.models import networks
from keras_aae.models import observation
from keras_aae.models import optimizers
from keras_aae.models import phases
from keras_aae.models import priors
from keras_aae.models import seeds

tfd = tfp.distributions


@keras.saving.register_keras_serializable("tests")
class Small(networks.Family):
    """Networks of one small dense layer."""

    def features(self, x):
        return keras.layers.Dense(16, "relu")(keras.layers.Flatten()(x))

    def decoder(self, code_size, output_shape):
        return keras.Sequential(
            [
                keras.Input((code_size,)),
                keras.layers.Dense(16, "relu"),
                keras.layers.Dense(int(np.prod(output_shape))),
                keras.layers.Reshape(output_shape),
            ],
            name="decoder",
        )

    def discriminator(self, code_size):
        return keras.Sequential(
            [keras.Input((code_size,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(1)]
        )


SMALL = Small()
SHAPE = (12, 12, 1)


def make(name, **settings):
    settings = {"style_size": 2, "network": SMALL, "seed": 0, **settings}
    if "posterior" not in models.VARIANTS[name].settings:
        settings.pop("posterior", None)
    if models.VARIANTS[name].labels != "none":
        settings = {"num_classes": 3, **settings}
    if models.get(name).prediction == "cluster":
        settings = {"num_clusters": 4, **settings}
    if "head_distance" in models.VARIANTS[name].settings:
        settings = {"head_distance": 12.0, **settings}
    if name == "dimreduce":
        beyond = {"class_prior": "learned", "pseudo_label_weight": 1.0}
        if settings.get("average") != 0:
            beyond["consistency_weight"] = 0.1
        settings = {**beyond, **settings}
    if name == "label_informed":
        settings["prior"] = "three_clusters"
    return models.get(name)(SHAPE, **settings)


@priors.register("uneven_clusters")
def uneven_clusters(size):
    """A mixture of 99 % around -1 and 1 % around 1, of standard deviation 1."""
    centres = tf.constant([[-1.0], [1.0]])
    clusters = tfd.MultivariateNormalDiag(centres, tf.ones([2, size]))
    shares = np.array([0.99, 0.01])  # In float64, as NumPy has them.
    return tfd.MixtureSameFamily(tfd.Categorical(probs=shares), clusters)


def test_a_code_is_of_the_class_whose_component_it_most_probably_came_from():
    settings = {"num_classes": 2, "style_size": 1, "prior": "uneven_clusters", "network": SMALL}
    model = models.get("label_informed")(SHAPE, **settings)
    logits = model.class_logits({"style": tf.constant([[0.3]])})
    odds = 0.99 / 0.01 * np.exp((0.7**2 - 1.3**2) / 2)  # The exponents: half the squared distances.
    np.testing.assert_allclose(tf.nn.softmax(logits)[0], [odds / (1 + odds), 1 / (1 + odds)], 1e-5)


@priors.register("three_clusters")
def three_clusters(size):
    """A mixture of three Gaussians of standard deviation 0.1 at 0, 2 and 4 on the first axis."""
    centres = tf.one_hot([0, 0, 0], size) * tf.constant([[0.0], [2.0], [4.0]])
    clusters = tfd.MultivariateNormalDiag(centres, tf.fill([3, size], 0.1))
    return tfd.MixtureSameFamily(tfd.Categorical(logits=tf.zeros(3)), clusters)


def minibatch(count=8, every_label=False):
    images, labels = bars(count)
    labels[: 0 if every_label else count // 2] = -1
    return {"x": tf.constant(images), "y": tf.constant(labels)}


def snapshot(network):
    return [variable.numpy().copy() for variable in network.trainable_variables]


def changed(network, before):
    return any(
        not np.array_equal(old, new.numpy())
        for old, new in zip(before, network.trainable_variables, strict=True)
    )


def train(model, steps=1, count=8):
    """Trains on one batch again and again; returns the losses."""
    data = tf.data.Dataset.from_tensors(minibatch(count, model.decodes_labels)).repeat()
    return model.fit(data, steps_per_epoch=steps, verbose=0, shuffle=False).history


every_model = pytest.mark.parametrize("name", models.NAMES)
every_rule = pytest.mark.parametrize("rule", ["joint", "sequential"])


def networks_of(model):
    return [model.encoder, model.decoder, *model.discriminators.values()]


@every_model
def test_a_phase_alone_changes_only_its_own_networks(name, monkeypatch):
    monkeypatch.setattr(phases, "_SURE", 0.0)  # Else nothing is a pseudo-label so early.
    count = len(make(name).phases)
    for index in range(count):
        model = make(name)
        phase = model.phases[index]
        model.phases = (phase,)
        model.compile(keras.optimizers.SGD(0.5), run_eagerly=True)
        before = [snapshot(network) for network in networks_of(model)]
        train(model)
        trained = [id(network) for network in phase.networks(model)]
        for network, old in zip(networks_of(model), before, strict=True):
            assert changed(network, old) == (id(network) in trained), (phase.name, network.name)
    model = make(name)
    trained = {id(network) for phase in model.phases for network in phase.networks(model)}
    assert trained == {id(network) for network in networks_of(model)}


@every_model
def test_training_is_repeatable_from_the_seed(name):
    runs = []
    for seed in (1, 1, 2):
        model = make(name, seed=seed)
        model.compile(optimizers.Adam(1e-2), run_eagerly=True)
        train(model, steps=3)
        runs.append(np.concatenate([value.ravel() for value in snapshot(model.encoder)]))
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


@every_model
@every_rule
def test_every_loss_is_logged_and_that_of_the_reconstruction_comes_down(name, rule):
    model = make(name, update_rule=rule, reconstruction_weight=30.0)
    model.compile(optimizers.Adam(1e-2))
    data = tf.data.Dataset.from_tensors(minibatch(24, model.decodes_labels)).repeat()
    history = model.fit(data, steps_per_epoch=20, epochs=4, verbose=0, shuffle=False).history
    assert set(history) == {phase.name for phase in model.phases}
    assert np.isfinite(list(history.values())).all()
    assert history["reconstruction"][-1] < 0.9 * history["reconstruction"][0]
    assert int(model.step) == 80


@every_model
@pytest.mark.parametrize("count", [0, 1, 7])
def test_inference_takes_any_batch_size_and_keeps_its_shapes(name, count):
    model = make(name)
    images = bars(max(count, 1))[0][:count]
    code = model.encode(images)
    assert {part: tuple(code[part].shape) for part in model.encoder_parts} == {
        part: (count, model.parts[part]) for part in model.encoder_parts
    }
    labels = tf.zeros([count], tf.int32)
    output = model.decode(code | model.label_code(labels)).numpy()
    assert output.shape == (count, *SHAPE)
    with pytest.raises(ValueError, match=r"Expected style of shape \[B, "):
        model.decode(code | model.label_code(labels) | {"style": tf.zeros([count, 1000])})
    assert ((output >= 0) & (output <= 1)).all()
    np.testing.assert_array_equal(output, model(images, labels))


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16, np.uint32, np.uint64])
def test_clusters_are_chosen_by_integers_of_any_size(dtype):
    model = make("clustering", num_clusters=300)
    chosen = np.array([0, 100], dtype)
    expected = model.generate([1, 2], chosen.astype(np.int32))
    np.testing.assert_array_equal(model.generate([1, 2], chosen), expected)
    with pytest.raises(ValueError, match="Expected each cluster from 0 to 299"):
        model.generate([1, 2], np.array([0, 300]))


def test_no_examples_get_empty_answers_from_convolutions_too():
    model = models.get("semisup")((28, 28, 3), seed=0)
    x, labels = np.zeros((0, 28, 28, 3), np.uint8), np.zeros(0, np.int32)
    assert model.classify(x)["class"].shape == (0,)
    assert model.classify(x)["style"].shape == (0, model.parts["style"])
    for images in (model(x), model.transfer(x, labels), model.generate(labels, labels)):
        assert images.shape == x.shape
    with pytest.raises(ValueError, match="dtype uint8"):
        model.encode(x.astype(np.int64))


@every_model
def test_an_example_does_not_depend_on_the_others_in_its_batch(name):
    model = make(name)
    model.compile(optimizers.Adam(1e-2), run_eagerly=True)
    train(model, steps=2)
    images, labels = (tf.constant(values) for values in bars(6))
    whole = model(images, labels).numpy()
    np.testing.assert_allclose(whole[2:3], model(images[2:3], labels[2:3]), atol=1e-6)


@every_model
def test_prior_draws_and_generation_are_a_function_of_each_rows_seed(name):
    model = make(name)
    first, second = (model.sample_prior(tf.constant(s, tf.int64)) for s in ([5, 6, 5], [6]))
    for part, size in model.parts.items():
        assert first[part].shape == (3, size)
        np.testing.assert_array_equal(first[part][0], first[part][2])
        np.testing.assert_array_equal(first[part][1], second[part][0])
    assert not np.array_equal(first["style"][0], first["style"][1])
    np.testing.assert_allclose(
        model.generate(tf.constant([5, 6], tf.int64))[1],
        model.generate(tf.constant([6]))[0],
        atol=1e-6,
    )


@every_model
@pytest.mark.parametrize("posterior", ["gaussian", "universal"])
def test_every_posterior_trains_and_infers(name, posterior):
    model = make(name, posterior=posterior)
    model.compile(optimizers.Adam(1e-2), run_eagerly=True)
    train(model, steps=2)
    images, _ = bars(6)
    np.testing.assert_array_equal(model.encode(images)["style"], model.encode(images)["style"])
    first, again, other = (
        model.encode(images, seeds.Seeds(0, tf.constant(update), 0))["style"].numpy()
        for update in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first, model.encode(images)["style"])


@every_model
def test_without_averaging_inference_uses_the_weights_themselves(name):
    model = make(name, average=0.0)
    assert model.averaged_encoder is model.encoder
    assert model.averaged_decoder is model.decoder


def test_the_average_follows_its_formula():
    model = make("aae", average=0.6, update_rule="sequential")
    model.compile(keras.optimizers.SGD(0.1))
    weights, expected = [], snapshot(model.encoder)[0]
    for count in range(1, 6):
        train(model)
        weights.append(snapshot(model.encoder)[0])
        rate = max(0.4, 1 / (1 + count / 2))
        expected = expected + rate * (weights[-1] - expected)
    np.testing.assert_allclose(snapshot_all(model.averaged_encoder)[0], expected, rtol=1e-5)


def snapshot_all(network):
    return [variable.numpy() for variable in network.variables]


@pytest.mark.parametrize("name", ["semisup", "supervised", "clustering", "dimreduce"])
def test_generate_takes_the_class_that_is_asked_for(name):
    model = make(name)
    seeds, chosen = tf.constant([4, 4], tf.int64), tf.constant([0, 2])
    style = model.sample_prior(seeds)["style"]
    part = f"{model.categorical.name}_probabilities"
    expected = model.decode({part: tf.one_hot(chosen, model.parts[part]), "style": style})
    np.testing.assert_array_equal(model.generate(seeds, chosen), expected)


@pytest.mark.parametrize("name", ["dimreduce", "dimreduce_unsup"])
def test_the_representation_is_the_head_of_the_class_and_the_style(name):
    model = make(name, style_size=3)
    images, _ = bars(5)
    code = model.encode(images)
    probabilities = code[f"{model.categorical.name}_probabilities"].numpy()
    expected = probabilities @ model.cluster_heads.numpy() + code["style"].numpy()
    np.testing.assert_allclose(code["representation"], expected, rtol=1e-5)
    clone = keras.models.clone_model(model.averaged_decoder)
    clone.set_weights(model.averaged_decoder.get_weights())
    inputs = model.decoder_input(code)
    np.testing.assert_array_equal(clone(inputs), model.averaged_decoder(inputs))
    # The decoder sees nothing else: another code with the same representation decodes the same.
    heads, style = model.cluster_heads.numpy(), np.ones((1, 3), np.float32)
    part = f"{model.categorical.name}_probabilities"
    count = model.parts[part]
    moved = style + heads[0] - heads[1]
    np.testing.assert_allclose(
        model.decode({part: np.eye(count, dtype=np.float32)[:1], "style": style}),
        model.decode({part: np.eye(count, dtype=np.float32)[1:2], "style": moved}),
        atol=1e-5,
    )


def test_features_are_standardised_in_the_graph_and_come_back_on_their_scale():
    x = np.random.default_rng(0).normal([5, -300], [2, 40], (400, 2)).astype(np.float32)
    seen = observation.of(x)
    np.testing.assert_allclose(seen.normalize(x).numpy().mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(seen.normalize(x).numpy().std(axis=0), 1, rtol=1e-5)
    np.testing.assert_allclose(seen.mean(seen.normalize(x)), x, rtol=1e-4)
    model = aae.AdversarialAutoencoder((2,), style_size=1, network="mlp", observation=seen)
    assert model(x[:3]).shape == (3, 2)


def test_a_constant_feature_is_not_divided_by_zero():
    seen = observation.of(np.array([[1.0, 7.0], [3.0, 7.0]], np.float32))
    np.testing.assert_array_equal(seen.normalize(np.array([[2.0, 8.0]])), [[0.0, 1.0]])


def test_pixel_squared_error_is_on_the_scale_of_zero_to_one():
    x = np.full((1, 2, 2, 1), 255, np.uint8)
    error = observation.Pixels().squared_error(x, tf.fill([1, 2, 2, 1], 0.5))
    np.testing.assert_allclose(error, [0.25])


def test_the_squared_error_of_pixels_is_that_of_what_they_are_expected_to_be():
    seen = observation.Pixels("squared_error")
    target, output = tf.constant([[[[1.0]], [[0.5]]]]), tf.constant([[[[0.0]], [[np.log(3.0)]]]])
    # Sigmoids 1/2 and 3/4: squares 1/4 and 1/16, and their mean.
    np.testing.assert_allclose(seen.loss(target, output), [(1 / 4 + 1 / 16) / 2], rtol=1e-6)
    with pytest.raises(ValueError, match="loss='absolute'"):
        observation.Pixels("absolute")


def test_classification_learns_and_classify_predicts():
    model = make("semisup")
    model.compile(optimizers.Adam(1e-2))
    train(model, steps=120, count=24)
    images, labels = bars(24)
    answer = model.classify(images)
    assert np.mean(answer["class"].numpy() == labels) > 0.9
    np.testing.assert_allclose(answer["class_probabilities"].numpy().sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("reconstruction_weight", math.nan, "weight of reconstruction=nan"),
        ("adversarial_weight", -1, "weight of discrimination=-1"),
        ("sliced_weight", math.nan, "weight of sliced_wasserstein=nan"),
        ("classification_weight", math.inf, "weight of classification=inf"),
        ("agreement_weight", -0.5, "weight of agreement=-0.5"),
        ("discriminator_noise", -0.1, "discriminator_noise=-0.1"),
        ("input_noise", math.nan, "input_noise=nan"),
        ("head_distance", -6, "head_distance=-6"),
        ("class_names", ("one", "two"), "Expected 3 class_names"),
    ],
)
def test_arguments_out_of_range_are_refused(name, value, message):
    with pytest.raises(ValueError, match=message):
        models.get("dimreduce")(SHAPE, num_classes=3, **{name: value})


def test_a_phase_is_not_called_as_what_is_measured():
    phase = adversaries.SlicedWasserstein(make("aae").latents[0], 1.0)
    phase.name = "error_rate"
    with pytest.raises(ValueError, match="phases of other names than error_rate"):
        make("aae", extra_phases=[phase])


@pytest.mark.parametrize("name", ["aae", "clustering"])
def test_views_are_a_function_or_none(name):
    with pytest.raises(ValueError, match=r"Expected views: a function, or None. Received: views=7"):
        make(name, views=7)


def test_the_shape_of_examples_may_be_of_numpy_integers():
    made = models.get("aae")(tuple(np.array(SHAPE)), network="mlp", style_size=2)
    assert made.encode(bars(2)[0])["style"].shape == (2, 2)


HALF = tfd.Sample(tfd.LogNormal(0.0, 1.0), 10)  # Where all dimensions are positive.


@pytest.mark.parametrize("prior", ["uniform", priors.get("uniform", 10), HALF])
def test_a_vae_refuses_a_prior_whose_density_is_zero_somewhere(prior):
    with pytest.raises(ValueError, match=r"divergence .* is infinite. Received: prior="):
        models.get("vae")(SHAPE, prior=prior)


@pytest.mark.parametrize("seeds_", [np.array([0.1, 0.9]), np.array([True, False])])
def test_seeds_that_are_no_integers_are_refused(seeds_):
    with pytest.raises(ValueError, match="Expected integer seeds"):
        make("aae").generate(seeds_)


def test_building_a_model_leaves_the_generators_of_the_process_alone():
    keras.utils.set_random_seed(3)
    expected = random.random(), np.random.random(), float(tf.random.uniform([]))
    keras.utils.set_random_seed(3)
    make("semisup", seed=5)
    assert expected == (random.random(), np.random.random(), float(tf.random.uniform([])))


def test_without_a_seed_a_model_follows_that_of_keras():
    weights = []
    for seed in (3, 3, 4):
        keras.utils.set_random_seed(seed)
        weights.append(snapshot(make("aae", seed=None).encoder)[0])
    np.testing.assert_array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])


@pytest.mark.parametrize("scale", [1e-45, 1e-30, 1e25, 1e30])
def test_features_of_any_scale_are_normalised_to_finite_numbers(scale):
    x = (np.random.default_rng(0).normal(2, 1, (50, 3)) * scale).astype(np.float32)
    seen = observation.of(x)
    normalised = seen.normalize(x).numpy()
    assert np.isfinite(normalised).all()
    assert np.isfinite(seen.mean(normalised)).all()
    if scale > 1e-37:
        np.testing.assert_allclose(normalised.std(axis=0), 1, rtol=1e-3)
