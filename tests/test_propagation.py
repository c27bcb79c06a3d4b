"""Labels that a graph of nearest neighbours propagates from those given."""

from conftest import bars
from conftest import config_of
import numpy as np
import pytest
from scipy import sparse

from keras_aae import assembly
from keras_aae import data
from keras_aae import errors
from keras_aae.data import propagation

ARC = np.linspace(0, np.pi, 60)


def moons(labels):
    """Two interleaved half circles [120, 2]; given labels stand at the places of a mapping."""
    upper = np.stack([np.cos(ARC), np.sin(ARC)], axis=1)
    x = np.concatenate([upper, [1, 0.4] - upper]).astype(np.float32)
    y = np.full(len(x), data.UNLABELLED, np.int32)
    y[list(labels)] = list(labels.values())
    return data.Split(x, y)


def test_labels_follow_the_neighbours_and_not_the_distance():
    """The ends of each half circle are nearer to a label of the other one."""
    labels = {0: 0, 1: 0, 2: 0, 3: 0, 60: 1, 61: 1, 62: 1, 63: 1}
    train = moons(labels)
    distance = np.linalg.norm(train.x[:, None] - train.x[[0, 60]], axis=-1)
    assert (distance[:60].argmin(axis=1) == 1).any()
    graph = propagation._graph(propagation._features(train.x))
    guesses, ahead = propagation._diffuse(graph, train.y, 2)
    np.testing.assert_array_equal(guesses, np.repeat([0, 1], 60))
    assert ahead.min() > 0


def test_the_surest_seventy_percent_are_kept():
    train = moons({0: 0, 1: 0, 2: 0, 3: 0, 60: 1, 61: 1, 62: 1, 63: 1})
    unknown = train.y < 0
    propagated = propagation.propagate(train, 2)[unknown]
    graph = propagation._graph(propagation._features(train.x))
    _, ahead = propagation._diffuse(graph, train.y, 2)
    kept = propagated >= 0
    assert kept.sum() == round(0.7 * unknown.sum()) == 78
    assert ahead[unknown][kept].min() >= ahead[unknown][~kept].max()
    np.testing.assert_array_equal(propagated[kept], np.repeat([0, 1], 60)[unknown][kept])


@pytest.mark.parametrize(("wrong", "kept"), [(1, 70), (2, 0)])
def test_the_surest_labels_given_must_be_right_in_ninety_five_percent(monkeypatch, wrong, kept):
    """Of 40 labels given the surest 28 count: 27 right are 96 %, 26 are 93."""
    labels = np.where(np.arange(140) < 40, 0, -1)
    guesses = np.zeros(140, int)
    guesses[:wrong] = guesses[28:40] = 1
    monkeypatch.setattr(propagation, "_graph", lambda features: None)
    leads = np.linspace(1, 0.1, 140)
    monkeypatch.setattr(propagation, "_diffuse", lambda graph, labels, classes: (guesses, leads))
    train = data.Split(np.zeros((140, 2), np.float32), labels.astype(np.int32))
    assert (propagation.propagate(train, 2)[40:] >= 0).sum() == kept


def test_features_count_alike_whatever_their_units():
    """One feature in other units than the rest, and large ones."""
    labels = {0: 0, 1: 0, 2: 0, 3: 0, 60: 1, 61: 1, 62: 1, 63: 1}
    train = moons(labels)
    x = train.x * np.array([1e20, 1e-3], np.float32)
    expected = propagation.propagate(train, 2)
    np.testing.assert_array_equal(propagation.propagate(train._replace(x=x), 2), expected)


def test_the_given_labels_stay_as_they_are():
    train = moons({0: 0, 1: 0, 2: 0, 3: 0, 30: 1, 60: 1, 61: 1, 62: 1, 63: 1})
    before = train.y.copy()
    propagated = propagation.propagate(train, 2)
    np.testing.assert_array_equal(train.y, before)
    np.testing.assert_array_equal(propagated[before >= 0], before[before >= 0])


def test_none_are_propagated_where_neighbours_say_nothing():
    generator = np.random.default_rng(0)
    y = np.where(np.arange(400) < 80, generator.integers(0, 2, 400), -1).astype(np.int32)
    train = data.Split(generator.integers(0, 256, (400, 6, 6, 3), np.uint8), y)
    np.testing.assert_array_equal(propagation.propagate(train, 2), y)


def test_labelled_examples_are_bounded_too(monkeypatch):
    """The graph takes so many of all examples, and so many labelled ones."""
    x, y = bars(300)
    monkeypatch.setattr(propagation, "_VALUES", 40 * 12 * 12)
    seen, graph = [], propagation._graph
    monkeypatch.setattr(propagation, "_graph", lambda f: seen.append(len(f)) or graph(f))
    train = data.Split(x, np.where(np.arange(300) % 2 == 1, y, -1).astype(np.int32))
    propagated = propagation.propagate(train, 3)
    assert seen[0] <= 80
    np.testing.assert_array_equal(propagated[1::2], y[1::2])


@pytest.mark.parametrize("labelled", [0, 1, 3])
def test_nothing_is_propagated_that_no_other_label_confirms(labelled):
    x, y = bars(60)
    train = data.Split(x, np.where(np.arange(60) < labelled, y, -1).astype(np.int32))
    np.testing.assert_array_equal(propagation.propagate(train, 3), train.y)


def test_of_one_class_the_labels_are_no_error():
    train = moons(dict.fromkeys(range(20), 0))
    assert set(propagation.propagate(train, 1)) <= {0, -1}


def test_images_that_are_all_alike_are_no_error():
    y = np.where(np.arange(40) < 20, np.arange(40) % 2, -1).astype(np.int32)
    propagated = propagation.propagate(data.Split(np.zeros((40, 4, 4, 1), np.uint8), y), 2)
    assert propagated.shape == (40,)


def test_of_much_data_a_part_and_all_labelled_examples_are_in_the_graph(monkeypatch):
    x, y = bars(300)
    train = data.Split(x, np.where(np.arange(300) % 5 == 1, y, -1).astype(np.int32))
    monkeypatch.setattr(propagation, "_VALUES", 100 * 12 * 12)
    propagated = propagation.propagate(train, 3)
    new = (propagated >= 0) & (train.y < 0)
    assert 0 < new.sum() <= 100
    np.testing.assert_array_equal(propagated[new], y[new])


def test_a_chain_of_three_is_diffused_as_computed_by_hand():
    """(I - 0.99 S)^-1 of a chain with a label at each end: the middle is torn, the ends are not."""
    half = np.sqrt(0.5)
    graph = sparse.csr_matrix([[0, half, 0], [half, 0, half], [0, half, 0]])
    guesses, ahead = propagation._diffuse(graph, np.array([0, -1, 1]), 2)
    inverse = np.linalg.inv(np.eye(3) - 0.99 * graph.toarray())
    mass = inverse[:, [0, 2]] / inverse[:, [0, 2]].sum(axis=0)
    share = mass[0, 0] / mass[0].sum()
    assert guesses[[0, 2]].tolist() == [0, 1]
    np.testing.assert_allclose(ahead, [2 * share - 1, 0, 2 * share - 1], atol=1e-5)


def test_steps_are_checked_and_other_models_refuse_them():
    with pytest.raises(errors.UserError, match=r"propagation_steps=4.*at most --steps=2"):
        config_of("--propagation_steps=4", "--steps=2", "--evaluate_every=2")
    with pytest.raises(errors.UserError, match="propagation_steps: expected a multiple of"):
        config_of("--propagation_steps=3", "--steps=4", "--evaluate_every=2")
    with pytest.raises(errors.UserError, match="propagation_steps"):
        config_of("--model=clustering", "--propagation_steps=200")
    asked = config_of("--propagation_steps=300", "--evaluate_every=300")
    assert (asked.propagation_steps, asked.smoke().propagation_steps) == (300, 10)


def test_where_all_are_labelled_it_is_refused(bars_npz):
    steps = ("--steps=2", "--evaluate_every=2", "--propagation_steps=2")
    config = config_of(f"--dataset={bars_npz}", "--labels=-1", *steps)
    with pytest.raises(errors.UserError, match="all training examples have their label"):
        assembly.load_data(config)
