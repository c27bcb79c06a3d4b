import datetime
import multiprocessing

import pytest

from keras_aae import config as config_lib
from keras_aae import errors
from keras_aae import version
from keras_aae.training import run_directory


def test_a_directory_of_other_settings_is_refused_and_says_which(tmp_path):
    directory = run_directory.RunDirectory(tmp_path / "new" / "run")
    with directory.claim(config_lib.Config(seed=1)):
        pass
    with (
        pytest.raises(errors.UserError, match=r"--seed=2 \(there: 1\)"),
        directory.claim(config_lib.Config(seed=2)),
    ):
        pass
    with directory.claim(config_lib.Config(seed=1, strategy="single")):
        pass


def hold(path, ready, done):
    with run_directory.RunDirectory(path).claim(config_lib.Config()):
        ready.set()
        done.wait(30)


def test_a_directory_in_use_is_refused(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    other = context.Process(target=hold, args=(tmp_path, ready, done))
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


def test_a_path_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(errors.UserError, match="file: not writable"),
        run_directory.RunDirectory(tmp_path / "file").claim(config_lib.Config()),
    ):
        pass


def test_metrics_come_back_as_numbers_up_to_an_update(tmp_path):
    directory = run_directory.RunDirectory(tmp_path)
    assert directory.read_metrics(10) == []
    rows = [{"step": 5, "loss": 0.1 + 0.2}, {"step": 10, "loss": 1e-9}]
    directory.write_metrics(rows)
    assert directory.read_metrics(10) == rows
    assert directory.read_metrics(9) == rows[:1]


def test_damaged_results_are_told(tmp_path):
    directory = run_directory.RunDirectory(tmp_path)
    assert directory.read_results() is None
    (tmp_path / "results.json").write_text("{")
    with pytest.raises(errors.UserError, match=r"results.json: damaged"):
        directory.read_results()


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


def test_a_run_of_another_version_is_refused_with_both_versions(tmp_path):
    directory = run_directory.RunDirectory(tmp_path)
    with directory.claim(config_lib.Config()):
        pass
    kept = tmp_path / "config.cfg"
    assert directory.read_config() == config_lib.Config()
    kept.write_text(kept.read_text().replace(f"keras_aae {version.VERSION}", "keras_aae 9.9.1"))
    with pytest.raises(errors.UserError, match=rf"keras_aae 9\.9\.1 wrote.*{version.VERSION}"):
        directory.read_config()
