"""The model base: labels, versions and warm-up, as TF Serving reads them."""

import os
import pathlib

from conftest import fork
from conftest import mounted
from google.protobuf import text_format
import processes
import pytest
from tensorflow_serving.config import model_server_config_pb2

from keras_aae import errors
from keras_aae.deployment import model_base


@pytest.fixture
def base(tmp_path):
    """A model base with versions 1 to 3 of `digits`, exported in that order, and 1 of `letters`."""
    for name, number in (("digits", 1), ("digits", 2), ("digits", 3), ("letters", 1)):
        (tmp_path / name / str(number)).mkdir(parents=True)
        model_base.register(tmp_path, name)
    return tmp_path


def config(base):
    text = (base / "models.config").read_text()
    parsed = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    return {entry.name: entry for entry in parsed.model_config_list.config}


def labels(base, name="digits"):
    return dict(config(base)[name].version_labels)


def test_the_newest_export_is_the_canary_and_the_first_stays_stable(base):
    assert labels(base) == {"stable": 1, "canary": 3}
    assert labels(base, "letters") == {"stable": 1, "canary": 1}
    entry = config(base)["digits"]
    assert (entry.base_path, entry.model_platform) == ("/models/digits", "tensorflow")
    # A label may only name a version that is loaded.
    assert list(entry.model_version_policy.specific.versions) == [1, 3]


def test_promotion_and_the_way_back(base):
    assert model_base.promote(base, "digits") == 3
    assert labels(base) == {"stable": 3, "canary": 3}
    assert model_base.promote(base, "digits", 2) == 2
    assert labels(base) == {"stable": 2, "canary": 3}
    assert list(config(base)["digits"].model_version_policy.specific.versions) == [2, 3]
    assert labels(base, "letters") == {"stable": 1, "canary": 1}


def test_versions_lists_every_model_with_its_labels(base):
    assert model_base.versions(base) == [
        ("digits", 1, ("stable",)),
        ("digits", 2, ()),
        ("digits", 3, ("canary",)),
        ("letters", 1, ("canary", "stable")),
    ]


def test_a_stable_version_that_is_gone_is_replaced_by_the_oldest(base):
    (base / "digits/1").rmdir()
    (base / "digits/4").mkdir()
    model_base.register(base, "digits")
    assert labels(base) == {"stable": 2, "canary": 4}


def test_a_canary_that_is_gone_is_replaced_by_the_newest(base):
    for number in (2, 3):
        (base / f"digits/{number}").rmdir()
    (base / "digits/2").mkdir()
    model_base.register(base, "digits")
    assert labels(base) == {"stable": 1, "canary": 2}


def test_what_stands_there_of_other_models_stays(base):
    mine = """model_config_list {
      config { name: "resnet" base_path: "/models/resnet"
               model_version_policy { specific { versions: 3 versions: 4 } } }
      config { name: "other" base_path: "/models/other" model_version_policy { all {} } } }"""
    text_format.Parse(mine, expected := model_server_config_pb2.ModelServerConfig())
    (base / "models.config").write_text(mine)
    model_base.register(base, "digits")
    model_base.promote(base, "digits", 2)
    found = config(base)
    for entry in expected.model_config_list.config:
        assert found[entry.name] == entry
    assert labels(base) == {"stable": 2, "canary": 3}


def test_folders_that_are_no_version_are_left_alone(base):
    for name in ("\u00b2", "\u0664", "9" * 23, "-1", "1.5"):
        (base / "digits" / name).mkdir()
    assert model_base.numbers(base, "digits") == [1, 2, 3]


@pytest.mark.parametrize(("name", "version"), [("digits", 7), ("gone", 0), ("gone", 1)])
def test_what_is_not_there_is_not_promoted(base, name, version):
    before = (base / "models.config").read_text()
    with pytest.raises(errors.UserError, match=f"--name={name} --version={version}: expected one"):
        model_base.promote(base, name, version)
    assert (base / "models.config").read_text() == before


def test_a_damaged_config_is_named(base):
    (base / "models.config").write_text("model_config_list {")
    with pytest.raises(errors.UserError, match=r"models\.config: damaged"):
        model_base.versions(base)
    (base / "models.config").unlink()
    (base / "models.config").mkdir()
    with pytest.raises(errors.UserError, match=r"models\.config: damaged \(not a regular"):
        model_base.versions(base)


@pytest.mark.parametrize(
    ("place", "name", "message"),
    [
        ("models", "models.config", "is a file of the model base"),
        ("models", "README.md", "is a file of the model base"),
        ("damaged", "digits", r"models\.config: damaged"),
        ("a[b]", "digits", "expected a path without"),
        ("file", "digits", "file can't be written to"),
        ("dangling", "digits", "dangling can't be written to"),
        ("x" * 300, "digits", "not writable .File name too long"),
    ],
)
def test_where_an_export_cannot_go_is_said_before_there_is_a_model(tmp_path, place, name, message):
    for folder in ("models", "damaged"):
        (tmp_path / folder).mkdir()
    (tmp_path / "models/README.md").write_text("")
    (tmp_path / "damaged/models.config").write_text("model_config_list {")
    (tmp_path / "file").write_text("")
    (tmp_path / "dangling").symlink_to(tmp_path / "gone")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(errors.UserError, match=message):
        model_base.check(tmp_path / place, name)
    assert sorted(tmp_path.rglob("*")) == before
    model_base.check(tmp_path / "new/base", "digits")


def test_a_read_only_model_base_is_said_before_there_is_a_model(tmp_path):
    with (
        mounted(tmp_path / "disk", "ro") as place,
        pytest.raises(errors.UserError, match="disk can't be written to"),
    ):
        model_base.check(place / "models", "digits")


def register_many(base, process, count):
    for number in range(1, count + 1):
        (base / f"m{process}" / str(number)).mkdir(parents=True)
        model_base.register(base, f"m{process}")


def test_no_entry_is_lost_when_processes_register_at_once(tmp_path):
    registering = [
        processes.context().Process(target=register_many, args=(tmp_path, i, 20)) for i in range(3)
    ]
    for process in registering:
        process.start()
    for process in registering:
        process.join()
    assert [labels(tmp_path, f"m{i}") for i in range(3)] == [{"stable": 1, "canary": 20}] * 3
    assert not list(tmp_path.glob("*unfinished*"))


def test_the_command_line_promotes_and_lists(base):
    done = fork("--mode=promote", "--name=digits", f"--export_dir={base}", cwd=base)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[2].split() == ["digits", "3", "canary,", "stable"]
    assert labels(base)["stable"] == 3
    with pytest.raises(errors.UserError, match="gone: no such folder"):
        model_base.versions(base / "gone")


def test_a_folder_that_cannot_be_read_is_left_out_of_the_versions(base, monkeypatch, capsys):
    expected = model_base.versions(base)
    (base / "lost+found").mkdir()
    iterdir = pathlib.Path.iterdir

    def denied(path):
        if path.name == "lost+found":
            raise PermissionError(13, "Permission denied", str(path))
        return iterdir(path)

    monkeypatch.setattr(pathlib.Path, "iterdir", denied)
    assert model_base.versions(base) == expected
    assert "lost+found: not readable (Permission denied); left out" in capsys.readouterr().err
    with pytest.raises(errors.UserError, match=r"lost\+found: not readable"):
        model_base.next_number(base, "lost+found")


def test_without_a_record_the_newest_version_is_promoted(base):
    (base / "models.config").unlink()
    newest = max(model_base.numbers(base, "digits"))
    assert model_base.promote(base, "digits") == newest
    assert labels(base) == {"stable": newest}  # TF Serving refuses labels of versions it has not.
    model_base.promote(base, "digits", 2)
    model_base.register(base, "digits")  # As the export of an older run does, which is there.
    assert labels(base) == {"stable": 2, "canary": newest}


def test_only_folders_named_as_exports_name_them_are_versions(base):
    for folder in ("007", "0", "1" * 19, "latest"):
        (base / "digits" / folder).mkdir()
    (base / "digits/8").write_text("a file")
    assert model_base.numbers(base, "digits") == [1, 2, 3]
    assert model_base.next_number(base, "digits") == 4
    with pytest.raises(errors.UserError, match=r"--version=8: expected one of .*\[1, 2, 3\]"):
        model_base.promote(base, "digits", 8)
    (base / "digits" / ("9" * 18)).mkdir()
    for use in (model_base.next_number, model_base.check):  # A check comes before training.
        with pytest.raises(errors.UserError, match=r"/9{18}: no version can follow this one"):
            use(base, "digits")


def test_a_pipe_in_the_place_of_the_config_is_not_waited_for(tmp_path, no_hang):
    os.mkfifo(tmp_path / "models.config")
    with pytest.raises(errors.UserError, match=r"models.config: damaged \(not a regular file\)"):
        model_base.versions(tmp_path)


def test_a_config_that_is_a_link_stays_one(base, tmp_path):
    (base / "models.config").rename(base / "shared.config")
    (base / "models.config").symlink_to("shared.config")
    model_base.promote(base, "digits")
    assert (base / "models.config").is_symlink()
    assert labels(base) == {"stable": 3, "canary": 3}
    assert "value: 3" in (base / "shared.config").read_text()
