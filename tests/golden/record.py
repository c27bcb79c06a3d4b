"""Records the first losses and an export's outputs of every flagfile, and checks them again.

    python tests/golden/record.py check [semisup ...]     # compares with losses.json
    python tests/golden/record.py record [semisup ...]    # writes losses.json

The losses of 20 steps on `mnist_5k`, seed 0, under both update rules, have to be equal to the
last digit on the machine that recorded the flagfile, whatever is moved in the code. Another
processor rounds in another way, which an adversary's game takes to other losses within a few steps;
there, losses and outputs of a model that does not learn have to be close.
"""

import json
import pathlib
import platform
import sys
import tempfile

from absl import flags
import numpy as np
import tensorflow as tf

from keras_aae import assembly
from keras_aae import flagfiles
from keras_aae import launch
from keras_aae.deployment import export
from keras_aae.training import loop

FILE = pathlib.Path(__file__).with_name("losses.json")
RULES = ("joint", "sequential")
STEPS = 20
FROZEN = "--learning_rate=1e-9"


def read_config(name, rule, *more):
    values = flags.FlagValues()
    launch.define_flags(values)
    arguments = ["launch", f"--flagfile={name}.cfg", f"--update_rule={rule}", *more]
    return launch.read_config(arguments, values).smoke().on_mnist_5k()


def run(name, rule, exact):
    """The losses of each step by phase, and a digest of the export's outputs.

    Of a model that learns where they have to be exact, else of one that does not.
    """
    config = read_config(name, rule, *(() if exact else (FROZEN,)))
    dataset = assembly.load_data(config)
    model = assembly.build_model(config, dataset)
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


def differences(found, expected, exact):
    """A line for each number that is not as expected."""
    lines = []
    for phase, values in expected["losses"].items():
        got = found["losses"].get(phase)
        same = got == values if exact else got is not None and np.allclose(got, values, rtol=1e-3)
        if not same:
            lines.append(f"loss {phase}: expected {values[:3]}... Received: {got and got[:3]}...")
    for output, values in expected["outputs"].items():
        got = found["outputs"].get(output, [np.nan, np.nan])
        if not np.allclose(got, values, atol=1e-5 if exact else 1e-3):
            lines.append(f"{output}: expected {values}. Received: {got}")
    return lines


def as_text(kept):
    """JSON with a line for each flagfile's machine, and flags, and for each case."""
    parts = []
    for name, part_ in kept.items():
        lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in sorted(part_.items()))
        parts.append(f"{json.dumps(name)}: {{\n{lines}\n}}")
    return "{" + ",\n".join(parts) + "}\n"


def flags_of(path):
    """The flags in a flagfile, which the losses were recorded with."""
    return [line for line in path.read_text().splitlines() if line.startswith("--")]


def part(exact):
    """The name of the part of a case that `run` makes."""
    return "learning" if exact else "frozen"


def main(verb, names):
    empty = {"machines": {}, "flags": {}, "cases": {}}
    kept = json.loads(FILE.read_text()) if FILE.exists() else empty
    wrong = 0
    for path in flagfiles.shipped():
        if names and path.stem not in names:
            continue
        exact = kept["machines"].get(path.stem) == machine()
        for rule in RULES:
            tf.keras.backend.clear_session()
            key = f"{path.stem}, {rule}"
            if verb == "record":
                both = {part(each): run(path.stem, rule, each) for each in (True, False)}
                kept["cases"][key] = both
                kept["machines"][path.stem] = machine()
                kept["flags"][path.stem] = flags_of(path)
                FILE.write_text(as_text(kept))
                print(f"{key}: recorded", flush=True)
                continue
            lines = differences(run(path.stem, rule, exact), kept["cases"][key][part(exact)], exact)
            wrong += bool(lines)
            fine = "equal" if exact else "close"
            print(f"{key}: {'; '.join(lines) or fine}", flush=True)
    return wrong


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
