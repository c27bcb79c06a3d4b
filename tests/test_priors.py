import math

import numpy as np
import pytest
from tensorflow_probability import distributions as tfd

from keras_aae import config
from keras_aae.models import defaults
from keras_aae.models import priors


def test_gaussian_density_against_the_formula():
    prior = priors.gaussian(3, stddev=2.0)
    assert prior.event_shape == [3]
    assert prior.batch_shape == []
    z = np.array([1.0, -2.0, 0.5], np.float32)
    expected = -0.5 * np.sum(z**2) / 4 - 3 * math.log(2.0) - 1.5 * math.log(2 * math.pi)
    np.testing.assert_allclose(prior.log_prob(z), expected, rtol=1e-6)


def test_categorical_gives_one_hot_rows_of_equally_likely_classes():
    prior = priors.categorical(4)
    assert prior.event_shape == [4]
    samples = prior.sample(4000, seed=(1, 2)).numpy()
    assert samples.dtype == np.float32
    np.testing.assert_array_equal(samples.sum(axis=1), 1)
    np.testing.assert_array_equal(np.unique(samples), [0, 1])
    np.testing.assert_allclose(samples.mean(axis=0), 0.25, atol=5 * math.sqrt(0.1875 / 4000))


def test_equal_seeds_give_equal_samples():
    prior = priors.gaussian(2)
    np.testing.assert_array_equal(prior.sample(5, seed=(3, 4)), prior.sample(5, seed=(3, 4)))
    assert not np.array_equal(prior.sample(5, seed=(3, 4)), prior.sample(5, seed=(3, 5)))


def test_uniform_has_unit_variance_and_the_density_of_its_volume():
    prior = priors.uniform(3)
    assert prior.event_shape == [3]
    np.testing.assert_allclose(prior.log_prob([0.1, -1.7, 1.0]), -3 * math.log(2 * math.sqrt(3)))
    assert prior.log_prob([0.0, 0.0, 1.8]) == -math.inf
    samples = prior.sample(20000, seed=(0, 1)).numpy()
    np.testing.assert_allclose(samples.std(axis=0), 1, rtol=0.02)


def test_the_mixture_is_ten_petals_around_the_origin():
    prior = priors.gaussian_mixture()
    # The density at the centre of the petal on the first axis, worked out from the other petals.
    z = np.array([priors._PETAL_RADIUS, 0.0])
    total = 0.0
    for k in range(10):
        along = np.array([math.cos(2 * math.pi * k / 10), math.sin(2 * math.pi * k / 10)])
        offset = z - priors._PETAL_RADIUS * along
        u = offset @ along / priors._PETAL_LENGTH
        v = offset @ np.array([-along[1], along[0]]) / priors._PETAL_WIDTH
        area = 2 * math.pi * priors._PETAL_LENGTH * priors._PETAL_WIDTH
        total += math.exp(-0.5 * (u * u + v * v)) / area / 10
    np.testing.assert_allclose(prior.log_prob(z.astype(np.float32)), math.log(total), rtol=1e-4)
    turn = 2 * math.pi / 10
    rotated = np.array([math.cos(turn), math.sin(turn)]) * priors._PETAL_RADIUS
    np.testing.assert_allclose(
        prior.log_prob(rotated.astype(np.float32)), prior.log_prob(z.astype(np.float32)), rtol=1e-4
    )


def test_the_roll_is_even_along_its_length_and_narrow_across():
    prior = priors.swiss_roll()
    start, end = (2 * math.pi * turns for turns in priors._ROLL_TURNS)
    t = np.linspace(start + 0.4, end - 0.2, 50)
    c = priors._ROLL_RADIUS / end
    on = np.stack([c * t * np.cos(t), c * t * np.sin(t)], axis=-1).astype(np.float32)
    density = prior.log_prob(on).numpy()
    assert density.max() - density.min() < 0.15
    # An independent estimate: one over the length times the width of a Gaussian's section.
    length = c * np.trapezoid(np.sqrt(1 + t_all(start, end) ** 2), t_all(start, end))
    expected = -math.log(length * priors._ROLL_WIDTH * math.sqrt(2 * math.pi))
    np.testing.assert_allclose(density.mean(), expected, atol=0.1)
    between = on * ((t - math.pi) / t)[:, None].astype(np.float32)
    assert prior.log_prob(between[20:]).numpy().max() < density.mean() - 5


def t_all(start, end):
    return np.linspace(start, end, 10001)


@pytest.mark.parametrize("name", defaults.PRIORS)
def test_every_prior_is_a_density(name):
    prior = priors.get(name, 2)
    assert prior.event_shape == [2]
    assert prior.batch_shape == []
    ticks = np.linspace(-4, 4, 201)
    grid = np.stack(np.meshgrid(ticks, ticks), axis=-1).astype(np.float32).reshape(-1, 2)
    mass = (
        np.exp(prior.log_prob(grid).numpy().astype(np.float64)).sum() * (ticks[1] - ticks[0]) ** 2
    )
    np.testing.assert_allclose(mass, 1, atol=0.01)
    samples = prior.sample(1000, seed=(1, 1))
    assert samples.dtype == np.float32
    assert np.abs(samples).max() < 6


def test_the_settings_offer_every_prior():
    choices = config.Config.__dataclass_fields__["prior"].metadata["choices"]
    assert choices == defaults.PRIORS


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        ("cauchy", 2, "Received: 'cauchy'"),
        ("gaussian_mixture", 3, "style_size=2 for prior='gaussian_mixture'"),
        (priors.gaussian(4), 2, r"event_shape \[2\]"),
        (tfd.MultivariateNormalDiag(np.zeros(2), np.ones(2)), 2, "dtype float32"),
        (tfd.Independent(tfd.Bernoulli(logits=[0.0, 0.0]), 1), 2, "dtype float32"),
    ],
)
def test_a_prior_that_does_not_fit_is_refused(name, size, message):
    with pytest.raises(ValueError, match=message):
        priors.get(name, size)


def test_a_distribution_of_ones_own_passes():
    mine = priors.gaussian(2, stddev=5.0)
    assert priors.get(mine, 2) is mine
