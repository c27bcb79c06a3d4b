"""The report of a run: one page that opens with no network."""

import base64
from collections.abc import Mapping
import pathlib

import jinja2

from keras_aae import config as config_lib

CAPTIONS = {
    "reconstructions": "Held-out images and what the decoder makes of their codes.",
    "samples": "Decoded samples of the prior: what the model thinks an image can be.",
    "nearest_training_images": "Samples and the training image nearest to each: no mere copies.",
    "walk": "Codes at the quantiles of the prior, decoded; blank where the prior has no density.",
    "style_against_class": "Each row is one style drawn from the prior, each column a class: the "
    "same hand in every class.",
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
        loader=jinja2.FileSystemLoader(pathlib.Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template(name)
