import io
import os
import pathlib
import re
import subprocess
import warnings

from conftest import PROPERTY
from conftest import assert_checked
from conftest import bars
from conftest import damaged
import hypothesis
from hypothesis import strategies
import numpy as np
from PIL import Image
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_aae import errors
from keras_aae.data import rows
from keras_aae.data import sources
from keras_aae.data import tfds_source

SHARED = pathlib.Path(__file__).resolve().parents[2] / "shared" / "tfds"


def test_mnist_5k_is_the_embedded_mnist_in_a_balanced_fixed_split():
    raw = sources.read("mnist_5k")
    assert raw.x_train.shape == (4000, 28, 28, 1)
    assert raw.x_test.shape == (1000, 28, 28, 1)
    assert raw.x_train.dtype == np.uint8
    np.testing.assert_array_equal(np.bincount(raw.y_train), 400)
    np.testing.assert_array_equal(np.bincount(raw.y_test), 100)
    assert raw.x_train.max() == 255
    assert raw.classes == tuple("0123456789")


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the prepared MNIST in ../shared/tfds")
def test_prepared_tfds_mnist():
    raw = sources.read("mnist", str(SHARED))
    assert raw.x_train.shape == (60000, 28, 28, 1)
    assert raw.x_test.shape == (10000, 28, 28, 1)
    # The published class counts of the MNIST test set.
    assert np.bincount(raw.y_test).tolist() == [
        980,
        1135,
        1032,
        1010,
        982,
        892,
        958,
        1028,
        974,
        1009,
    ]


def test_a_prepared_tfds_colour_data_set(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (7, 6, 5, 3)).astype(np.uint8)
    labels = np.array([0, 1, 1, 0, 1, 0, 1])

    def split(rows):
        examples = {"image": images[rows], "label": labels[rows]}
        return tf.data.Dataset.from_tensor_slices(examples)

    tfds.dataset_builders.store_as_tfds_dataset(
        name="colours",
        version="1.0.0",
        features=tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(6, 5, 3), encoding_format="png"),
                "label": tfds.features.ClassLabel(names=["cold", "warm"]),
            }
        ),
        split_datasets={"train": split(slice(5)), "test": split(slice(5, 7))},
        data_dir=tmp_path,
    )
    numbers = tfds.features.FeaturesDict({"image": np.uint8, "label": np.int64})
    whole = tf.data.Dataset.from_tensors({"image": np.uint8(1), "label": 2})
    tfds.dataset_builders.store_as_tfds_dataset(
        "numbers", "1.0.0", features=numbers, split_datasets={"train": whole}, data_dir=tmp_path
    )
    assert sources.is_at_hand("colours", str(tmp_path))
    raw = sources.read("colours", str(tmp_path))
    np.testing.assert_array_equal(np.sort(raw.x_train.ravel()), np.sort(images[:5].ravel()))
    assert sorted(raw.y_train) == [0, 0, 1, 1, 1]
    assert raw.y_train.dtype == np.int32
    assert raw.x_test.shape == (2, 6, 5, 3)
    assert raw.classes == ("cold", "warm")
    on_disk = sources.read("colours", str(tmp_path), max_memory=6e-7)
    assert isinstance(on_disk.x_train, rows.Rows) and isinstance(on_disk.x_test, rows.Rows)
    for found, expected in zip(on_disk[:5], raw[:5], strict=True):
        np.testing.assert_array_equal(found, expected)
    assert (raw.origins, on_disk.origins) == ((), tuple("01234"))
    with pytest.raises(errors.UserError, match="expected an image-classification data set"):
        sources.read("numbers", str(tmp_path))
    record = next(tmp_path.rglob("*train.*"))
    record.write_bytes(record.read_bytes()[:-20])
    with pytest.raises(errors.UserError, match="colours, split train: not readable"):
        sources.read("colours", str(tmp_path))


def write_pictures(
    path, file_format, images, splits=("train", "test"), shards=None, size=(None, None)
):
    """A TFDS data set `pictures` of images of any size; the class of each is its place modulo 2."""
    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(*size, 3), encoding_format="png"),
            "label": tfds.features.ClassLabel(names=["cold", "warm"]),
        }
    )
    examples = [{"image": image, "label": place % 2} for place, image in enumerate(images)]
    spec = {"image": tf.TensorSpec([None, None, 3], tf.uint8), "label": tf.TensorSpec([], tf.int64)}
    dataset = tf.data.Dataset.from_generator(lambda: iter(examples), output_signature=spec)
    tfds.dataset_builders.store_as_tfds_dataset(
        "pictures",
        "1.0.0",
        features=features,
        split_datasets=dict.fromkeys(splits, dataset),
        data_dir=path,
        file_format=file_format,
        download_config=tfds.download.DownloadConfig(num_shards=shards),
    )
    return path


def pictures(*sizes):
    generator = np.random.default_rng(0)
    return [generator.integers(0, 256, (*size, 3)).astype(np.uint8) for size in sizes]


@pytest.mark.parametrize("file_format", ["tfrecord", "array_record"])
@pytest.mark.parametrize("max_memory", [None, 1e-9])
def test_tfds_images_of_any_size_are_read_record_by_record(
    tmp_path, capsys, file_format, max_memory
):
    images = pictures((4, 5), (4, 5), (4, 5), (8, 10), (4, 5))
    write_pictures(tmp_path, file_format, images, shards=2)
    raw = sources.read("pictures", str(tmp_path), max_memory)
    assert isinstance(raw.x_train, np.ndarray if max_memory is None else rows.Rows)
    assert raw.x_train.shape == raw.x_test.shape == (5, 4, 5, 3)
    assert sorted(raw.y_train) == [0, 0, 0, 1, 1]
    labels = {image.tobytes(): place % 2 for place, image in enumerate(images)}
    found = [labels.get(image.tobytes()) for image in np.asarray(raw.x_train)]
    scaled = found.index(None)
    assert [*found[:scaled], 1, *found[scaled + 1 :]] == raw.y_train.tolist()
    said = capsys.readouterr().err
    assert "pictures: scaled 2 images to 5 x 4 pixels (pictures, split train, record " in said
    with pytest.raises(errors.UserError, match="pictures: has images of 3 sizes"):
        other = write_pictures(tmp_path / "b", file_format, pictures((4, 5), (8, 10), (8, 5)))
        sources.read("pictures", str(other))
    raw = sources.read("pictures", str(other), image_size=6)
    assert raw.x_train.shape == (3, 6, 6, 3)


@pytest.mark.parametrize("settings", [{}, {"max_memory": 1e-9}, {"on_bad_image": "skip"}])
def test_a_changed_bit_of_a_record_is_seen_by_its_checksum(tmp_path, settings):
    write_pictures(tmp_path, "tfrecord", pictures(*[(4, 5)] * 4), splits=["train"])
    path = next(tmp_path.rglob("*train.*"))
    whole = bytearray(path.read_bytes())
    whole[whole.index(b"label") + 12] ^= 1
    path.write_bytes(whole)
    with pytest.raises(
        errors.UserError, match=r"split train: not readable \(pictures-.* damaged record"
    ):
        sources.read("pictures", str(tmp_path), **settings)


@pytest.mark.parametrize("size", [(4, 5), (None, None)], ids=["whole", "by record"])
@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("label", [2, -2, 2**40, None])
def test_a_label_of_tfds_that_is_no_class_is_named(tmp_path, size, split, label):
    write_pictures(tmp_path, "tfrecord", pictures(*[(4, 5)] * 4), size=size)
    path = next(tmp_path.rglob(f"*{split}.*"))
    examples = [
        tf.train.Example.FromString(each.numpy()) for each in tf.data.TFRecordDataset(str(path))
    ]
    labels = examples[1].features.feature["label"].int64_list.value
    labels[:] = [] if label is None else [label]
    with tf.io.TFRecordWriter(str(path)) as writer:
        for example in examples:
            writer.write(example.SerializeToString())
    expected = f"record 1: .*Received: {label}" if label else r"(, record 1)?: not readable"
    if label is None and size == (None, None):
        expected = r"record 1: not readable \(it has 0 values of label\)"
    with pytest.raises(errors.UserError, match=f"pictures, split {split}.*{expected}"):
        sources.read("pictures", str(tmp_path))


def test_damaged_records_of_tfds_are_named(tmp_path):
    write_pictures(tmp_path, "tfrecord", pictures(*[(4, 5)] * 4), splits=["train"])
    path = next(tmp_path.rglob("*train.*"))
    whole = path.read_bytes()
    records = [each.numpy() for each in tf.data.TFRecordDataset(str(path))]

    def write(first):
        with tf.io.TFRecordWriter(str(path)) as writer:
            for record in (first, *records[1:]):
                writer.write(record)

    write(records[0].replace(b"\x89PNG", b"xxxx"))
    with pytest.raises(errors.UserError, match=r"pictures, split train, record 0: not a readable"):
        sources.read("pictures", str(tmp_path))
    raw = sources.read("pictures", str(tmp_path), on_bad_image="skip")
    assert len(raw.x_train) == len(raw.y_train) == 3
    assert len(raw.x_test) == len(raw.y_test) == 0
    assert raw.origins == ("1", "2", "3")
    write(b"\xff" * 20)
    with pytest.raises(errors.UserError, match=r"pictures, split train, record 0: not readable"):
        sources.read("pictures", str(tmp_path))
    path.write_bytes(whole)
    on_disk = sources.read("pictures", str(tmp_path), max_memory=1e-9).x_train
    os.utime(path, ns=(0, 0))
    with pytest.raises(errors.UserError, match=r"record 0: not readable .*changed while"):
        on_disk[:1]
    for content in (whole[:-20], whole[:8] + whole, whole[: len(whole) // 2], b""):
        path.write_bytes(content)
        with pytest.raises(errors.UserError, match="pictures, split train: not readable"):
            sources.read("pictures", str(tmp_path))


@pytest.mark.parametrize(("dtype", "channels"), [(np.float32, 1), (np.uint8, 4)])
def test_tfds_images_of_other_kinds_are_read_as_a_whole_or_refused(tmp_path, dtype, channels):
    """TFDS keeps floats as the bytes of a picture with opacity, which is noise to a reader."""
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 5, channels)).astype(np.uint8)
    images = pixels if dtype == np.uint8 else pixels / np.float32(255)
    features = {"image": tfds.features.Image(shape=images.shape[1:], dtype=dtype)}
    features["label"] = tfds.features.ClassLabel(names=["cold", "warm"])
    whole = tf.data.Dataset.from_tensor_slices({"image": images, "label": [0, 1, 0, 1]})
    tfds.dataset_builders.store_as_tfds_dataset(
        "odd",
        "1.0.0",
        features=tfds.features.FeaturesDict(features),
        split_datasets={"train": whole},
        data_dir=tmp_path,
    )
    for settings in ({"image_size": 4}, {"on_bad_image": "skip"}, {"max_memory": 1e-9}):
        with pytest.raises(errors.UserError, match=rf"read one by one.*, {channels} channels"):
            sources.read("odd", str(tmp_path), **settings)
    found = sources.read("odd", str(tmp_path)).x_train
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(np.sort(found.ravel()), np.sort(pixels.ravel()))


@pytest.mark.parametrize(
    "name", ["mnist:3.0.1", "imagenet_v2/matched-frequency", "cats_vs_dogs/a.b-300+c:3.*.*"]
)
def test_a_configuration_and_a_version_of_a_tfds_data_set_may_be_named(name, monkeypatch):
    monkeypatch.setattr("tensorflow_datasets.builder", lambda name, data_dir: name)
    assert tfds_source._builder(name, "") == name


@pytest.mark.parametrize("name", ["../gone/x", "/gone/x", "~/gone", "./x/y", "my files/x", "x//y"])
def test_a_path_is_no_name_of_a_tfds_data_set(name):
    with pytest.raises(errors.UserError, match="no such folder"):
        tfds_source._builder(name, "")


def test_an_unprepared_data_set_without_network_says_what_would_work(tmp_path, monkeypatch):
    monkeypatch.setattr(tfds_source, "_PROBE", "http://127.0.0.1:9")
    with pytest.raises(errors.UserError) as caught:
        sources.read("fashion_mnist", str(tmp_path))
    assert not sources.is_at_hand("fashion_mnist", str(tmp_path))
    for words in ("fashion_mnist", "--data_dir", "machine with a network", "mnist_5k"):
        assert words in str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["no_such_set", "no/such/folder", "missing.npz", "../gone/", "a" * 300, "b" * 300 + ".npz"]
    + ["c" * 300 + "/x"],
)
def test_what_does_not_exist_is_named(name):
    with pytest.raises(errors.UserError, match=name.strip("./")):
        sources.read(name)


@pytest.mark.parametrize("name", ["a" * 300, "no/such/folder"])
def test_a_data_dir_that_is_not_there_is_named(name, monkeypatch):
    monkeypatch.setattr(tfds_source, "_PROBE", "http://127.0.0.1:9")
    with pytest.raises(errors.UserError, match=f"--dataset=mnist: .*{name}"):
        sources.read("mnist", name)


def npz(folder, **arrays):
    path = folder / "set.npz"
    np.savez(path, **arrays)
    return path


def test_npz_grey_float_images_become_bytes_with_a_channel(tmp_path):
    x = np.array([[[0.0, 1.0], [0.5, 0.25]]])
    raw = sources.read(str(npz(tmp_path, x_train=x)))
    np.testing.assert_array_equal(raw.x_train[0, :, :, 0], [[0, 255], [128, 64]])
    assert raw.y_train.tolist() == [-1]
    assert raw.x_test.shape == (0, 2, 2, 1)
    assert raw.classes == ()


def test_npz_feature_vectors_stay_as_they_are(tmp_path):
    x = np.array([[-3.0, 5e3], [1.0, 2.0]])
    raw = sources.read(str(npz(tmp_path, x_train=x, y_train=np.array([5, 9]))))
    np.testing.assert_array_equal(raw.x_train, x.astype(np.float32))
    assert raw.x_train.dtype == np.float32
    assert raw.classes == ("5", "9")
    assert raw.y_train.tolist() == [0, 1]


def test_npz_labels_may_be_text_and_may_be_unknown(tmp_path):
    x = np.zeros((4, 3, 3), np.uint8)
    raw = sources.read(str(npz(tmp_path, x_train=x, y_train=np.array(["dog", "", "cat", "dog"]))))
    assert raw.classes == ("cat", "dog")
    assert raw.y_train.tolist() == [1, -1, 0, 1]


def test_npz_labels_below_unknown_are_refused(tmp_path):
    path = npz(tmp_path, x_train=np.zeros((3, 3, 3), np.uint8), y_train=np.array([0, -2, 1]))
    with pytest.raises(errors.UserError, match=r"y_train: expected labels from -1, .* -2"):
        sources.read(str(path))


def test_npz_labels_may_be_bytes_in_utf_8_and_large_integers(tmp_path):
    x = np.zeros((3, 2, 2), np.uint8)
    raw = sources.read(str(npz(tmp_path, x_train=x, y_train=np.array([b"b", b"", "ü".encode()]))))
    assert raw.classes == ("b", "ü")
    assert raw.y_train.tolist() == [0, -1, 1]
    labels = {"y_train": np.array([2**53, 2**53 + 1, 2]), "y_test": np.array([2], np.uint64)}
    raw = sources.read(str(npz(tmp_path, x_train=x, x_test=x[:1], **labels)))
    assert raw.classes == ("2", "9007199254740992", "9007199254740993")
    assert raw.y_test.tolist() == [0]


IMAGES = np.zeros((4, 3, 3), np.uint8)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y_train": np.arange(3)}, "expected an array x_train"),
        ({"x_train": IMAGES, "y_train": np.arange(3)}, "y_train: expected 4 labels"),
        ({"x_train": IMAGES, "y_train": np.ones(4)}, "y_train: expected 4 labels"),
        ({"x_train": IMAGES, "x_test": np.zeros((2, 4, 3), np.uint8)}, "expected x_test like"),
        ({"x_train": np.zeros((4, 9), np.uint8)}, "expected images"),
        ({"x_train": np.zeros((4, 3, 3), np.int64)}, "expected images"),
        ({"x_train": np.zeros((4, 3, 3, 2), np.uint8)}, "1, 3 or 4 channels"),
        ({"x_train": np.full((4, 3, 3), 200.0)}, r"within \[0, 1\].*200"),
        ({"x_train": np.array([[0.0, 1.0], [np.nan, 0.0]])}, "NaN .*index 1"),
        ({"x_train": np.array([{"a": 1}], dtype=object)}, "pickled"),
        ({"x_train": np.array([[0.0, 1.0], [1e300, 0.0]])}, "beyond float32 .*index 1"),
        ({"x_train": np.zeros((4, 3, 0), np.uint8)}, "no empty axis"),
        ({"x_train": np.zeros((4, 0))}, "no empty axis"),
        ({"x_train": IMAGES, "y_train": np.full(4, 2**63, np.uint64)}, "labels below 2"),
        ({"x_train": IMAGES, "y_train": np.array([b"\xff"] * 4)}, "labels in UTF-8"),
        (
            {"x_train": IMAGES, "y_train": np.arange(4), "x_test": IMAGES, "y_test": [*"abcd"]},
            "y_test like y_train",
        ),
    ],
)
def test_a_bad_npz_is_refused_by_name_and_fault(tmp_path, arrays, message):
    path = npz(tmp_path, **arrays)
    with pytest.raises(errors.UserError, match=message) as caught:
        sources.read(str(path))
    assert "set.npz" in str(caught.value)


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"text"])
def test_a_damaged_npz_is_refused(tmp_path, damage):
    path = npz(tmp_path, x_train=IMAGES)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(errors.UserError, match=r"set.npz: not a readable .npz file"):
        sources.read(str(path))


# The names of classes


BAD_NAMES = ["a\nb", "a\tb", "a\0b", "\x1b[2J", "a\x85b", "a\u2028b", "x" * 256]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_no_line_can_hold_is_refused(tmp_path, name):
    path = npz(tmp_path, x_train=IMAGES, y_train=np.array(["ok", name, "ok", "ok"]))
    with pytest.raises(errors.UserError) as caught:
        sources.read(str(path))
    message = str(caught.value)
    assert message.startswith(f"--dataset={path}: class {name[:80]!r}: expected a name in UTF-8")
    assert message.endswith("Rename its folder, or its label in the file")


@pytest.mark.parametrize("name", [b"a\nb", b"caf\xe9", b"\xed\xa0\x80", b"a\x01"])
def test_a_folder_whose_name_no_line_can_hold_is_refused(folder, name):
    os.rename(folder / "train/class1", os.path.join(os.fsencode(folder / "train"), name))
    os.rename(folder / "test/class1", os.path.join(os.fsencode(folder / "test"), name))
    with pytest.raises(errors.UserError) as caught:
        sources.read(str(folder))
    assert f"class {os.fsdecode(name)!r}: expected a name in UTF-8" in str(caught.value)


def test_every_other_name_is_kept(tmp_path):
    names = ["$x_$", "_a", "a b", "c,d", "日本", "ü" * 255, "👩\u200d🔬"]
    x = np.zeros((len(names), 2, 2), np.uint8)
    raw = sources.read(str(npz(tmp_path, x_train=x, y_train=np.array(names))))
    assert raw.classes == tuple(sorted(names))


# Folders of images


@pytest.fixture
def folder(tmp_path):
    """An image folder with two classes of three training images and one test image each."""
    images, labels = bars(8, classes=2)
    for index, (image, label) in enumerate(zip(images[..., 0], labels, strict=True)):
        place = tmp_path / ("test" if index >= 6 else "train") / f"class{label}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{index}.png")
    return tmp_path


def test_an_image_folder(folder):
    raw = sources.read(str(folder))
    assert raw.x_train.shape == (6, 12, 12, 1)
    assert raw.y_train.tolist() == [0, 0, 0, 1, 1, 1]
    assert raw.y_test.tolist() == [0, 1]
    assert raw.classes == ("class0", "class1")
    assert raw.origins[::5] == ("train/class0/0.png", "train/class1/5.png")
    np.testing.assert_array_equal(raw.x_train[0], bars(8, classes=2)[0][0])


def test_images_on_the_disk_that_change_while_they_are_in_use_are_refused(folder):
    x = sources.read(str(folder), max_memory=1e-9).x_train
    path = folder / "train/class0/2.png"
    os.utime(path, ns=(0, 0))
    Image.new("L", (12, 12)).save(path)
    with pytest.raises(errors.UserError, match=r"2\.png: changed while it was in use"):
        x[:]


@pytest.mark.parametrize("place", ["train/class0/more", "test/class1"])
def test_a_folder_that_is_not_readable_is_named(folder, monkeypatch, place):
    """As one without permissions, which root can read all the same."""
    (folder / place).mkdir(exist_ok=True)
    scan = os.scandir

    def refuse(path):
        if str(path).endswith(place):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(errors.UserError, match=rf"{place}: not readable \(Permission denied"):
        sources.read(str(folder))


def test_images_in_no_class_are_unlabelled_and_one_colour_image_makes_all_colour(folder):
    Image.new("RGB", (12, 12), (255, 0, 0)).save(folder / "train" / "loose.jpg")
    raw = sources.read(str(folder))
    assert raw.x_train.shape == (7, 12, 12, 3)
    assert raw.y_train.tolist() == [-1, 0, 0, 0, 1, 1, 1]


def test_a_folder_without_test_images_has_none(folder):
    for file in folder.glob("test/*/*"):
        file.unlink()
    assert sources.read(str(folder)).x_test.shape == (0, 12, 12, 1)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "train/class0/0.png").write_bytes(b"no image"), r"0.png: not a readable"),
        (lambda f: truncate(f / "train/class0/0.png"), r"0.png: not a readable"),
        (lambda f: (f / "train/empty").mkdir(), r"empty: no images"),
        (lambda f: (f / "test/other").mkdir(), r"other: train/ has no class"),
        (lambda f: (f / "train").rename(f / "gone"), r"a folder train/"),
        (
            lambda f: (f / "train/class1/gone.png").symlink_to("nowhere"),
            r"gone.png: not a readable",
        ),
    ],
)
def test_a_bad_image_folder_is_refused_by_name_and_fault(folder, spoil, message):
    spoil(folder)
    with pytest.raises(errors.UserError, match=message):
        sources.read(str(folder))


def test_an_empty_training_folder_is_refused(tmp_path):
    (tmp_path / "train").mkdir()
    with pytest.raises(errors.UserError, match="train: no images"):
        sources.read(str(tmp_path))


@pytest.mark.parametrize("name", ["train/class0/pipe.png", "test/class1/pipe.JPG"])
def test_a_pipe_in_a_folder_is_not_waited_for(folder, name, no_hang):
    os.mkfifo(folder / name)
    with pytest.raises(errors.UserError, match=rf"{name}: not a readable image \(not a regular"):
        sources.read(str(folder))


def test_a_pipe_is_no_npz_file(tmp_path, no_hang):
    os.mkfifo(tmp_path / "x.npz")
    with pytest.raises(errors.UserError, match=r"x\.npz: not a regular file"):
        sources.read(f"{tmp_path}/x.npz")


def test_a_link_that_leads_nowhere_in_a_train_folder_is_named(folder):
    (folder / "train/long").symlink_to("a" * 300)
    with pytest.raises(errors.UserError, match=r"train/long: not readable \(File name too long\)"):
        sources.read(str(folder))


def test_folders_nested_deeper_than_python_goes_are_read_or_refused(folder, monkeypatch):
    monkeypatch.chdir(folder / "train/class0")
    for _ in range(1500):
        os.mkdir("n")
        os.chdir("n")
    try:
        assert len(sources.read(str(folder)).x_train) == 6  # From Python 3.13.
    except errors.UserError as error:
        assert f"{folder}: not readable" in str(error)
    subprocess.run(["rm", "-r", folder / "train/class0/n"], check=True)  # Python can't, either.


def test_a_folder_that_takes_too_much_memory_stays_on_the_disk(folder):
    Image.new("RGB", (12, 12), (255, 0, 0)).save(folder / "train/class1/colour.png")
    bytes_of_all = 9 * 12 * 12 * 3
    in_memory = sources.read(str(folder), max_memory=bytes_of_all / 1e9)
    on_disk = sources.read(str(folder), max_memory=(bytes_of_all - 1) / 1e9)
    for one, other in ((in_memory.x_train, on_disk.x_train), (in_memory.x_test, on_disk.x_test)):
        assert isinstance(one, np.ndarray)
        assert isinstance(other, rows.Rows)
        assert one.shape == other.shape
        np.testing.assert_array_equal(one, np.asarray(other))
    np.testing.assert_array_equal(on_disk.x_train[[5, 0]], in_memory.x_train[[5, 0]])
    assert on_disk.y_train.tolist() == in_memory.y_train.tolist()


def test_images_of_other_sizes_are_scaled_to_the_most_common_one_or_to_that_asked_for(
    folder, capsys
):
    Image.new("L", (24, 6), 77).save(folder / "train/class1/wide.png")
    raw = sources.read(str(folder))
    assert raw.x_train.shape == (7, 12, 12, 1)
    assert (raw.x_train[-1] == 77).all()
    assert "scaled 1 image to 12 x 12 pixels (train/class1/wide.png)" in capsys.readouterr().err
    np.testing.assert_array_equal(raw.x_train[0], bars(8, classes=2)[0][0])
    for index in range(9):
        Image.new("L", (20 + index, 6), 77).save(folder / f"train/class1/wide{index}.png")
    with pytest.raises(
        errors.UserError, match=r"10 sizes, .* 12 x 12 pixels \(8 of 18\); say with"
    ):
        sources.read(str(folder))
    small = sources.read(str(folder), image_size=6)
    assert small.x_train.shape == (16, 6, 6, 1)
    assert "scaled 18 images to 6 x 6 pixels" in capsys.readouterr().err


def test_images_that_cannot_be_read_are_left_out_where_that_is_asked_for(folder, capsys):
    truncate(folder / "train/class0/0.png")
    (folder / "test/class1/7.png").write_bytes(b"no image")
    raw = sources.read(str(folder), on_bad_image="skip")
    assert raw.y_train.tolist() == [0, 0, 1, 1, 1]
    assert raw.y_test.tolist() == [0]
    np.testing.assert_array_equal(raw.x_train[0], bars(8, classes=2)[0][2])
    told = capsys.readouterr().err
    assert "left out 2 images that are not readable (train/class0/0.png, test/class1/7.png)" in told
    for file in (folder / "train/class1").iterdir():
        file.write_bytes(b"")
    with pytest.raises(errors.UserError, match="class1: no images there"):
        sources.read(str(folder), on_bad_image="skip")


def test_what_to_do_about_a_bad_image_is_one_of_two(folder):
    with pytest.raises(ValueError, match=r"'fail' or 'skip'. Received: 'ignore'"):
        sources.read(str(folder), on_bad_image="ignore")


def test_an_image_size_below_one_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"image_size of at least 1. Received: 0"):
        sources.read(str(tmp_path), image_size=0)


@pytest.mark.parametrize("setting", [{"image_size": 8}, {"on_bad_image": "skip"}])
def test_settings_of_folders_are_refused_elsewhere(tmp_path, setting):
    path = npz(tmp_path, x_train=bars(20)[0])
    for name in ("mnist_5k", str(path)):
        with pytest.raises(
            errors.UserError, match=rf"--{next(iter(setting))}=.* expected images of"
        ):
            sources.read(name, str(tmp_path), **setting)


def test_the_name_of_a_file_stays_on_its_line(folder, capsys):
    (folder / "train/class0/a\n\x1b[2J.txt").touch()
    assert said(folder, capsys) == [
        r"left out 1 file that is no image (train/class0/a\n\x1b[2J.txt)"
    ]
    (folder / "train/class0/a\nb.png").touch()
    with pytest.raises(errors.UserError, match=r"class0/a\\nb.png: not a readable image"):
        sources.read(str(folder))


def truncate(path):
    path.write_bytes(path.read_bytes()[:60])


def saved(folder, name, picture, **options):
    """Saves a picture, pixels or bytes as a training image of the class `a`."""
    path = folder / "train" / "a" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(picture, bytes):
        path.write_bytes(picture)
    else:
        picture = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
        picture.save(path, **options)
    return path


def only_image(folder):
    """The one training image of a folder, int [H, W] where it is grey, else [H, W, 3]."""
    (image,) = sources.read(str(folder)).x_train
    assert image.dtype == np.uint8
    return image[..., 0].tolist() if image.shape[-1] == 1 else image.tolist()


GREY = np.array([[0, 100, 255], [7, 50, 200]], np.uint8)
COLOURS = np.array(
    [[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[10, 20, 30], [0, 0, 0], [255, 255, 255]]], np.uint8
)
DEEP = np.array([[0, 128, 129, 257], [25700, 32767, 65406, 65535]], np.uint16)
DEEP_AS_BYTES = [[0, 0, 1, 1], [100, 127, 254, 255]]


@pytest.mark.parametrize("ending", ["png", "PNG", "bmp", "tiff", "tif", "gif", "webp"])
def test_every_format_is_read(tmp_path, ending):
    options = {"lossless": True} if ending == "webp" else {}
    saved(tmp_path, f"x.{ending}", COLOURS, **options)
    assert only_image(tmp_path) == COLOURS.tolist()


@pytest.mark.parametrize("ending", ["png", "bmp", "tiff", "gif"])
def test_grey_images_of_every_format_keep_one_channel(tmp_path, ending):
    saved(tmp_path, f"x.{ending}", GREY)
    assert only_image(tmp_path) == GREY.tolist()


@pytest.mark.parametrize("ending", ["png", "tiff"])
def test_16_bit_grey_is_scaled_to_8_bits(tmp_path, ending):
    saved(tmp_path, f"x.{ending}", DEEP)
    assert only_image(tmp_path) == DEEP_AS_BYTES


def test_16_bit_grey_of_the_other_byte_order(tmp_path):
    saved(tmp_path, "x.tif", Image.fromarray(DEEP.astype(">u2")))
    assert only_image(tmp_path) == DEEP_AS_BYTES


def test_16_bit_grey_that_counts_from_white(tmp_path):
    saved(tmp_path, "x.tif", DEEP, tiffinfo={262: 0})
    assert only_image(tmp_path) == (255 - np.array(DEEP_AS_BYTES)).tolist()


def test_12_bit_grey_is_scaled_by_12_bits(tmp_path):
    path = saved(tmp_path, "x.tif", np.full((2, 4), 65535, np.uint16))
    bits = b"\x02\x01\x03\x00\x01\x00\x00\x00%c\x00"  # The entry BitsPerSample of the file.
    assert bits % 16 in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(bits % 16, bits % 12))
    assert only_image(tmp_path) == [[255] * 4] * 2


def test_16_and_8_bit_images_go_together(tmp_path):
    saved(tmp_path, "1.png", np.full((2, 3), 25700, np.uint16))
    saved(tmp_path, "2.png", COLOURS)
    x = sources.read(str(tmp_path)).x_train
    np.testing.assert_array_equal(x[0], np.full((2, 3, 3), 100))
    np.testing.assert_array_equal(x[1], COLOURS)


@pytest.mark.parametrize(
    ("ending", "dtype", "received"),
    [
        ("tif", np.int32, "TIFF, mode I, 0 to 65535"),
        ("tif", np.float32, "TIFF, mode F, 0 to 65535"),
    ],
)
def test_pixels_of_an_unknown_range_are_refused(tmp_path, ending, dtype, received):
    path = saved(tmp_path, f"x.{ending}", DEEP.astype(dtype))
    with pytest.raises(errors.UserError) as caught:
        sources.read(str(tmp_path))
    expected = "pixels of 8 bits, or 16-bit grey of a PNG or TIFF"
    assert str(caught.value) == f"{path}: expected {expected}. Received: {received}"


def test_transparency_is_laid_on_white(tmp_path):
    rgba = np.array([[[9, 8, 7, 255], [9, 8, 7, 0], [0, 0, 255, 51]]], np.uint8)
    saved(tmp_path, "x.png", rgba)
    assert only_image(tmp_path) == [[[9, 8, 7], [255, 255, 255], [204, 204, 255]]]


def test_grey_with_transparency_is_laid_on_white_and_stays_grey(tmp_path):
    saved(tmp_path, "x.png", np.array([[[9, 255], [9, 0], [0, 51]]], np.uint8))
    assert only_image(tmp_path) == [[9, 255, 204]]


@pytest.mark.parametrize(
    ("pixels", "key", "expected"),
    [
        (np.array([[True, False]]), 0, [[255, 255]]),
        (np.array([[7, 0]], np.uint8), 0, [[7, 255]]),
        (np.array([[25700, 514]], np.uint16), 514, [[100, 255]]),
        (COLOURS[:1], (0, 255, 0), [[[255, 0, 0], [255, 255, 255], [0, 0, 255]]]),
    ],
)
def test_a_transparent_value_is_white(tmp_path, pixels, key, expected):
    saved(tmp_path, "x.png", pixels, transparency=key)
    assert only_image(tmp_path) == expected


def palette(colours, indices=((0, 1, 2),)):
    picture = Image.fromarray(np.array(indices, np.uint8)).convert("L")
    picture.putpalette([value for colour in colours for value in colour])
    return picture


RED_GREEN_BLUE = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]


@pytest.mark.parametrize("ending", ["png", "gif", "bmp", "tiff"])
def test_palette_images_are_read_in_their_colours(tmp_path, ending):
    saved(tmp_path, f"x.{ending}", palette(RED_GREEN_BLUE))
    assert only_image(tmp_path) == [[[255, 0, 0], [0, 255, 0], [0, 0, 255]]]


@pytest.mark.parametrize("ending", ["png", "gif", "bmp", "tiff"])
def test_a_palette_of_greys_is_grey(tmp_path, ending):
    saved(tmp_path, f"x.{ending}", palette([(200,) * 3, (7,) * 3, (90,) * 3]))
    assert only_image(tmp_path) == [[200, 7, 90]]


@pytest.mark.parametrize(
    ("ending", "transparency", "green"),
    [("png", 1, 255), ("gif", 1, 255), ("png", b"\xff\x33\xff", 204)],
)
def test_transparent_palette_colours_are_laid_on_white(tmp_path, ending, transparency, green):
    saved(tmp_path, f"x.{ending}", palette(RED_GREEN_BLUE), transparency=transparency)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert only_image(tmp_path) == [[[255, 0, 0], [green, 255, green], [0, 0, 255]]]


def test_a_palette_with_an_alpha_channel_is_laid_on_white(tmp_path):
    picture = palette(RED_GREEN_BLUE).convert("PA")
    picture.putalpha(Image.fromarray(np.array([[255, 0, 51]], np.uint8)))
    saved(tmp_path, "x.tif", picture)
    assert only_image(tmp_path) == [[[255, 0, 0], [255, 255, 255], [204, 204, 255]]]


@pytest.mark.parametrize(
    ("pixels", "ending"),
    [(COLOURS, "png"), (COLOURS, "tiff"), (COLOURS, "webp"), (GREY, "png"), (DEEP, "png")],
)
def test_images_are_turned_as_exif_says(tmp_path, pixels, ending):
    exif = Image.Exif()
    exif[0x0112] = 6  # A quarter turn clockwise shows it upright.
    options = {"lossless": True} if ending == "webp" else {}
    saved(tmp_path, f"x.{ending}", pixels, exif=exif, **options)
    upright = np.rot90(DEEP_AS_BYTES if pixels is DEEP else pixels, -1)
    assert only_image(tmp_path) == upright.tolist()


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_a_turned_image_has_the_size_that_is_shown(tmp_path, capsys, ending):
    exif = Image.Exif()
    exif[0x0112] = 8
    saved(tmp_path, f"1.{ending}", GREY)
    saved(tmp_path, f"2.{ending}", GREY, exif=exif)
    assert sources.read(str(tmp_path)).x_train.shape == (2, 2, 3, 1)
    assert f"scaled 1 image to 3 x 2 pixels (train/a/2.{ending})" in capsys.readouterr().err


@pytest.mark.parametrize("mode", ["CMYK", "LAB"])
def test_other_colour_spaces_become_rgb(tmp_path, mode):
    path = saved(tmp_path, "x.tif", Image.new("RGB", (2, 1), (255, 0, 0)).convert(mode))
    with Image.open(path) as picture:
        assert picture.mode == mode
        expected = np.asarray(picture.convert("RGB")).tolist()
    assert only_image(tmp_path) == expected
    np.testing.assert_allclose(expected, [[[255, 0, 0]] * 2], atol=5)


def test_one_palette_in_colour_makes_all_colour(tmp_path):
    saved(tmp_path, "1.png", palette([(200,) * 3, (7,) * 3, (90,) * 3]))
    saved(tmp_path, "2.png", palette(RED_GREEN_BLUE))
    saved(tmp_path, "3.png", GREY[:1])
    x = sources.read(str(tmp_path)).x_train
    assert x[0, 0].tolist() == [[200] * 3, [7] * 3, [90] * 3]
    assert x[1, 0].tolist() == [list(colour) for colour in RED_GREEN_BLUE]
    assert x[2, 0].tolist() == [[0] * 3, [100] * 3, [255] * 3]


def said(folder, capsys):
    """What reading a folder says on stderr, line by line, without the folder's name."""
    sources.read(str(folder))
    out, err = capsys.readouterr()
    assert out == ""
    assert all(line.startswith(f"{folder}/: ") for line in err.splitlines())
    return [line.removeprefix(f"{folder}/: ") for line in err.splitlines()]


def test_a_plain_folder_is_read_without_a_word(folder, capsys):
    assert said(folder, capsys) == []


def test_folders_within_a_class_are_read_in_order(tmp_path, capsys):
    for value, name in enumerate(("1.png", "b/1.png", "b/c/2.PNG", "d/0.webp")):
        path = tmp_path / "train" / "a" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (2, 2), (value,) * 3).save(path, lossless=True)
    (tmp_path / "test" / "a" / "deep").mkdir(parents=True)
    Image.new("L", (2, 2), 9).save(tmp_path / "test" / "a" / "deep" / "x.bmp")
    raw = sources.read(str(tmp_path))
    assert raw.x_train[:, 0, 0, 0].tolist() == [0, 1, 2, 3]
    assert raw.y_train.tolist() == [0, 0, 0, 0]
    assert raw.classes == ("a",)
    assert raw.x_test[:, 0, 0, 0].tolist() == [9]
    assert said(tmp_path, capsys) == []


def test_files_that_are_no_images_are_counted_and_named(folder, capsys):
    (folder / "notes.txt").touch()
    assert said(folder, capsys) == ["left out 1 file that is no image (notes.txt)"]
    for name in ("train/class0/a.txt", "train/labels.csv", "test/class1/data.h5"):
        (folder / name).touch()
    assert said(folder, capsys) == [
        "left out 4 files that are no images (notes.txt, train/labels.csv, train/class0/a.txt, ...)"
    ]


def test_a_link_to_a_folder_within_a_class_is_named(folder, capsys):
    (folder / "train/class0/again").symlink_to(folder / "train/class0")
    assert said(folder, capsys) == ["left out 1 file that is no image (train/class0/again)"]
    assert len(sources.read(str(folder)).x_train) == 6


def test_a_class_may_be_a_link_to_a_folder(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "images"
    (folder / "train/class1").rename(elsewhere)
    (folder / "train/class1").symlink_to(elsewhere)
    assert sources.read(str(folder)).y_train.tolist() == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("name", ["val", "validation", "Valid"])
def test_a_validation_folder_is_not_used_and_that_is_said(folder, capsys, name):
    (folder / name / "class0").mkdir(parents=True)
    assert said(folder, capsys) == [
        f"{name}/ is not used; the validation split is drawn from train/ (--validation)"
    ]


def test_what_lies_beside_train_and_test_is_named(folder, capsys):
    (folder / "dev").mkdir()
    assert said(folder, capsys) == ["left out 1 entry beside train/ and test/ (dev)"]
    Image.new("L", (5, 5)).save(folder / "stray.png")
    assert said(folder, capsys) == ["left out 2 entries beside train/ and test/ (dev, stray.png)"]


@pytest.mark.parametrize("where", ["", "train", "train/class0", "test", "test/class1"])
def test_hidden_files_and_folders_are_left_out_without_a_word(folder, capsys, where):
    before = sources.read(str(folder))
    for name in (".DS_Store", "Thumbs.db", "._0.png", ".checkpoints/0.png", ".git/x/config"):
        (folder / where / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / where / name).write_bytes(b"no image")
    assert said(folder, capsys) == []
    np.testing.assert_array_equal(sources.read(str(folder)).y_train, before.y_train)


def test_a_folder_below_a_hidden_one_is_read(folder):
    hidden = folder / ".cache" / "data"
    hidden.mkdir(parents=True)
    (folder / "train").rename(hidden / "train")
    assert len(sources.read(str(hidden)).x_train) == 6


@pytest.mark.parametrize("ending", ["gif", "tiff", "webp", "png", "mpo"])
def test_of_several_frames_the_first_is_read_and_that_is_said(tmp_path, capsys, ending):
    frames = [Image.new("RGB", (2, 2), colour) for colour in RED_GREEN_BLUE]
    options = {"lossless": True} if ending == "webp" else {}
    path = saved(
        tmp_path, f"x.{ending}", frames[0], save_all=True, append_images=frames[1:], **options
    )
    assert said(tmp_path, capsys) == [
        f"read the first frame of 1 file that has more (train/a/x.{ending})"
    ]
    loss = 1 if ending == "mpo" else 0  # Of JPEG.
    np.testing.assert_allclose(only_image(tmp_path), [[[255, 0, 0]] * 2] * 2, atol=loss)
    capsys.readouterr()
    (path.parent / f"y.{ending}").write_bytes(path.read_bytes())
    assert said(tmp_path, capsys) == [
        f"read the first frame of 2 files that have more (train/a/x.{ending}, train/a/y.{ending})"
    ]


@pytest.mark.parametrize("ending", ["eps", "ppm", "tga", "jp2"])
def test_other_formats_of_pillow_count_as_no_image(tmp_path, capsys, ending):
    saved(tmp_path, f"x.{ending}", COLOURS if ending != "eps" else Image.fromarray(COLOURS))
    expected = r"train: no images there \(PNG, JPEG, WebP, BMP, TIFF or GIF\)"
    with pytest.raises(errors.UserError, match=expected):
        sources.read(str(tmp_path))
    assert f"left out 1 file that is no image (train/a/x.{ending})" in capsys.readouterr().err


@pytest.mark.parametrize("ending", ["gif", "webp", "tiff", "bmp", "jpg"])
@pytest.mark.parametrize("keep", [0, 60])
def test_a_damaged_image_of_any_format_is_refused_in_one_line(tmp_path, ending, keep):
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    path = saved(tmp_path, f"x.{ending}", noise)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(errors.UserError) as caught:
        sources.read(str(tmp_path))
    assert re.fullmatch(rf"{path}: not a readable image \(.+\)", str(caught.value))


def test_an_image_with_damaged_exif_is_read_as_it_lies(tmp_path):
    saved(tmp_path, "x.png", GREY, exif=b"Exif\x00\x00no such header")
    assert only_image(tmp_path) == GREY.tolist()


def image_bytes():
    """The bytes of an image file, damaged or not, or any bytes."""
    noise = np.random.default_rng(0).integers(0, 256, (2, 3, 3)).astype(np.uint8)
    whole = []
    for ending in ("png", "jpeg", "webp", "bmp", "tiff", "gif"):
        buffer = io.BytesIO()
        Image.fromarray(noise).save(buffer, ending)
        whole.append(buffer.getvalue())
    return strategies.one_of(
        strategies.sampled_from(whole),
        strategies.sampled_from(whole).flatmap(damaged),
        strategies.binary(max_size=40),
    )


@hypothesis.given(
    files=strategies.dictionaries(
        strategies.sampled_from(["train/a/1.png", "train/a/2.gif", "train/3.tif", "test/a/4.jpg"]),
        image_bytes(),
    )
)
@PROPERTY
@pytest.mark.filterwarnings("ignore")
def test_any_folder_is_read_or_refused(tmp_path_factory, files):
    folder = tmp_path_factory.mktemp("any")
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    try:
        raw = sources.read(str(folder))
    except errors.UserError as error:
        assert str(folder) in str(error)
        assert "\n" not in str(error)
        return
    assert_checked(raw)
