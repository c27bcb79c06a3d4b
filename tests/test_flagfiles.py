import dataclasses
import os

from absl import flags
from conftest import PROPERTY
import hypothesis
from hypothesis import strategies
import pytest

from keras_aae import config as config_lib
from keras_aae import errors
from keras_aae import flagfiles
from keras_aae import launch


def test_flagfiles_are_found_by_name_from_anywhere_and_may_nest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.cfg").write_text("\ufeff// mine\n--flagfile=quickstart.cfg\n\n--seed=7\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    arguments = flagfiles.expand(["--flagfile", "~/mine.cfg", "--labels=20"])
    assert arguments[0] == "--name=quickstart"
    assert arguments[-2:] == ["--seed=7", "--labels=20"]


def test_a_file_of_that_path_comes_before_a_shipped_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "semisup.cfg").write_text("--seed=9\n")
    assert flagfiles.expand(["--flagfile=semisup.cfg"]) == ["--seed=9"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"--flagfile=loop.cfg\n", "names itself"),
        (b"labels=3\n", "expected lines like"),
        (b"\xff\xfe\x00", "not readable"),
        (b"#" * (1 << 20) + b"\n", "longer than 1,048,576 bytes"),
    ],
)
def test_a_bad_flagfile_is_refused(tmp_path, content, message):
    path = tmp_path / "loop.cfg"
    path.write_bytes(content)
    with pytest.raises(errors.UserError, match=message):
        flagfiles.expand([f"--flagfile={path}"])


def test_a_missing_flagfile_names_those_that_ship():
    with pytest.raises(errors.UserError, match=r"nothing.cfg.*quickstart.cfg"):
        flagfiles.expand(["--flagfile=nothing.cfg"])


def chain(folder, count, repeats=1):
    """The first of so many flagfiles that each name the next; the last sets the seed."""
    for number in range(count):
        line = f"--flagfile={number + 1}.cfg\n" if number < count - 1 else "--seed=1\n"
        (folder / f"{number}.cfg").write_text(line * repeats)
    return f"--flagfile={folder}/0.cfg"


def test_flagfiles_may_name_each_other_twenty_deep(tmp_path):
    assert flagfiles.expand([chain(tmp_path, 20)]) == ["--seed=1"]


@pytest.mark.parametrize(("count", "repeats"), [(21, 1), (1500, 1), (15, 2), (2, 100)])
def test_too_many_flagfiles_are_refused(tmp_path, count, repeats, no_hang):
    expected = r"\d+\.cfg: expected at most 100 flagfiles in all, and 20 that each name the next"
    with pytest.raises(errors.UserError, match=expected):
        flagfiles.expand([chain(tmp_path, count, repeats)])


def test_a_hundred_flagfiles_may_be_given(tmp_path):
    (tmp_path / "x.cfg").write_text("--seed=2\n")
    assert flagfiles.expand([f"--flagfile={tmp_path}/x.cfg"] * 100) == ["--seed=2"] * 100


def test_what_is_no_file_is_refused_by_name(tmp_path, no_hang):
    os.mkfifo(tmp_path / "pipe.cfg")
    for name in (f"{tmp_path}/pipe.cfg", "/dev/zero", str(tmp_path), "a" * 300, "a/" * 3000, "\0"):
        with pytest.raises(errors.UserError) as caught:
            flagfiles.expand([f"--flagfile={name}"])
        shown = name.replace("\0", r"\x00")
        assert str(caught.value).startswith(f"--flagfile={shown}: no such file")


def flag_lines():
    """Lines that may stand in a flagfile: flags that there are, with any values, or any text."""
    names = [field.name for field in dataclasses.fields(config_lib.Config)] + ["flagfile", "smoke"]
    values = strategies.one_of(
        strategies.integers().map(str),
        strategies.floats().map(str),
        strategies.sampled_from(["train", "aae", "mnist_5k", "any.cfg", "quickstart.cfg", ""]),
        strategies.text(max_size=20),
    )
    return strategies.one_of(
        strategies.builds("--{}={}".format, strategies.sampled_from(names), values),
        strategies.text(max_size=20),
    )


def settings_of(path):
    values = flags.FlagValues()
    launch.define_flags(values)
    return launch.read_config(["launch", f"--flagfile={path}"], values)


@hypothesis.given(
    content=strategies.one_of(
        strategies.lists(flag_lines(), max_size=5).map(lambda lines: "\n".join(lines).encode()),
        strategies.binary(max_size=60),
    )
)
@PROPERTY
def test_any_flagfile_gives_settings_or_is_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.cfg"
    path.write_bytes(content)
    try:
        config = settings_of(path)
    except errors.UserError as error:
        assert "\n" not in str(error)
        return
    kept = path.with_name("kept.cfg")
    kept.write_text(config.to_flagfile())
    expected = dataclasses.replace(config, mode="train", runs="", run_dir="")
    assert settings_of(kept) == expected
