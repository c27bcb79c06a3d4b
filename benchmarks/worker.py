"""A process that takes steps of one contestant when it is asked to, and says how long they took.

    python -m benchmarks.worker <case> <contestant> [<a checkout whose keras_aae it measures>]

Each line on its input is a number of steps; each line on its output the seconds that they took.
"""

import importlib
import os
import sys

from benchmarks import cases


def main(case: str, contestant: str, checkout: str = "") -> None:
    """Serves until the input ends."""
    if checkout:  # `benchmarks` is imported already, and stays this one.
        sys.path.insert(0, checkout)
    from keras_aae import errors

    os.environ.setdefault("TQDM_DISABLE", "1")  # pythae's progress bars.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # What libraries print is no answer.
    module, function = cases.CONTESTANTS[contestant]
    with errors.importing_tensorflow():
        prepare = getattr(importlib.import_module(f"benchmarks.{module}"), function)
    seconds = prepare(cases.CASES[case])
    for line in sys.stdin:
        print(seconds(int(line)), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
