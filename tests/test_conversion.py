"""The .tflite files of exports, and the classifier that runs them without TensorFlow."""

import os
import shutil
import struct
import subprocess
import sys
import types
import zlib

from ai_edge_litert import interpreter
from conftest import ROOT
from conftest import bars
import numpy as np
from PIL import Image
import pytest
from test_models import make

from keras_aae import config as config_lib
from keras_aae import data
from keras_aae import edge
from keras_aae import errors
from keras_aae.deployment import conversion
from keras_aae.deployment import export
from keras_aae.deployment import litert
from keras_aae.training import run_directory


def dataset():
    split = data.Split(*bars(60))
    return data.Dataset(split, split, split, ("low", "middle", "high"))


def convert(name, path, precisions=config_lib.PRECISIONS):
    model = make(name)
    directory = run_directory.RunDirectory(path / "run")
    rows = conversion.convert(model, dataset(), precisions, directory)
    return model, {(row["use"], row["precision"]): row for row in rows}


@pytest.fixture(scope="module")
def semisup(tmp_path_factory):
    """A model, the rows of its conversion and the folder of its files."""
    path = tmp_path_factory.mktemp("edge")
    model, rows = convert("semisup", path)
    return model, rows, path / "run/edge"


def test_int8_is_calibrated_on_every_class_of_sorted_examples(tmp_path, monkeypatch):
    images, labels = bars(60)
    order = np.argsort(labels)
    split = data.Split(images[order], labels[order])
    calibrations = []

    def stop(saved_model, use, precision, calibration):
        calibrations.append(calibration)
        raise ValueError("enough")

    monkeypatch.setattr(conversion, "_CALIBRATION", 3)
    monkeypatch.setattr(conversion, "_convert", stop)
    model, directory = make("aae"), run_directory.RunDirectory(tmp_path / "run")
    dataset = data.Dataset(split, split, split, ("a", "b", "c"))
    conversion.convert(model, dataset, ("int8",), directory)
    np.testing.assert_array_equal(calibrations[0]["image"], split.x[[0, 20, 40]])


def test_every_use_and_precision_is_made_and_checked(semisup):
    model, rows, folder = semisup
    assert set(rows) == {
        (use, precision)
        for use in ("classify", "encode", "decode")
        for precision in config_lib.PRECISIONS
    }
    images, labels = bars(60)
    error = np.mean(model.classify(images)["class"].numpy() != labels)
    for (use, precision), row in rows.items():
        assert (folder / f"{use}-{precision}.tflite").stat().st_size == row["bytes"]
        assert row["largest_deviation"] < {"float32": 1e-5, "float16": 1e-2}.get(precision, 0.3)
        assert 0 < row["median_ms"] <= row["p99_ms"]
    assert rows["classify", "float32"]["error_rate"] == pytest.approx(error)


def test_a_file_takes_any_batch(semisup):
    model, _, folder = semisup
    images, _ = bars(7)
    converted = litert.Model(folder / "encode-float32.tflite")
    for count in (1, 7, 3):
        code = converted(image=images[:count])
        for part, value in model.encode(images[:count]).items():
            np.testing.assert_allclose(code[part], value, atol=1e-5)


@pytest.mark.parametrize("name", ["supervised", "dimreduce_unsup", "label_informed"])
def test_other_variants_convert_too(name, tmp_path):
    model, rows = convert(name, tmp_path, ["float32"])
    predicted = {None: set(), "class": {"classify"}, "cluster": {"cluster"}}[model.prediction]
    assert set(rows) == {(use, "float32") for use in {"encode", "decode"} | predicted}
    assert all(row["largest_deviation"] < 1e-4 for row in rows.values())


@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_a_file_for_the_browser_has_no_free_axis_and_computes_no_shape(network, tmp_path):
    model = make("semisup", network=network)
    saved_model = export.export(model, tmp_path / "models")
    code = model.encode(bars(1)[0])
    inputs = {"encode": {"image": bars(1)[0]}, "decode": {k: v.numpy() for k, v in code.items()}}
    expected = {"encode": code, "decode": {"image": model.decode(code)}}
    for use, given in inputs.items():
        content = conversion.for_browser(saved_model, use)
        loaded = interpreter.Interpreter(model_content=content)
        assert not {"SHAPE", "PACK"} & {op["op_name"] for op in loaded._get_ops_details()}
        runner = loaded.get_signature_runner()
        assert all(
            detail["shape_signature"][0] == 1 for detail in runner.get_input_details().values()
        )
        for name, value in runner(**given).items():
            np.testing.assert_allclose(value, expected[use][name], atol=1e-5)


def test_what_cannot_be_made_says_why_and_the_rest_is_made(tmp_path, monkeypatch):
    original = conversion._convert

    def fail(saved_model, use, *rest):
        if use == "encode":
            raise RuntimeError("no such op:\n  Fancy")
        return original(saved_model, use, *rest)

    monkeypatch.setattr(conversion, "_convert", fail)
    _, rows = convert("aae", tmp_path, ["float32"])
    assert rows["encode", "float32"]["fault"] == "no such op: Fancy"
    assert rows["decode", "float32"]["bytes"] > 0
    lines = conversion.table(rows.values()).splitlines()
    assert "can't be made: no such op: Fancy" in lines[1]
    assert f"{rows['decode', 'float32']['bytes']:,}" in lines[2]


def test_what_can_be_made_but_not_run_says_why_and_the_rest_is_made(tmp_path, monkeypatch):
    check = conversion._check

    def fail(converted, *rest):
        if converted.use == "encode":
            raise errors.UserError("encode-float32.tflite: can't be run")
        return check(converted, *rest)

    monkeypatch.setattr(conversion, "_check", fail)
    _, rows = convert("aae", tmp_path, ["float32"])
    assert rows["encode", "float32"]["fault"] == "encode-float32.tflite: can't be run"
    assert rows["decode", "float32"]["bytes"] > 0
    assert [path.stem for path in tmp_path.rglob("*.tflite")] == ["decode-float32"]


def test_a_name_of_two_lines_is_not_written_to_the_names_of_the_classes(tmp_path):
    split = data.Split(*bars(6))
    named = data.Dataset(split, split, split, ("low", "mid\ndle", "high"))
    with pytest.raises(errors.UserError, match=r"edge/classes.txt: class 'mid\\ndle'"):
        conversion.convert(make("semisup"), named, (), run_directory.RunDirectory(tmp_path))
    assert not (tmp_path / "edge").exists()


def classify(*arguments):
    """Runs keras_aae.edge in a process that must not import TensorFlow."""
    code = (
        "import sys\n"
        "from keras_aae import edge\n"
        "status = edge.main()\n"
        "assert not {'tensorflow', 'keras', 'tensorflow_probability'} & set(sys.modules)\n"
        "sys.exit(status)\n"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


def test_a_picture_is_classified_without_tensorflow(semisup, tmp_path):
    model, _, folder = semisup
    image = bars(1)[0]
    Image.fromarray(image[0, ..., 0]).save(tmp_path / "dark.png")
    Image.fromarray(255 - image[0, ..., 0]).convert("RGB").save(tmp_path / "light.png")
    answer = model.classify(image)
    name = ("low", "middle", "high")[int(answer["class"][0])]
    share = float(answer["class_probabilities"].numpy().max())
    for arguments in (["dark.png"], ["light.png", "--invert"]):
        path = tmp_path / arguments[0]
        done = classify(folder / "classify-float32.tflite", path, *arguments[1:])
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"{path}: {name} ({name} {share:.1%}, ")


def test_a_model_of_pictures_with_opacity_is_refused_at_the_edge(monkeypatch, capsys):
    """Reading a picture lays it on white, so that its opacity is gone."""
    model = types.SimpleNamespace(use="classify", inputs={"image": (1, 4, 4, 4)})
    monkeypatch.setattr(litert, "Model", lambda path: model)
    assert edge.main(["some.tflite", "some.png"]) == 2
    said = "for grey or RGB images. Received: classify of image [1, 4, 4, 4]"
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("model_name", "image_name", "message"),
    [
        ("gone.tflite", "fine.png", "gone.tflite: not a readable .tflite model"),
        ("random.tflite", "fine.png", "random.tflite: not a readable .tflite model"),
        (
            "decode-float32.tflite",
            "fine.png",
            "expected a classify or cluster file for grey or RGB images",
        ),
        ("classify-float32.tflite", "gone.png", "gone.png: not a readable image"),
        ("classify-float32.tflite", "random.tflite", "random.tflite: not a readable image"),
        ("classify-float32.tflite", "cut.png", "cut.png: not a readable image"),
        ("classify-float32.tflite", "huge.png", "huge.png: not a readable image"),
        ("classify-float32.tflite", "pipe", "pipe: not a readable image"),
        ("pipe", "fine.png", "pipe: not a readable .tflite model"),
        ("copy/classify-float32.tflite", "fine.png", "classes.txt: not readable"),
    ],
)
def test_a_mistake_at_the_edge_gets_one_clear_line(
    semisup, capsys, model_name, image_name, message, no_hang
):
    folder = semisup[2]
    (folder / "random.tflite").write_bytes(bytes(range(256)) * 9)
    Image.fromarray(np.zeros((50, 40), np.uint8)).save(folder / "fine.png")
    whole = (folder / "fine.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    size = b"IHDR" + struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)
    head = b"\x89PNG\r\n\x1a\n\0\0\0\r" + size + struct.pack(">I", zlib.crc32(size))
    (folder / "huge.png").write_bytes(head)
    (folder / "pipe").unlink(missing_ok=True)
    os.mkfifo(folder / "pipe")
    (folder / "copy").mkdir(exist_ok=True)
    shutil.copy(folder / "classify-float32.tflite", folder / "copy")
    (folder / "copy/classes.txt").write_bytes(b"caf\xe9\n")
    assert edge.main([str(folder / model_name), str(folder / image_name)]) == 2
    assert message in capsys.readouterr().err
