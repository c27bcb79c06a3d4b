"""The report of a run: one page that opens with no network."""

import base64
from collections.abc import Mapping
import pathlib

import jinja2

from keras_aae import config as config_lib
from keras_aae import evaluation

_TEMPLATES = pathlib.Path(__file__).parent / "templates"
CAPTIONS = {
    "reconstructions": "Held-out images and what the decoder makes of their codes.",
    "samples": "Decoded samples of the prior: what the model thinks an image can be.",
    "nearest_training_images": "Samples and the training image nearest to each: no mere copies.",
    "walk": "Codes at the quantiles of the prior, decoded; blank where the prior has no density.",
    "style_against_class": "Each row is one style drawn from the prior, each column a class: the "
    "same hand in every class.",
    "confusion": "Held-out examples by their class, down, and by what the model says, across.",
    "worst_mistakes": "The held-out images that the model is most sure of and wrong about: what it "
    "says, and the class.",
    "clusters": "Each row is a cluster, named after the class that most of its images have: its "
    "head, which is the style 0 decoded, then held-out images in it.",
    "representation": "Held-out examples where they lie in the representation, coloured by class, "
    "and the head of each class or cluster.",
    "codes_against_prior": "Held-out style codes, drawn from q(z|x), and the prior to match.",
    "bandwidth": "The Parzen estimate of validation images over the bandwidth of its window.",
    "learning_curves": "The training losses, and the numbers on the validation split.",
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
            "data": base64.b64encode(image).decode(),
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
    """The page template of that name; it escapes what it shows, and misses no value."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=lambda name: name.endswith(".html.jinja"),
        trim_blocks=name.endswith(".md.jinja"),
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["text"] = evaluation.text
    return environment.get_template(name)
