"""The runs that one command asks for: each seed of `--seeds` with each value of `--sweep`."""

import collections
from collections.abc import Mapping
import dataclasses
import itertools
from typing import Any
from typing import NamedTuple
from urllib import parse

from keras_aae import config as config_lib
from keras_aae import errors
from keras_aae import fields
from keras_aae import usage

# Of the study, or of other modes than training.
_WHOLE = ("run_dir", "export_dir", "mode", "seeds", "sweep", *usage.ONLY_IN)


class Variation(NamedTuple):
    """One run of a study.

    Attributes:
        name: Of its directory within that of the study.
        value: The swept setting with its value, like `learning_rate=0.001`; empty without a sweep.
        config: Its settings.
    """

    name: str
    value: str
    config: config_lib.Config


def is_study(config: config_lib.Config) -> bool:
    """Whether the settings ask for more than one run."""
    return bool(config.seeds or config.sweep)


def variations(config: config_lib.Config) -> list[Variation]:
    """The runs of a study, in order: all seeds of the first value, then of the next.

    Raises:
        UserError: a value is not allowed, there is no such setting, or one is given that only a
            single run uses.
    """
    usual = {field.name: field.default for field in dataclasses.fields(config)}
    if config.seeds and config.seed != usual["seed"]:
        raise errors.UserError(f"--seed={config.seed}: expected --seed or --seeds, not both")
    for name in ("mode", "export_dir"):
        if getattr(config, name) != usual[name]:
            raise errors.UserError(
                f"--{name}={getattr(config, name)}: --seeds and --sweep train, and keep exports "
                "with their runs. Do it for one of the runs afterwards, with --run_dir"
            )
    swept = _swept(config)
    seeds: list[dict[str, Any]] = [{}]
    if config.seeds:
        seeds = [{"seed": int(seed)} for seed in config.seeds.split(",")]
    made = []
    for value, seed in itertools.product(swept, seeds):
        parts = [f"{name}={each}" for name, each in (*value.items(), *seed.items())]
        settings: dict[str, Any] = {**_unset(config, value), **value, **seed}
        changed = dataclasses.replace(config, seeds="", sweep="", **settings)
        name = parse.quote(",".join(parts), safe="=,+")  # A value may be a path.
        made.append(Variation(name, ",".join(parts[: len(value)]), changed))
    counts = collections.Counter(each.name for each in made)
    repeated = {name for name, count in counts.items() if count > 1}
    if repeated:
        raise errors.UserError(
            f"--seeds, --sweep: {', '.join(sorted(repeated))} stands there twice"
        )
    return made


def _swept(config: config_lib.Config) -> list[dict[str, Any]]:
    """The swept setting with each of its values; one empty entry without a sweep."""
    if not config.sweep:
        return [{}]
    name, _, values = config.sweep.partition("=")
    found = {field.name: field for field in dataclasses.fields(config)}
    if name not in found or name in _WHOLE or (name == "seed" and config.seeds):
        raise errors.UserError(
            f"--sweep={config.sweep}: expected <setting>=<value>,<value>. Received: {name!r}, "
            "which can't be swept"
        )
    return [{name: _parsed(config, found[name], value)} for value in values.split(",")]


def _unset(config: config_lib.Config, changed: Mapping[str, Any]) -> dict[str, None]:
    """What another model has its own default for, where these settings have that of theirs."""
    usual = usage.own_defaults(config.model) if "model" in changed else {}
    return {name: None for name, value in usual.items() if getattr(config, name) == value}


def _parsed(config: config_lib.Config, field: dataclasses.Field, text: str) -> Any:
    try:
        return fields.flag_type(field)(text)
    except ValueError as error:
        raise errors.UserError(
            f"--sweep={config.sweep}: expected values of type "
            f"{fields.flag_type(field).__name__}. Received: {text!r}"
        ) from error
