"""The directory of a run: its layout, its lock, and what it keeps.

What is read back is a record with a checksum (`run.json`, `results.json`, `rollbacks.json`), or a
file that shows its own damage. `config.cfg`, `metrics.csv` and the report are for people; nothing
reads them.
"""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import csv
import dataclasses
import datetime
import io
import itertools
import os
import pathlib
from typing import Any
from typing import BinaryIO
import uuid

from keras_aae import config as config_lib
from keras_aae import data
from keras_aae import errors
from keras_aae import files
from keras_aae import models
from keras_aae import version

SUMMARY = "summary.json"  # Of a study, whose runs are directories within its own.
_PARTS = ("", "checkpoints", "edge", "figures")  # Folders that it writes to.
_LOCK = ".lock"
_FLAGFILE = "config.cfg"  # For people; a run before 0.3 has it and no record.
_VERSION = "# keras_aae "  # Opens that file since 0.2, before the version that wrote it.


def listed(text: str) -> list[str]:
    """The directories in a list with commas between them.

    A directory's name may have commas, as those of a study's runs have: as many parts are joined as
    name something that is there.
    """
    found, parts = [], text.split(",")
    while parts:
        joined = [",".join(parts[:count]) for count in range(len(parts), 0, -1)]
        found.append(next((path for path in joined if os.path.exists(path)), parts[0]))
        parts = parts[found[-1].count(",") + 1 :]
    return found


class RunDirectory:
    """A run's directory.

    Attributes:
        path: Where it is.
        given: `<flag>=<path>`, as error messages name it.
        checkpoints: Where its checkpoints are.
        events: Where its TensorBoard events are.
        figures: Where its pictures are.

    Args:
        path: Where it is.
        flag: The flag, or the argument, that says so.
    """

    def __init__(self, path: str | os.PathLike, flag: str = "--run_dir"):
        self.path = pathlib.Path(path)
        self.given = f"{flag}={self.path}"
        self.checkpoints = self.path / "checkpoints"
        self.events = self.path / "tensorboard"
        self.figures = self.path / "figures"
        self._lock: BinaryIO | None = None  # While this process holds it.
        self._run = self.path / "run.json"
        self._results = self.path / "results.json"
        self._rollbacks = self.path / "rollbacks.json"
        self._model = self.path / "model.keras"
        self._examples = self.path / "examples.npz"

    @classmethod
    def new(cls, name: str) -> "RunDirectory":
        """A directory `runs/<name>-<time>` that is nobody else's.

        Raises:
            UserError: it can't be made.
        """
        stem = f"runs/{name}-{datetime.datetime.now():%Y%m%d-%H%M%S}"
        for number in itertools.count(1):
            path = pathlib.Path(stem if number == 1 else f"{stem}-{number}")
            with files.writing(path):
                try:
                    files.make_folder(path)
                    return cls(path)
                except FileExistsError:
                    continue
        raise AssertionError("unreachable")

    # What the run is, and its lock

    def read_config(self) -> config_lib.Config:
        """The settings of the run.

        Raises:
            UserError: there is no run, another version wrote it, or its record is damaged.
        """
        return config_lib.Config.from_settings(self._read_run()["settings"], f"{self._run}")

    @property
    def id(self) -> str:
        """The identity of the run, 32 hexadecimal digits drawn when it began."""
        return self._read_run()["id"]

    def _read_run(self) -> dict:
        run = files.read_record(self._run)
        if run is None and not (self.path / _FLAGFILE).exists():
            raise errors.UserError(
                f"{self.given}: expected the directory of a run; there is no {self._run.name}"
            )
        written = self._version_of_flagfile() if run is None else run["keras_aae"]
        if run is None and written == version.VERSION:
            raise errors.UserError(
                f"{self._run}: missing, and the run can't be used without it. Train again in "
                "another --run_dir"
            )
        if run is None or written.split(".")[:2] != version.VERSION.split(".")[:2]:
            raise errors.UserError(
                f"{self.given}: keras_aae {written} wrote this run, which "
                f"{version.VERSION} can't go on with (CHANGELOG.md says why). Go on with it in "
                "that version, or train again in another --run_dir"
            )
        return run

    def _version_of_flagfile(self) -> str:
        text = (self.path / _FLAGFILE).read_text(encoding="utf-8", errors="replace")
        first = text.partition("\n")[0]
        return first.removeprefix(_VERSION) if first.startswith(_VERSION) else "0.1.0 or older"

    def exists(self) -> bool:
        """Whether there is a run, of whatever version."""
        return any((self.path / name).exists() for name in (self._run.name, _FLAGFILE))

    def check(self, config: config_lib.Config) -> None:
        """Checks that training can write there, and that a run there has these settings.

        Raises:
            UserError: it has others, its export would go there, too, or TensorFlow can't read
                checkpoints back from there.
        """
        files.check_readable_by_tensorflow(self.path, "--run_dir")
        exports = pathlib.Path(config.export_dir, config.name)
        if os.path.realpath(exports) == os.path.realpath(self.path):
            raise errors.UserError(
                f"{self.given}: there the versions of the exported model are to go, by "
                "--export_dir and --name; give another one"
            )
        with files.writing(self.path):  # The path may be too long.
            there = self.exists()
            study = any(self.path.glob(f"*/{self._run.name}"))
        if study:
            raise errors.UserError(f"{self.given}: holds a study; give a run another one")
        if not there:
            return
        differences = config.differences(self.read_config())
        if differences:
            raise errors.UserError(
                f"{self.given}: holds a run with other settings: "
                f"{', '.join(differences)}. "
                "Give another --run_dir, or the settings of the run there"
            )

    @contextlib.contextmanager
    def claim(
        self, config: config_lib.Config, dataset: data.Dataset | None = None
    ) -> Iterator[None]:
        """Holds the directory for one process; makes it, and the run's record, where it is new.

        Args:
            config: The settings of the run.
            dataset: Its data, where the run's data is used.

        Raises:
            UserError: it is in use, not writable, or holds a run with other settings or data.
        """
        with self._held():
            self.check(config)
            if dataset:
                self._keep_or_check(config, dataset)
            yield

    @contextlib.contextmanager
    def claim_study(self, names: Sequence[str]) -> Iterator[dict[str, dict]]:
        """Holds the directory of a study for one process; makes it where it is new.

        Args:
            names: Those of the directories of its runs. More runs than there are may join a study.

        Yields:
            What `write_summary` kept of each finished run, by the name of its directory.

        Raises:
            UserError: it is in use, not writable, or holds a single run or other runs.
        """
        with self._held():
            if self.exists():
                raise errors.UserError(
                    f"{self.given}: holds a single run; give a study another one"
                )
            finished = self._runs_of_summary()
            if others := ", ".join(name for name in finished if name not in names):
                raise errors.UserError(
                    f"{self.given}: holds a study with other runs: {others}. Name them, too, or "
                    "give another --run_dir"
                )
            yield finished

    def _runs_of_summary(self) -> dict[str, dict]:
        try:
            summary = files.read_record(self.path / SUMMARY)
        except errors.UserError:
            summary = None  # Damaged: it is made again.
        return {run["directory"]: run for run in (summary or {"runs": []})["runs"]}

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        """Within, no other process has the directory; makes it where it is new."""
        with files.writing(self.path):
            files.make_folder(self.path, exist_ok=True)
        self._lock = files.try_lock(self.path / _LOCK)
        if not self._lock:
            raise errors.UserError(f"{self.given}: another process is at work there")
        try:
            with self._lock:
                for part in _PARTS:
                    files.remove_unfinished(self.path / part)
                yield
        finally:
            self._lock = None

    def check_held(self) -> None:
        """Checks that what this process holds is still what the path leads to.

        Raises:
            UserError: the directory was removed, and perhaps another run began there.
        """
        if self._lock and not files.is_at(self._lock, self.path / _LOCK):
            raise errors.UserError(
                f"{self.given}: the directory was removed or replaced while the run was at work"
            )

    def check_same(self, config: config_lib.Config, dataset: data.Dataset) -> None:
        """Checks that the run, which this process doesn't hold, has these settings and this data.

        Raises:
            UserError: it has others, or is not there.
        """
        if not self._run.exists():
            raise errors.UserError(
                f"{self.given}: expected the run that the chief has begun, on a file "
                "system that all workers see"
            )
        self.check(config)
        self._check_data(config, dataset.digest())

    def _check_data(self, config: config_lib.Config, found: str) -> None:
        if self._read_run()["data"] != found:
            raise errors.UserError(
                f"{self.given}: holds a run on other data: --dataset={config.dataset} has "
                "other examples, labels or class names than when it began. Give another --run_dir, "
                "or the data of the run there"
            )

    def _keep_or_check(self, config: config_lib.Config, dataset: data.Dataset) -> None:
        """Keeps what the run is where it is new; else checks that its data is the same."""
        found = dataset.digest()
        if self._run.exists():
            self._check_data(config, found)
        else:
            run = {"keras_aae": version.VERSION, "id": uuid.uuid4().hex, "data": found}
            files.write_record(self._run, run | {"settings": dataclasses.asdict(config)})
        # After the record: alone it would be taken for a run of an earlier version.
        if not (self.path / _FLAGFILE).exists():
            head = f"{_VERSION}{version.VERSION}\n# Repeats this run: {config.command()}\n"
            self.write(_FLAGFILE, head + config.to_flagfile())

    # The model and examples

    def save_model(self, model: Any, dataset: data.Dataset) -> None:
        """Keeps the trained model, and examples of its data to export, convert and explore it with.

        Args:
            model: The model.
            dataset: Its data; see `data.Dataset.sample` for what is kept of it.

        Raises:
            UserError: they can't be written.
        """
        with files.replacing(self._model) as unfinished:
            model.save(unfinished)
        self.write(self._examples.name, dataset.sample().to_bytes())

    def load_model(self) -> Any:
        """The trained model of a finished run, compiled, as a Keras model; needs no data.

        Raises:
            UserError: the run is not finished, another version wrote it, or the model is damaged.
        """
        self.read_config()
        self._check_finished(self._model)
        try:
            return models.load(self._model)
        except Exception as error:  # Whatever a damaged archive makes Keras raise.
            reason = " ".join(str(error).split())[:200]
            raise errors.UserError(f"{self._model}: not readable ({reason})") from error

    @property
    def has_model(self) -> bool:
        """Whether there is what `save_model` keeps."""
        return self._model.exists() and self._examples.exists()

    def load_examples(self) -> data.Dataset:
        """The examples that `save_model` kept.

        Raises:
            UserError: the run is not finished, or they are damaged.
        """
        self._check_finished(self._examples)
        return data.Dataset.read(self._examples)

    def _check_finished(self, path: pathlib.Path) -> None:
        if not path.exists():
            raise errors.UserError(
                f"{self.given}: not finished, it has no {path.name}; train it to its end"
            )

    # Results

    def write(self, name: str, content: str | bytes) -> None:
        """Writes a file so that it is there whole or not at all.

        Raises:
            UserError: it can't be written.
        """
        files.write(self.path / name, content)

    def write_results(self, results: Mapping) -> None:
        """Writes `results.json`; raises as `write` and `check_held`."""
        self.check_held()
        files.write_record(self._results, results)

    def read_results(self) -> dict | None:
        """What `results.json` holds, or None where there is none.

        Raises:
            UserError: it is damaged, or another version wrote the run.
        """
        self._read_run()
        return files.read_record(self._results)

    def write_summary(self, summary: Mapping) -> None:
        """Writes the summary of a study, of which this is the directory; as `write_results`."""
        self.check_held()
        files.write_record(self.path / SUMMARY, summary)

    def write_rollbacks(self, rollbacks: list[dict]) -> None:
        """Keeps when training went back; raises as `write`.

        Args:
            rollbacks: Of each time the `step` at which training failed, the `reason`, a line, and
                the `checkpoint` that was the last one then, by its step.
        """
        files.write_record(self._rollbacks, {"rollbacks": rollbacks})

    def read_rollbacks(self) -> list[dict]:
        """What `write_rollbacks` kept.

        Raises:
            UserError: it is damaged.
        """
        return (files.read_record(self._rollbacks) or {"rollbacks": []})["rollbacks"]

    def read_figures(self, names: list[str]) -> dict[str, bytes]:
        """The pictures of those names that are there, PNG."""
        paths = {name: self.figures / f"{name}.png" for name in names}
        return {name: path.read_bytes() for name, path in paths.items() if path.exists()}

    def write_metrics(self, rows: list[dict]) -> None:
        """Writes `metrics.csv` from one row or more, all with the same keys; raises as `write`."""
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        self.write("metrics.csv", text.getvalue())
