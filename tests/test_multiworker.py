"""Processes that train together: what they are told, and two real ones on this machine."""

import json
import os
import signal
import socket
import subprocess
import time

from conftest import ROOT
from conftest import command
import pytest
import tensorflow as tf
from test_distribution import two_replicas

from keras_aae import config as config_lib
from keras_aae import errors
from keras_aae import experiment
from keras_aae.training import cluster
from keras_aae.training import runtime

THREE = {"chief": ["a:1"], "worker": ["b:1", "c:1"]}


def tf_config(jobs, task, index):
    return json.dumps({"cluster": jobs, "task": {"type": task, "index": index}})


def set_slurm(monkeypatch, number):
    """What srun tells a task of four on two nodes."""
    step = {"PROCID": number, "STEP_NUM_TASKS": "4"}
    step |= {"STEP_NODELIST": "n[1-2]", "STEP_TASKS_PER_NODE": "2(x2)"}
    for name, value in step.items():
        monkeypatch.setenv(f"SLURM_{name}", value)


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    monkeypatch.delenv("SLURM_PROCID", raising=False)


@pytest.mark.parametrize(
    ("jobs", "task", "index", "expected"),
    [
        (THREE, "chief", 0, cluster.Cluster(3, 0)),
        (THREE, "worker", 1, cluster.Cluster(3, 2)),
        ({"worker": ["a:1", "b:1"]}, "worker", 0, cluster.Cluster(2, 0)),
        ({"worker": ["a:1", "b:1"]}, "worker", "1", cluster.Cluster(2, 1)),
        ({"worker": ["a:1"]}, "worker", 0, None),
        ({"chief": ["a:1"]}, "chief", 0, None),
    ],
)
def test_auto_joins_the_workers_that_tf_config_names(monkeypatch, jobs, task, index, expected):
    monkeypatch.setenv("TF_CONFIG", tf_config(jobs, task, index))
    assert cluster.find(config_lib.Config(run_dir="run")) == expected
    assert cluster.find(config_lib.Config(strategy="single")) is None
    assert cluster.find(config_lib.Config(mode="evaluate", run_dir="run")) is None


def test_slurm_is_asked_only_where_it_is_wanted(monkeypatch):
    set_slurm(monkeypatch, "2")
    assert cluster.find(config_lib.Config()) is None
    config = config_lib.Config(strategy="multiworker", run_dir="run")
    assert cluster.find(config) == cluster.Cluster(4, 2, slurm=True)
    monkeypatch.delenv("SLURM_STEP_NODELIST")
    with pytest.raises(errors.UserError, match=r"Slurm's srun\. Missing: SLURM_STEP_NODELIST"):
        cluster.find(config)


@pytest.mark.parametrize("number", ["x", "4", "-1", ""])
def test_a_task_that_slurm_cannot_have_is_refused(monkeypatch, number):
    set_slurm(monkeypatch, number)
    with pytest.raises(errors.UserError, match=f"Received: SLURM_PROCID={number}, SLURM_STEP"):
        cluster.find(config_lib.Config(strategy="multiworker", run_dir="run"))


def test_slurm_gives_the_addresses_and_the_task_its_gpus(monkeypatch):
    set_slurm(monkeypatch, "3")
    resolver = runtime._of_slurm(cluster.Cluster(4, 3, slurm=True))
    workers = ["n1:8888", "n1:8889", "n2:8888", "n2:8889"]
    assert resolver.cluster_spec().as_dict() == {"worker": workers}
    assert (resolver.task_type, resolver.task_id) == ("worker", 3)
    gpus = len(tf.config.list_physical_devices("GPU"))
    assert resolver.num_accelerators() == {"GPU": gpus}


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        tf_config({"ps": ["a:1"], "worker": ["b:1"]}, "worker", 0),
        tf_config({"worker": "a:1"}, "worker", 0),
        tf_config({"worker": [1, 2]}, "worker", 0),
        tf_config({"worker": ["127.0.0.1", "127.0.0.2"]}, "worker", 0),
        tf_config({"worker": ["a:1", "b:65536"]}, "worker", 0),
        tf_config({"worker": ["a:1", "a:1"]}, "worker", 0),
        tf_config({"chief": ["a:1", "b:1"]}, "chief", 0),
        tf_config(THREE, "worker", 2),
        tf_config(THREE, "evaluator", 0),
        tf_config(THREE, "worker", None),
        tf_config(THREE, "worker", 0.7),
        tf_config(THREE, "worker", float("inf")),
        tf_config(["worker"], "worker", 0),
        "[" * 100_000,
    ],
)
def test_a_wrong_tf_config_gets_one_clear_line(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(errors.UserError, match="TF_CONFIG: expected"):
        cluster.find(config_lib.Config(run_dir="run"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "--run_dir: several workers need one that all of them see"),
        ({"run_dir": "run", "seeds": "0,1"}, "a study trains on one machine"),
        ({"run_dir": "run", "on_nan": "rollback"}, "--on_nan=rollback: expected stop"),
    ],
)
def test_settings_for_one_process_are_refused(monkeypatch, settings, message):
    monkeypatch.setenv("TF_CONFIG", tf_config(THREE, "chief", 0))
    with pytest.raises(errors.UserError, match=message):
        cluster.find(config_lib.Config(strategy="multiworker", **settings))


@pytest.mark.parametrize("text", ["", " ", "{}", '{"environment": "cloud"}'])
def test_a_tf_config_without_a_cluster_is_that_of_one_process(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    assert cluster.find(config_lib.Config(run_dir="run")) is None
    with pytest.raises(errors.UserError, match="TF_CONFIG"):
        cluster.find(config_lib.Config(strategy="multiworker", run_dir="run"))


def test_several_workers_are_asked_for_and_there_is_no_cluster():
    with pytest.raises(errors.UserError, match="expected TF_CONFIG in the environment"):
        cluster.find(config_lib.Config(strategy="multiworker", run_dir="run"))


# Two real processes


def free_addresses(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    found = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    return found


def start(index, addresses, place, arguments):
    """Starts a worker in a folder of its own."""
    place.mkdir(exist_ok=True)
    environment = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    environment["TF_CONFIG"] = tf_config({"worker": addresses}, "worker", index)
    with (place / "output.txt").open("a") as output:
        return subprocess.Popen(
            command(*arguments),
            cwd=place,
            env={**os.environ, **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def said(place):
    return (place / "output.txt").read_text()


def wait_for(condition, process, place):
    deadline = time.monotonic() + 200
    while not condition():
        assert process.poll() is None, said(place)
        assert time.monotonic() < deadline, said(place)
        time.sleep(0.05)


@pytest.fixture
def processes():
    """Takes processes, and ends them."""
    started = []
    yield started
    for process in started:
        process.kill()
        process.wait()


def test_two_workers_end_as_two_replicas_though_one_is_killed(
    bars_npz, tmp_path, monkeypatch, processes
):
    """The killed one is started again; the other one waits for it by itself."""
    run = tmp_path / "run"
    settings = {"dataset": str(bars_npz), "labels": 30, "name": "bars", "network": "mlp"}
    settings |= {"steps": 30, "evaluate_every": 10, "steps_per_execution": 2, "style_size": 2}
    settings |= {"batch_size": 12, "labelled_batch_size": 6, "optimizer": "sgd"}
    settings |= {"learning_rate": 0.03}
    flags = [f"--{name}={value}" for name, value in settings.items()]
    arguments = [*flags, "--strategy=multiworker", f"--run_dir={run}"]
    addresses, places = free_addresses(2), [tmp_path / "chief", tmp_path / "worker"]
    chief, worker = (start(index, addresses, places[index], arguments) for index in (0, 1))
    processes += [chief, worker]
    wait_for(lambda: list(run.glob("checkpoints/*.json")), chief, places[0])
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    wait_for(lambda: "another worker is gone; starting again" in said(places[0]), chief, places[0])
    again = start(1, addresses, places[1], arguments)
    processes.append(again)
    assert chief.wait(200) == 0, said(places[0])
    assert again.wait(60) == 0, said(places[1])
    assert "Going on from step" in said(places[0])
    # The chief alone writes.
    assert [path.name for path in places[1].iterdir()] == ["output.txt"]
    assert (places[0] / "saved_models/bars/1/saved_model.pb").exists()
    found = json.loads((run / "results.json").read_text())
    assert found["machine"].endswith("2 workers")
    assert [row["step"] for row in found["curve"]] == [10, 20, 30]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runtime, "_mirrored", lambda _: two_replicas())
    mirrored = config_lib.Config(**settings, strategy="mirrored", run_dir="mirrored")
    expected = experiment.run(mirrored)
    for key in ("validation", "test"):
        assert found[key] == pytest.approx(expected[key], rel=1e-5)
