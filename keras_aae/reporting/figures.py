"""Figures: functions from arrays to a matplotlib Figure, which the caller may write to a file."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import io
from typing import Any

import contourpy
from matplotlib import collections
from matplotlib import figure
import numpy as np

from keras_aae.data import images as images_lib

MOST_VALUES = 40  # Classes or clusters in a figure.

_CELL = 0.55  # Inches of an image's side in a grid.
_COLUMNS = 5  # Of histograms.
_DIMENSIONS = 20  # Histograms in a figure at the most.
_LEVELS = (np.arange(500) + 0.5) / 500  # Of the quantiles that stand for a distribution.
_STYLES = {
    "codes": {"color": "#4477aa"},
    "prior": {"color": "#cc3311", "histtype": "step"},
}
_CAPTIONED_COLUMNS = 8
_LEAST_SHARE = 0.1  # Of the height of a panel that its curve takes where zero is in it.


def png(picture: figure.Figure) -> bytes:
    """A figure as a PNG file."""
    buffer = io.BytesIO()
    picture.savefig(buffer, dpi=110)
    return buffer.getvalue()


def image_grid(
    images: np.ndarray,
    *,
    rows: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    title: str | None = None,
) -> figure.Figure:
    """A grid of images, one pixel apart.

    Args:
        images: float [rows, columns, H, W, C] in [0, 1]; C is 1, 3 or 4.
        rows: A label for each row, drawn as it is. Default: none.
        columns: A label for each column, drawn as it is. Default: none.
        title: The title of the figure. Default: none.
    """
    down, across, height, width, channels = images.shape
    canvas = np.ones((down * (height + 1) - 1, across * (width + 1) - 1, channels), np.float32)
    for row in range(down):
        for column in range(across):
            top, left = row * (height + 1), column * (width + 1)
            canvas[top : top + height, left : left + width] = images[row, column]
    picture = figure.Figure(figsize=(across * _CELL + 1, down * _CELL + 0.6), layout="constrained")
    axes = picture.subplots()
    axes.imshow(canvas[..., 0] if channels == 1 else canvas, cmap="gray", vmin=0, vmax=1)
    axes.set_yticks(_centres(height, rows), _plain(rows))
    axes.set_xticks(_centres(width, columns), _plain(columns))
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if title:
        picture.suptitle(title, fontsize=9)
    return picture


def _centres(side: int, labels: Sequence[str] | None) -> np.ndarray:
    """The middle of each labelled row or column of images of that side."""
    return np.arange(len(labels or ())) * (side + 1) + side / 2


def _plain(labels: Sequence[str] | None) -> list[str]:
    """Labels for matplotlib that are no formulas, whatever dollars are in them."""
    return [label.replace("$", r"\$") for label in labels or ()]


def image_rows(images: Mapping[str, np.ndarray], title: str | None = None) -> figure.Figure:
    """A row of images for each name.

    Args:
        images: By the label of the row [N, H, W, C], float in [0, 1] or uint8; C is 1, 3 or 4.
        title: The title of the figure. Default: none.
    """
    scaled = [images_lib.scaled(row) for row in images.values()]
    return image_grid(np.stack(scaled), rows=list(images), title=title)


def code_histograms(codes: np.ndarray, samples: np.ndarray) -> figure.Figure:
    """A histogram of held-out codes and of samples of the prior for each dimension.

    At most 20 dimensions are shown, in order: those with the largest Wasserstein distances, which
    stand above the histograms. What lies beyond the axis is counted in the outermost bar.

    Args:
        codes: float [N, size], N at least 1.
        samples: float [M, size] drawn from the prior, M at least 1.
    """
    size = codes.shape[1]
    # The 1-Wasserstein distance along a dimension is the mean absolute difference of quantiles.
    ours, prior = (np.quantile(points, _LEVELS, axis=0) for points in (codes, samples))
    distances = np.abs(ours - prior).mean(axis=0)
    shown = np.sort(np.argsort(-distances, kind="stable")[:_DIMENSIONS])
    across = min(len(shown), _COLUMNS)
    down = -(-len(shown) // across)
    picture = figure.Figure(figsize=(10, 1.8 * down + 0.5), layout="constrained")
    panels = picture.subplots(down, across, sharex=True, sharey=True, squeeze=False).ravel()
    limit = 1.1 * float(np.quantile(np.abs(samples[:, shown]), 0.9999))
    bins = np.linspace(-limit, limit, 61)
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    for axes, dimension in zip(panels, shown, strict=False):
        for label, points in (("codes", codes), ("prior", samples)):
            values = points[:, dimension].astype(float).clip(-limit, limit)
            axes.hist(values, bins, density=True, label=label, **_STYLES[label])
        axes.set_title(f"dimension {dimension}: {distances[dimension]:.3f}", fontsize=9)
        axes.set_yticks([])
    if len(shown) < size:
        title = f"The {len(shown)} of {size:,} dimensions whose codes are farthest from the prior"
        picture.suptitle(title, fontsize=9)
    picture.legend(*panels[0].get_legend_handles_labels(), loc="outside lower right", ncols=2)
    return picture


def code_scatter(
    codes: np.ndarray,
    samples: np.ndarray,
    log_prob: Callable[[np.ndarray], np.ndarray],
    labels: np.ndarray,
    classes: Sequence[str],
) -> figure.Figure:
    """Held-out 2-D codes, coloured by class, over the contours of the prior's density.

    Args:
        codes: float [N, 2].
        samples: float [M, 2] drawn from the prior; the contours enclose 50, 90 and 99 % of them.
        log_prob: The prior's log density, [K], at points [K, 2].
        labels: Integer [N], -1 where unknown.
        classes: The name of each class.
    """
    picture = figure.Figure(figsize=(7, 6), layout="constrained")
    axes = picture.subplots()
    shown = _scatter_by_class(axes, codes, labels, classes)
    limit = 1.15 * max(np.abs(samples).max(), np.quantile(np.abs(codes), 0.999))
    lines = contours(samples, log_prob, limit)
    axes.add_collection(collections.LineCollection(lines, colors="0.35", linewidths=0.7))
    axes.set(aspect="equal", xlim=(-limit, limit), ylim=(-limit, limit))
    axes.legend(*shown, markerscale=4, loc="center left", bbox_to_anchor=(1, 0.5))
    return picture


def contours(
    samples: np.ndarray, log_prob: Callable[[np.ndarray], np.ndarray], limit: float
) -> list[np.ndarray]:
    """The contours of a density in two dimensions that enclose 50, 90 and 99 % of it.

    A uniform density has one contour, its border.

    Args:
        samples: float [M, 2] drawn from it.
        log_prob: Its logarithm, [K], at points float32 [K, 2].
        limit: The contours are looked for in the square from -limit to limit.

    Returns:
        The lines that make up the contours, each of points float [N, 2].
    """
    ticks = np.linspace(-limit, limit, 241)
    grid = np.stack(np.meshgrid(ticks, ticks), axis=-1)
    density = log_prob(grid.reshape(-1, 2).astype(np.float32)).reshape(grid.shape[:2])
    # A uniform density has one level, and minus infinity outside.
    levels = np.unique(np.quantile(log_prob(samples), [0.01, 0.1, 0.5]).round(3)) - 1e-3
    generator = contourpy.contour_generator(ticks, ticks, density.clip(levels[0] - 10))
    return [np.asarray(line) for level in levels for line in generator.lines(level)]


def _scatter_by_class(
    axes: Any, points: np.ndarray, labels: np.ndarray, classes: Sequence[str]
) -> tuple[list, list[str]]:
    """Draws points [N, 2] or [N, 3] in the colour of their label, integer [N], -1 where unknown.

    Returns:
        What a legend takes, so that it has every name: what was drawn, and its names.
    """
    drawn, names = [], []
    for index, name in [*enumerate(_plain(classes)), (-1, "no label")]:
        if (labels == index).any():
            color = f"C{index % 10}" if index >= 0 else "0.4"
            drawn.append(axes.scatter(*points[labels == index].T, s=3, color=color))
            names.append(name)
    return drawn, names


def representation_scatter(
    points: np.ndarray, heads: np.ndarray, labels: np.ndarray, classes: Sequence[str]
) -> figure.Figure:
    """Held-out examples in a representation of two or three dimensions, with the heads marked.

    Args:
        points: float [N, 2] or [N, 3].
        heads: float [K, 2] or [K, 3].
        labels: Integer [N], -1 where unknown.
        classes: The name of each class.
    """
    picture = figure.Figure(figsize=(7, 6), layout="constrained")
    solid = {"projection": "3d"} if points.shape[1] == 3 else {}
    axes: Any = picture.subplots(subplot_kw=solid)
    drawn, names = _scatter_by_class(axes, points, labels, classes)
    drawn.append(axes.scatter(*heads.T, s=90, marker="X", color="black", edgecolor="white"))
    axes.set_aspect("equal")
    names = [*names, "heads"]
    axes.legend(drawn, names, markerscale=1.5, loc="center left", bbox_to_anchor=(1.05, 0.5))
    return picture


def confusion_matrix(counts: np.ndarray, classes: Sequence[str]) -> figure.Figure:
    """How many examples of each class are predicted to be of each class.

    The title says how many predictions differ from the class. Of more than `MOST_VALUES` classes
    those with the most mistakes are shown.

    Args:
        counts: Integer [classes, classes]: a row for each class, a column for each prediction.
        classes: The name of each class.
    """
    total = int(counts.sum())
    wrong = total - int(np.trace(counts))
    title = f"{wrong:,} of {total:,} wrong ({wrong / max(total, 1):.2%})"
    if len(classes) > MOST_VALUES:
        title += f"; the {MOST_VALUES} classes of {len(classes):,} with the most mistakes"
        shown = _most_mistaken(counts)
        counts, classes = counts[np.ix_(shown, shown)], [classes[each] for each in shown]
    size = 1.5 + 0.45 * len(classes)
    picture = figure.Figure(figsize=(size + 0.5, size), layout="constrained")
    axes = picture.subplots()
    # Mistakes are few: shades are of the share of the class, and its root.
    shares = counts / counts.sum(axis=1, keepdims=True).clip(1)
    axes.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            color = "white" if shares[row, column] > 0.4 else "black"
            axes.text(column, row, count, ha="center", va="center", color=color, fontsize=8)
    ticks = np.arange(len(classes))
    axes.set_xticks(ticks, _plain(classes), rotation=0 if max(map(len, classes)) < 4 else 90)
    axes.set_yticks(ticks, _plain(classes))
    axes.set(xlabel="prediction", ylabel="class")
    picture.suptitle(title, fontsize=9)
    return picture


def _most_mistaken(counts: np.ndarray) -> np.ndarray:
    """The `MOST_VALUES` classes of a confusion matrix with the most mistakes, in order."""
    mistakes = counts.sum(axis=0) + counts.sum(axis=1) - 2 * np.diag(counts)
    return np.sort(np.argsort(-mistakes, kind="stable")[:MOST_VALUES])


def reliability(bins: Sequence[Mapping[str, float]]) -> figure.Figure:
    """Accuracy against confidence: on the diagonal where probabilities are right.

    Args:
        bins: What `evaluation.calibration.reliability` gives.
    """
    picture = figure.Figure(figsize=(4.5, 4.5), layout="constrained")
    axes = picture.subplots()
    sure, right = ([each[name] for each in bins] for name in ("confidence", "accuracy"))
    axes.plot([0, 1], [0, 1], color="0.7", linestyle="--")
    axes.plot(sure, right)
    # The area of a point shows how many examples it stands for.
    axes.scatter(sure, right, [20 + 200 * each["share"] for each in bins])
    axes.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1.02), ylim=(0, 1.02))
    axes.grid(alpha=0.3)
    return picture


def captioned_images(
    images: np.ndarray, captions: Sequence[str], title: str | None = None
) -> figure.Figure:
    """Images in rows of eight, each with a caption above it.

    Args:
        images: [N, H, W, C], float in [0, 1] or uint8, N at least 1; C is 1, 3 or 4.
        captions: A text for each image, drawn as it is.
        title: The title of the figure. Default: none.
    """
    across = min(len(images), _CAPTIONED_COLUMNS)
    down = -(-len(images) // across)
    picture = figure.Figure(figsize=(1.15 * across, 1.4 * down), layout="constrained")
    panels = picture.subplots(down, across, squeeze=False).ravel()
    for axes in panels:
        axes.set_axis_off()
    for axes, image, caption in zip(panels, images, _plain(captions), strict=False):
        scaled = images_lib.scaled(image)
        axes.imshow(scaled[..., 0] if image.shape[-1] == 1 else scaled, cmap="gray", vmin=0, vmax=1)
        axes.set_title(caption, fontsize=8)
    if title:
        picture.suptitle(title, fontsize=9)
    return picture


def curve(x: Sequence[float], y: Sequence[float], x_name: str, y_name: str) -> figure.Figure:
    """One curve, with its highest point marked and named in the legend.

    Args:
        x: The N places along the horizontal axis, in order.
        y: The N values there.
        x_name: The label of the horizontal axis.
        y_name: The label of the vertical axis.
    """
    picture = figure.Figure(figsize=(6, 3.5), layout="constrained")
    axes = picture.subplots()
    best = int(np.argmax(y))
    axes.plot(x, y, marker=".")
    axes.plot(x[best], y[best], marker="o", color="#cc3311", label=f"{y[best]:.1f} at {x[best]:g}")
    axes.set(xlabel=x_name, ylabel=y_name)
    axes.grid(alpha=0.3)
    axes.legend()
    return picture


def learning_curves(rows: Sequence[Mapping[str, float]]) -> figure.Figure:
    """A panel for each loss and each validation number, over the steps.

    A value that is not finite leaves a gap in its curve.

    Args:
        rows: For each evaluation, 1 at least, `step`, `seconds` and the numbers by name; all have
            the names of the first.
    """
    names = [name for name in rows[0] if name not in ("step", "seconds")]
    down = -(-len(names) // 3)
    picture = figure.Figure(figsize=(10, 2.3 * down), layout="constrained")
    steps = [row["step"] for row in rows]
    panels = picture.subplots(down, 3, sharex=True, squeeze=False).ravel()
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    for axes, name in zip(panels, names, strict=False):
        values = np.array([row[name] for row in rows], float)
        axes.plot(steps, values, marker="." if len(rows) < 50 else "")
        axes.set_title(name.replace("_", " "), fontsize=9)
        axes.set_ylim(*_limits(values))
        axes.grid(alpha=0.3)
    picture.supxlabel("steps", fontsize=9)
    return picture


def bands(curves: Mapping[str, Mapping[str, tuple[np.ndarray, np.ndarray]]]) -> figure.Figure:
    """A panel for each number, with a curve for each group: the mean and the range of its runs.

    Args:
        curves: Of each group, by name, and each number, by name, the steps [T] and the values of
            the group's runs, [runs, T]; one group or more has some.
    """
    names = list(dict.fromkeys(name for numbers in curves.values() for name in numbers))
    picture = figure.Figure(figsize=(5 * len(names), 3.5), layout="constrained")
    for axes, name in zip(picture.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        for group, numbers in curves.items():
            steps, values = numbers.get(name, (np.zeros(0), np.zeros((1, 0))))
            (line,) = axes.plot(steps, values.mean(axis=0), label=_plain([group])[0])
            axes.fill_between(
                steps, values.min(axis=0), values.max(axis=0), color=line.get_color(), alpha=0.2
            )
        axes.set_title(name.replace("_", " "), fontsize=9)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    picture.supxlabel("steps", fontsize=9)
    return picture


def _limits(values: np.ndarray) -> tuple[float, float]:
    """The lower and the upper end of an axis that shows all finite values of a curve, [N].

    Zero is one end where all are of one sign, unless they differ so little that the curve would
    take less than a tenth of the axis.
    """
    finite = values[np.isfinite(values)]
    if not finite.any():
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    if low == high or high - low >= _LEAST_SHARE * max(-low, high):
        low, high = min(low, 0.0), max(high, 0.0)
    margin = 0.05 * (high - low)
    return low - margin * (low != 0), high + margin * (high != 0)
