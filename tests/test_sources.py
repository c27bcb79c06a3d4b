import pathlib

from conftest import bars
import numpy as np
from PIL import Image
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_aae import errors
from keras_aae.data import sources

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
    raw = sources.read("colours", str(tmp_path))
    np.testing.assert_array_equal(np.sort(raw.x_train.ravel()), np.sort(images[:5].ravel()))
    assert sorted(raw.y_train) == [0, 0, 1, 1, 1]
    assert raw.y_train.dtype == np.int32
    assert raw.x_test.shape == (2, 6, 5, 3)
    assert raw.classes == ("cold", "warm")
    record = next(tmp_path.rglob("*train.*"))
    record.write_bytes(record.read_bytes()[:-20])
    with pytest.raises(errors.UserError, match="colours, split train: not readable"):
        sources.read("colours", str(tmp_path))


def test_an_unprepared_data_set_without_network_says_what_would_work(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "_PROBE", "http://127.0.0.1:9")
    with pytest.raises(errors.UserError) as caught:
        sources.read("fashion_mnist", str(tmp_path))
    for words in ("fashion_mnist", "--data_dir", "machine with a network", "mnist_5k"):
        assert words in str(caught.value)


@pytest.mark.parametrize("name", ["no_such_set", "no/such/folder", "missing.npz", "../gone/"])
def test_what_does_not_exist_is_named(name):
    with pytest.raises(errors.UserError, match=name.strip("./")):
        sources.read(name)


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
    with pytest.raises(errors.UserError, match=r"set.npz: damaged"):
        sources.read(str(path))


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
    np.testing.assert_array_equal(raw.x_train[0], bars(8, classes=2)[0][0])


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
        (lambda f: Image.new("L", (9, 12)).save(f / "train/class1/9.png"), r"9.png: .*9 x 12"),
        (lambda f: (f / "train/empty").mkdir(), r"empty: no images"),
        (lambda f: (f / "test/other").mkdir(), r"other: train/ has no class"),
        (lambda f: (f / "train").rename(f / "gone"), r"a folder train/"),
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


def truncate(path):
    path.write_bytes(path.read_bytes()[:60])
