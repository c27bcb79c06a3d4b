"""Image files decoded in a graph, so that a client can send them as they are."""

import tensorflow as tf

from keras_aae.data import images

NAME = "image_bytes"  # The ending has TF Serving's REST take {"b64": ...} for it.
MOST_PIXELS = 25_000_000  # Of one image: a small file may claim more than a server has memory for.

# How such a file begins, header included: libpng accepts an unknown chunk before the header, whose
# content would be taken for a size here.
_PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
# Places in it: width and height, the bits of a channel, and the type of the pixels.
_PNG_SIZE, _PNG_BITS, _PNG_TYPE = 16, 24, 25
_PALETTE = 3


def decode(contents: tf.Tensor, shape: tuple[int, ...]) -> tf.Tensor:
    """Each image file, scaled to one size: uint8 [B, H, W, C].

    What is transparent in a PNG is laid on white. The orientation in EXIF data is not read.

    Args:
        contents: String [B]: PNG or JPEG files.
        shape: (H, W, C), where C is 1 for grey and 3 for colour.

    Raises:
        tf.errors.InvalidArgumentError: one is damaged, of another format, or has more than
            `MOST_PIXELS`.
    """
    return tf.map_fn(
        lambda content: _scaled(_pixels(content), shape),
        contents,
        parallel_iterations=1,  # Each takes memory.
        fn_output_signature=tf.TensorSpec(shape, tf.uint8),
    )


def _pixels(content: tf.Tensor) -> tf.Tensor:
    """The pixels of a file, float32 [height, width, 3], from 0 to 255."""
    is_png = tf.strings.substr(content, 0, len(_PNG)) == _PNG
    return tf.cond(is_png, lambda: _of_png(content), lambda: _of_jpeg(content))


def _of_jpeg(content: tf.Tensor) -> tf.Tensor:
    size = tf.image.extract_jpeg_shape(content)[:2]
    with tf.control_dependencies([_checked(size)]):
        pixels = tf.io.decode_jpeg(content, channels=3, dct_method="INTEGER_ACCURATE")
    return tf.cast(pixels, tf.float32)


def _of_png(content: tf.Tensor) -> tf.Tensor:
    """What is transparent is laid on white."""
    size = tf.io.decode_raw(tf.strings.substr(content, _PNG_SIZE, 8), tf.int32, little_endian=False)
    with tf.control_dependencies([_checked(size)]):
        values = tf.cast(tf.io.decode_png(content, channels=4), tf.float32)
    bits, kind = (
        tf.io.decode_raw(tf.strings.substr(content, place, 1), tf.uint8)[0]
        for place in (_PNG_BITS, _PNG_TYPE)
    )
    # Pixels of 1, 2 or 4 bits are scaled to 8, but what stands for opaque in them is not, unless
    # they are from a palette with opacities of its own.
    opaque = tf.pow(2.0, tf.cast(tf.minimum(bits, 8), tf.float32)) - 1
    own = (kind == _PALETTE) & tf.reduce_any(values[..., 3] != opaque)
    opacity = tf.minimum(values[..., 3:] / tf.where(own, 255.0, opaque), 1)
    return opacity * values[..., :3] + (1 - opacity) * images.WHITE


def _checked(size: tf.Tensor) -> tf.Operation:
    """Fails where an image of that height and width has too many pixels."""
    count = tf.reduce_prod(tf.cast(size, tf.float32))
    fits = (count > 0) & (count <= MOST_PIXELS)
    return tf.debugging.Assert(fits, [f"Expected an image of 1 to {MOST_PIXELS} pixels"])


def _scaled(pixels: tf.Tensor, shape: tuple[int, ...]) -> tf.Tensor:
    height, width, channels = shape
    if channels == 1:
        pixels = tf.image.rgb_to_grayscale(pixels)
    scaled = tf.image.resize(pixels, (height, width), antialias=True)
    return tf.cast(tf.round(tf.clip_by_value(scaled, 0, images.WHITE)), tf.uint8)
