"""The directory of a run: its layout, its lock, and what it keeps."""

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import csv
import datetime
import fcntl
import io
import itertools
import json
import os
import pathlib
from typing import Any

from keras_aae import config as config_lib
from keras_aae import data
from keras_aae import errors
from keras_aae import files
from keras_aae import models
from keras_aae import version

_VERSION = "# keras_aae "  # Opens the flagfile of a run, before the version that wrote it.


class RunDirectory:
    """A run's directory.

    Attributes:
        path: Where it is.
        checkpoints: Where its checkpoints are.
        events: Where its TensorBoard events are.
        figures: Where its pictures are.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = pathlib.Path(path)
        self.checkpoints = self.path / "checkpoints"
        self.events = self.path / "tensorboard"
        self.figures = self.path / "figures"
        self._config = self.path / "config.cfg"
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
                    path.mkdir(parents=True)
                    return cls(path)
                except FileExistsError:
                    continue
        raise AssertionError("unreachable")

    # Settings and the lock

    def read_config(self) -> config_lib.Config:
        """The settings of the run.

        Raises:
            UserError: there is no run, another version wrote it, or its settings are damaged.
        """
        if self._config.exists():
            self._check_version()
        return config_lib.Config.from_flagfile(self._config)

    def _check_version(self) -> None:
        """Raises a UserError where a version with other random streams wrote the run."""
        first = self._config.read_text(encoding="utf-8", errors="replace").partition("\n")[0]
        written = first.removeprefix(_VERSION) if first.startswith(_VERSION) else "0.1.0 or older"
        if written.split(".")[:2] != version.VERSION.split(".")[:2]:
            raise errors.UserError(
                f"--run_dir={self.path}: keras_aae {written} wrote this run; its random streams, "
                f"splits and checkpoints are not those of {version.VERSION}. Go on with it "
                "in that version, or train again in another --run_dir"
            )

    def check(self, config: config_lib.Config) -> None:
        """Checks that a run in the directory, where there is one, has these settings.

        Raises:
            UserError: it has others.
        """
        if not self._config.exists():
            return
        differences = config.differences(self.read_config())
        if differences:
            raise errors.UserError(
                f"--run_dir={self.path}: holds a run with other settings: "
                f"{', '.join(differences)}. "
                "Give another --run_dir, or the settings of the run there"
            )

    @contextlib.contextmanager
    def claim(self, config: config_lib.Config) -> Iterator[None]:
        """Holds the directory for one process; makes it and keeps the settings where it is new.

        Raises:
            UserError: it is in use, not writable, or holds a run with other settings.
        """
        with files.writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            lock = (self.path / ".lock").open("w")
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise errors.UserError(
                    f"--run_dir={self.path}: another process is at work there"
                ) from error
            self.check(config)
            if not self._config.exists():
                head = f"{_VERSION}{version.VERSION}\n# Repeats this run: {config.command()}\n"
                self.write(self._config.name, head + config.to_flagfile())
            yield

    # The model and examples

    def save_model(self, model: Any, dataset: data.Dataset) -> None:
        """Keeps the trained model, and examples of its data to export, convert and explore it with.

        Args:
            model: The model.
            dataset: Its data; see `data.Dataset.sample` for what is kept of it.

        Raises:
            UserError: they can't be written.
        """
        unfinished = self._model.with_name(f".unfinished-{self._model.name}")
        with files.writing(self._model):
            model.save(unfinished)
            os.replace(unfinished, self._model)
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
                f"--run_dir={self.path}: not finished, it has no {path.name}; train it to its end"
            )

    # Results

    def write(self, name: str, content: str | bytes) -> None:
        """Writes a file so that it is there whole or not at all."""
        files.write(self.path / name, content)

    def write_results(self, results: Mapping) -> None:
        """Writes `results.json`."""
        self.write("results.json", json.dumps(results, indent=2) + "\n")

    def read_results(self) -> dict | None:
        """What `results.json` holds, or None where there is none.

        Raises:
            UserError: it is damaged.
        """
        path = self.path / "results.json"
        if not path.exists():
            return None
        try:
            return json.loads(path.read_text())
        except ValueError as error:
            raise errors.UserError(
                f"{path}: damaged ({error}); remove it to have it made again"
            ) from error

    def read_figures(self, names: list[str]) -> dict[str, bytes]:
        """The pictures of those names that are there, PNG."""
        paths = {name: self.figures / f"{name}.png" for name in names}
        return {name: path.read_bytes() for name, path in paths.items() if path.exists()}

    def write_metrics(self, rows: list[dict]) -> None:
        """Writes `metrics.csv`, a row for each evaluation."""
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        self.write("metrics.csv", text.getvalue())

    def read_metrics(self, step: int) -> list[dict]:
        """The rows of `metrics.csv` up to that step, as numbers."""
        path = self.path / "metrics.csv"
        if not path.exists():
            return []
        with path.open(newline="") as file:
            rows = [
                {name: float(value) for name, value in row.items()} | {"step": int(row["step"])}
                for row in csv.DictReader(file)
            ]
        return [row for row in rows if row["step"] <= step]
