"""Whether memory stays flat where images don't fit: a million of 64 x 64 x 3, 12 GB on the disk.

    python tests/large.py --images=1000000 --folder=/tmp/large

It writes an uncompressed .npz file, trains with the real command, ends that with SIGKILL after its
first checkpoint, lets it go on, and prints the most memory that either process took.
"""

import argparse
import pathlib
import resource
import subprocess
import sys
import time
import zipfile

import numpy as np

_SHAPE, _CLASSES, _BLOCK = (64, 64, 3), 4, 1000
_FLAGS = (
    *("--model=semisup", "--labels=40", "--steps=20", "--evaluate_every=10"),
    *("--validation=0.01", "--max_memory=2"),
)


def block(seed):
    """Images uint8 [1000, 64, 64, 3] with a bright bar whose height gives the class."""
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 60, (_BLOCK, *_SHAPE), np.uint8)
    for index, image in enumerate(images):
        top = 16 * (index % _CLASSES)
        image[top : top + 16, generator.integers(0, 32) :] += 180
    return images


def write(path, count):
    """Writes the file; the same thousand images again and again, each time moved to the right."""
    images, labels = block(0), np.arange(_BLOCK) % _CLASSES
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        with archive.open("x_train.npy", "w", force_zip64=True) as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": (count, *_SHAPE)}
            np.lib.format.write_array_header_1_0(file, header)
            for part in range(count // _BLOCK):
                file.write(np.roll(images, part % 64, axis=2).tobytes())
        arrays = {"y_train": np.tile(labels, count // _BLOCK), "x_test": block(1), "y_test": labels}
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, array)


def train(folder):
    """Trains, is killed and goes on; returns the last exit status and the most memory, in MB."""
    where = (
        f"--dataset={folder}/x.npz",
        f"--run_dir={folder}/run",
        f"--export_dir={folder}/models",
    )
    command = [sys.executable, "-m", "keras_aae.launch", *_FLAGS, *where]
    first = subprocess.Popen(command)
    while not list(folder.glob("run/checkpoints/ckpt-10.json")):
        assert first.poll() is None, "the training ended"
        time.sleep(0.2)
    first.kill()
    first.wait()
    status = subprocess.run(command).returncode
    return status, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--folder", type=pathlib.Path, required=True)
    given = parser.parse_args()
    given.folder.mkdir(parents=True)
    write(given.folder / "x.npz", given.images)
    began = time.perf_counter()
    status, memory = train(given.folder)
    minutes = (time.perf_counter() - began) / 60
    print(f"exit status {status}, at most {memory:.0f} MB, {minutes:.1f} minutes")
