"""Records the first losses and an export's outputs of every flagfile, and checks them again.

    python tests/golden/record.py check [semisup ...]     # compares with losses.json
    python tests/golden/record.py record [semisup ...]    # writes losses.json

The losses of 20 steps on `mnist_5k`, seed 0, under both update rules, have to be equal to the
last digit on the machine that recorded them, whatever is moved in the code; on another machine,
those of the first steps have to be close.
"""

import json
import pathlib
import platform
import sys
import tempfile

from absl import flags
import numpy as np
import tensorflow as tf

from keras_aae import experiment
from keras_aae import flagfiles
from keras_aae import launch
from keras_aae.deployment import export
from keras_aae.training import loop

FILE = pathlib.Path(__file__).with_name("losses.json")
RULES = ("joint", "sequential")
STEPS = 20
CLOSE = 3  # The steps after which another machine's losses are still close.


def read_config(name, rule):
    values = flags.FlagValues()
    launch.define_flags(values)
    changes = ("--smoke", f"--update_rule={rule}")
    return launch.read_config(["launch", f"--flagfile={name}.cfg", *changes], values)


def run(name, rule):
    """The losses of each step by phase, and a digest of the export's outputs."""
    config = read_config(name, rule)
    dataset = experiment.load_data(config)
    model = experiment.build_model(config, dataset)
    batches = loop.minibatches(dataset, config)
    history = model.fit(batches, steps_per_epoch=1, epochs=STEPS, verbose=0).history
    with tempfile.TemporaryDirectory() as folder:
        loaded = tf.saved_model.load(str(export.export(model, f"{folder}/model")))
        return {"losses": history, "outputs": digest(loaded, dataset.test.take(slice(0, None, 63)))}


def digest(loaded, split):
    """The mean and the mean size of each output of each signature on fixed inputs."""
    count = len(split.x)
    classes = np.arange(count, dtype=np.int32) % 10
    fixed = {
        "image": split.x,
        "seed": np.arange(count),
        "label": classes,
        "cluster": classes,
    }
    code = loaded.signatures["encode"](image=tf.constant(split.x))
    numbers = {}
    for name in ("encode", "decode", "reconstruct", "generate", "serving_default"):
        function = loaded.signatures[name]
        inputs = {}
        for key, spec in function.structured_input_signature[1].items():
            given = code.get(key, fixed.get(key))
            one_hot = np.eye(spec.shape[-1] or 1, dtype=np.float32) if given is None else None
            inputs[key] = tf.constant(one_hot[classes] if given is None else given)
        for key, value in function(**inputs).items():
            value = value.numpy().astype(np.float64)
            numbers[f"{name}.{key}"] = [float(value.mean()), float(np.abs(value).mean())]
    return numbers


def machine():
    """What the last digit depends on."""
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    model = [line for line in lines if line.startswith(("model", "cpu cores"))]
    return {
        "tensorflow": tf.__version__,
        "cpu": sorted({" ".join(m.split()) for m in model}),
        "python": platform.machine(),
    }


def differences(found, expected, *, exact):
    """A line for each number that is not as expected.

    Where they need not be exact, these are the losses of the first steps: an adversary's game takes
    the rounding of another processor to other losses within ten.
    """
    lines = []
    for phase, values in expected["losses"].items():
        got = found["losses"].get(phase, [])
        same = got == values
        if not exact:
            same = len(got) == len(values) and np.allclose(got[:CLOSE], values[:CLOSE], rtol=0.02)
        if not same:
            lines.append(f"loss {phase}: expected {values[:3]}... Received: {got[:3]}...")
    if lines or not exact:
        return lines
    for output, values in expected["outputs"].items():
        got = found["outputs"].get(output, [np.nan, np.nan])
        if not np.allclose(got, values, atol=1e-5):
            lines.append(f"{output}: expected {values}. Received: {got}")
    return lines


def as_text(kept):
    """JSON with a line for each case."""
    cases = ",\n".join(
        f"{json.dumps(key)}: {json.dumps(case)}" for key, case in sorted(kept["cases"].items())
    )
    return f'{{"machine": {json.dumps(kept["machine"])},\n"cases": {{\n{cases}\n}}}}\n'


def main(verb, names):
    kept = json.loads(FILE.read_text()) if FILE.exists() else {"cases": {}}
    exact = kept.get("machine") == machine()
    if verb == "record" and names and not exact:
        sys.exit("the other flagfiles were recorded on another machine: record all of them")
    wrong = 0
    for path in flagfiles.shipped():
        if names and path.stem not in names:
            continue
        for rule in RULES:
            tf.keras.backend.clear_session()
            key = f"{path.stem}, {rule}"
            found = run(path.stem, rule)
            if verb == "record":
                kept["cases"][key] = found
                kept["machine"] = machine()
                FILE.write_text(as_text(kept))
                print(f"{key}: recorded", flush=True)
                continue
            lines = differences(found, kept["cases"][key], exact=exact)
            wrong += bool(lines)
            fine = "equal" if exact else "close"
            print(f"{key}: {'; '.join(lines) or fine}", flush=True)
    return wrong


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
