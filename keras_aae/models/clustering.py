"""The adversarial autoencoder that clusters (paper, section 6)."""

from keras_aae.models import categorical


class ClusteringAAE(categorical.CategoricalAAE):
    """The semi-supervised model without its labels: the encoder gives a cluster and a style.

    Args:
        input_shape: The shape of one example: (height, width, channels) or (features,).
        num_clusters: The number of clusters.
        **kwargs: As `categorical.CategoricalAAE`.

    Raises:
        ValueError: there are fewer than two clusters.
    """

    tells = "cluster"

    def __init__(self, input_shape: tuple[int, ...], *, num_clusters: int = 16, **kwargs):
        super().__init__(input_shape, num_clusters, **kwargs)
