"""The adversarial autoencoder that clusters (paper, section 6)."""

from typing import Any

import keras

from keras_aae.models import categorical
from keras_aae.models import defaults
from keras_aae.models import latents


@keras.saving.register_keras_serializable("keras_aae")
class ClusteringAAE(categorical.CategoricalAAE):
    """The encoder gives a cluster q(y|x) and a style z; no labels are used.

    The losses are those of `categorical.CategoricalAAE`.

    Args:
        input_shape: The shape of one example: (height, width, channels) or (features,).
        num_clusters: The number of clusters.
        **kwargs: As `categorical.CategoricalAAE`.

    Raises:
        ValueError: there are fewer than two clusters.
    """

    prediction = "cluster"

    def __init__(
        self,
        input_shape: tuple[int, ...],
        *,
        num_clusters: int = defaults.NUM_CLUSTERS,
        **kwargs: Any,
    ):
        super().__init__(input_shape, latents.Categorical("cluster", num_clusters), **kwargs)
