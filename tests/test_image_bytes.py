"""Image files decoded in a graph, against the reader of data sets."""

import io
import struct
import zlib

import numpy as np
from PIL import Image
import pytest
import tensorflow as tf

from keras_aae import image_files
from keras_aae.deployment import image_bytes

PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)).resize(
    (70, 50), Image.Resampling.BICUBIC
)


def encoded(picture, ending, **options):
    buffer = io.BytesIO()
    picture.save(buffer, ending, **options)
    return buffer.getvalue()


def veiled():
    """A picture that fades from left to right."""
    picture = PHOTO.copy()
    picture.putalpha(Image.linear_gradient("L").rotate(90).resize(PHOTO.size))
    return picture


FILES = {
    "png": encoded(PHOTO, "PNG"),
    "grey": encoded(PHOTO.convert("L"), "PNG"),
    "1 bit": encoded(PHOTO.convert("1"), "PNG"),
    "2 bits": encoded(PHOTO.quantize(4), "PNG"),
    "palette": encoded(PHOTO.quantize(200), "PNG"),
    "veiled palette": encoded(veiled().quantize(200, method=2), "PNG"),
    "veiled palette of 4 bits": encoded(veiled().quantize(16, method=2), "PNG"),
    "veiled palette of 2 bits": encoded(veiled().quantize(4, method=2), "PNG"),
    "grey of 1 bit, black transparent": encoded(PHOTO.convert("1"), "PNG", transparency=0),
    "a colour transparent": encoded(PHOTO.quantize(4), "PNG", transparency=1),
    "alpha": encoded(veiled(), "PNG"),
    "jpeg": encoded(PHOTO, "JPEG"),
    "grey jpeg": encoded(PHOTO.convert("L"), "JPEG"),
}


@pytest.mark.parametrize("shape", [(50, 70, 3), (28, 28, 1), (100, 80, 3)])
@pytest.mark.parametrize("name", FILES)
def test_a_file_is_read_as_data_sets_read_it(tmp_path, name, shape):
    (tmp_path / "picture").write_bytes(FILES[name])
    expected = image_files.read_as(tmp_path / "picture", shape)
    decoded = image_bytes.decode(tf.constant([FILES[name]]), shape).numpy()
    assert decoded.dtype == np.uint8
    np.testing.assert_allclose(decoded, expected, atol=1)


def test_files_of_any_size_and_number_make_one_batch():
    small = encoded(PHOTO.resize((9, 3)), "PNG")
    assert image_bytes.decode(tf.constant([small, FILES["jpeg"]]), (8, 6, 3)).shape == (2, 8, 6, 3)
    assert image_bytes.decode(tf.constant([], tf.string), (8, 6, 3)).shape == (0, 8, 6, 3)


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"text", FILES["png"][:20], FILES["png"][:60], FILES["jpeg"][:200]),
        *(encoded(PHOTO, name) for name in ("GIF", "WEBP", "BMP", "TIFF")),
    ],
)
def test_what_is_no_image_is_an_invalid_argument(content):
    with pytest.raises(tf.errors.InvalidArgumentError):
        image_bytes.decode(tf.constant([content]), (8, 6, 3))


def test_what_stands_before_the_header_of_a_png_does_not_pass_for_it(monkeypatch):
    """libpng skips a chunk that it doesn't know; this one has a size of 4x4 where a header has."""
    chunk = b"aaAa" + struct.pack(">IIB", 4, 4, 8)
    chunk = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    png = encoded(Image.new("1", (11_000, 11_000)), "PNG")
    content = png[:8] + chunk + png[8:]
    monkeypatch.setattr(tf.io, "decode_png", lambda *_, **__: pytest.fail("decoded"))
    with pytest.raises(tf.errors.InvalidArgumentError):
        image_bytes.decode(tf.constant([content]), (8, 6, 3))


@pytest.mark.parametrize("ending", ["PNG", "JPEG"])
def test_a_small_file_of_too_many_pixels_is_refused_before_it_is_decoded(ending, monkeypatch):
    size = (30_000, 30_000) if ending == "PNG" else (60_000, 500)
    content = encoded(Image.new("1" if ending == "PNG" else "L", size), ending)
    assert len(content) < 500_000
    monkeypatch.setattr(tf.io, f"decode_{ending.lower()}", lambda *_, **__: pytest.fail("decoded"))
    with pytest.raises(tf.errors.InvalidArgumentError, match="an image of 1 to 25000000 pixels"):
        image_bytes.decode(tf.constant([content]), (8, 6, 3))
