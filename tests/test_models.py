"""What must hold for every registered model: found here once, over the whole map."""

import collections
import random

from conftest import bars
import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_aae import models
from keras_aae.models import aae
from keras_aae.models import base
from keras_aae.models import networks
from keras_aae.models import observation
from keras_aae.models import seeds
from keras_aae.models import semisup

tfd = tfp.distributions

SMALL = networks.Family(
    encoder=lambda shape, heads: keras.Model(
        inputs := keras.Input(shape),
        {
            name: keras.layers.Dense(size)(
                keras.layers.Dense(16, "relu")(keras.layers.Flatten()(inputs))
            )
            for name, size in heads.items()
        },
    ),
    decoder=lambda size, shape: keras.Sequential(
        [
            keras.Input((size,)),
            keras.layers.Dense(16, "relu"),
            keras.layers.Dense(int(np.prod(shape))),
            keras.layers.Reshape(shape),
        ]
    ),
    discriminator=lambda size: keras.Sequential(
        [keras.Input((size,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(1)]
    ),
)
SHAPE = (12, 12, 1)


def make(name, **settings):
    settings = {"style_size": 2, "network": SMALL, "seed": 0, **settings}
    if models.get(name).uses_labels:
        settings = {"num_classes": 3, **settings}
    if models.get(name).tells == "cluster":
        settings = {"num_clusters": 4, **settings}
    if name.startswith("dimreduce"):
        settings = {"head_distance": 12.0, **settings}
    if name == "label_informed":
        settings["prior"] = three_clusters(settings["style_size"])
    return models.get(name)(SHAPE, **settings)


def three_clusters(size):
    """A mixture of three Gaussians of standard deviation 0.1 at 0, 2 and 4 on the first axis."""
    centres = tf.one_hot([0, 0, 0], size) * tf.constant([[0.0], [2.0], [4.0]])
    clusters = tfd.MultivariateNormalDiag(centres, tf.fill([3, size], 0.1))
    return tfd.MixtureSameFamily(tfd.Categorical(logits=tf.zeros(3)), clusters)


def minibatch(count=8):
    images, labels = bars(count)
    labels[: count // 2] = -1
    return {"x": tf.constant(images), "y": tf.constant(labels)}


def snapshot(network):
    return [variable.numpy().copy() for variable in network.trainable_variables]


def changed(network, before):
    return any(
        not np.array_equal(old, new.numpy())
        for old, new in zip(before, network.trainable_variables, strict=True)
    )


def train(model, updates=1, count=8):
    data = tf.data.Dataset.from_tensors(minibatch(count)).repeat()
    model.fit(data, steps_per_epoch=updates, verbose=0, shuffle=False)


every_model = pytest.mark.parametrize("name", models.NAMES)
every_update = pytest.mark.parametrize("update", ["joint", "sequential"])


@every_model
def test_a_phase_alone_changes_only_its_own_networks(name):
    model = make(name)
    for index in range(len(model.phases)):
        only = make(name)
        phase = only.phases[index]
        type_with_one_phase(only, index)
        only.compile(keras.optimizers.SGD(0.5))
        everything = trained_networks(only)
        before = [snapshot(network) for network in everything]
        train(only)
        for network, old in zip(everything, before, strict=True):
            assert changed(network, old) == (network in phase.networks), (phase.name, network.name)
    trained = {id(network) for phase in model.phases for network in phase.networks}
    assert trained == {id(network) for network in trained_networks(model)}


def trained_networks(model):
    return [model.encoder, model.decoder, *getattr(model, "discriminators", {}).values()]


def type_with_one_phase(model, index):
    """Makes `model` train phase number `index` alone."""
    cls = type(model)
    model.__class__ = type(
        cls.__name__, (cls,), {"phases": property(lambda s: (cls.phases.fget(s)[index],))}
    )


@every_model
@every_update
def test_every_loss_is_logged_finite_and_the_updates_are_counted(name, update):
    model = make(name, update=update)
    model.compile(keras.optimizers.Adam(1e-3))
    data = tf.data.Dataset.from_tensors(minibatch()).repeat()
    logs = model.fit(data, steps_per_epoch=3, verbose=0, shuffle=False).history
    assert set(logs) == {phase.name for phase in model.phases}
    assert np.isfinite(list(logs.values())).all()
    assert int(model.updates) == 3


@every_model
def test_training_is_repeatable_from_the_seed(name):
    runs = []
    for seed in (1, 1, 2):
        model = make(name, seed=seed)
        model.compile(keras.optimizers.Adam(1e-2))
        train(model, updates=4)
        runs.append(np.concatenate([value.ravel() for value in snapshot(model.encoder)]))
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


@every_model
@every_update
def test_training_brings_the_reconstruction_loss_down(name, update):
    model = make(name, update=update, reconstruction_weight=30.0)
    model.compile(keras.optimizers.Adam(1e-2))
    data = tf.data.Dataset.from_tensors(minibatch(24)).repeat()
    history = model.fit(data, steps_per_epoch=20, epochs=4, verbose=0, shuffle=False).history
    assert history["reconstruction"][-1] < 0.9 * history["reconstruction"][0]


@every_model
@pytest.mark.parametrize("count", [0, 1, 7])
def test_inference_takes_any_batch_size_and_keeps_its_shapes(name, count):
    model = make(name)
    images = bars(max(count, 1))[0][:count]
    code = model.encode(images)
    assert {part: tuple(code[part].shape) for part in model.inferred} == {
        part: (count, model.parts[part]) for part in model.inferred
    }
    labels = tf.zeros([count], tf.int32)
    output = model.decode(code | model.condition(labels)).numpy()
    assert output.shape == (count, *SHAPE)
    assert ((output >= 0) & (output <= 1)).all()
    np.testing.assert_array_equal(output, model(images, labels))


@every_model
def test_an_example_does_not_depend_on_the_others_in_its_batch(name):
    model = make(name)
    model.compile(keras.optimizers.Adam(1e-2))
    train(model, updates=2)
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
    if name == "vae" and posterior == "universal":
        with pytest.raises(ValueError, match=r"density of q\(z\|x\)"):
            make(name, posterior=posterior)
        return
    model = make(name, posterior=posterior)
    model.compile(keras.optimizers.Adam(1e-2))
    train(model, updates=2)
    images, _ = bars(6)
    np.testing.assert_array_equal(model.encode(images)["style"], model.encode(images)["style"])
    first, again, other = (
        model.encode(images, seeds.Seeds(0, tf.constant(update), 0))["style"].numpy()
        for update in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    random = model.posterior != "deterministic"
    assert np.array_equal(first, other) != random
    assert np.array_equal(first, model.encode(images)["style"]) != random


@every_model
def test_without_averaging_inference_uses_the_weights_themselves(name):
    model = make(name, average=0.0)
    assert model.averaged_encoder is model.encoder
    assert model.averaged_decoder is model.decoder


def test_the_average_follows_its_formula():
    model = make("aae", average=0.6, update="sequential")
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


def test_the_objective_is_the_weighted_sum_of_the_phases(monkeypatch):
    model = make(
        "semisup",
        adversarial_weight=2.0,
        classification_weight=5.0,
        agreement_weight=7.0,
        discriminator_noise=0,
    )
    model.compile(keras.optimizers.SGD(0.0))
    batch = base.Batch(
        tf.zeros([4, *SHAPE]), tf.constant([0, 1, -1, -1]), seeds.Seeds(0, tf.constant(0), 0)
    )
    code = model._training_code(batch)
    phases = [phase for phase in model.phases if phase.name != "discrimination"]
    losses = collections.Counter()
    for phase in phases:  # That of "generation" is a sum over the class and the style.
        losses[phase.name] += float(tf.reduce_mean(phase.loss(batch, code)))
    expected = (
        3 * losses["reconstruction"]
        + 2 * losses["generation"]
        + 5 * losses["classification"]
        + 7 * losses["agreement"]
    )
    assert float(model._objective(phases, batch, code)) == pytest.approx(expected, rel=1e-5)
    assert float(model.trackers["generation"].result()) == pytest.approx(losses["generation"])


def test_the_discriminators_learn_to_tell_codes_from_the_prior():
    model = make("aae", update="sequential", discriminator_noise=0.0)
    type_with_one_phase(model, 1)
    model.compile(keras.optimizers.Adam(1e-2))
    train(model, updates=150, count=24)
    prior = model.discriminators["style"](model.priors["style"].sample(200, seed=(1, 1)))
    codes = model.discriminators["style"](model.encoder(bars(24)[0] / 255.0)["style"])
    assert float(tf.reduce_mean(prior)) > float(tf.reduce_mean(codes)) + 1


def test_a_gaussian_posterior_draws_with_the_encoders_mean_and_variance():
    model = make("aae", posterior="gaussian")
    mean, log_variance = tf.constant([[1.0, -2.0]] * 4000), tf.math.log([[4.0, 0.25]] * 4000)
    outputs = {"style": mean, "style_log_variance": log_variance}
    drawn = model.to_code(outputs, seeds.Seeds(0, tf.constant(0), 0))["style"].numpy()
    np.testing.assert_allclose(drawn.mean(axis=0), [1, -2], atol=0.15)
    np.testing.assert_allclose(drawn.std(axis=0), [2, 0.5], rtol=0.05)
    np.testing.assert_array_equal(model.to_code(outputs)["style"], mean)


@pytest.mark.parametrize("prior", ["gaussian", "gaussian_mixture"])
def test_the_divergence_of_a_vae_against_the_formula(prior):
    model = make("vae", prior=prior)
    mean, log_variance = tf.constant([[0.5, -1.0]]), tf.math.log([[0.25, 4.0]])
    code = {"style_mean": mean, "style_log_variance": log_variance, "style": mean + 0.3}
    got = float(model.divergence(None, code)[0])
    if prior == "gaussian":
        # (s^2 + m^2 - 1 - log s^2) / 2 in each dimension.
        expected = (0.25 + 0.25 - 1 - np.log(0.25)) / 2 + (4 + 1 - 1 - np.log(4)) / 2
    else:
        # log q(z|x) at z = mean + 0.3, less log p(z).
        log_q = -0.5 * (0.09 / 0.25 + 0.09 / 4) - 0.5 * np.log(0.25 * 4) - np.log(2 * np.pi)
        expected = log_q - float(model.priors["style"].log_prob([0.8, -0.7]))
    assert got == pytest.approx(expected, rel=1e-5)


def test_a_vae_weighs_its_divergence_as_the_evidence_lower_bound_does():
    weights = {phase.name: phase.weight for phase in make("vae").phases}
    assert weights["reconstruction"] / weights["divergence"] == pytest.approx(12 * 12)


def test_classification_learns_and_classify_tells_it():
    model = make("semisup")
    model.compile(keras.optimizers.Adam(1e-2))
    train(model, updates=120, count=24)
    images, labels = bars(24)
    answer = model.classify(images)
    assert np.mean(answer["class"].numpy() == labels) > 0.9
    np.testing.assert_allclose(answer["class_probabilities"].numpy().sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("name", ["semisup", "supervised", "clustering", "dimreduce"])
def test_generate_takes_the_category_that_is_asked_for(name):
    model = make(name)
    seeds, chosen = tf.constant([4, 4], tf.int64), tf.constant([0, 2])
    style = model.sample_prior(seeds)["style"]
    part = f"{model.category}_probabilities"
    expected = model.decode({part: tf.one_hot(chosen, model.parts[part]), "style": style})
    np.testing.assert_array_equal(model.generate(seeds, chosen), expected)


@pytest.mark.parametrize("name", ["semisup", "clustering"])
def test_a_categorical_model_trains_on_two_views_of_each_example(name):
    x, y = tf.constant(bars(4)[0] / 255.0, tf.float32), tf.constant([2, -1, 0, -1])
    batch = base.Batch(x, y, seeds.Seeds(0, tf.constant(0), 0))
    views = make(name).augment(batch)
    assert views.x.shape == (8, *SHAPE)
    assert views.y.numpy().tolist() == [2, -1, 0, -1] * 2
    assert not np.allclose(views.x[:4], x, atol=0.01)
    assert not np.allclose(views.x[:4], views.x[4:], atol=0.01)
    alone = make(name, agreement_weight=0.0)
    assert alone.augment(batch) is batch
    assert "agreement" not in {phase.name for phase in alone.phases}


def test_the_views_of_a_feature_vector_differ_by_noise_of_its_own_scale():
    x = tf.zeros([500, 4])
    batch = base.Batch(x, tf.fill([500], -1), seeds.Seeds(0, tf.constant(0), 0))
    seen = observation.Features(np.zeros(4), np.ones(4))
    model = models.get("clustering")((4,), num_clusters=3, network="mlp", observation=seen)
    first, second = np.split(model.augment(batch).x.numpy(), 2)
    for difference, stddev in ((first, 0.3), (second, 0.3), (first - second, 0.3 * np.sqrt(2))):
        assert difference.std() == pytest.approx(stddev, rel=0.05)


def test_input_noise_reaches_what_the_encoder_sees_in_training_alone():
    x, y = tf.constant(bars(8)[0] / 255.0, tf.float32), tf.zeros([8], tf.int32)
    batch = base.Batch(x, y, seeds.Seeds(0, tf.constant(0), 0))
    clean, noisy = (make("aae", input_noise=noise) for noise in (0.0, 0.5))
    expected = clean.encode(bars(8)[0])["style"]
    np.testing.assert_allclose(clean._training_code(batch)["style"], expected, atol=1e-5)
    assert np.abs(noisy._training_code(batch)["style"] - expected).mean() > 0.05
    np.testing.assert_allclose(noisy.encode(bars(8)[0])["style"], expected, atol=1e-5)


def test_agreement_compares_the_first_view_with_the_second():
    model = make("clustering")
    sure = tf.one_hot([0, 1, 2, 3], 4)
    agreeing = {"cluster_probabilities": tf.concat([sure, sure], axis=0)}
    assert float(model.agreement(None, agreeing)[0]) == pytest.approx(-np.log(4), rel=1e-4)
    unrelated = {"cluster_probabilities": tf.concat([sure, tf.fill([4, 4], 0.25)], axis=0)}
    assert float(model.agreement(None, unrelated)[0]) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("name", ["dimreduce", "dimreduce_unsup"])
def test_the_representation_is_the_head_of_the_category_and_the_style(name):
    model = make(name, style_size=3)
    images, _ = bars(5)
    code = model.encode(images)
    probabilities = code[f"{model.category}_probabilities"].numpy()
    expected = probabilities @ model.cluster_heads.numpy() + code["style"].numpy()
    np.testing.assert_allclose(code["representation"], expected, rtol=1e-5)
    # The decoder sees nothing else: another code with the same representation decodes the same.
    heads, style = model.cluster_heads.numpy(), np.ones((1, 3), np.float32)
    part = f"{model.category}_probabilities"
    count = model.parts[part]
    moved = style + heads[0] - heads[1]
    np.testing.assert_allclose(
        model.decode({part: np.eye(count, dtype=np.float32)[:1], "style": style}),
        model.decode({part: np.eye(count, dtype=np.float32)[1:2], "style": moved}),
        atol=1e-5,
    )


def test_the_separation_pushes_close_heads_apart_and_leaves_the_others():
    model = make("dimreduce", head_distance=5.0)
    model.__class__ = type("", (type(model),), {"phases": property(lambda s: (separation(s),))})
    model.compile(keras.optimizers.SGD(0.1))
    kernel = model.decoder.get_layer("representation").heads
    kernel.assign([[0.0, 0.0], [3.0, 0.0], [0.0, 100.0]])
    train(model, updates=1)
    # A pair 3 apart lacks 2; each of the two moves by the rate along the line between them.
    np.testing.assert_allclose(kernel.numpy(), [[-0.1, 0], [3.1, 0], [0, 100]], atol=1e-6)


def separation(model):
    return base.Phase("separation", model.separation, (model.decoder,))


def test_the_supervised_encoder_gives_the_style_alone():
    model = make("supervised")
    assert set(model.encode(bars(3)[0])) == {"style"}
    assert set(model.discriminators) == {"style"}
    assert model.decoder.input_shape == (None, 3 + 2)
    np.testing.assert_array_equal(
        model.condition(tf.constant([2, -1]))["class_probabilities"], [[0, 0, 1], [0, 0, 0]]
    )


@pytest.mark.parametrize("name", ["supervised", "semisup", "clustering"])
def test_a_conditional_style_adversary_sees_the_category(name):
    model = make(name, discriminator_noise=0.0)
    batch = base.Batch(
        tf.zeros([2, *SHAPE]), tf.constant([1, 2]), seeds.Seeds(0, tf.constant(0), 0)
    )
    part = f"{model.category}_probabilities"
    given = tf.one_hot([1, 2], model.parts[part])
    expected = model.discriminators["style"](tf.concat([tf.ones([2, 2]), given], axis=1))
    logits = model.judge("style", tf.ones([2, 2]), batch, {part: given}, "noise")
    np.testing.assert_allclose(logits, expected, rtol=1e-6)
    alone = make(name, style_adversary="marginal")
    assert alone.discriminators["style"].input_shape == (None, 2)
    assert model.discriminators["style"].input_shape == (None, 2 + given.shape[1])


def test_a_label_informed_sample_comes_from_its_own_component_or_from_any():
    model = make("label_informed")
    labels = tf.constant([2, 1, 0, *[-1] * 300])
    batch = base.Batch(tf.zeros([303, *SHAPE]), labels, seeds.Seeds(0, tf.constant(0), 0))
    first = model.sample_for("style", batch).numpy()[:, 0]
    np.testing.assert_allclose(first[:3], [4, 2, 0], atol=0.5)
    shares = np.bincount((first[3:] / 2).round().astype(int)) / 300
    np.testing.assert_allclose(shares, 1 / 3, atol=0.1)


def test_a_label_informed_model_classifies_by_the_nearest_component():
    model = make("label_informed")
    code = {"style": tf.constant([[0.1, 0.0], [1.9, 0.3], [3.2, 0.0]])}
    probabilities = model.probabilities(code).numpy()
    assert probabilities.argmax(axis=1).tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="mixture prior of 3 components"):
        models.get("label_informed")(SHAPE, num_classes=3, style_size=2, network=SMALL)


def test_the_label_informed_discriminator_sees_the_label():
    model = make("label_informed", discriminator_noise=0.0)
    batch = base.Batch(
        tf.zeros([2, *SHAPE]), tf.constant([1, -1]), seeds.Seeds(0, tf.constant(0), 0)
    )
    part = tf.ones([4, 2])
    logits = model.judge("style", part, batch, {}, "noise")
    rows = tf.constant([[1.0, 1, 0, 1, 0, 0], [1, 1, 0, 0, 0, 1]])
    expected = model.discriminators["style"](tf.concat([rows, rows], axis=0))
    np.testing.assert_allclose(logits, expected, rtol=1e-6)


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


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"update": "both"}, "update='both'"),
        ({"average": 1.0}, "average=1.0"),
        ({"num_classes": 1}, "num_classes=1"),
        ({"posterior": "flow"}, "posterior='flow'"),
        ({"style_adversary": "none"}, "style_adversary='none'"),
        ({"prior": "swiss_roll", "style_size": 3}, "style_size=2"),
    ],
)
def test_a_wrong_argument_is_named(settings, message):
    with pytest.raises(ValueError, match=message):
        semisup.SemiSupervisedAAE(SHAPE, **settings)


def test_the_squared_error_of_pixels_is_that_of_what_they_are_expected_to_be():
    seen = observation.Pixels("squared_error")
    target, output = tf.constant([[[[1.0]], [[0.5]]]]), tf.constant([[[[0.0]], [[np.log(3.0)]]]])
    # Sigmoids 1/2 and 3/4: squares 1/4 and 1/16, and their mean.
    np.testing.assert_allclose(seen.loss(target, output), [(1 / 4 + 1 / 16) / 2], rtol=1e-6)
    with pytest.raises(ValueError, match="loss='absolute'"):
        observation.Pixels("absolute")


def test_the_adversarial_phases_may_have_an_optimizer_of_their_own():
    for update, adversarial in (
        ("sequential", {"discrimination", "generation"}),
        ("joint", {"adversary"}),
    ):
        model = make("semisup", update=update)
        model.compile(keras.optimizers.SGD(0.1, 0.9), keras.optimizers.SGD(0.1, 0.1))
        momenta = {name: optimizer.momentum for name, optimizer in model.optimizers.items()}
        assert {name for name, momentum in momenta.items() if momentum == 0.1} == adversarial
        assert set(momenta.values()) == {0.1, 0.9}


def test_draws_differ_between_streams_steps_replicas_and_parts():
    draws = {
        tuple(drawn(stream).numpy())
        for step in (0, 1)
        for replica in (0, 1)
        for whole in [seeds.Seeds(7, tf.constant(step), replica)]
        for drawn in (whole, whole.within("generation"))
        for stream in ("style prior", "input noise")
    }
    assert len(draws) == 16
    again = seeds.Seeds(7, tf.constant(1), 1).within("generation")("input noise")
    assert tuple(again.numpy()) in draws


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


def test_switching_one_draw_off_leaves_the_others_as_they_were():
    """Without agreement there are other views, but the same prior samples and initial weights."""
    with_it, without = make("semisup"), make("semisup", agreement_weight=0.0)
    for name, network in with_it.discriminators.items():
        for first, second in zip(
            snapshot(network), snapshot(without.discriminators[name]), strict=True
        ):
            np.testing.assert_array_equal(first, second)
    batch = base.Batch(tf.zeros([4, *SHAPE]), tf.fill([4], -1), seeds.Seeds(0, tf.constant(0)))
    np.testing.assert_array_equal(*(m.sample_for("style", batch) for m in (with_it, without)))
