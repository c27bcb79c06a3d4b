"""What was measured, as a figure."""

from collections.abc import Mapping
import statistics

from matplotlib import figure

from benchmarks import cases
from benchmarks import tables

_COLOURS = {"ours": "#4477aa", "others": "#bbbbbb"}


def bars(measured: Mapping[str, tables.Times]) -> figure.Figure:
    """The time of a step over ours in each case with several contestants.

    A bar ends at the median over the rounds; the line across its end is their range.
    """
    compared = {
        name: times for name, times in measured.items() if name in cases.CASES and len(times) > 1
    }
    sizes = [len(each) for each in compared.values()]
    picture = figure.Figure(figsize=(8, 0.4 * sum(sizes) + len(sizes)), layout="constrained")
    panels = picture.subplots(len(sizes), squeeze=False, gridspec_kw={"height_ratios": sizes})
    for axes, (name, times) in zip(panels.ravel(), compared.items(), strict=True):
        ratios = tables.within_rounds(times)
        ends = [statistics.median(own) for own in ratios.values()]
        reach = [
            [end - min(own) for end, own in zip(ends, ratios.values(), strict=True)],
            [max(own) - end for end, own in zip(ends, ratios.values(), strict=True)],
        ]
        colours = [_COLOURS["ours" if own.startswith("our") else "others"] for own in ratios]
        axes.barh(list(ratios), ends, xerr=reach, color=colours, ecolor="#555555")
        axes.axvline(1, color="black", linewidth=0.8)
        axes.invert_yaxis()
        axes.set_title(cases.CASES[name].name, fontsize=9, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
    panels[-1, 0].set_xlabel("time of a step over ours")
    return picture
