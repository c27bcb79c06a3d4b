import math

from conftest import bars
import numpy as np
import pytest
from test_models import make

from keras_aae import data
from keras_aae.evaluation import likelihood


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


def log_density(chunks, x, bandwidths):
    window = likelihood.Window(x, bandwidths)
    for chunk in chunks:
        window.add(chunk)
    return window.log_density()


@pytest.mark.parametrize("sizes", [(7,), (3, 4), (1, 1, 5)])
def test_the_window_against_brute_force_in_any_chunks(sizes, monkeypatch):
    monkeypatch.setattr(likelihood, "_ROWS", 2)
    generator = np.random.default_rng(0)
    samples = generator.normal(size=(7, 3)).astype(np.float32)
    x = generator.normal(size=(5, 3)).astype(np.float32)
    chunks = np.split(samples, np.cumsum(sizes)[:-1])
    found = log_density(chunks, x, (0.3, 1.0))
    for row, bandwidth in zip(found, (0.3, 1.0), strict=True):
        np.testing.assert_allclose(row, brute_force(samples, x, bandwidth), rtol=1e-4)


def test_a_single_sample_is_a_gaussian():
    found = log_density([np.zeros((1, 784), np.float32)], np.zeros((1, 784), np.float32), (0.2,))
    assert found[0, 0] == pytest.approx(-784 * math.log(0.2 * math.sqrt(2 * math.pi)), rel=1e-6)


def test_far_points_do_not_underflow():
    found = log_density([np.zeros((2, 100), np.float32)], np.ones((1, 100), np.float32), (0.01,))
    expected = -0.5 * 100 / 0.01**2 - 100 * math.log(0.01 * math.sqrt(2 * math.pi))
    assert found[0, 0] == pytest.approx(expected, rel=1e-5)


@pytest.fixture
def estimate(tmp_path):
    """Estimates on a few bars, 20 of validation and 20 of test, in chunks of ten samples."""
    split = data.Split(*bars(40))
    twenty, test = split.take(slice(20)), split.take(slice(20, None))
    model = make("aae")

    def estimate(samples, validation=twenty, name="run"):
        directory = tmp_path / name
        return likelihood.estimate(model, validation, test, samples, directory)

    return estimate


def test_the_estimate_takes_the_bandwidth_that_is_best_on_validation(estimate, capsys):
    found = estimate(30)
    bandwidths, nats = zip(*found["curve"], strict=True)
    assert bandwidths == likelihood.BANDWIDTHS
    assert found["bandwidth"] == bandwidths[int(np.argmax(nats))]
    assert found["standard_error"] > 0
    assert "30/30" in capsys.readouterr().err
    assert found == estimate(30, name="again")


def test_the_bandwidth_is_chosen_on_images_from_all_of_validation(estimate, monkeypatch):
    validation = data.Split(*bars(20))
    spread = estimate(30, validation.take(slice(None, None, 4)))
    monkeypatch.setattr(likelihood, "_CHOOSING", 5)
    assert spread == estimate(30, validation, name="again")


def test_a_killed_estimate_goes_on(estimate, monkeypatch, capsys):
    monkeypatch.setattr(likelihood, "_CHUNK", 10)
    monkeypatch.setattr(likelihood, "_KEEP", 20)
    whole = estimate(55)
    add = likelihood.Window.add

    def killed(window, samples):
        if window.count == 30:
            raise KeyboardInterrupt
        add(window, samples)

    monkeypatch.setattr(likelihood.Window, "add", killed)
    with pytest.raises(KeyboardInterrupt):
        estimate(55, name="killed")
    monkeypatch.setattr(likelihood.Window, "add", add)
    capsys.readouterr()
    assert whole == estimate(55, name="killed")
    assert "20/55" in capsys.readouterr().err


def test_an_estimate_of_fewer_samples_leaves_that_of_more_as_it_is(estimate, tmp_path):
    estimate(45)
    kept = (tmp_path / "run/likelihood-45.npz").read_bytes()
    assert estimate(25) == estimate(25, name="fresh")
    assert (tmp_path / "run/likelihood-45.npz").read_bytes() == kept


def test_what_another_model_or_other_images_left_is_not_taken_up(estimate, tmp_path):
    found = estimate(30)
    with np.load(tmp_path / "run/likelihood-30.npz") as kept:
        other = dict(kept) | {"key": "sha256:other", "sums": 0 * kept["sums"]}
    np.savez(tmp_path / "run/likelihood-30.npz", **other)
    assert found == estimate(30)
    inverted = data.Split(255 - bars(20)[0], bars(20)[1])
    assert estimate(30, inverted) == estimate(30, inverted, name="fresh") != found


def test_damaged_sums_are_begun_again(estimate, tmp_path, capsys):
    found = estimate(30)
    kept = tmp_path / "run/likelihood-30.npz"
    kept.write_bytes(kept.read_bytes()[:100])
    assert found == estimate(30)
    assert "likelihood-30.npz: not a readable .npz file" in capsys.readouterr().err
