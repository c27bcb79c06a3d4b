"""Images that stay on the disk: the same images, the same run."""

import os

from conftest import SMOKE
from conftest import bars
from conftest import run_here
import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_aae
from keras_aae import data
from keras_aae import errors
from keras_aae.data import npz
from keras_aae.data import rows
from keras_aae.data import sources
from keras_aae.data import splits
from keras_aae.training import loop

LITTLE = 1e-6  # GB: any images here take more.


@pytest.fixture
def saved(tmp_path):
    """Colour images and the path of an uncompressed file that has them."""
    x = np.random.default_rng(0).integers(0, 256, (50, 5, 7, 3), np.uint8)
    np.savez(tmp_path / "x.npz", a=np.arange(3), x_train=x)
    return x, tmp_path / "x.npz"


def on_disk(path, name="x_train"):
    x = npz.read(path, [name], max_memory=LITTLE)[name]
    assert isinstance(x, rows.Rows)
    return x


@pytest.mark.parametrize(
    "which",
    [slice(None), slice(3, 40, 6), slice(0, 0), [4], [9, 2, 2, 49], np.arange(50) % 3 == 0],
)
def test_images_on_the_disk_are_those_of_the_array(saved, which):
    x, path = saved
    found = on_disk(path)
    assert (found.shape, found.ndim, found.dtype, len(found)) == (x.shape, 4, x.dtype, 50)
    which = np.array(which) if isinstance(which, list) else which
    np.testing.assert_array_equal(found[which], x[which])
    some = rows.take(found, which)
    assert isinstance(some, rows.Rows)
    np.testing.assert_array_equal(np.asarray(some), x[which])
    np.testing.assert_array_equal(some[:2], x[which][:2])


def test_images_without_a_channel_axis_get_one(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (20, 6, 6), np.uint8)
    np.savez(tmp_path / "x.npz", x_train=x, y_train=np.arange(20) % 2)
    raw = sources.read(str(tmp_path / "x.npz"), max_memory=LITTLE)
    assert isinstance(raw.x_train, rows.Rows)
    np.testing.assert_array_equal(np.asarray(raw.x_train), x[..., None])


@pytest.mark.parametrize(
    ("x", "save"),
    [
        (np.zeros((50, 5, 7, 3), np.uint8), np.savez_compressed),
        (np.zeros((50, 5, 7, 3), np.float32), np.savez),
        (np.asfortranarray(np.zeros((50, 5, 7, 3), np.uint8)), np.savez),
        (np.zeros((5000,), np.uint8), np.savez),
    ],
)
def test_what_does_not_stand_in_the_file_as_in_memory_is_refused(tmp_path, x, save):
    save(tmp_path / "x.npz", x_train=x)
    with pytest.raises(errors.UserError, match="of memory to read"):
        npz.read(tmp_path / "x.npz", ["x_train"], max_memory=LITTLE)


def test_labels_count_even_where_the_images_stay_on_the_disk(saved):
    _, path = saved
    with pytest.raises(errors.UserError, match="of memory to read"):
        npz.read(path, ["x_train", "a"], max_memory=1e-9)


def test_a_file_that_is_replaced_or_cut_off_while_it_is_in_use(saved):
    x, path = saved
    found = on_disk(path)
    path.rename(path.with_name("old.npz"))
    np.savez(path, x_train=255 - x)
    np.testing.assert_array_equal(found[:], x)
    os.truncate(path.with_name("old.npz"), 1000)
    with pytest.raises(errors.UserError, match=r"x\.npz: became shorter while it was read"):
        found[40:]


def test_a_file_that_is_written_anew_while_it_is_in_use_is_refused(saved):
    x, path = saved
    found = on_disk(path)
    np.testing.assert_array_equal(found[:3], x[:3])
    os.utime(path, ns=(0, 0))  # The clock may be too coarse for what follows at once.
    np.savez(path, x_train=255 - x)
    with pytest.raises(errors.UserError, match=r"x\.npz: changed while it was in use"):
        found[:3]


def test_a_flipped_bit_in_images_on_the_disk_is_seen(saved):
    x, path = saved
    content = bytearray(path.read_bytes())
    content[content.index(x[30].tobytes())] ^= 1
    path.write_bytes(content)
    with pytest.raises(errors.UserError, match=r"not a readable \.npz file .*CRC"):
        npz.read(path, ["x_train"], max_memory=LITTLE)


def test_rows_of_another_dtype_than_they_say_are_refused():
    found = rows.Rows(lambda places: np.zeros(len(places)), np.arange(3), (), np.dtype(np.uint8))
    with pytest.raises(ValueError, match=r"Expected examples of uint8. Received: float64"):
        found[:2]


def test_a_file_that_is_cut_off_in_training_ends_it_with_its_name(saved):
    _, path = saved
    split = data.Split(on_disk(path), np.full(50, -1, np.int32))
    dataset = data.Dataset(split, split, split, ())
    batches = data.minibatches(dataset, batch_size=10)
    os.truncate(path, 1000)
    with pytest.raises(tf.errors.OpError):
        next(iter(batches))
    assert "x.npz: became shorter while it was read" in str(batches.error)
    model = keras_aae.AdversarialAutoencoder((5, 7, 3), network="mlp")
    model.compile()
    with pytest.raises(errors.UserError, match=r"x\.npz: became shorter"):
        loop._fit(model, batches, 0, 2, 1, keras.callbacks.Callback())


def test_chunks_are_the_whole_in_order(saved, monkeypatch):
    x, path = saved
    monkeypatch.setattr(rows, "_CHUNK", 7 * x[0].nbytes)
    parts = list(rows.chunks(on_disk(path)))
    assert [len(part) for part in parts] == [7] * 7 + [1]
    np.testing.assert_array_equal(np.concatenate(parts), x)
    monkeypatch.setattr(rows, "_CHUNK", 1)
    assert len(list(rows.chunks(x))) == 50


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """An .npz file whose images take more than the least that --max_memory can be, 1 MB."""
    path = tmp_path_factory.mktemp("data") / "bars.npz"
    (x_train, y_train), (x_test, y_test) = bars(420, side=30), bars(60, seed=1, side=30)
    x_train, x_test = (np.repeat(images, 3, axis=3) for images in (x_train, x_test))
    np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    return path


def test_splits_and_minibatches_do_not_know_the_difference(large):
    found = [
        splits.load(str(large), labels=30, max_memory=max_memory) for max_memory in (None, 0.001)
    ]
    in_memory, on_disk = found
    assert [type(each.train.x) for each in found] == [np.ndarray, rows.Rows]
    assert in_memory.digest() == on_disk.digest()
    for one, other in zip(in_memory.sample()[:3], on_disk.sample()[:3], strict=True):
        assert isinstance(other.x, np.ndarray)
        np.testing.assert_array_equal(one.x, other.x)
    streams = [
        iter(data.minibatches(each, batch_size=10, labelled_batch_size=4, augment_shift=1))
        for each in found
    ]
    for _ in range(3):
        one, other = (next(stream) for stream in streams)
        assert one["x"].shape == other["x"].shape
        np.testing.assert_array_equal(one["x"], other["x"])
        np.testing.assert_array_equal(one["labelled"]["x"], other["labelled"]["x"])


def test_a_run_from_the_disk_ends_as_one_in_memory(large, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ends = []
    for name, how in (("memory", ()), ("disk", ("--max_memory=0.001",))):
        run = (f"--dataset={large}", f"--run_dir={name}", "--network=mlp", *SMOKE, *how)
        results = run_here(*run)
        numbers = ("validation", "test", "prior_match", "style_probe", "calibration")
        figures = sorted((tmp_path / name).glob("figures/*"))
        ends.append(
            [
                *(results[key] for key in numbers),
                *((each.name, each.read_bytes()) for each in figures),
            ]
        )
    assert ends[0] == ends[1]
