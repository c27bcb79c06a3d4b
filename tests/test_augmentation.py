import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_aae.data import augmentation


def test_shift_moves_by_whole_pixels_within_the_limit_and_repeats_the_edge():
    image = tf.constant(np.arange(25, dtype=np.uint8).reshape(1, 5, 5, 1))
    shifted = augmentation.shift(tf.repeat(image, 200, axis=0), tf.constant([1, 2]), 1)[
        ..., 0
    ].numpy()
    padded = np.pad(image[0, :, :, 0].numpy(), 1, mode="edge")
    possible = {padded[i : i + 5, j : j + 5].tobytes() for i in range(3) for j in range(3)}
    assert {one.tobytes() for one in shifted} == possible


def pattern(count=1):
    image = np.arange(7 * 9 * 2, dtype=np.float32).reshape(1, 7, 9, 2)
    return tf.repeat(tf.constant(image), count, axis=0)


def test_an_affine_map_of_no_extent_changes_nothing():
    still = augmentation.Affine(0, 0, 0, 0)
    np.testing.assert_allclose(augmentation.affine(pattern(3), [1, 2], still), pattern(3))


def test_an_affine_map_is_drawn_for_each_image_from_the_seed():
    first, again, other = (
        augmentation.affine(pattern(4), seed, augmentation.Affine()).numpy()
        for seed in ([1, 2], [1, 2], [1, 3])
    )
    np.testing.assert_array_equal(first, again)
    assert len({image.tobytes() for image in [*first, *other]}) == 8


@pytest.mark.parametrize(
    ("limits", "bend"),
    [
        # Where the pixel (x, y) about the centre comes from, for the draws r in [-1, 1].
        (augmentation.Affine(0.5, 0, 0, 0), lambda x, y, r: (
            x * np.cos(0.5 * r[0]) - y * np.sin(0.5 * r[0]),
            x * np.sin(0.5 * r[0]) + y * np.cos(0.5 * r[0]),
        )),
        (augmentation.Affine(0, 0.4, 0, 0), lambda x, y, r: (x + 0.4 * r[1] * y, y)),
        (augmentation.Affine(0, 0, 0.3, 0), lambda x, y, r: (
            x * np.exp(0.3 * r[2]), y * np.exp(0.3 * r[2])
        )),
        (augmentation.Affine(0, 0, 0, 0.1), lambda x, y, r: (x + 2.1 * r[3], y + 2.1 * r[4])),
    ],
    ids=["rotation", "shear", "scale", "shift"],
)  # fmt: skip
def test_each_affine_change_against_its_formula(limits, bend):
    # A ramp along each axis says where a pixel of the result was taken from.
    side = 21
    down, across = np.meshgrid(np.arange(side), np.arange(side), indexing="ij")
    ramps = np.stack([across, down], axis=-1).astype(np.float32)[None]
    seed = [3, 4]
    draws = tf.random.stateless_uniform([5, 1], seed, -1, 1).numpy()[:, 0]
    result = augmentation.affine(tf.constant(ramps), seed, limits).numpy()[0]
    for y, x in ((10, 10), (7, 12), (13, 8)):
        from_x, from_y = bend(x - 10, y - 10, draws)
        np.testing.assert_allclose(result[y, x], [from_x + 10, from_y + 10], atol=1e-4)


PHOTOS = tf.constant(np.random.default_rng(0).uniform(0.3, 0.7, (6, 8, 10, 3)).astype(np.float32))


def test_flip_mirrors_some_images_and_leaves_the_others():
    flipped = augmentation.Flip()(tf.repeat(PHOTOS[:1], 100, axis=0), tf.constant([1, 2])).numpy()
    mirrored = [np.array_equal(image, PHOTOS[0, :, ::-1]) for image in flipped]
    as_it_is = [np.array_equal(image, PHOTOS[0]) for image in flipped]
    assert sum(mirrored) + sum(as_it_is) == 100
    assert 30 < sum(mirrored) < 70


@pytest.mark.parametrize("changed", ["brightness", "contrast", "saturation"])
def test_each_change_of_colour_against_its_formula(changed):
    limits = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0} | {changed: 0.2}
    seed, x = [3, 4], PHOTOS.numpy()
    saturation, contrast, brightness = tf.random.stateless_uniform([3, 6, 1, 1, 1], seed, -1, 1)
    grey, mean = x.mean(axis=3, keepdims=True), x.mean(axis=(1, 2, 3), keepdims=True)
    expected = {
        "brightness": x + 0.2 * brightness,
        "contrast": mean + (x - mean) * np.exp(0.2 * contrast),
        "saturation": grey + (x - grey) * (1 + 0.2 * saturation),
    }[changed]
    result = augmentation.ColorJitter(**limits)(PHOTOS, seed)
    np.testing.assert_allclose(result, np.clip(expected, 0, 1), atol=1e-6)


def test_a_tint_multiplies_each_channel_of_each_image_by_a_factor_of_its_own():
    factors = augmentation.Tint(0.2)(PHOTOS, [1, 2]).numpy() / PHOTOS.numpy()
    each = factors.mean(axis=(1, 2))
    np.testing.assert_allclose(factors, np.broadcast_to(each[:, None, None], factors.shape), 1e-5)
    assert len(np.unique(each.round(5))) == each.size
    assert np.exp(-0.2) <= each.min() < 0.9 < 1.1 < each.max() <= np.exp(0.2)


def test_colours_stay_in_their_range():
    result = augmentation.ColorJitter(1.0, 2.0, 2.0)(PHOTOS, [1, 2]).numpy()
    assert result.min() == 0
    assert result.max() == 1
    assert augmentation.Tint(2.0)(PHOTOS, [1, 2]).numpy().max() == 1


def test_cutout_makes_one_square_grey():
    views = augmentation.Cutout(0.5)(PHOTOS, [1, 2]).numpy()
    for view, image in zip(views, PHOTOS.numpy(), strict=True):
        rows, columns = np.nonzero((view != image).all(axis=2))
        inside = view[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert (inside == 0.5).all()
        assert len(rows) == inside.shape[0] * inside.shape[1]
        assert 2 <= inside.shape[0] <= 4
        assert 2 <= inside.shape[1] <= 5


def test_a_chain_draws_each_change_from_a_stream_of_its_own():
    shift = augmentation.Affine(0, 0, 0, 0.3)
    once = shift(PHOTOS, tf.random.fold_in([1, 2], 0))
    twice = shift(once, tf.random.fold_in([1, 2], 1))
    np.testing.assert_array_equal(augmentation.Chain([shift, shift])(PHOTOS, [1, 2]), twice)


@pytest.mark.parametrize(
    ("name", "shape", "kinds"),
    [
        ("auto", (28, 28, 1), ["Affine"]),
        ("digits", (28, 28, 1), ["Affine"]),
        ("digits", (32, 32, 3), ["Affine", "ColorJitter", "Cutout"]),
        ("auto", (32, 32, 3), ["Flip", "Affine", "ColorJitter", "Tint", "Cutout"]),
        ("auto", (32, 32, 4), ["Flip", "Affine", "Cutout"]),
        ("photos", (28, 28, 1), ["Flip", "Affine", "Cutout"]),
        ("auto", (5,), ["Jitter"]),
    ],
)
def test_views_by_name_fit_the_examples_and_can_be_saved(name, shape, kinds):
    views = augmentation.named(name, shape)
    assert [type(each).__name__ for each in getattr(views, "views", [views])] == kinds
    assert all(kind in str(views) for kind in kinds)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(views))
    x = tf.random.stateless_uniform([3, *shape], [5, 6])
    np.testing.assert_array_equal(again(x, [1, 2]), views(x, [1, 2]))
    assert not np.allclose(views(x, [1, 2]), views(x, [1, 3]))


def test_other_names_of_views_are_refused():
    for shape in ((8, 8, 1), (5,)):
        with pytest.raises(ValueError, match="auto, digits, photos or none"):
            augmentation.named("letters", shape)
    assert augmentation.named("none", (8, 8, 1)) is None
