"""Image files decoded in a graph, so that a client can send them as they are."""

import tensorflow as tf

from keras_aae.data import images

NAME = "image_bytes"  # The ending has TF Serving's REST take {"b64": ...} for it.
_PNG_BITS = 24  # The place of the byte that says how many bits a channel has.


def decode(contents: tf.Tensor, shape: tuple[int, ...]) -> tf.Tensor:
    """The first frame of each image file, scaled to one size: uint8 [B, H, W, C].

    What is transparent in a PNG is laid on white. The orientation in EXIF data is not read.

    Args:
        contents: String [B]: PNG, JPEG, WebP, GIF or BMP files.
        shape: (H, W, C), where C is 1 for grey and 3 for colour.

    Raises:
        tf.errors.InvalidArgumentError: one is damaged, or of another format.
    """
    return tf.map_fn(
        lambda content: _scaled(_pixels(content), shape),
        contents,
        fn_output_signature=tf.TensorSpec(shape, tf.uint8),
    )


def _pixels(content: tf.Tensor) -> tf.Tensor:
    """The pixels of a file, float32 [height, width, 3], from 0 to 255."""
    return tf.cond(
        tf.strings.substr(content, 0, 4) == b"\x89PNG",
        lambda: _of_png(content),
        lambda: _as_float(tf.io.decode_image(content, channels=3, expand_animations=False)),
    )


def _as_float(pixels: tf.Tensor) -> tf.Tensor:
    return tf.ensure_shape(tf.cast(pixels, tf.float32), (None, None, 3))


def _of_png(content: tf.Tensor) -> tf.Tensor:
    """What is transparent is laid on white."""
    values = tf.cast(tf.io.decode_png(content, channels=4), tf.float32)
    # Pixels of 1, 2 or 4 bits are scaled to 8, but what stands for opaque in them is not.
    bits = tf.io.decode_raw(tf.strings.substr(content, _PNG_BITS, 1), tf.uint8)[0]
    opaque = tf.pow(2.0, tf.cast(tf.minimum(bits, 8), tf.float32)) - 1
    opacity = tf.minimum(values[..., 3:] / opaque, 1)
    return opacity * values[..., :3] + (1 - opacity) * images.WHITE


def _scaled(pixels: tf.Tensor, shape: tuple[int, ...]) -> tf.Tensor:
    height, width, channels = shape
    if channels == 1:
        pixels = tf.image.rgb_to_grayscale(pixels)
    scaled = tf.image.resize(pixels, (height, width), antialias=True)
    return tf.cast(tf.round(tf.clip_by_value(scaled, 0, images.WHITE)), tf.uint8)
