import io
import re

from conftest import bars
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_aae import config as config_lib
from keras_aae import data
from keras_aae import evaluation
from keras_aae import models
from keras_aae.data import images as images_lib
from keras_aae.models import defaults
from keras_aae.models import networks
from keras_aae.models import priors
from keras_aae.reporting import comparison
from keras_aae.reporting import figures
from keras_aae.reporting import gallery
from keras_aae.reporting import report

tfd = tfp.distributions

SHAPE = (12, 12, 1)


def make(name, **settings):
    """A small model of bars, of three classes or four clusters."""
    settings = {"style_size": 2, "network": networks.MLP(16, 1), "seed": 0, **settings}
    variant = models.VARIANTS[name]
    if variant.labels != "none":
        settings["num_classes"] = 3
    if "num_clusters" in variant.settings:
        settings.setdefault("num_clusters", 4)
    if name == "label_informed":
        size = settings["style_size"]
        centres = 2 * tf.eye(3, size)
        components = tfd.MultivariateNormalDiag(centres, tf.ones([3, size]))
        settings["prior"] = tfd.MixtureSameFamily(tfd.Categorical(tf.zeros(3)), components)
    return models.get(name)(SHAPE, **settings)


def bars_dataset(count=30):
    split = data.Split(*bars(count))
    return data.Dataset(split, split, split, ("a", "b", "c"))


def visible(picture):
    return [axes for axes in picture.axes if axes.get_visible()]


def title(picture):
    return picture.get_suptitle()


# Grids of images


def test_a_grid_puts_every_image_in_its_place():
    images = np.arange(6).reshape(2, 3, 1, 1, 1) / 10
    picture = figures.image_grid(images, rows=["x", "y"], columns="abc", title="six")
    axes = picture.axes[0]
    canvas = axes.images[0].get_array()
    np.testing.assert_allclose(canvas, [[0, 1, 0.1, 1, 0.2], [1] * 5, [0.3, 1, 0.4, 1, 0.5]])
    assert [text.get_text() for text in axes.get_yticklabels()] == ["x", "y"]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["a", "b", "c"]
    assert title(picture) == "six"


def test_rows_take_colour_and_bytes():
    rows = {"a": np.full((4, 3, 3, 3), 255, np.uint8), "b": np.ones((4, 3, 3, 3))}
    canvas = figures.image_rows(rows).axes[0].images[0].get_array()
    np.testing.assert_array_equal(canvas, np.ones((7, 15, 3)))


# Names of classes

NAMES = ["$x_$", "$a$", r"\$b$", "_c", r"\frac{1}{2}", "5$"]


def pixels(picture):
    buffer = io.BytesIO()
    picture.savefig(buffer, format="rgba", dpi=60)
    return buffer.getvalue()


def test_a_name_is_drawn_as_it_is_and_is_no_formula():
    drawn, expected = (figures.confusion_matrix(np.eye(6, dtype=int), NAMES) for _ in range(2))
    expected.axes[0].set_xticklabels(NAMES, rotation=90, parse_math=False)
    expected.axes[0].set_yticklabels(NAMES, parse_math=False)
    assert pixels(drawn) == pixels(expected)


def test_of_many_classes_those_with_the_most_mistakes_are_drawn():
    counts = 5 * np.eye(1500, dtype=int)
    counts[700, 3] = counts[900, 3] = 2
    drawn = figures.confusion_matrix(counts, [f"c{number}" for number in range(1500)])
    shown = [label.get_text() for label in drawn.axes[0].get_yticklabels()]
    assert len(shown) == 40 and {"c3", "c700", "c900"} <= set(shown)
    assert title(drawn) == (
        "4 of 7,504 wrong (0.05%); the 40 classes of 1,500 with the most mistakes"
    )
    assert max(drawn.get_size_inches()) < 21


def test_of_many_classes_a_part_is_drawn_with_a_style():
    model = models.get("semisup")(SHAPE, num_classes=50, network=networks.MLP(16, 1))
    drawn = gallery._style_against_class(model, [f"c{number}" for number in range(50)])
    assert len(drawn.axes[0].get_xticklabels()) == 40 and title(drawn) == "40 of 50 classes"


def test_every_figure_with_names_can_be_drawn():
    images, points = np.zeros((6, 2, 2, 1)), np.random.default_rng(0).normal(size=(6, 2))
    labels = np.arange(6)
    scatters = [
        figures.code_scatter(points, points, lambda z: -np.square(z).sum(-1), labels, NAMES),
        figures.representation_scatter(points, points[:2], labels, NAMES),
        figures.representation_scatter(np.eye(6, 3), np.eye(2, 3), labels, NAMES),
    ]
    for picture in (
        *scatters,
        figures.image_grid(images[None], rows=["$x_$"], columns=NAMES),
        figures.image_rows({"$x_$": images}),
        figures.captioned_images(images, NAMES),
    ):
        assert pixels(picture)
    for picture in scatters:
        shown = [text.get_text() for text in picture.axes[0].get_legend().get_texts()]
        assert [text.replace(r"\$", "$") for text in shown][:6] == NAMES


# Codes against the prior


@pytest.mark.parametrize("size", [1, 3, 7, 20])
def test_codes_of_up_to_twenty_dimensions_have_a_histogram_for_each(size):
    samples = np.random.default_rng(0).normal(size=(50, size))
    picture = figures.code_histograms(samples + np.arange(size) / 8, samples)
    titles = [axes.get_title() for axes in visible(picture)]
    assert titles == [f"dimension {k}: {k / 8:.3f}" for k in range(size)]
    assert title(picture) == ""


@pytest.mark.parametrize("size", [21, 4096])
def test_of_more_dimensions_the_twenty_farthest_from_the_prior_are_shown(size):
    generator = np.random.default_rng(0)
    samples = generator.normal(size=(50, size)).astype(np.float32)
    order = generator.permutation(size)
    shift = np.zeros(size, np.float32)
    shift[order[:20]] = -np.arange(1, 21) / 8  # Far is far, also below.
    picture = figures.code_histograms(samples + shift, samples)
    titles = [axes.get_title() for axes in visible(picture)]
    assert titles == [f"dimension {k}: {abs(shift[k]):.3f}" for k in sorted(order[:20])]
    assert (
        title(picture) == f"The 20 of {size:,} dimensions whose codes are farthest from the prior"
    )


def test_histograms_count_codes_beyond_the_axis_in_the_outermost_bars():
    samples = np.linspace(-1, 1, 1000, dtype=np.float32)[:, None]
    codes = np.array([[-1e6], [0], [0.5], [1e6]], np.float32)
    axes = figures.code_histograms(codes, samples).axes[0]
    bars_of_codes = axes.patches[:60]
    shares = np.array([bar.get_height() * bar.get_width() for bar in bars_of_codes])
    assert shares.sum() == pytest.approx(1)
    assert (shares[0], shares[-1]) == (pytest.approx(1 / 4), pytest.approx(1 / 4))
    assert bars_of_codes[0].get_x() == pytest.approx(-1.1, rel=1e-3)


@pytest.mark.parametrize("prior", defaults.PRIORS)
def test_the_scatter_draws_codes_by_class_over_the_contours(prior):
    distribution = priors.get(prior, 2)
    samples = distribution.sample(500, seed=(0, 1)).numpy()
    labels = np.arange(500) % 3 - 1
    picture = figures.code_scatter(
        samples, samples, lambda z: distribution.log_prob(z).numpy(), labels, ["a", "b"]
    )
    *scattered, lines = picture.axes[0].collections
    names = [text.get_text() for text in picture.axes[0].get_legend().get_texts()]
    assert names == ["a", "b", "no label"]
    for points, label in zip(scattered, (0, 1, -1), strict=True):
        np.testing.assert_array_equal(points.get_offsets(), samples[labels == label])
    assert lines.get_paths()


def test_the_contours_of_a_gaussian_are_circles_of_half_nine_tenths_and_all_but_a_hundredth():
    gaussian = priors.get("gaussian", 2)
    samples = gaussian.sample(100_000, seed=(0, 1)).numpy()
    lines = figures.contours(samples, lambda z: gaussian.log_prob(z).numpy(), 5.0)
    radii = sorted(np.hypot(*line.T).mean() for line in lines)
    # |z|^2 is exponential with mean 2: a share p lies within sqrt(-2 log(1 - p)).
    np.testing.assert_allclose(radii, [1.1774, 2.1460, 3.0349], rtol=0.02)
    for line in lines:
        assert np.ptp(np.hypot(*line.T)) < 0.01


# Curves


def limits(*values):
    rows = [{"step": i, "seconds": 1.0, "loss": value} for i, value in enumerate(values)]
    picture = figures.learning_curves(rows)
    picture.canvas.draw()  # Would fail on limits that are not finite.
    return visible(picture)[0].get_ylim()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((2, 1), (0, 2.1)),
        ((-1, -2), (-2.1, 0)),
        ((-1, 3), (-1.2, 3.2)),
        ((0, 4), (0, 4.2)),
        ((-4, 0), (-4.2, 0)),
        ((8.9, 10), (0, 10.5)),
        ((9.1, 10), (9.055, 10.045)),
        ((1000, 1001), (999.95, 1001.05)),
        ((-1001, -1000), (-1001.05, -999.95)),
        ((5, 5), (0, 5.25)),
        ((-5,), (-5.25, 0)),
        ((0, 0), (0, 1)),
        ((np.nan, np.nan), (0, 1)),
        ((np.nan, -2, np.inf, -1), (-2.1, 0)),
    ],
)
def test_a_panel_has_zero_at_one_end_unless_that_flattens_its_curve(values, expected):
    assert limits(*values) == pytest.approx(expected)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_panels_show_all_values_the_right_way_up(scale):
    generator = np.random.default_rng(0)
    for _ in range(10):
        values = scale * (generator.normal() * 5 + generator.normal(size=4))
        low, high = limits(*values)
        assert low < values.min() <= values.max() < high


def test_learning_curves_have_a_panel_for_each_number_and_gaps_where_it_is_not_finite():
    rows = [
        {"step": 5, "seconds": 1.0, "a_b": 1.0, "c": 4.0},
        {"step": 10, "seconds": 2.0, "a_b": np.nan, "c": 3.0},
    ]
    first, second = visible(figures.learning_curves(rows))
    assert (first.get_title(), second.get_title()) == ("a b", "c")
    np.testing.assert_array_equal(first.lines[0].get_xydata(), [[5, 1], [10, np.nan]])
    np.testing.assert_array_equal(second.lines[0].get_xydata(), [[5, 4], [10, 3]])


def test_the_highest_point_of_a_curve_is_marked():
    axes = figures.curve([0.1, 0.2, 0.4], [-5.0, 3.0, 2.0], "bandwidth", "nats").axes[0]
    np.testing.assert_array_equal(axes.lines[1].get_xydata(), [[0.2, 3]])
    assert axes.get_legend().get_texts()[0].get_text() == "3.0 at 0.2"


# The gallery of a model


@pytest.mark.parametrize("name", models.NAMES)
@pytest.mark.parametrize("style_size", [2, 3])
def test_every_model_has_its_gallery_and_every_figure_its_caption(name, style_size):
    model = make(name, style_size=style_size)
    rows = [{"step": step, "seconds": 1.0, "reconstruction": 1 / step} for step in (1, 2)]
    bins = [{"confidence": 0.5, "accuracy": 0.4, "share": 1.0}]
    results = {
        "likelihood": {"curve": [(0.1, -5.0), (0.2, 3.0)]},
        "calibration": {"reliability": bins},
    }
    drawn = gallery.draw(evaluation.Evaluator(model), bars_dataset(), results, rows)
    expected = {"reconstructions", "samples", "nearest_training_images"}
    expected |= {"codes_against_prior", "bandwidth", "learning_curves", "reliability"}
    if model.categorical:
        expected.add(
            {"class": "style_against_class", "cluster": "clusters"}[model.categorical.name]
        )
    elif style_size == 2:
        expected.add("walk")
    if model.prediction == "class":
        expected |= {"confusion", "worst_mistakes"}
    if name.startswith("dimreduce"):
        expected.add("representation")
    if model.views:
        expected.add("views")
        assert title(drawn["views"]) == str(model.views)
    assert set(drawn) == expected
    assert expected <= set(report.CAPTIONS)


def test_a_large_code_has_twenty_histograms():
    model = make("aae", style_size=4096)
    drawn = gallery.draw(evaluation.Evaluator(model), bars_dataset(), {}, [])
    assert len(visible(drawn["codes_against_prior"])) == 20
    assert "20 of 4,096 dimensions" in title(drawn["codes_against_prior"])


def test_the_nearest_image_is_that_of_the_smallest_difference_of_pixels():
    candidates = bars(30)[0]
    candidates[candidates > 250] = 250
    shifted = candidates[[7, 3]] / np.float32(255) + np.float32([0, 0.01])[:, None, None, None]
    nearest, distances = gallery._nearest(images_lib.flat(shifted), candidates)
    np.testing.assert_array_equal(nearest, candidates[[7, 3]])
    np.testing.assert_allclose(distances, [0, 0.01], atol=1e-7)


def test_the_distance_of_samples_to_training_images_stands_beside_that_of_held_out_images():
    train = np.zeros((2, *SHAPE), np.uint8)
    train[1] = 255
    # Distances 0, 51/255 and 102/255; and 0.02, 0.1 and 0.05 from the second.
    held_out = np.full((3, *SHAPE), [[[[0]]], [[[51]]], [[[102]]]], np.uint8)
    samples = np.full((3, *SHAPE), [[[[0.98]]], [[[0.9]]], [[[0.95]]]], np.float32)
    picture = gallery._nearest_training_images(samples, held_out, train)
    assert title(picture) == (
        "Median distance to the nearest of 2 training images, root mean square per pixel: "
        "samples 0.0500, held-out images 0.2000"
    )
    canvas = picture.axes[0].images[0].get_array()
    assert canvas.shape == (25, 38)
    np.testing.assert_allclose(canvas[0, [0, 13, 26]], [0.98, 0.9, 0.95], rtol=1e-6)
    np.testing.assert_array_equal(canvas[13:], np.ones((12, 38)))


def test_samples_that_copy_training_images_have_no_distance_to_them(monkeypatch):
    model = make("aae")
    dataset = bars_dataset(60)
    held_out = data.Split(*bars(60, seed=1))
    copies = np.resize(dataset.train.x, (96, *SHAPE)) / np.float32(255)
    monkeypatch.setattr(model, "generate", lambda seeds: tf.constant(copies))
    drawn = gallery.draw(evaluation.Evaluator(model), dataset._replace(validation=held_out), {}, [])
    of_samples, of_held_out = re.findall(r"\d\.\d{4}", title(drawn["nearest_training_images"]))
    every = (held_out.x[:, None] / 255.0 - dataset.train.x[None] / 255.0) ** 2
    expected = np.median(np.sqrt(every.mean(axis=(2, 3, 4))).min(axis=1))
    assert of_samples == "0.0000"
    assert of_held_out == f"{expected:.4f}"


def test_a_row_of_style_against_class_is_one_style_and_a_column_one_class():
    model = make("semisup")
    axes = gallery._style_against_class(model, ("a", "b", "c")).axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["a", "b", "c"]
    canvas = axes.images[0].get_array()
    image = model.generate(tf.constant([4], tf.int64), tf.constant([2]))[0, ..., 0]
    np.testing.assert_allclose(canvas[4 * 13 : 4 * 13 + 12, 26:38], image, atol=1e-6)


def test_a_walk_rises_and_is_white_where_the_prior_is_thin():
    model = make("aae")
    images = gallery._walk(model)
    samples = model.priors["style"].sample(5000, seed=(0, 0)).numpy()
    for row, column in ((8, 3), (3, 8)):
        shares = [(column + 0.5) / 16, (15 - row + 0.5) / 16]
        code = [[np.quantile(samples[:, k], shares[k]) for k in (0, 1)]]
        expected = model.decode({"style": np.array(code, np.float32)})[0]
        np.testing.assert_allclose(images[row, column], expected, atol=1e-5)
    white = (images == 1).all(axis=(2, 3, 4))
    # The outermost quantiles are 1.86 each; 99 % of a 2-D Gaussian lie within 3.03, so no corner.
    assert not white.any()


def test_the_walk_over_a_flower_is_white_between_its_petals():
    images = gallery._walk(make("aae", prior="gaussian_mixture"))
    flower = priors.get("gaussian_mixture", 2)
    samples = flower.sample(5000, seed=(0, 0)).numpy()
    ticks = np.quantile(samples, (np.arange(16) + 0.5) / 16, axis=0)
    codes = np.stack(np.meshgrid(ticks[:, 0], ticks[::-1, 1]), axis=-1).astype(np.float32)
    thin = flower.log_prob(codes).numpy() < np.quantile(flower.log_prob(samples), 0.01) - 1e-3
    np.testing.assert_array_equal((images == 1).all(axis=(2, 3, 4)), thin)
    assert 0 < thin.sum() < 256


def classified(probabilities):
    return {"class": probabilities.argmax(axis=1), "class_probabilities": probabilities}


def test_mistakes_are_counted_by_class_and_the_surest_come_first():
    probabilities = np.array(
        [[0.9, 0.1, 0], [0.4, 0.6, 0], [0.95, 0, 0.05], [0, 0.2, 0.8], [0, 1, 0]]
    )
    split = data.Split(bars(5)[0], np.array([0, 0, 1, 1, -1]))
    drawn = gallery._mistakes(split, classified(probabilities), "abc")
    shown = {text.get_text() for text in drawn["confusion"].axes[0].texts}
    assert shown == {"1"}
    places = {text.get_position() for text in drawn["confusion"].axes[0].texts}
    assert places == {(0, 0), (1, 0), (0, 1), (2, 1)}  # (prediction, class)
    assert title(drawn["confusion"]) == "3 of 4 wrong (75.00%)"
    captions = [axes.get_title() for axes in drawn["worst_mistakes"].axes]
    assert captions == ["a, not b", "c, not b", "b, not a"]
    assert title(drawn["worst_mistakes"]) == "3 of 3 wrong"


def test_of_many_mistakes_twenty_four_are_shown():
    split = data.Split(bars(40)[0], np.zeros(40, np.int32))
    drawn = gallery._mistakes(split, classified(np.tile([0, 1, 0], (40, 1))), "abc")
    assert len(drawn["worst_mistakes"].axes) == 24
    assert title(drawn["worst_mistakes"]) == "24 of 40 wrong"


def test_without_mistakes_there_is_none_to_show():
    split = data.Split(*bars(6))
    drawn = gallery._mistakes(split, classified(np.eye(3)[split.y]), "abc")
    assert set(drawn) == {"confusion"}
    assert title(drawn["confusion"]) == "0 of 6 wrong (0.00%)"


def test_clusters_show_their_head_their_members_and_their_name():
    model = make("clustering")
    dataset = bars_dataset()
    split, evaluator = dataset.validation, evaluation.Evaluator(model)
    predictions = evaluator.predict(split)
    axes = gallery._clusters(evaluator, dataset, split, predictions).axes[0]
    names = evaluator.cluster_names(split)
    rows = [text.get_text() for text in axes.get_yticklabels()]
    assert rows == [f"{i}: {'abc'[n]}" if n >= 0 else f"{i}" for i, n in enumerate(names)]
    canvas = axes.images[0].get_array()
    cluster = int(predictions["cluster"][0])
    top = cluster * 13
    np.testing.assert_allclose(canvas[top : top + 12, 13:25], split.x[0, ..., 0] / 255, atol=1e-6)
    head = {"cluster_probabilities": tf.one_hot([cluster], 4), "style": tf.zeros([1, 2])}
    np.testing.assert_allclose(
        canvas[top : top + 12, :12], model.decode(head)[0, ..., 0], atol=1e-6
    )


def test_of_many_clusters_the_largest_are_drawn():
    evaluator, dataset = evaluation.Evaluator(make("clustering", num_clusters=50)), bars_dataset()
    members = np.array([48, 48, 49, *[0] * 27])
    drawn = gallery._clusters(evaluator, dataset, dataset.validation, {"cluster": members})
    rows = [text.get_text().split(":")[0] for text in drawn.axes[0].get_yticklabels()]
    assert rows == [str(number) for number in [*range(38), 48, 49]]
    assert title(drawn) == "40 largest of 50 clusters"


def test_clusters_of_examples_without_labels_have_no_name():
    images, _ = bars(30)
    split = data.Split(images, np.full(30, data.UNLABELLED, np.int32))
    evaluator = evaluation.Evaluator(make("clustering"))
    assert set(evaluator.evaluate(split)) == {"reconstruction_mse"}
    drawn = gallery.draw(evaluator, data.Dataset(split, split, split, ()), {}, [])
    rows = [text.get_text() for text in drawn["clusters"].axes[0].get_yticklabels()]
    assert rows == ["0", "1", "2", "3"]


# Pages


RESULTS = {
    "name": "run",
    "model": "aae",
    "dataset": "<script>alert(1)</script>",
    "labels_given": 0,
    "seed": 0,
    "steps": 1234,
    "train_seconds": 61.0,
    "images_per_second": 5.0,
    "machine": "m",
    "examples": {"train": 1, "validation": 1, "test": 0},
    "validation": {"reconstruction_mse": 0.5},
    "test": None,
    "style_probe": None,
    "calibration": None,
    "prior_match": {"sliced_wasserstein_ratio": 1, "hole_rate": 0, "outside_rate": 0},
    "export": None,
    "versions": {"keras_aae": "0", "tensorflow": "2", "keras": "3"},
}


def test_the_report_escapes_what_it_shows():
    page = report.render(config_lib.Config(), RESULTS, {"samples": b"png"})
    assert "<script>" not in page
    assert "<dd>1:01</dd>" in page
    assert "<dd>1,234</dd><dt>steps</dt>" in page
    assert "data:image/png;base64,cG5n" in page


def test_numbers_of_test_examples_that_validation_lacks_are_shown():
    """As where no validation example has a label."""
    numbers = {"validation": {"reconstruction_mse": 0.5}, "test": {"error_rate": 0.0625}}
    page = report.render(config_lib.Config(), {**RESULTS, **numbers}, {})
    assert re.search(r"error rate</td>\s*<td>\W</td>\s*<td>0\.0625", page)
    about = {"command": "", "signatures": {}, "classes": [], **RESULTS, **numbers}
    card = report.template("model_card.md.jinja").render(card=about)
    assert re.search(
        r"\| reconstruction mse \| 0\.5000 \| \W \|\n\| error rate \| \W \| 0\.0625 \|", card
    )


def test_a_card_says_what_goes_in():
    about = {"command": "", "classes": [], **RESULTS}
    image = {"inputs": {"image": "uint8 [B, 2, 2, 1]"}, "outputs": {}}
    template = report.template("model_card.md.jinja")
    for names, said in ((["encode", "encode_float"], True), (["encode"], False)):
        card = template.render(card={**about, "signatures": dict.fromkeys(names, image)})
        assert ("images as uint8,\nor with `_float`" in card) == said
        assert "preprocessing is in the graph" in card


def test_the_report_has_the_figures_that_there_are_with_their_captions():
    page = report.render(config_lib.Config(), RESULTS, dict.fromkeys(report.CAPTIONS, b"png"))
    found = re.findall(r"<figure>\s*<h2>(.*)</h2>\s*<figcaption><p .*?>(.*)</p>", page)
    assert found == [
        (name.replace("_", " ").capitalize(), caption) for name, caption in report.CAPTIONS.items()
    ]


def test_a_comparison_has_the_numbers_that_a_run_has():
    assert comparison._flat(RESULTS) == {
        "model": "aae",
        "dataset": "<script>alert(1)</script>",
        "labels_given": "0",
        "seed": "0",
        "steps": 1234,
        "train_seconds": 61.0,
        "validation.reconstruction_mse": 0.5,
        "prior_match.sliced_wasserstein_ratio": 1,
        "prior_match.hole_rate": 0,
        "prior_match.outside_rate": 0,
    }
