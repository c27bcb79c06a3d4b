"""The progress bar of whatever takes long."""

import sys

import tqdm


def bar(description: str, total: int, unit: str, initial: int = 0, delay: float = 0) -> tqdm.tqdm:
    """A progress bar on stderr; where that is no terminal, a line every half minute.

    Args:
        description: What it shows the progress of.
        total: How many units there are.
        unit: What is counted, in the singular.
        initial: How many of them are done already.
        delay: Seconds before it shows.
    """
    return tqdm.tqdm(
        desc=description,
        total=total,
        unit=unit,
        initial=initial,
        delay=delay,
        mininterval=0.5 if sys.stderr.isatty() else 30,
        dynamic_ncols=True,
    )
