import datetime

from conftest import bars
import processes
import pytest

from keras_aae import config as config_lib
from keras_aae import data
from keras_aae import errors
from keras_aae import files
from keras_aae import version
from keras_aae.training import run_directory


def test_a_directory_of_other_settings_is_refused_and_says_which(tmp_path):
    directory = run_directory.RunDirectory(tmp_path / "new" / "run")
    with directory.claim(config_lib.Config(seed=1), dataset()):
        pass
    with (
        pytest.raises(errors.UserError, match=r"--seed=2 \(there: 1\)"),
        directory.claim(config_lib.Config(seed=2)),
    ):
        pass
    with directory.claim(config_lib.Config(seed=1, strategy="single")):
        pass
    with directory.claim(
        config_lib.Config(seed=1, dataset="moved.npz", data_dir="there"), dataset()
    ):
        pass


def test_a_worker_needs_the_run_of_the_chief_its_settings_and_its_data(tmp_path):
    directory = run_directory.RunDirectory(tmp_path / "run")
    with pytest.raises(errors.UserError, match="expected the run that the chief has begun"):
        directory.check_same(config_lib.Config(), dataset())
    with directory.claim(config_lib.Config(), dataset()):
        directory.check_same(config_lib.Config(strategy="multiworker"), dataset())
        with pytest.raises(errors.UserError, match=r"--seed=2 \(there: 0\)"):
            directory.check_same(config_lib.Config(seed=2), dataset())
        other = dataset()
        other.train.x[0, 0, 0] ^= 1
        with pytest.raises(errors.UserError, match="holds a run on other data"):
            directory.check_same(config_lib.Config(), other)


def hold(path, ready, done):
    with run_directory.RunDirectory(path).claim(config_lib.Config()):
        ready.set()
        done.wait(30)


def test_a_directory_in_use_is_refused(tmp_path):
    ready, done = processes.context().Event(), processes.context().Event()
    other = processes.context().Process(target=hold, args=(tmp_path, ready, done))
    other.start()
    try:
        assert ready.wait(60)
        with (
            pytest.raises(errors.UserError, match="another process"),
            run_directory.RunDirectory(tmp_path).claim(config_lib.Config()),
        ):
            pass
    finally:
        done.set()
        other.join()
    with run_directory.RunDirectory(tmp_path).claim(config_lib.Config()):
        pass


def test_a_path_that_is_too_long_is_refused(tmp_path):
    with pytest.raises(errors.UserError, match=r"not writable \(File name too long"):
        run_directory.RunDirectory(tmp_path / ("x" * 300)).check(config_lib.Config())


def test_a_path_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(errors.UserError, match="file: not writable"),
        run_directory.RunDirectory(tmp_path / "file").claim(config_lib.Config()),
    ):
        pass


@pytest.fixture
def kept(tmp_path):
    """A directory with a run on `dataset()` and its results."""
    directory = run_directory.RunDirectory(tmp_path)
    with directory.claim(config_lib.Config(), dataset()):
        directory.write_results({"test": {"error_rate": 0.5}})
    return directory


def dataset(**changes):
    (x, y), (x_test, y_test) = bars(12), bars(6, seed=1)
    parts = {"train": (x, y), "validation": (x_test, y_test), "test": (x_test, y_test)} | changes
    classes = parts.pop("classes", ("a", "b", "c"))
    return data.Dataset(**{name: data.Split(*p) for name, p in parts.items()}, classes=classes)


@pytest.mark.parametrize(
    "changes",
    [
        {"train": (255 - bars(12)[0], bars(12)[1])},
        {"train": (bars(12)[0], (bars(12)[1] + 1) % 3)},
        {"test": bars(7, seed=1)},
        {"classes": ("a", "b", "d")},
    ],
    ids=["images", "labels", "count", "names"],
)
def test_other_data_is_refused(kept, changes):
    with kept.claim(config_lib.Config(), dataset()):
        pass
    with (
        pytest.raises(errors.UserError, match="holds a run on other data"),
        kept.claim(config_lib.Config(), dataset(**changes)),
    ):
        pass


@pytest.mark.parametrize("name", ["run.json", "results.json"])
def test_damaged_records_are_refused_and_stay(kept, name):
    """Every 97th bit flipped, in turn."""
    path = kept.path / name
    good = path.read_bytes()
    for position in range(0, 8 * len(good), 97):
        changed = bytearray(good)
        changed[position // 8] ^= 1 << position % 8
        path.write_bytes(changed)
        with pytest.raises(errors.UserError, match=rf"{name}: damaged"):
            kept.read_results()
        assert path.read_bytes() == changed
    path.write_bytes(good)
    assert kept.read_results() == {"test": {"error_rate": 0.5}}


@pytest.mark.parametrize("name", ["a[1]", "a*", "a?", "a\\b"])
def test_a_path_that_tensorflow_cannot_read_is_refused_before_training(tmp_path, name):
    directory = run_directory.RunDirectory(tmp_path / name)
    with pytest.raises(errors.UserError, match="expected a path without the characters"):
        directory.check(config_lib.Config())
    assert not directory.path.exists()


def test_what_killed_processes_left_unfinished_goes(kept):
    left = kept.path / "figures/.unfinished-0123-a.png"
    left.parent.mkdir()
    left.write_bytes(b"half")
    with kept.claim(config_lib.Config()):
        assert not left.exists()


def test_two_runs_that_start_in_one_second_get_two_directories(tmp_path, monkeypatch):
    class Clock(datetime.datetime):
        @classmethod
        def now(cls):
            return cls(2026, 1, 2, 3, 4, 5)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run_directory.datetime, "datetime", Clock)
    paths = [str(run_directory.RunDirectory.new("digits").path) for _ in range(3)]
    stem = "runs/digits-20260102-030405"
    assert paths == [stem, f"{stem}-2", f"{stem}-3"]


def test_a_run_of_another_version_is_refused_with_both_versions(kept):
    assert kept.read_config() == config_lib.Config()
    record = files.read_record(kept.path / "run.json")
    files.write_record(kept.path / "run.json", record | {"keras_aae": "9.9.1"})
    with pytest.raises(errors.UserError, match=rf"keras_aae 9\.9\.1 wrote.*{version.VERSION}"):
        kept.read_config()


def test_a_directory_without_a_run_is_told(tmp_path):
    with pytest.raises(errors.UserError, match=r"expected the directory of a run; there is no"):
        run_directory.RunDirectory(tmp_path).read_config()


def test_a_run_that_was_killed_at_its_very_start_goes_on(tmp_path, monkeypatch):
    """After each file that it writes first."""
    written = files.write

    for count in (1, 2):
        directory, calls = run_directory.RunDirectory(tmp_path / str(count)), []

        def killed(target, content, calls=calls, count=count):
            written(target, content)
            calls.append(target.name)
            if len(calls) == count:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(files, "write", killed)
            with pytest.raises(KeyboardInterrupt), directory.claim(config_lib.Config(), dataset()):
                pass
        assert len(calls) == count
        with directory.claim(config_lib.Config(), dataset()):
            assert directory.read_config() == config_lib.Config()
            assert (directory.path / "config.cfg").exists()


def test_listed_directories_may_have_commas_in_their_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("rate=1,seed=0", "rate=1,seed=1", "a"):
        (tmp_path / name).mkdir()
    names = ["rate=1,seed=0", "a", "rate=1,seed=1", "gone", "b"]
    assert run_directory.listed(",".join(names)) == names
