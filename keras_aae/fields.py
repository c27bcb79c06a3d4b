"""Fields of a dataclass that know their help text, their place in it and their check."""

from collections.abc import Sequence
import dataclasses
import re
import sys
from typing import Any

from keras_aae import errors
from keras_aae import plain_text

_MOST = 2**31 - 1  # Of an integer without another limit: TensorFlow counts in 32 bits.


def setting(
    default: Any,
    help: str,
    *,
    group: str,
    brief: bool = False,
    choices: Sequence[str] | None = None,
    low: float | None = None,
    high: float | None = None,
    pattern: str | None = None,
) -> Any:
    """A field with its help text and its check.

    Args:
        default: The value when the flag is not given; None where it depends on the model or data.
        help: What the setting means; its first sentence stands in the short help.
        group: The group that `--help` shows it in.
        brief: Whether it is in the short help.
        choices: The values allowed, or None.
        low: The smallest number allowed, or None.
        high: The largest number allowed, or None; integers are at most 2,147,483,647.
        pattern: A regular expression that the whole string must match, or None.
    """
    metadata = {
        **{"help": help, "group": group, "brief": brief, "choices": choices},
        **{"low": low, "high": high, "pattern": pattern},
    }
    return dataclasses.field(default=default, metadata=metadata)


def flag_type(field: dataclasses.Field) -> type:
    """The type of a setting: str, int or float."""
    assert isinstance(field.type, type)
    return field.type


def check(field: dataclasses.Field, value: Any) -> None:
    """Raises a UserError where a value is not allowed for a field that `setting` made."""
    expected = _expected(field, value)
    if expected:
        raise errors.UserError(f"--{field.name}: expected {expected}. Received: {value!r}")


def _expected(field: dataclasses.Field, value: Any) -> str:
    """What was expected, in words, where `value` breaks the field's rule; else an empty string."""
    rule = field.metadata
    if value is None and field.default is None:
        return ""
    kind = flag_type(field)
    types: Any = (int, float) if kind is float else kind
    if not isinstance(value, types) or isinstance(value, bool):
        return f"a value of type {kind.__name__}"
    if rule["choices"] and value not in rule["choices"]:
        return "one of " + ", ".join(rule["choices"])
    if rule["pattern"] and not re.fullmatch(rule["pattern"], value):
        return f"text like {rule['pattern']}"
    if kind is str:
        return "" if plain_text.is_plain(value) else "plain text on one line, in UTF-8"
    if not abs(value) <= (_MOST if kind is int else sys.float_info.max):
        return f"at most {_MOST}" if kind is int else "a finite number"
    if rule["low"] is not None and value < rule["low"]:
        return f"at least {rule['low']}"
    if rule["high"] is not None and value > rule["high"]:
        return f"at most {rule['high']}"
    return ""
