from concurrent import futures
import os
import shutil
import time

import numpy as np
from PIL import EpsImagePlugin
from PIL import Image
import pytest

from keras_aae import errors
from keras_aae import image_files

GREY = np.array([[0, 100, 255], [7, 50, 200]], np.uint8)


def saved(path, picture=GREY, **options):
    Image.fromarray(picture).save(path, **options)
    return path


def refusal(path):
    """What is said of an image file that is refused."""
    with pytest.raises(errors.UserError) as caught:
        image_files.read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: not a readable image (")
    return message


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "bmp", "tif", "gif"])
def test_the_format_is_known_by_content_whatever_the_name(tmp_path, ending):
    path = saved(tmp_path / f"x.{ending}", np.full((2, 3), 77, np.uint8))
    renamed = path.rename(tmp_path / "x.eps")
    pixels, has_more = image_files.read(renamed)
    np.testing.assert_array_equal(pixels, np.full((2, 3, pixels.shape[2]), 77))
    assert not has_more


@pytest.mark.parametrize("ending", ["ppm", "tga", "jp2", "ico", "pdf", "sgi"])
def test_other_formats_of_pillow_are_refused_under_any_name(tmp_path, ending):
    path = saved(tmp_path / f"x.{ending}").rename(tmp_path / "x.png")
    assert refusal(path).endswith("(expected a PNG, JPEG, WebP, BMP, TIFF or GIF)")


def test_a_picture_that_is_a_program_is_not_run(tmp_path, monkeypatch):
    """Pillow gives EPS to Ghostscript: a stand-in would leave a trace."""
    ghostscript = tmp_path / "gs"
    ghostscript.write_text(f"#!/bin/sh\n{shutil.which('touch')} {tmp_path}/started\n")
    ghostscript.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)
    path = saved(tmp_path / "x.eps").rename(tmp_path / "x.png")
    refusal(path)
    assert not (tmp_path / "started").exists()


def test_a_picture_of_more_pixels_than_pillow_would_warn_of_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", GREY.size)
    path = saved(tmp_path / "x.png")
    assert image_files.read(path).pixels.shape == (2, 3, 1)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", GREY.size - 1)
    assert "6 pixels" in refusal(path)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path, no_hang):
    os.mkfifo(tmp_path / "x.png")
    assert "not a regular file" in refusal(tmp_path / "x.png")
    assert "not a regular file" in refusal("/dev/zero")


def test_a_picture_of_any_size_and_mode_becomes_what_the_model_takes(tmp_path):
    Image.new("RGBA", (300, 20), (255, 0, 0, 255)).save(tmp_path / "wide.png")
    grey = image_files.read_as(tmp_path / "wide.png", (12, 12, 1))
    assert (grey.shape, grey.dtype) == ((1, 12, 12, 1), np.uint8)
    colour = image_files.read_as(tmp_path / "wide.png", (8, 9, 3), invert=True)
    np.testing.assert_array_equal(colour, np.broadcast_to([0, 255, 255], (1, 8, 9, 3)))


def test_a_picture_is_given_to_a_model_as_a_data_set_has_it(tmp_path):
    deep = np.array([[0, 25700], [257, 65535]], np.uint16)
    exif = Image.Exif()
    exif[0x0112] = 3  # Upside down.
    path = saved(tmp_path / "x.png", deep, exif=exif)
    given = image_files.read_as(path, (2, 2, 1))
    np.testing.assert_array_equal(given[0, ..., 0], [[255, 1], [100, 0]])
    np.testing.assert_array_equal(given[0], image_files.read(path).pixels)


def test_the_description_of_a_file_is_what_reading_it_gives(tmp_path):
    grey = Image.fromarray(GREY)
    colour = Image.merge("RGB", [grey, grey.point(lambda v: 255 - v), grey])
    turned = Image.Exif()
    turned[0x0112] = 6  # A quarter.
    pictures = {
        "1.png": grey.convert("1"),
        "L.png": grey,
        "LA.png": grey.convert("LA"),
        "P.png": colour.quantize(),
        "P.gif": grey,
        "RGB.png": colour,
        "RGBA.webp": colour.convert("RGBA"),
        "I16.png": Image.fromarray(GREY.astype(np.uint16) * 257),
        "I16.tif": Image.fromarray(GREY.astype(np.uint16) * 257),
        "CMYK.jpg": colour.convert("CMYK"),
    }
    for name, picture in pictures.items():
        for exif in ({}, {"exif": turned}):
            if exif and not name.endswith(("png", "jpg", "webp")):
                continue
            picture.save(tmp_path / name, **exif)
            pixels, has_more = image_files.read(tmp_path / name)
            assert image_files.describe(tmp_path / name) == (pixels.shape, has_more), name
    grey.save(tmp_path / "many.gif", save_all=True, append_images=[Image.fromarray(255 - GREY)])
    assert image_files.describe(tmp_path / "many.gif") == ((2, 3, 1), True)


@pytest.mark.parametrize(("large", "at_once"), [(63, 1), (64, 2)])
def test_large_pictures_are_decoded_one_at_a_time(tmp_path, monkeypatch, large, at_once):
    Image.new("L", (8, 8)).save(tmp_path / "x.png")
    monkeypatch.setattr(image_files, "_LARGE", large)
    decode, running, most = image_files._pixels, [], []

    def noted(opened):
        running.append(opened)
        most.append(len(running))
        time.sleep(0.1)
        running.remove(opened)
        return decode(opened)

    monkeypatch.setattr(image_files, "_pixels", noted)
    with futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(image_files.read, [tmp_path / "x.png"] * 2))
    assert max(most) == at_once
