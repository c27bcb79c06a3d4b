"""Trains, evaluates and exports adversarial autoencoders.

    python -m keras_aae.launch --flagfile=quickstart.cfg
    python -m keras_aae.launch --flagfile=semisup.cfg --labels=1000 --seed=3
    python -m keras_aae.launch --mode=evaluate --run_dir=runs/semisup-20260101-120000

A later flag wins over an earlier one.
"""

import dataclasses
import os
import pathlib
import sys

from absl import app
from absl import flags
from absl import logging

from keras_aae import config as config_lib
from keras_aae import errors
from keras_aae import flagfiles
from keras_aae.data import sources

_DEFINE = {str: flags.DEFINE_string, int: flags.DEFINE_integer, float: flags.DEFINE_float}


def define_flags(values: flags.FlagValues) -> None:
    """Defines a flag for each setting of `config.Config`, and `--smoke`."""
    for field in dataclasses.fields(config_lib.Config):
        choices = field.metadata["choices"]
        text = field.metadata["help"] + (f" One of: {', '.join(choices)}." if choices else "")
        _DEFINE[field.type](field.name, field.default, text, flag_values=values)
    flags.DEFINE_boolean(
        "smoke",
        False,
        "Only try whether everything works: 20 updates on mnist_5k, with at most 1,000 labels.",
        flag_values=values,
    )


def read_config(arguments: list[str], values: flags.FlagValues) -> config_lib.Config:
    """The settings that the command-line arguments ask for.

    In the modes that work on a finished run, the settings kept in its directory come before the
    arguments.

    Args:
        arguments: `sys.argv`, the program's name first.
        values: FlagValues with `define_flags` done.

    Raises:
        UserError: a flag, a value or a flagfile is wrong.
    """
    try:
        positional = values([arguments[0], *flagfiles.expand(arguments[1:])])
    except flags.Error as error:
        raise errors.UserError(" ".join(str(error).split())) from error
    if len(positional) > 1:
        raise errors.UserError(
            f"expected flags only, like --labels=100. Received: {positional[1]!r}"
        )
    names = [field.name for field in dataclasses.fields(config_lib.Config)]
    config = config_lib.Config(**{name: values[name].value for name in names})
    if values.smoke:
        config = config.smoke()
    if config.mode not in config_lib.ON_A_RUN:
        return config
    kept = config_lib.Config.from_flagfile(pathlib.Path(config.run_dir) / "config.cfg")
    return dataclasses.replace(
        kept, **{name: values[name].value for name in names if values[name].present}
    )


def main(config: config_lib.Config) -> int:
    """Runs the experiment; returns the exit status."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # TensorFlow logs through absl, and app.run turns INFO on.
    logging.set_verbosity(logging.WARNING)
    if config.mode in ("train", *config_lib.ON_A_RUN):
        sources.check(config.dataset, config.data_dir)
    # Imports TensorFlow, which takes seconds: only once the flags are right and the data is there.
    from keras_aae import experiment

    experiment.run(config)
    return 0


def run() -> None:
    """The `keras-aae` command."""
    define_flags(flags.FLAGS)
    try:
        app.run(main, flags_parser=lambda arguments: read_config(arguments, flags.FLAGS))
    except errors.UserError as error:
        print(f"keras_aae: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    run()
