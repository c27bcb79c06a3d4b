import math

import numpy as np

from keras_aae import priors


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
