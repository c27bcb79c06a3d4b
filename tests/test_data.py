from conftest import bars
import numpy as np
import pytest
import tensorflow as tf

from keras_aae import data
from keras_aae import errors
from keras_aae.data import raw_data
from keras_aae.data import splits


@pytest.mark.parametrize(
    "settings", [{"batch_size": -4}, {"batch_size": 4.0}, {"augment_shift": -1}, {"start": -1}]
)
def test_minibatches_are_of_whole_numbers(bars_npz, settings):
    (name,) = settings
    with pytest.raises(ValueError, match=f"Expected {name}, a whole number"):
        data.minibatches(data.load(bars_npz), **settings)


def test_minibatches_have_a_label_for_each_example(bars_npz):
    dataset = data.load(bars_npz)
    few = dataset._replace(train=data.Split(dataset.train.x, dataset.train.y[:50]))
    with pytest.raises(ValueError, match=r"Received: 135 examples, labels of shape \(50,\)"):
        data.minibatches(few)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.eye(3)[[0, 1]], r"shape \(2, 3\)"),
        (np.array([0.5, 1]), "Received: dtype float64"),
        (np.array([-2, 1]), "Received: -2"),
        (np.array(["a", "b"]), "Received: dtype <U1"),
    ],
)
def test_labels_that_are_none_are_refused(labels, message):
    split = data.Split(np.zeros((2, 4), np.float32), labels)
    with pytest.raises(ValueError, match=message):
        data.minibatches(data.Dataset(split, split, split, ("a", "b", "c")))


def test_minibatches_are_of_a_dataset_with_examples():
    none = data.Split(np.zeros((0, 4), np.float32), np.zeros(0, np.int32))
    with pytest.raises(ValueError, match="Received: 0 examples"):
        data.minibatches(data.Dataset(none, none, none, ("a", "b")))
    with pytest.raises(ValueError, match=r"Expected a data\.Dataset\. Received: Split"):
        data.minibatches(none)


@pytest.mark.parametrize("labels", [np.array([0, 2], np.uint8), [0, 2]])
def test_labels_may_be_a_list_or_of_any_integer_dtype(labels):
    split = data.Split(np.zeros((2, 4), np.float32), labels)
    whole = data.Dataset(split, split, split, ("a", "b", "c"))
    batch = next(iter(data.minibatches(whole, batch_size=2, labelled_batch_size=2)))
    assert batch["y"].numpy().tolist() == [-1, -1]
    assert sorted(batch["labelled"]["y"].numpy()) == [0, 2]


def test_the_split_is_balanced_disjoint_and_drawn_from_the_seed(bars_npz):
    first, again, other = (
        data.load(bars_npz, labels=9, validation=0.2, seed=seed) for seed in (0, 0, 1)
    )
    assert np.bincount(first.validation.y).tolist() == [10, 10, 10]
    assert len(first.train.x) == 120
    together = np.concatenate([first.train.x, first.validation.x])
    assert len(np.unique(together.reshape(150, -1), axis=0)) == 150
    for one, two in zip(first[:3], again[:3], strict=True):
        np.testing.assert_array_equal(one.x, two.x)
        np.testing.assert_array_equal(one.y, two.y)
    assert not np.array_equal(first.train.y, other.train.y)


@pytest.mark.parametrize(("labels", "each"), [(0, 0), (9, 3), (-1, 40)])
def test_only_the_given_labels_are_kept_and_they_are_right(bars_npz, labels, each):
    dataset = data.load(str(bars_npz), labels=labels, validation=0.2)
    known = dataset.train.y >= 0
    assert np.bincount(dataset.train.y[known], minlength=3).tolist() == [each] * 3
    everything = data.load(str(bars_npz), labels=-1, validation=0.2)
    np.testing.assert_array_equal(dataset.train.y[known], everything.train.y[known])


def test_the_given_labels_do_not_change_what_is_held_out(bars_npz):
    few, many = (data.load(str(bars_npz), labels=n, validation=0.2) for n in (9, 90))
    np.testing.assert_array_equal(few.validation.x, many.validation.x)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"labels": 10}, "multiple of 3"),
        ({"labels": 300}, "needs 100 of each class, but class 0 has 45"),
        ({"validation": 0.001}, "too few to hold out"),
        ({"validation": -0.5}, "--validation=-0.5: expected a share between 0 and 1"),
        ({"validation": float("nan")}, "--validation=nan: expected a share"),
        ({"seed": -1}, "--seed=-1: expected 0 or more"),
    ],
)
def test_an_impossible_split_is_refused(bars_npz, settings, message):
    with pytest.raises(errors.UserError, match=message):
        data.load(str(bars_npz), **settings)


@pytest.mark.parametrize(
    "length, count, expected",
    [(6, 3, [0, 2, 4]), (7, 3, [0, 2, 4]), (3, 3, [0, 1, 2]), (2, 5, [0, 1]), (0, 5, [])],
)
def test_some_examples_of_a_split_come_from_all_over_it(length, count, expected):
    split = data.Split(np.arange(length), np.arange(length) % 2)
    found = split.spread(count)
    assert found.x.tolist() == expected
    assert found.y.tolist() == [index % 2 for index in expected]


def test_labels_of_a_data_set_without_any_are_refused(tmp_path):
    np.savez(tmp_path / "x.npz", x_train=np.zeros((20, 3, 3), np.uint8))
    with pytest.raises(errors.UserError, match="has no labels"):
        data.load(str(tmp_path / "x.npz"), labels=10)
    assert data.load(str(tmp_path / "x.npz"), labels=0).classes == ()


def numbered(count, labelled):
    """A dataset whose image i is filled with i; the first `labelled` have their index as label."""
    x = np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, 2, 2, 1))
    y = np.where(np.arange(count) < labelled, np.arange(count), -1).astype(np.int32)
    split = data.Split(np.array(x), y)
    return data.Dataset(split, split, split, tuple("abcd"))


def indices(part):
    return part["x"][:, 0, 0, 0].numpy().tolist()


def rows(dataset, take, context=None):
    """The indices of the examples in each of the first batches, the labelled ones at the end."""
    return [
        indices(batch) + indices(batch["labelled"]) for batch in dataset.batches(context).take(take)
    ]


def test_each_pass_has_every_example_once_in_a_new_order():
    batches = data.minibatches(numbered(10, 4), batch_size=5, labelled_batch_size=2)
    seen = rows(batches, take=8)
    passes = [seen[i][:5] + seen[i + 1][:5] for i in range(0, 8, 2)]
    assert all(sorted(one) == list(range(10)) for one in passes)
    assert len({tuple(one) for one in passes}) == 4
    labelled = [row for batch in seen for row in batch[5:]]
    assert all(sorted(labelled[i : i + 4]) == [0, 1, 2, 3] for i in range(0, 16, 4))


def test_labels_come_only_with_the_labelled_part():
    batches = data.minibatches(numbered(10, 4), batch_size=5, labelled_batch_size=2)
    for batch in batches.batches().take(4):
        assert batch["y"].numpy().tolist() == [-1] * 5
        assert batch["labelled"]["y"].numpy().tolist() == indices(batch["labelled"])


@pytest.mark.parametrize("files", [(), tuple(f"train/{number}.png" for number in range(30))])
def test_each_training_example_knows_where_it_comes_from(files):
    x, y = bars(30)
    x[:, 0, 0, 0] = np.arange(30)
    raw = raw_data.Raw(x, y, x[:0], y[:0], ("a", "b", "c"), files)
    train, origins = (splits.split(raw, labels=3)[index] for index in (0, 4))
    places = train.x[:, 0, 0, 0].tolist()
    assert origins.tolist() == [files[place] if files else place for place in places]


def test_a_batch_may_be_all_labelled():
    batches = data.minibatches(numbered(10, 4), batch_size=0, labelled_batch_size=2)
    for batch in batches.batches().take(2):
        assert batch["y"].numpy().tolist() == indices(batch)
        assert "labelled" not in batch


def test_a_later_start_gives_the_batches_that_would_have_come():
    settings = {"seed": 3, "batch_size": 4, "labelled_batch_size": 2, "augment_shift": 1}
    dataset = numbered(10, 4)
    whole = list(data.minibatches(dataset, **settings).batches().take(6))
    rest = list(data.minibatches(dataset, start=4, **settings).batches().take(2))
    for expected, batch in zip(whole[4:], rest, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, expected, batch)


def test_replicas_share_the_global_batch():
    settings = {"batch_size": 4, "labelled_batch_size": 2}
    context = tf.distribute.InputContext(num_replicas_in_sync=2)
    whole = rows(data.minibatches(numbered(12, 4), **settings), take=3)
    parts = rows(data.minibatches(numbered(12, 4), **settings), 6, context)
    joined = [
        first[:2] + second[:2] + first[2:] + second[2:]
        for first, second in zip(parts[::2], parts[1::2], strict=True)
    ]
    assert joined == whole


def test_feature_vectors_are_not_shifted():
    split = data.Split(np.zeros((4, 3), np.float32), np.zeros(4, np.int32))
    with pytest.raises(ValueError, match="augment_shift=0 for feature vectors"):
        data.minibatches(data.Dataset(split, split, split, ("a",)), augment_shift=2)


def test_a_batch_that_does_not_divide_is_refused():
    context = tf.distribute.InputContext(num_replicas_in_sync=2)
    with pytest.raises(errors.UserError, match=r"--batch_size.*of the 2 replicas\. Received: 5"):
        data.minibatches(numbered(10, 4), batch_size=5).batches(context)


def test_a_labelled_batch_without_labels_is_refused():
    with pytest.raises(errors.UserError, match="no training example has one"):
        data.minibatches(numbered(10, 0), labelled_batch_size=5)


def test_batches_are_mixed_even_where_the_data_is_sorted_by_class():
    x, _ = bars(1000, classes=2)
    y = np.repeat([0, 1], 500).astype(np.int32)
    split = data.Split(x, y)
    batches = data.minibatches(data.Dataset(split, split, split, ("a", "b")), batch_size=100)
    position = {one.tobytes(): index for index, one in enumerate(x)}
    for batch in batches.batches().take(10):
        share = np.mean([position[one.tobytes()] < 500 for one in batch["x"].numpy()])
        assert 0.3 < share < 0.7


def test_a_pass_is_as_many_steps_as_its_examples_take():
    assert data.minibatches(numbered(10, 4), batch_size=3).steps_per_pass == 4
    batches = data.minibatches(numbered(10, 4), batch_size=0, labelled_batch_size=2)
    assert batches.steps_per_pass == 2


def test_a_sample_of_a_dataset_is_kept_and_read_back(tmp_path, monkeypatch):
    dataset = numbered(10, 4)
    path = tmp_path / "examples.npz"
    path.write_bytes(dataset.sample().to_bytes())
    again = data.Dataset.read(path)
    assert again.classes == tuple("abcd")
    for one, two in zip(dataset[:3], again[:3], strict=True):
        np.testing.assert_array_equal(one.x, two.x)
        np.testing.assert_array_equal(one.y, two.y)
    monkeypatch.setattr(splits, "_KEPT_BYTES", 4 * 5)  # Five images of four bytes.
    assert dataset.sample().train.x[:, 0, 0, 0].tolist() == [0, 2, 4, 6, 8]
    path.write_bytes(dataset._replace(classes=tuple("abc")).to_bytes())
    with pytest.raises(errors.UserError, match=r"examples.npz: damaged \(its arrays don't go"):
        data.Dataset.read(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(errors.UserError, match=r"examples.npz: not a readable .npz"):
        data.Dataset.read(path)


@pytest.mark.parametrize("count", [-2, -3, -10])
def test_fewer_labels_than_none_are_refused(bars_npz, count):
    with pytest.raises(errors.UserError, match=f"--labels={count}: expected -1, all, or 0"):
        data.load(str(bars_npz), labels=count)


def test_one_example_of_each_class_at_least_is_trained_on(tmp_path, capsys):
    y = np.array([0] * 20 + [1] * 20 + [2])
    x = np.zeros((41, 2), np.float32)
    np.savez(tmp_path / "x.npz", x_train=x, y_train=y, x_test=x[:1], y_test=np.array([3]))
    dataset = data.load(str(tmp_path / "x.npz"), validation=0.9)
    np.testing.assert_array_equal(np.bincount(dataset.train.y), [2, 2, 1])
    assert capsys.readouterr().err == "no training example has the class 3\n"


@pytest.mark.parametrize("limit", [0, -1, np.nan])
def test_a_limit_of_memory_that_is_none_is_refused(bars_npz, limit):
    for name in ("mnist_5k", str(bars_npz)):
        with pytest.raises(errors.UserError, match=r"--max_memory=.*: expected more than 0"):
            data.load(name, max_memory=limit)
    with pytest.raises(errors.UserError, match=r"--dataset=mnist_5k: takes about 0.00392 GB"):
        data.load("mnist_5k", max_memory=0.001)


def test_a_place_of_tfds_is_refused_for_other_data(bars_npz):
    for name in ("mnist_5k", str(bars_npz)):
        with pytest.raises(errors.UserError, match=r"--data_dir=there: .* no data set of TFDS"):
            data.load(name, data_dir="there")
