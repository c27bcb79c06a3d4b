import numpy as np
import pytest

from keras_aae.evaluation import prior_match
from keras_aae.models import priors


def samples(count, seed, size=2):
    return priors.gaussian(size).sample(count, seed=(7, seed)).numpy()


def test_the_sliced_distance_of_a_shift_is_its_mean_projection():
    points = samples(500, 1)
    # |shift . direction| averaged over the circle is 2 / pi.
    distance = prior_match.sliced_wasserstein(points, points + [3.0, 0.0])
    assert distance == pytest.approx(3 * 2 / np.pi, rel=0.05)
    assert prior_match.sliced_wasserstein(points, points[::-1]) == 0


@pytest.mark.parametrize("size", [1, 2, 10])
def test_the_prior_matches_itself(size):
    numbers = [
        prior_match.prior_match(*(samples(5000, seed + k, size) for k in range(3)))
        for seed in (1, 11, 21, 31)
    ]
    mean = {key: np.mean([number[key] for number in numbers]) for key in numbers[0]}
    assert mean["sliced_wasserstein_ratio"] == pytest.approx(1, abs=0.5)
    assert mean["hole_rate"] == pytest.approx(0.01, abs=0.005)
    assert mean["outside_rate"] == pytest.approx(0.01, abs=0.005)


def test_a_hole_and_outliers_are_found_by_their_share():
    codes, first, second = (samples(5000, seed) for seed in (1, 2, 3))
    left = codes[:, 0] < 0
    halved = np.where(left[:, None], -codes, codes)  # No code on the left.
    numbers = prior_match.prior_match(halved, first, second)
    assert numbers["hole_rate"] == pytest.approx(0.45, abs=0.05)
    assert numbers["outside_rate"] < 0.03
    far = np.concatenate([codes[:4000], codes[4000:] + 50])
    numbers = prior_match.prior_match(far, first, second)
    assert numbers["outside_rate"] == pytest.approx(0.2 + 0.8 * 0.01, abs=0.01)
    assert numbers["sliced_wasserstein_ratio"] > 50


def test_fewer_codes_than_samples_are_compared_with_as_many():
    numbers = prior_match.prior_match(samples(200, 1), samples(900, 2), samples(900, 3))
    assert set(numbers) == {"sliced_wasserstein_ratio", "hole_rate", "outside_rate"}
