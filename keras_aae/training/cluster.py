"""Which processes train together, by what their environment says.

`TF_CONFIG`, which operators of Kubernetes set, or the variables of a Slurm step. This module
imports no TensorFlow, so a mistake in them is answered at once.
"""

import itertools
import json
import os
import re
from typing import NamedTuple

from keras_aae import config as config_lib
from keras_aae import errors
from keras_aae import plan

_VARIABLE = "TF_CONFIG"
_JOBS = ("chief", "worker")  # In the order in which TensorFlow numbers their tasks.
_SLURM = ("PROCID", "STEP_NUM_TASKS", "STEP_NODELIST", "STEP_TASKS_PER_NODE")


class Cluster(NamedTuple):
    """The processes that train together, and which of them this one is.

    Attributes:
        workers: How many there are.
        number: That of this one; 0 is the chief, which writes what a run leaves.
        slurm: Whether Slurm started them.
    """

    workers: int = 1
    number: int = 0
    slurm: bool = False


def find(config: config_lib.Config) -> Cluster | None:
    """The cluster that a run trains on; None for a run of one process.

    Args:
        config: The settings. With `strategy="auto"` only `TF_CONFIG` is asked.

    Raises:
        UserError: `strategy` asks for one and there is none, its description is wrong, or other
            settings don't go with it.
    """
    if config.mode != "train" or config.strategy not in ("auto", "multiworker"):
        return None
    cluster = _described(config.strategy == "multiworker")
    if cluster is None or cluster.workers == 1:
        return None
    _check(config)
    return cluster


def _described(asked_for: bool) -> Cluster | None:
    text = os.environ.get(_VARIABLE, "")
    if (asked_for and text) or _names_a_cluster(text):
        return _of_tf_config(text)
    if not asked_for:
        return None
    missing = [f"SLURM_{name}" for name in _SLURM if f"SLURM_{name}" not in os.environ]
    if missing:
        raise errors.UserError(
            f"--strategy=multiworker: expected {_VARIABLE} in the environment, or to be started by "
            f"Slurm's srun. Missing: {', '.join(missing)}"
        )
    number, count = (os.environ[f"SLURM_{name}"] for name in _SLURM[:2])
    if not (number.isdecimal() and count.isdecimal() and int(number) < int(count)):
        raise errors.UserError(
            "--strategy=multiworker: expected SLURM_PROCID from 0 to SLURM_STEP_NUM_TASKS - 1. "
            f"Received: SLURM_PROCID={number}, SLURM_STEP_NUM_TASKS={count}"
        )
    return Cluster(int(count), int(number), slurm=True)


def _names_a_cluster(text: str) -> bool:
    """Whether the variable isn't empty, nor an object of other things, as some platforms set."""
    try:
        found = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError):
        return True  # Damaged: it is read, and refused.
    return not isinstance(found, dict) or "cluster" in found


def _of_tf_config(text: str) -> Cluster:
    try:
        described = json.loads(text)
        jobs, task = dict(described["cluster"]), described["task"]
        if not set(jobs) <= set(_JOBS) or len(jobs.get("chief", [])) > 1:
            raise ValueError(f"the jobs are {sorted(jobs)}")
        for addresses in jobs.values():
            if not isinstance(addresses, list) or not all(map(_is_address, addresses)):
                raise ValueError(f"{addresses} are no addresses")
        everywhere = list(itertools.chain(*jobs.values()))
        if len(set(everywhere)) < len(everywhere):
            raise ValueError("two tasks have one address")
        tasks = [(name, number) for name in _JOBS for number in range(len(jobs.get(name, [])))]
        return Cluster(len(tasks), tasks.index((task["type"], _number(task["index"]))))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise errors.UserError(
            f"{_VARIABLE}: expected "
            '{"cluster": {"worker": ["<host>:<port>", ...]}, "task": {"type": "worker", "index": '
            f"<number>}}}}, and perhaps one chief ({error}). Received: {text[:200]}"
        ) from error


def _number(value: object) -> int:
    """A whole number, which may be given as text."""
    return int(str(value))


def _is_address(text: object) -> bool:
    found = re.fullmatch(r"\S+:(\d{1,5})", text) if isinstance(text, str) else None
    return found is not None and 0 < int(found[1]) < 2**16


def _check(config: config_lib.Config) -> None:
    """Raises a UserError for settings that are for one process."""
    if plan.is_study(config):
        raise errors.UserError(
            "--seeds, --sweep: a study trains on one machine; give several workers one run"
        )
    if not config.run_dir:
        raise errors.UserError(
            "--run_dir: several workers need one that all of them see, like a shared volume"
        )
    if config.on_nan == "rollback":
        raise errors.UserError("--on_nan=rollback: expected stop with several workers")
