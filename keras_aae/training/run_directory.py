"""The directory of a run: its layout, its lock, and files that are there whole or not at all."""

import contextlib
import csv
import fcntl
import io
import json
import os
import pathlib

from keras_aae import config as config_lib
from keras_aae import errors
from keras_aae import files


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

    @contextlib.contextmanager
    def claim(self, config: config_lib.Config):
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
            self._keep(config)
            yield

    def _keep(self, config):
        kept = self.path / "config.cfg"
        if kept.exists():
            differences = config.differences(config_lib.Config.from_flagfile(kept))
            if differences:
                raise errors.UserError(
                    f"--run_dir={self.path}: holds a run with other settings: "
                    f"{', '.join(differences)}. "
                    "Give another --run_dir, or the settings of the run there"
                )
            return
        self.write("config.cfg", f"# Repeats this run: {config.command()}\n{config.to_flagfile()}")

    def write(self, name: str, content: str | bytes) -> None:
        """Writes a file so that it is there whole or not at all."""
        files.write(self.path / name, content)

    def write_results(self, results: dict) -> None:
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

    def write_metrics(self, rows: list[dict]) -> None:
        """Writes `metrics.csv`, a row for each evaluation."""
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        self.write("metrics.csv", text.getvalue())

    def read_metrics(self, updates: int) -> list[dict]:
        """The rows of `metrics.csv` up to that update, as numbers."""
        path = self.path / "metrics.csv"
        if not path.exists():
            return []
        with path.open(newline="") as file:
            rows = [
                {name: float(value) for name, value in row.items()}
                | {"updates": int(row["updates"])}
                for row in csv.DictReader(file)
            ]
        return [row for row in rows if row["updates"] <= updates]
