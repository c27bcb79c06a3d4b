"""The report of a run: one page that opens with no network."""

import base64
from collections.abc import Mapping
import pathlib

import jinja2

from keras_aae import config as config_lib
from keras_aae import evaluation

_TEMPLATES = pathlib.Path(__file__).parent / "templates"
CAPTIONS = {  # Of each figure that the report shows, in this order.
    "reconstructions": "Held-out images, taken at even distances from all of them, and below each "
    "what the decoder makes of its code (and of its label, where the decoder receives that).",
    "views": "Held-out images, and below each random views of it as training makes them; the title "
    "says what is drawn. A view has to show the class of its image; where it shows another, as "
    "the mirror image of a letter may, choose other views by --views.",
    "samples": "Decoded samples of the prior, the first that the model generates.",
    "nearest_training_images": "Samples of the prior, decoded, and below each the training image "
    "nearest to it in Euclidean distance of pixels, of as many as the title says. The title has "
    "the median of that distance for 96 samples and for up to 96 held-out images. Were the samples "
    "copies of the training images that they are compared with, theirs would be far below that of "
    "held-out images. But decoded samples are also smoother than images, which alone makes it "
    "smaller.",
    "walk": "Decoded codes at evenly spaced quantiles of the prior: the first dimension of the "
    "code rises to the right, the second upwards. White where the density of the prior is lower "
    "than at 99 % of its samples.",
    "style_against_class": "Each row is one style drawn from the prior, decoded with each class; "
    "each column is one class. Compare images along a row to see what the style decides, and down "
    "a column to see what the class decides.",
    "confusion": "The number of held-out examples by their class (row) and by the class that the "
    "model predicts (column). The darker a cell, the larger its share of its row; shades show the "
    "square root of the share, so that rare mistakes can be seen.",
    "reliability": "How often predictions are right (accuracy) by how sure the model is of them "
    "(the probability of the predicted class, after temperature scaling). On the dashed line "
    "probabilities are right, below it the model is too sure. The larger a point, the more "
    "held-out examples it stands for; all but the rightmost often stand for very few.",
    "worst_mistakes": "The held-out images whose predicted class is not their label, those first "
    "where the model gives its prediction the highest probability, at most 24. Above each: the "
    "prediction, then the label, which may itself be wrong.",
    "suggestions": "Unlabelled training images whose label would help most, the first of those in "
    "suggestions.csv: each is as far as can be, between features of the encoder, from all that are "
    "labelled and from those before it. Above each what the model takes it for, and how sure it "
    "is; it may well be wrong.",
    "clusters": "Each row is a cluster, named after the most frequent label of the held-out "
    "images in it (its number alone where it has none). First the cluster decoded with the style "
    "z = 0, then held-out images in it.",
    "representation": "Held-out examples in the representation, coloured by class. Crosses are "
    "the heads of the classes or clusters.",
    "codes_against_prior": "Style codes of held-out examples, drawn from q(z|x), and the prior "
    "that they are to match. Codes of two dimensions are coloured by class; the contours enclose "
    "50, 90 and 99 % of the prior. Of others there are histograms, at most 20, of those "
    "dimensions that differ most from the prior; the number is the Wasserstein distance between "
    "codes and samples of the prior along that dimension. Codes can match the prior in every "
    "dimension and still differ from it in how the dimensions depend on each other.",
    "bandwidth": "The Parzen estimate of the log-likelihood of validation images for each "
    "bandwidth of its window. The highest, which is marked, is the one used for test images.",
    "learning_curves": "The training losses, each a mean since the evaluation before, and the "
    "numbers on the validation split. Each panel has its own scale, which need not begin at zero. "
    "Agreement, where there is one, is minus the mutual information of an example and a view of "
    "it: the lower, the more they agree.",
}


def render(config: config_lib.Config, results: Mapping, figures: Mapping[str, bytes]) -> str:
    """The report as HTML that contains its pictures.

    Args:
        config: The settings of the run.
        results: What `results.json` holds.
        figures: PNG images by name, in the order to show them.
    """
    pictures = [
        {
            "title": name.replace("_", " ").capitalize(),
            "caption": CAPTIONS.get(name, ""),
            "data": image,
        }
        for name, image in figures.items()
    ]
    return template("report.html.jinja").render(
        config=config,
        results=results,
        pictures=pictures,
        settings=vars(config),
        command=config.command(),
    )


def template(name: str) -> jinja2.Template:
    """The page template of that name.

    HTML templates escape what they show. A value that is missing raises jinja2.UndefinedError.

    Args:
        name: The name of a file in `templates`.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=lambda name: bool(name and name.endswith(".html.jinja")),
        trim_blocks=name.endswith(".md.jinja"),
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["text"] = evaluation.text
    environment.filters["base64"] = lambda content: base64.b64encode(content).decode()
    return environment.get_template(name)
