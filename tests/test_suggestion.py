"""Which examples are suggested to be labelled."""

from conftest import bars
from conftest import config_of
import numpy as np
import pytest
from test_models import make

from keras_aae import data
from keras_aae import errors
from keras_aae import experiment
from keras_aae.evaluation import suggestion


def test_the_farthest_example_comes_first_and_then_the_farthest_from_it_too():
    candidates = np.array([[0.0, 0], [1, 0], [10, 0], [9, 0], [0, 8]])
    chosen, distances = suggestion._farthest_first(candidates, np.zeros((1, 2)), 4)
    assert chosen.tolist() == [2, 4, 1, 3]
    assert distances.tolist() == [10, 8, 1, 1]


def test_without_labelled_examples_it_begins_at_the_middle():
    candidates = np.array([[-3.0], [0], [4.2], [0.5]])
    chosen, distances = suggestion._farthest_first(candidates, candidates[:0], 4)
    assert chosen.tolist() == [3, 2, 0, 1]
    np.testing.assert_allclose(distances, [np.inf, 3.7, 3.5, 0.5])


@pytest.mark.parametrize("name", ["semisup", "clustering", "dimreduce"])
def test_what_is_like_no_labelled_example_is_suggested(name):
    """Of the unlabelled images two are negatives, and the others copies of labelled ones."""
    x, y = bars(40)
    x[30:] = x[8:18]
    x[[7, 20]] = 255 - x[[7, 20]]
    y[[7, 20, *range(30, 40)]] = data.UNLABELLED
    model = make(name, posterior="universal", class_names=("a", "b", "c"))
    found = suggestion.suggest(model, data.Split(x, y), 10)
    assert set(found.places[:2]) == {7, 20}
    assert len(set(found.places)) == 10
    np.testing.assert_allclose(found.distance[2:], 0, atol=1e-3)
    assert found.distance[1] > 1
    answer = model.classify(x[found.places])
    probabilities = answer[f"{model.prediction}_probabilities"].numpy()
    np.testing.assert_allclose(found.confidence, probabilities.max(axis=1), atol=1e-6)
    names = "abc" if model.prediction == "class" else "0123"
    assert found.predicted == [names[guess] for guess in probabilities.argmax(axis=1)]


def test_all_come_where_few_are_unlabelled_and_an_error_where_none_is():
    x, y = bars(9)
    y[:3] = data.UNLABELLED
    model = make("semisup")
    assert sorted(suggestion.suggest(model, data.Split(x, y), 100).places) == [0, 1, 2]
    with pytest.raises(errors.UserError, match="all training examples have their label"):
        suggestion.suggest(model, data.Split(x, bars(9)[1]), 100)


def test_the_table_is_csv_whatever_names_say():
    found = suggestion.Suggestions(
        np.array([1, 0]), ["a,b", '"'], np.array([0.5, 1]), np.array([3.0, 2])
    )
    assert found.to_csv(np.array(["train/x.png", "train/y, z.png"])).splitlines() == [
        "example,predicted,confidence,distance",
        '"train/y, z.png","a,b",0.5000,3.00',
        'train/x.png,"""",1.0000,2.00',
    ]


def test_models_without_a_class_of_their_encoder_are_refused(tmp_path):
    with pytest.raises(errors.UserError, match="gives classes or clusters"):
        experiment.run(config_of("--model=vae", "--mode=suggest", "--run_dir=x"))
