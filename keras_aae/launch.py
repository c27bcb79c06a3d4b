"""Trains, evaluates and exports adversarial autoencoders.

    python -m keras_aae.launch --flagfile=quickstart.cfg
    python -m keras_aae.launch --flagfile=semisup.cfg --labels=1000 --seed=3
    python -m keras_aae.launch --mode=evaluate --run_dir=runs/semisup-20260101-120000

A later flag wins over an earlier one. A flagfile is found by its bare name among those that ship.
"""

import dataclasses
import os
import pathlib
import sys
import textwrap
import time
from typing import Any
from typing import NoReturn

from absl import app
from absl import flags
from absl import logging

from keras_aae import config as config_lib
from keras_aae import console
from keras_aae import errors
from keras_aae import fields
from keras_aae import flagfiles
from keras_aae import interrupts
from keras_aae import plan
from keras_aae import usage
from keras_aae import version
from keras_aae.training import cluster

# NumPy, which takes a while, is imported only where signals are handled already: within functions.

_DEFINE: dict[type, Any] = {
    str: flags.DEFINE_string,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
}
_FIELDS = dataclasses.fields(config_lib.Config)
_YEARS = range(1980, 2108)  # That a ZIP file can say.
_SMOKE = (
    "Only try whether everything works: 20 steps, and mnist_5k in place of a data set that would "
    "have to be downloaded, unless --data_dir says where to."
)


def define_flags(values: flags.FlagValues) -> None:
    """Defines a flag for each setting of `config.Config`, and `--smoke`."""
    for field in _FIELDS:
        define = _DEFINE[fields.flag_type(field)]
        define(field.name, field.default, _help(field), flag_values=values)
    flags.DEFINE_boolean("smoke", False, _SMOKE, flag_values=values)


def _help(field: dataclasses.Field, brief: bool = False) -> str:
    """The help text of a setting, or its first sentence, and the values it may have."""
    choices, text = field.metadata["choices"], field.metadata["help"]
    text = f"{text.split('. ')[0].rstrip('.')}." if brief else text
    return text + (f" One of: {', '.join(choices)}." if choices else "")


def read_config(arguments: list[str], values: flags.FlagValues) -> config_lib.Config:
    """The settings that the command-line arguments ask for.

    In the modes of `usage.ON_A_RUN` the arguments override the settings kept in --run_dir.

    Args:
        arguments: `sys.argv`, the program's name first.
        values: FlagValues with `define_flags` done.

    Raises:
        UserError: a flag, a value or a flagfile is wrong, or the model doesn't use it.
    """
    try:
        positional = values([arguments[0], *flagfiles.expand(arguments[1:])])
    except flags.Error as error:
        raise errors.UserError(" ".join(str(error).split())) from error
    if len(positional) > 1:
        raise errors.UserError(
            f"expected flags only, like --labels=100. Received: {positional[1]!r}"
        )
    chosen: dict[str, Any] = {field.name: values[field.name].value for field in _FIELDS}
    given = {name: value for name, value in chosen.items() if values[name].present}
    config = config_lib.Config(**chosen)
    usage.check_mode(given, config.mode)
    if values.smoke and config.mode != "train":
        raise errors.UserError(f"--smoke: expected --mode=train. Received: {config.mode}")
    if config.mode in usage.ON_A_RUN:
        from keras_aae.training import run_directory

        kept = run_directory.RunDirectory(config.run_dir).read_config()
        changed = [name for name, value in given.items() if value != getattr(kept, name)]
        usage.check_changes(changed, config.mode)
        config = dataclasses.replace(kept, **given)
    config.check_given(given)
    return _smoke(config) if values.smoke else config


def _smoke(config: config_lib.Config) -> config_lib.Config:
    """The settings of a try, which downloads nothing but to a --data_dir that is given."""
    with errors.importing_tensorflow():
        from keras_aae.data import sources

        if config.data_dir or sources.is_at_hand(config.dataset):
            return config.smoke()
    print(f"--smoke: mnist_5k in place of {config.dataset}", file=sys.stderr)
    return config.smoke().on_mnist_5k()


def help_text(full: bool) -> str:
    """The settings in their groups: the most common ones, or all of them."""
    lines = [__doc__ or "", f"keras_aae {version.VERSION}"]
    shown = [field for field in _FIELDS if full or field.metadata["brief"]]
    for group in dict.fromkeys(field.metadata["group"] for field in shown):
        lines += ["", group]
        for field in (field for field in shown if field.metadata["group"] == group):
            text = _help(field, brief=not full)
            default = "" if field.default in (None, "") else f" [{field.default}]"
            lines.append(_wrapped(f"--{field.name}", text + default))
    lines += ["", _wrapped("--smoke", _SMOKE), _wrapped("--flagfile", "Read flags from a file.")]
    lines += [] if full else ["", "--helpfull shows every flag; --version the package's version."]
    return "\n".join(lines)


def _wrapped(flag: str, text: str) -> str:
    indent = " " * 25
    return textwrap.fill(f"  {flag:<22} {text}", 100, subsequent_indent=indent)


def _check_directory(config: config_lib.Config) -> None:
    """Raises a UserError where a study isn't possible, or training can't write to --run_dir."""
    from keras_aae.training import run_directory

    runs = {"": config}
    if plan.is_study(config):  # Also without a directory: this refuses what a study can't do.
        runs = {each.name: each.config for each in plan.variations(config)}
    if config.run_dir and config.mode == "train":
        for name, each in runs.items():
            run_directory.RunDirectory(pathlib.Path(config.run_dir, name)).check(each)


def _check_clock() -> None:
    """Raises a UserError where models and arrays, which are ZIP files, can't be dated."""
    year = time.localtime().tm_year
    if year not in _YEARS:
        raise errors.UserError(
            f"the clock says that it is {year}; what a run keeps can be dated from {_YEARS[0]} to "
            f"{_YEARS[-1]}. Set the clock first"
        )


def main(config: config_lib.Config) -> int:
    """Runs the experiment; returns the exit status."""
    # TensorFlow logs through absl, and app.run turns INFO on.
    logging.set_verbosity(logging.WARNING)
    _check_clock()
    _check_directory(config)
    cluster.find(config)
    with errors.importing_tensorflow():
        from keras_aae.data import sources

        if config.mode in ("train", "evaluate", "suggest"):
            sources.check(config.dataset, config.data_dir, config.image_size, config.on_bad_image)
        # This imports TensorFlow, which takes seconds: only once the flags are right and the data
        # is there.
        from keras_aae import experiment
        from keras_aae import study

    study.run(config) if plan.is_study(config) else experiment.run(config)
    return 0


@console.printing()
def run() -> None:
    """The `keras-aae` command."""
    asked = set(sys.argv[1:])
    if asked & {"-h", "-help", "--help", "--helpfull", "--helpshort"}:
        print(help_text(full="--helpfull" in asked))
        return
    if "--version" in asked and len(asked) == 1:
        print(f"keras_aae {version.VERSION}")
        return
    define_flags(flags.FLAGS)
    interrupts.exit_at_once()
    try:
        app.run(main, flags_parser=lambda arguments: read_config(arguments, flags.FLAGS))
    except errors.UserError as error:
        print(f"keras_aae: {error}", file=sys.stderr)
        sys.exit(2)
    except errors.WorkerLostError as error:
        print(f"keras_aae: {error}; starting again, to wait for it", file=sys.stderr)
        _start_again()
    except interrupts.Interrupted as error:
        print(f"keras_aae: interrupted ({error})", file=sys.stderr)
        sys.exit(error.status)


def _start_again() -> NoReturn:
    """Replaces this process by a new one: TensorFlow joins a cluster once in a process's life."""
    sys.stderr.flush()
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


if __name__ == "__main__":
    run()
