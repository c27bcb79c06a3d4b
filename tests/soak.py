"""Whether memory stays flat: hours of training, and many predictions of its export.

    python tests/soak.py --minutes=120 --predictions=100000 --folder=/tmp/soak

It trains quickstart.cfg with the real command, ends that with SIGTERM, and lets a shorter run make
the export that predicts. Each line is what the process takes in MB, after so many minutes or calls.
"""

import argparse
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np

_LAUNCH = (sys.executable, "-m", "keras_aae.launch", "--flagfile=quickstart.cfg")


def megabytes(process):
    """The resident memory of a process, in MB."""
    status = pathlib.Path(f"/proc/{process}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def train(minutes, folder):
    """Trains for so long; prints the memory every tenth of that."""
    flags = ("--steps=10000000", "--schedule=constant", f"--run_dir={folder}/long")
    process = subprocess.Popen(
        [*_LAUNCH, *flags], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    for part in range(1, 11):
        time.sleep(6 * minutes)
        assert process.poll() is None, "the training ended"
        print(
            f"training, {part * minutes / 10:.1f} minutes: {megabytes(process.pid):.0f} MB",
            flush=True,
        )
    process.send_signal(signal.SIGTERM)
    print(f"SIGTERM: exit status {process.wait()}")


def predict(count, folder):
    """Asks an export so many times, one image each; prints the memory every tenth of that."""
    import tensorflow as tf

    from keras_aae import data

    flags = ("--steps=200", f"--run_dir={folder}/short", f"--export_dir={folder}/models")
    subprocess.run([*_LAUNCH, *flags], check=True, capture_output=True)
    classify = tf.saved_model.load(f"{folder}/models/quickstart/1").signatures["classify"]
    images = data.load("mnist_5k").test.x
    for call in range(1, count + 1):
        answer = classify(image=tf.constant(images[call % len(images)][None]))["class"].numpy()
        assert answer.shape == (1,) and np.isfinite(answer).all()
        if call % (count // 10) == 0:
            print(f"predictions, {call}: {megabytes('self'):.0f} MB", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--predictions", type=int, default=100_000)
    parser.add_argument("--folder", required=True)
    given = parser.parse_args()
    predict(given.predictions, given.folder)
    train(given.minutes, given.folder)
