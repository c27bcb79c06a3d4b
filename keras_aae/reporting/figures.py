"""Pictures: functions from arrays to a matplotlib Figure, which the caller may write."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence

import contourpy
from matplotlib import collections
from matplotlib import figure
import numpy as np

_CELL = 0.55  # Inches of an image's side in a grid.
_COLUMNS = 5  # Of histograms.
_CAPTIONED_COLUMNS = 8


def image_grid(
    images: np.ndarray, *, rows: Sequence[str] | None = None, columns: Sequence[str] | None = None
) -> figure.Figure:
    """A grid of images with no space lost.

    Args:
        images: [rows, columns, H, W, C] in [0, 1]; C is 1, 3 or 4.
        rows: A label for each row.
        columns: A label for each column.
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
    axes.set_yticks(np.arange(down) * (height + 1) + height / 2 if rows else [], rows or [])
    axes.set_xticks(np.arange(across) * (width + 1) + width / 2 if columns else [], columns or [])
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return picture


def image_rows(images: Mapping[str, np.ndarray]) -> figure.Figure:
    """A row of images for each name.

    Args:
        images: [N, H, W, C] by name, in [0, 1] or uint8.
    """
    scaled = [row / 255.0 if row.dtype == np.uint8 else row for row in images.values()]
    return image_grid(np.stack(scaled), rows=list(images))


def code_histograms(codes: np.ndarray, samples: np.ndarray) -> figure.Figure:
    """Held-out codes and samples of the prior: a histogram for each dimension.

    Args:
        codes: [N, size].
        samples: [M, size] drawn from the prior.
    """
    size = codes.shape[1]
    down = -(-size // _COLUMNS)
    picture = figure.Figure(figsize=(10, 1.8 * down + 0.5), layout="constrained")
    panels = picture.subplots(
        down, min(size, _COLUMNS), sharex=True, sharey=True, squeeze=False
    ).ravel()
    limit = np.quantile(np.abs(samples), 0.9999) * 1.1
    bins = np.linspace(-limit, limit, 61)
    for dimension, axes in enumerate(panels):
        if dimension >= size:
            axes.set_visible(False)
            continue
        axes.hist(
            codes[:, dimension].clip(-limit, limit),
            bins,
            density=True,
            color="#4477aa",
            label="codes",
        )
        axes.hist(
            samples[:, dimension],
            bins,
            density=True,
            histtype="step",
            color="#cc3311",
            label="prior",
        )
        axes.set_title(f"dimension {dimension}", fontsize=9)
        axes.set_yticks([])
    picture.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
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
        codes: [N, 2].
        samples: [M, 2] drawn from the prior; the contours enclose 50, 90 and 99 % of them.
        log_prob: The prior's log density of points [K, 2].
        labels: Integer [N], -1 where unknown.
        classes: The name of each class.
    """
    picture = figure.Figure(figsize=(7, 6), layout="constrained")
    axes = picture.subplots()
    _scatter_by_class(axes, codes, labels, classes)
    limit = 1.15 * max(np.abs(samples).max(), np.quantile(np.abs(codes), 0.999))
    lines = contours(samples, log_prob, limit)
    axes.add_collection(collections.LineCollection(lines, colors="0.35", linewidths=0.7))
    axes.set(aspect="equal", xlim=(-limit, limit), ylim=(-limit, limit))
    axes.legend(markerscale=4, loc="center left", bbox_to_anchor=(1, 0.5))
    return picture


def contours(
    samples: np.ndarray, log_prob: Callable[[np.ndarray], np.ndarray], limit: float
) -> list[np.ndarray]:
    """The contours of a density of points [2] that enclose 50, 90 and 99 % of it.

    Args:
        samples: [M, 2] drawn from it.
        log_prob: Its logarithm at points [K, 2].
        limit: The contours are looked for in the square from -limit to limit.

    Returns:
        Lines of points [N, 2].
    """
    ticks = np.linspace(-limit, limit, 241)
    grid = np.stack(np.meshgrid(ticks, ticks), axis=-1)
    density = log_prob(grid.reshape(-1, 2).astype(np.float32)).reshape(grid.shape[:2])
    # A uniform density has one level, and minus infinity outside.
    levels = np.unique(np.quantile(log_prob(samples), [0.01, 0.1, 0.5]).round(3)) - 1e-3
    generator = contourpy.contour_generator(ticks, ticks, density.clip(levels[0] - 10))
    return [line for level in levels for line in generator.lines(level)]


def _scatter_by_class(axes, points, labels, classes):
    for index, name in [*enumerate(classes), (-1, "no label")]:
        if (labels == index).any():
            color = f"C{index % 10}" if index >= 0 else "0.4"
            axes.scatter(*points[labels == index].T, s=3, color=color, label=name)


def representation_scatter(
    points: np.ndarray, heads: np.ndarray, labels: np.ndarray, classes: Sequence[str]
) -> figure.Figure:
    """Held-out examples in a representation of two or three dimensions, with the heads marked.

    Args:
        points: [N, 2] or [N, 3].
        heads: [K, 2] or [K, 3].
        labels: Integer [N], -1 where unknown.
        classes: The name of each class.
    """
    picture = figure.Figure(figsize=(7, 6), layout="constrained")
    solid = {"projection": "3d"} if points.shape[1] == 3 else {}
    axes = picture.subplots(subplot_kw=solid)
    _scatter_by_class(axes, points, labels, classes)
    axes.scatter(*heads.T, s=90, marker="X", color="black", edgecolor="white", label="heads")
    axes.set_aspect("equal")
    axes.legend(markerscale=1.5, loc="center left", bbox_to_anchor=(1.05, 0.5))
    return picture


def confusion_matrix(counts: np.ndarray, classes: Sequence[str]) -> figure.Figure:
    """How many examples of each class are given each class.

    Args:
        counts: Integer [classes, classes]: the class down, the one that was given across.
        classes: The name of each class.
    """
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
    axes.set_xticks(ticks, classes, rotation=0 if max(map(len, classes)) < 4 else 90)
    axes.set_yticks(ticks, classes)
    axes.set(xlabel="given", ylabel="class")
    return picture


def captioned_images(images: np.ndarray, captions: Sequence[str]) -> figure.Figure:
    """Images in rows, each with a caption above it.

    Args:
        images: [N, H, W, C] in [0, 1] or uint8, N at least 1.
        captions: A text for each image.
    """
    across = min(len(images), _CAPTIONED_COLUMNS)
    down = -(-len(images) // across)
    picture = figure.Figure(figsize=(1.15 * across, 1.4 * down), layout="constrained")
    panels = picture.subplots(down, across, squeeze=False).ravel()
    for axes in panels:
        axes.set_axis_off()
    for axes, image, caption in zip(panels, images, captions, strict=False):
        scaled = image / 255.0 if image.dtype == np.uint8 else image
        axes.imshow(scaled[..., 0] if image.shape[-1] == 1 else scaled, cmap="gray", vmin=0, vmax=1)
        axes.set_title(caption, fontsize=8)
    return picture


def curve(x: Sequence[float], y: Sequence[float], x_name: str, y_name: str) -> figure.Figure:
    """One curve with its highest point marked."""
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
    """How each loss and each validation number went, over the updates.

    Args:
        rows: For each evaluation `updates` and the numbers by name.
    """
    names = [name for name in rows[0] if name not in ("updates", "seconds")]
    down = -(-len(names) // 3)
    picture = figure.Figure(figsize=(10, 2.3 * down), layout="constrained")
    updates = [row["updates"] for row in rows]
    panels = picture.subplots(down, 3, sharex=True, squeeze=False).ravel()
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    for axes, name in zip(panels, names, strict=False):
        values = [row[name] for row in rows]
        axes.plot(updates, values, marker="." if len(rows) < 50 else "")
        axes.set_title(name.replace("_", " "), fontsize=9)
        axes.set_ylim(0, 1.05 * max(values) or 1)
        axes.grid(alpha=0.3)
    picture.supxlabel("updates", fontsize=9)
    return picture
