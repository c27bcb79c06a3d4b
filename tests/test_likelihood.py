import math

from conftest import bars
import numpy as np
import pytest
from test_models import make

from keras_aae import likelihood


def brute_force(samples, x, bandwidth):
    """The window's log-density, one pair at a time."""
    values = []
    for point in x:
        densities = [
            math.exp(-0.5 * sum((point - sample) ** 2) / bandwidth**2)
            / (bandwidth * math.sqrt(2 * math.pi)) ** len(point)
            for sample in samples
        ]
        values.append(math.log(sum(densities) / len(densities)))
    return values


@pytest.mark.parametrize("sizes", [(7,), (3, 4), (1, 1, 5)])
def test_the_window_against_brute_force_in_any_chunks(sizes):
    generator = np.random.default_rng(0)
    samples = generator.normal(size=(7, 3)).astype(np.float32)
    x = generator.normal(size=(5, 3)).astype(np.float32)
    chunks = np.split(samples, np.cumsum(sizes)[:-1])
    found = likelihood.parzen(chunks, x, (0.3, 1.0))
    for row, bandwidth in zip(found, (0.3, 1.0), strict=True):
        np.testing.assert_allclose(row, brute_force(samples, x, bandwidth), rtol=1e-4)


def test_a_single_sample_is_a_gaussian():
    found = likelihood.parzen(
        [np.zeros((1, 784), np.float32)], np.zeros((1, 784), np.float32), (0.2,)
    )
    assert found[0, 0] == pytest.approx(-784 * math.log(0.2 * math.sqrt(2 * math.pi)), rel=1e-6)


def test_far_points_do_not_underflow():
    found = likelihood.parzen(
        [np.zeros((2, 100), np.float32)], np.ones((1, 100), np.float32), (0.01,)
    )
    expected = -0.5 * 100 / 0.01**2 - 100 * math.log(0.01 * math.sqrt(2 * math.pi))
    assert found[0, 0] == pytest.approx(expected, rel=1e-5)


def test_the_estimate_takes_the_bandwidth_that_is_best_on_validation(capsys):
    images, _ = bars(40)
    found = likelihood.estimate(make("aae"), images[:20], images[20:], samples=30)
    bandwidths, nats = zip(*found["curve"], strict=True)
    assert bandwidths == likelihood.BANDWIDTHS
    assert found["bandwidth"] == bandwidths[int(np.argmax(nats))]
    assert found["standard_error"] > 0
    assert "60/60" in capsys.readouterr().err
    assert found == likelihood.estimate(make("aae"), images[:20], images[20:], samples=30)


def test_the_bandwidth_is_chosen_on_images_from_all_of_validation(monkeypatch):
    images, _ = bars(25)
    model = make("aae")
    spread = likelihood.estimate(model, images[:20:3], images[20:], samples=30)
    monkeypatch.setattr(likelihood, "_CHOOSING", 8)
    assert spread == likelihood.estimate(model, images[:20], images[20:], samples=30)
