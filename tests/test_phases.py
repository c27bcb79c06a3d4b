"""Latent variables, phases and update rules against values worked out by hand."""

import math

from conftest import bars
import keras
import numpy as np
import pytest
import tensorflow as tf
from test_models import SHAPE
from test_models import SMALL
from test_models import make
from test_models import snapshot
from test_models import train

from keras_aae import models
from keras_aae.models import latents
from keras_aae.models import observation
from keras_aae.models import optimizers
from keras_aae.models import phases
from keras_aae.models import seeds
from keras_aae.models import semisup
from keras_aae.models import updates


def batch_of(x, y, **settings):
    count = settings.pop("count", len(y))
    return phases.Batch(x, tf.constant(y), count, seeds.Seeds(0, tf.constant(0)), **settings)


def phase(model, name, latent=None):
    """The model's phase of that name; of an adversary's, that of a latent variable."""
    found = [each for each in model.phases if each.name == name]
    return next(each for each in found if latent is None or each.adversary.latent.name == latent)


def test_the_objective_is_the_weighted_sum_of_the_phases():
    model = make(
        "semisup",
        adversarial_weight=2.0,
        classification_weight=5.0,
        agreement_weight=7.0,
        discriminator_noise=0,
    )
    model.compile(keras.optimizers.SGD(0.0))
    batch = batch_of(tf.zeros([4, *SHAPE]), [0, 1, -1, -1])
    code = model.training_code(batch)
    trained = [each for each in model.phases if each.name != "discrimination"]
    values = [float(tf.reduce_mean(each.loss(model, batch, code))) for each in trained]
    weights = {"reconstruction": 3, "generation": 2, "sliced_wasserstein": 1}
    weights |= {"classification": 5, "agreement": 7}
    expected = sum(weights[each.name] * value for each, value in zip(trained, values, strict=True))
    objective = model.update_rule.objective(model, "autoencoder", batch, code)
    assert float(objective) == pytest.approx(expected, rel=1e-5)
    # What is logged is without weights, and the sum over the class and the style.
    generation = sum(
        v for each, v in zip(trained, values, strict=True) if each.name == "generation"
    )
    logged = {metric.name: float(metric.result()) for metric in model.metrics}
    assert logged["generation"] == pytest.approx(generation)


def test_the_discriminators_learn_to_tell_codes_from_the_prior():
    model = make("aae", update_rule="sequential", discriminator_noise=0.0)
    model.phases = (phase(model, "discrimination"),)
    model.compile(optimizers.Adam(1e-2))
    train(model, steps=150, count=24)
    prior = model.discriminators["style"](model.priors["style"].sample(200, seed=(1, 1)))
    codes = model.discriminators["style"](model.encoder(bars(24)[0] / 255.0)["style"])
    assert float(tf.reduce_mean(prior)) > float(tf.reduce_mean(codes)) + 1


def test_a_gaussian_posterior_draws_with_the_encoders_mean_and_variance():
    z = latents.Style(2, "gaussian", "gaussian")
    assert z.encoder_outputs == {"style": 2, "style_log_variance": 2}
    mean, log_variance = tf.constant([[1.0, -2.0]] * 4000), tf.math.log([[4.0, 0.25]] * 4000)
    outputs = {"style": mean, "style_log_variance": log_variance}
    drawn = z.code(outputs, seeds.Seeds(0, tf.constant(0)))["style"].numpy()
    np.testing.assert_allclose(drawn.mean(axis=0), [1, -2], atol=0.15)
    np.testing.assert_allclose(drawn.std(axis=0), [2, 0.5], rtol=0.05)
    np.testing.assert_array_equal(z.code(outputs, None)["style"], mean)


def test_a_universal_posterior_gives_the_encoder_noise_beside_the_example():
    model = make("aae", posterior="universal")
    example, noise = model.encoder.input_shape
    assert example == (None, *SHAPE)
    assert noise == (None, 2)


def test_a_categorical_variable_is_the_softmax_of_its_logits():
    y = latents.Categorical("class", 3)
    code = y.code({"class_logits": tf.math.log([[1.0, 2.0, 1.0]])}, None)
    np.testing.assert_allclose(code["class_probabilities"], [[0.25, 0.5, 0.25]], rtol=1e-6)
    np.testing.assert_array_equal(
        y.one_hot(tf.constant([2, -1]))["class_probabilities"], [[0, 0, 1], [0, 0, 0]]
    )


def test_one_hot_samples_of_a_batch_have_each_value_as_often():
    y = latents.Categorical("cluster", 4)
    counts = [
        y.sample(10, tf.constant([seed, 0])).numpy().sum(axis=0).astype(int) for seed in range(40)
    ]
    assert all(sorted(each) == [2, 2, 3, 3] for each in counts)
    assert np.ptp(np.sum(counts, axis=0)) < 15  # No value is preferred: 100 each, about.


def test_the_sliced_distance_alone_leads_codes_to_their_prior():
    model = make("aae", average=0.0)
    model.phases = (phase(model, "sliced_wasserstein"),)
    model.compile(optimizers.Adam(1e-2))
    train(model, steps=100, count=60)
    codes = model.encode(bars(60)[0])["style"].numpy()
    np.testing.assert_allclose(codes.mean(axis=0), 0, atol=0.3)
    np.testing.assert_allclose(codes.std(axis=0), 1, atol=0.3)
    alone = make("aae", sliced_weight=0.0)
    assert [each.name for each in alone.phases][1:] == ["discrimination", "generation"]


@pytest.mark.parametrize("prior", ["gaussian", "gaussian_mixture"])
def test_the_divergence_of_a_vae_against_the_formula(prior):
    model = make("vae", prior=prior)
    mean, log_variance = tf.constant([[0.5, -1.0]]), tf.math.log([[0.25, 4.0]])
    code = {"style_mean": mean, "style_log_variance": log_variance, "style": mean + 0.3}
    got = float(phase(model, "divergence").loss(model, None, code)[0])
    if prior == "gaussian":
        # (s^2 + m^2 - 1 - log s^2) / 2 in each dimension.
        expected = (0.25 + 0.25 - 1 - np.log(0.25)) / 2 + (4 + 1 - 1 - np.log(4)) / 2
    else:
        # log q(z|x) at z = mean + 0.3, less log p(z).
        log_q = -0.5 * (0.09 / 0.25 + 0.09 / 4) - 0.5 * np.log(0.25 * 4) - np.log(2 * np.pi)
        expected = log_q - float(model.priors["style"].log_prob([0.8, -0.7]))
    assert got == pytest.approx(expected, rel=1e-5)


def test_a_vae_weighs_its_divergence_as_the_evidence_lower_bound_does():
    weights = {each.name: each.weight for each in make("vae").phases}
    assert weights["reconstruction"] / weights["divergence"] == pytest.approx(12 * 12)


@pytest.mark.parametrize("name", ["semisup", "clustering"])
def test_a_model_with_agreement_trains_on_a_view_of_each_example_besides(name):
    x = tf.constant(bars(4)[0] / 255.0, tf.float32)
    batch = batch_of(x, [2, -1, 0, -1])
    views = make(name).with_views(batch)
    assert views.x.shape == (8, *SHAPE)
    assert views.y.numpy().tolist() == [2, -1, 0, -1] * 2
    assert views.count == 4
    np.testing.assert_array_equal(views.x[:4], x)
    assert not np.allclose(views.x[4:], x, atol=0.01)
    for without in ({"views": "none"}, {"views": None}):
        alone = make(name, **without)
        assert alone.with_views(batch) is batch
        assert "agreement" not in {each.name for each in alone.phases}


def test_without_agreement_views_are_made_for_what_learns_from_labels():
    semisup, clustering = (make(name, agreement_weight=0.0) for name in ("semisup", "clustering"))
    for model in (semisup, clustering):
        assert "agreement" not in {each.name for each in model.phases}
    assert semisup.views
    assert clustering.views is None


def test_the_views_of_a_feature_vector_differ_by_noise_of_its_own_scale():
    batch = batch_of(tf.zeros([500, 4]), [-1] * 500)
    model = models.get("clustering")((4,), num_clusters=3)
    first, second = np.split(model.with_views(batch).x.numpy(), 2)
    assert not first.any()
    assert second.std() == pytest.approx(0.3, rel=0.05)


@pytest.mark.parametrize("name", models.NAMES)
@pytest.mark.parametrize("rule", ["joint", "sequential"])
def test_views_and_examples_drawn_for_their_labels_teach_the_class_alone(name, rule):
    """Two rows of a batch are the data as it is; the others differ wildly."""
    losses = []
    for others in (0.0, 1.0):
        model = make(name, update_rule=rule, extra_phases=[Mean()])
        model.compile(keras.optimizers.SGD(0.0))
        x = tf.concat([bars(2)[0] / 255.0, tf.fill([4, *SHAPE], others)], axis=0)
        model.update_rule(model, batch_of(x, [-1, -1, 0, 1, 0, 1], count=2))
        losses.append({metric.name: float(metric.result()) for metric in model.metrics})
    informed = ("discrimination", "generation") if name == "label_informed" else ()
    differing = {key for key in losses[0] if losses[0][key] != losses[1][key]} - {"error_rate"}
    assert differing == {"agreement", "classification", *informed} & set(losses[0])


class Mean(phases.Phase):
    """A user's phase: the mean of the examples that it sees, two of six."""

    def __init__(self):
        super().__init__("mean")

    def networks(self, model):
        return (model.encoder,)

    def loss(self, model, batch, code):
        tf.debugging.assert_equal(tf.shape(batch.x)[0], 2)
        tf.debugging.assert_equal(tf.shape(code["style"])[0], 2)
        return tf.reduce_mean(batch.x, axis=[1, 2, 3])


def test_input_noise_reaches_what_the_encoder_sees_in_training_alone():
    images = bars(8)[0]
    batch = batch_of(tf.constant(images / 255.0, tf.float32), [0] * 8)
    clean, noisy = (make("aae", input_noise=noise) for noise in (0.0, 0.5))
    expected = clean.encode(images)["style"]
    np.testing.assert_allclose(clean.training_code(batch)["style"], expected, atol=1e-5)
    assert np.abs(noisy.training_code(batch)["style"] - expected).mean() > 0.05
    np.testing.assert_allclose(noisy.encode(images)["style"], expected, atol=1e-5)
    held_out = batch._replace(training=False)
    np.testing.assert_allclose(noisy.training_code(held_out)["style"], expected, atol=1e-5)


def agreement_of(model, first, second):
    code = {model.categorical.part: tf.concat([first, second], axis=0)}
    return float(phase(model, "agreement").loss(model, None, code)[0])


def test_agreement_compares_examples_with_their_views():
    """In the first step the moving average is the joint distribution of the batch."""
    sure = tf.one_hot([0, 1, 2, 3], 4)
    assert agreement_of(make("clustering"), sure, sure) == pytest.approx(-np.log(4), rel=1e-4)
    unsure = tf.fill([4, 4], 0.25)
    assert agreement_of(make("clustering"), sure, unsure) == pytest.approx(0, abs=1e-5)


def test_agreement_sees_the_joint_distribution_of_many_steps():
    model = make("clustering")
    first, second = tf.one_hot([0, 1], 4), tf.one_hot([2, 3], 4)
    assert agreement_of(model, first, first) == pytest.approx(-np.log(2), rel=1e-4)
    model.step.assign(1)
    # Half of what was seen is (0, 0) and (1, 1), half (2, 2) and (3, 3): four clusters, not two.
    assert agreement_of(model, second, second) == pytest.approx(-np.log(4), rel=1e-4)


def learned(shares):
    """A model of four classes whose learned prior has these shares."""
    model = make("semisup", num_classes=4, class_prior="learned")
    model.class_shares.assign(np.array(shares) - 0.25)
    return model


def test_a_learned_prior_moves_from_equal_shares_to_those_that_are_found():
    model = learned([0.25] * 4)
    prior = model.priors["class_probabilities"]
    np.testing.assert_allclose(prior.probs_parameter(), [0.25] * 4)
    found = tf.constant([[1.0, 0, 0, 0], [0.5, 0.5, 0, 0]])
    model.categorical.learn_prior(found)
    np.testing.assert_allclose(prior.probs_parameter(), [0.255, 0.25, 0.2475, 0.2475], atol=1e-6)
    # Where the average has come to what is found, a tenth of an equal share stays to each.
    model.class_shares.assign(np.array([0.75, 0.25, 0, 0]) - 0.25)
    expected = np.array([3, 1, 0.1, 0.1]) / 4.2
    np.testing.assert_allclose(prior.probs_parameter(), expected, atol=1e-6)


def test_samples_of_a_learned_prior_have_its_shares():
    model = learned([0.4, 0.3, 0.2, 0.1])
    for seed in range(20):
        sample = model.categorical.sample(tf.constant(50), tf.constant([seed, 0])).numpy()
        assert sample.sum(axis=1).tolist() == [1] * 50
        assert np.abs(sample.sum(axis=0) - [20, 15, 10, 5]).max() <= 1
    drawn = model.sample_prior(np.arange(2000))["class_probabilities"].numpy().mean(axis=0)
    np.testing.assert_allclose(drawn, [0.4, 0.3, 0.2, 0.1], atol=0.04)


def test_agreement_holds_classes_to_a_learned_prior():
    """Sure views that have p(y) itself cost its KL to equal shares less than I: log K in all."""
    shares = [0.5, 0.25, 0.125, 0.125]
    sure = tf.one_hot([0, 0, 0, 0, 1, 1, 2, 3], 4)
    assert agreement_of(learned(shares), sure, sure) == pytest.approx(-np.log(4), rel=1e-4)
    equal = tf.one_hot([0, 1, 2, 3], 4)
    divergence = sum(0.25 * np.log(0.25 / np.array(shares)))
    expected = divergence - np.log(4)
    assert agreement_of(learned(shares), equal, equal) == pytest.approx(expected, rel=1e-4)


def test_a_step_moves_a_learned_prior_and_an_evaluation_does_not():
    model = make("dimreduce")
    model.compile(keras.optimizers.SGD(0.0))
    model.evaluate(bars(12)[0], verbose=0)
    assert not model.class_shares.numpy().any()
    train(model)
    found = model.encode(bars(8)[0])["class_probabilities"].numpy().mean(axis=0)
    np.testing.assert_allclose(model.class_shares, 0.01 * (found - 1 / 3), atol=1e-5)


def test_pseudo_labels_are_those_that_the_averaged_encoder_is_sure_of():
    model = make("semisup", pseudo_label_weight=1.0)
    odds = math.log(0.96 / 0.02)  # Of one class to each of two others.
    seen = tf.constant([[odds, 0, 0], [0, odds, 0], [1.0, 0, 0]])
    logits = tf.constant([[0.0, 0, 0], [0, 3.0, 0], [5.0, 0, 0]])
    asked = []

    def training_code(batch):
        asked.append(batch)
        return {"class_probabilities": tf.nn.softmax(seen)}

    model.training_code = training_code
    batch = batch_of(tf.range(6.0)[:, None], [-1] * 6, count=3)
    code = {"class_logits": tf.concat([seen, logits], axis=0)}
    loss = phase(model, "pseudo_labels").loss(model, batch, code)
    expected = [np.log(3), np.log(1 + 2 * np.exp(-3)), 0]
    np.testing.assert_allclose(loss, expected, atol=1e-6)
    (teacher,) = asked
    assert not teacher.training
    assert teacher.x.numpy().tolist() == [[0], [1], [2]]


def test_the_consistency_is_of_the_class_that_the_averaged_encoder_reads(monkeypatch):
    model = make("semisup", consistency_weight=1.0)
    drawn = {"class": tf.one_hot([2, 0], 3), "style": tf.constant([[0.5, -1.0], [2.0, 0.0]])}
    for latent in model.latents:
        monkeypatch.setattr(latent, "sample", lambda _, seed, name=latent.name: drawn[name])
    batch = batch_of(tf.zeros((2, *SHAPE)), [-1, -1], count=2)
    loss = phase(model, "consistency").loss(model, batch, {})
    code = {"class_probabilities": drawn["class"], "style": drawn["style"]}
    images = tf.sigmoid(model.decoder_output(code, training=True))
    read = model.encode(images)["class_probabilities"].numpy()  # Averaged, and in [0, 1].
    np.testing.assert_allclose(loss, -np.log(read[[0, 1], [2, 0]]), rtol=1e-4)


@pytest.mark.parametrize("name", ["semisup", "clustering"])
def test_the_consistency_teaches_the_decoder_alone_what_is_asked_for(name):
    model = make(name, consistency_weight=1.0)
    model.phases = (phase(model, "consistency"),)
    model.compile(optimizers.Adam(0.01))
    before = [snapshot(each) for each in (model.encoder, model.decoder)]
    losses = [train(model)["consistency"][0] for _ in range(12)]
    assert losses[-1] < 0.9 * losses[0]
    after = [snapshot(each) for each in (model.encoder, model.decoder)]
    same = [
        all(np.array_equal(*pair) for pair in zip(*both, strict=True))
        for both in zip(before, after, strict=True)
    ]
    assert same == [True, False]


@pytest.mark.parametrize("shape", [SHAPE, (5,)])
def test_weights_that_are_not_finite_show_in_the_losses_and_raise_nothing(shape):
    beyond = {"class_prior": "learned", "pseudo_label_weight": 1.0, "consistency_weight": 1.0}
    model = models.get("semisup")(shape, num_classes=3, network="mlp", seed=0, **beyond)
    model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    for variable in model.decoder.trainable_variables:
        variable.assign(tf.fill(variable.shape, np.nan))
    x, y = np.random.default_rng(0).random((8, *shape), np.float32), np.arange(8) % 3
    history = model.fit(x, y, batch_size=8, verbose=0).history
    assert np.isnan(history["reconstruction"][0])
    assert np.isnan(history["consistency"][0])


@pytest.mark.parametrize("seen", [observation.Pixels(), observation.Features([1.0], [3.0])])
def test_what_a_decoder_says_is_read_again_as_an_example_would_be(seen):
    output = tf.constant([[0.5], [-2.0]])
    np.testing.assert_allclose(
        seen.reread(output), observation.Observation.reread(seen, output), rtol=1e-6
    )


def test_without_views_there_are_no_pseudo_labels():
    for settings in ({"pseudo_label_weight": 0.0}, {"pseudo_label_weight": 1.0, "views": None}):
        assert "pseudo_labels" not in {each.name for each in make("semisup", **settings).phases}


def test_the_separation_pushes_close_heads_apart_and_leaves_the_others():
    model = make("dimreduce", head_distance=5.0)
    model.phases = (phase(model, "separation"),)
    model.compile(keras.optimizers.SGD(0.1))
    heads = model.decoder.get_layer("representation").heads
    heads.assign([[0.0, 0.0], [3.0, 0.0], [0.0, 100.0]])
    train(model)
    # The penalty of a pair 3 apart is 5 - 3, its gradient a unit vector along the line between.
    np.testing.assert_allclose(heads.numpy(), [[-0.1, 0], [3.1, 0], [0, 100]], atol=1e-6)


def test_the_supervised_encoder_gives_the_style_alone():
    model = make("supervised")
    assert set(model.encode(bars(3)[0])) == {"style"}
    assert set(model.discriminators) == {"style"}
    assert model.decoder.input_shape == (None, 3 + 2)
    np.testing.assert_array_equal(
        model.label_code(tf.constant([2, -1]))["class_probabilities"], [[0, 0, 1], [0, 0, 0]]
    )


@pytest.mark.parametrize("name", ["supervised", "semisup", "clustering"])
def test_a_conditional_style_discriminator_receives_the_class(name):
    model = make(name, discriminator_noise=0.0)
    batch, part = batch_of(tf.zeros([2, *SHAPE]), [1, 2]), model.categorical.part
    code = {part: tf.one_hot([1, 2], model.parts[part]), "style": tf.ones([2, 2])}
    generation = phase(model, "generation", "style")
    inputs = tf.concat([code["style"], code[part]], axis=1)
    logits = model.discriminators["style"](inputs)
    expected = np.log1p(np.exp(-logits.numpy()[:, 0]))  # -log sigmoid(logit).
    np.testing.assert_allclose(generation.loss(model, batch, code), expected, rtol=1e-5)
    alone = make(name, style_adversary="marginal")
    assert alone.discriminators["style"].input_shape == (None, 2)
    assert model.discriminators["style"].input_shape == (None, 2 + model.parts[part])


def test_a_label_informed_sample_comes_from_its_own_component_or_from_any():
    model = make("label_informed")
    batch = batch_of(tf.zeros([303, *SHAPE]), [2, 1, 0, *[-1] * 300])
    first = phase(model, "discrimination").adversary.sample(batch).numpy()[:, 0]
    np.testing.assert_allclose(first[:3], [4, 2, 0], atol=0.5)
    shares = np.bincount((first[3:] / 2).round().astype(int)) / 300
    np.testing.assert_allclose(shares, 1 / 3, atol=0.1)


def test_a_label_informed_model_classifies_by_the_nearest_component():
    model = make("label_informed")
    code = {"style": tf.constant([[0.1, 0.0], [1.9, 0.3], [3.2, 0.0]])}
    assert model.class_logits(code).numpy().argmax(axis=1).tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="mixture prior of 3 components"):
        models.get("label_informed")(SHAPE, num_classes=3, network=SMALL)


def test_the_label_informed_discriminator_receives_the_label_or_unlabelled():
    model = make("label_informed", discriminator_noise=0.0)
    batch = batch_of(tf.zeros([2, *SHAPE]), [1, -1])
    context = phase(model, "generation").adversary.context(model, batch, {})
    np.testing.assert_array_equal(context, [[0, 1, 0, 0], [0, 0, 0, 1]])
    assert model.discriminators["style"].input_shape == (None, 2 + 4)


@updates.register("tests_twice")
class Twice(updates.JointUpdate):
    """Each minibatch is two steps of the joint update."""

    def __call__(self, model, batch):
        super().__call__(model, batch)
        super().__call__(model, batch)


def test_an_update_rule_of_ones_own_trains_and_comes_back(tmp_path):
    model = make("aae", update_rule="tests_twice")
    model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    train(model, steps=3)
    assert {int(each.iterations) for each in model.optimizers.values()} == {6}
    model.save(tmp_path / "model.keras")
    assert isinstance(keras.models.load_model(tmp_path / "model.keras").update_rule, Twice)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"update_rule": "both"}, "update_rule='both'"),
        ({"average": 1.0}, "average=1.0"),
        ({"num_classes": 1}, "num_classes=1"),
        ({"posterior": "flow"}, "posterior='flow'"),
        ({"style_adversary": "none"}, "style_adversary='none'"),
        ({"class_prior": "equal"}, "class_prior='equal'"),
        ({"prior": "swiss_roll", "style_size": 3}, "style_size=2"),
        ({"average": 0.0, "consistency_weight": 0.1}, "Expected averaged weights.*average=0.0"),
    ],
)
def test_a_wrong_argument_is_named(settings, message):
    with pytest.raises(ValueError, match=message):
        semisup.SemiSupervisedAAE(SHAPE, **settings)


def test_the_adversarial_steps_may_have_an_optimizer_of_their_own():
    for rule, adversarial in (
        ("sequential", {"discrimination", "generation"}),
        ("joint", {"adversary"}),
    ):
        model = make("semisup", update_rule=rule)
        model.compile(keras.optimizers.SGD(0.1, 0.9), keras.optimizers.SGD(0.1, 0.1))
        momenta = {name: optimizer.momentum for name, optimizer in model.optimizers.items()}
        assert {name for name, momentum in momenta.items() if momentum == 0.1} == adversarial
        assert set(momenta.values()) == {0.1, 0.9}


class Shrinkage(phases.Phase):
    """A phase of one's own: the squared length of the style."""

    def __init__(self):
        super().__init__("shrinkage", weight=2.0)

    def networks(self, model):
        return (model.encoder,)

    def loss(self, model, batch, code):
        return tf.reduce_sum(code["style"] ** 2, axis=-1)


@pytest.mark.parametrize("name", models.NAMES)
def test_every_model_takes_a_phase_of_ones_own(name):
    model = make(name, extra_phases=(Shrinkage(),))
    model.phases = tuple(each for each in model.phases if each.name == "shrinkage")
    model.compile(keras.optimizers.SGD(0.05), run_eagerly=True)
    history = [float(train(model)["shrinkage"][0]) for _ in range(5)]
    assert history[-1] < history[0]


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


@pytest.mark.parametrize("name", models.NAMES)
@pytest.mark.parametrize("rule", ["joint", "sequential"])
def test_no_stream_is_drawn_from_twice_in_a_step(name, rule, monkeypatch):
    model = make(name, update_rule=rule, input_noise=0.1, posterior="universal")
    model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    drawn, original = [], seeds.Seeds.__call__

    def spy(self, stream):
        drawn.append(self._part + stream)
        return original(self, stream)

    monkeypatch.setattr(seeds.Seeds, "__call__", spy)
    train(model)
    assert len(drawn) == len(set(drawn)) > 0


def test_switching_one_draw_off_leaves_the_others_as_they_were():
    """Without agreement the prior samples and initial weights are the same."""
    with_it, without = make("semisup"), make("semisup", agreement_weight=0.0)
    for name, network in with_it.discriminators.items():
        for first, second in zip(
            snapshot(network), snapshot(without.discriminators[name]), strict=True
        ):
            np.testing.assert_array_equal(first, second)
    batch = batch_of(tf.zeros([4, *SHAPE]), [-1] * 4)
    samples = [
        phase(each, "discrimination", "style").adversary.sample(batch)
        for each in (with_it, without)
    ]
    np.testing.assert_array_equal(*samples)


def test_observations_read_their_config_back():
    for seen in (observation.Pixels("squared_error"), observation.Features([1.0, 2.0], [3.0, 0.0])):
        again = type(seen).from_config(seen.get_config())
        assert again.get_config() == seen.get_config()
