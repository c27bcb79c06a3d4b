"""Random changes that leave what an image shows as it is."""

import dataclasses

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("keras_aae")
@dataclasses.dataclass(frozen=True)
class Affine:
    """Views of images: each value is drawn evenly between minus and plus its limit.

    Attributes:
        rotation: In radians.
        shear: The slant, as a tangent.
        scale: The logarithm of the magnification.
        shift: In shares of the image's height and width.
    """

    # XLA in TensorFlow 2.21 has no kernel for ImageProjectiveTransformV3.
    xla = False

    rotation: float = 0.3
    shear: float = 0.3
    scale: float = 0.15
    shift: float = 0.07

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """A view of each image; see `affine`."""
        return affine(images, seed, self)

    def get_config(self) -> dict[str, float]:
        """The arguments of the constructor, for Keras to save."""
        return dataclasses.asdict(self)


@keras.saving.register_keras_serializable("keras_aae")
@dataclasses.dataclass(frozen=True)
class Jitter:
    """Views of standardised feature vectors: Gaussian noise is added.

    Attributes:
        stddev: Its standard deviation.
    """

    stddev: float = 0.3

    def __call__(self, features: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """A view of each feature vector [B, D]."""
        return features + self.stddev * tf.random.stateless_normal(tf.shape(features), seed)

    def get_config(self) -> dict[str, float]:
        """The arguments of the constructor, for Keras to save."""
        return dataclasses.asdict(self)


def default_views(shape: tuple[int, ...]) -> Affine | Jitter:
    """The views that fit examples of that shape: of images those that fit handwriting."""
    return Affine() if len(shape) == 3 else Jitter()


def shift(images: tf.Tensor, seed: tf.Tensor, limit: int) -> tf.Tensor:
    """Moves each image by a random whole number of pixels down and across, repeating its edge.

    Args:
        images: [B, H, W, C].
        seed: Integer [2], for stateless draws.
        limit: The largest shift, in pixels.

    Returns:
        Images of the same shape and dtype.
    """
    count, height, width, _ = images.shape
    moves = tf.random.stateless_uniform([2, count, 1], seed, -limit, limit + 1, tf.int32)
    rows = tf.clip_by_value(tf.range(height) + moves[0], 0, height - 1)
    columns = tf.clip_by_value(tf.range(width) + moves[1], 0, width - 1)
    return tf.gather(tf.gather(images, rows, batch_dims=1), columns, axis=2, batch_dims=1)


def affine(images: tf.Tensor, seed: tf.Tensor, limits: Affine) -> tf.Tensor:
    """Turns, slants, scales and moves each image about its centre, repeating its edge.

    Args:
        images: Float [B, H, W, C].
        seed: Integer [2], for stateless draws.
        limits: How far each change may go.

    Returns:
        Images of the same shape, interpolated linearly.
    """
    _, height, width, _ = images.shape
    draws = tf.random.stateless_uniform([5, tf.shape(images)[0]], seed, -1, 1)
    angle, slant, zoom = draws[0] * limits.rotation, draws[1] * limits.shear, draws[2]
    scale = tf.exp(zoom * limits.scale)
    cos, sin = scale * tf.cos(angle), scale * tf.sin(angle)
    # Where the pixel (x, y) of the result comes from: rotation times shear, about the centre.
    matrix = ((cos, cos * slant - sin), (sin, sin * slant + cos))
    centre = ((width - 1) / 2, (height - 1) / 2)
    moves = (draws[3] * limits.shift * width, draws[4] * limits.shift * height)
    rows = [
        (a, b, here - a * centre[0] - b * centre[1] + move)
        for (a, b), here, move in zip(matrix, centre, moves, strict=True)
    ]
    flat = [*rows[0], *rows[1], tf.zeros_like(angle), tf.zeros_like(angle)]
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack(flat, axis=-1),
        output_shape=[height, width],
        interpolation="BILINEAR",
        fill_mode="NEAREST",
        fill_value=0.0,
    )
