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
