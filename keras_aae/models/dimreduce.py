"""Dimensionality reduction with adversarial autoencoders (paper, section 7).

The decoder sees an n-dimensional representation W_C y + z alone: the head of the example's class or
cluster, a row of W_C, and its style about that head.
"""

from collections.abc import Sequence
import functools
from typing import Any

import keras
import tensorflow as tf

from keras_aae.models import autoencoder
from keras_aae.models import checks
from keras_aae.models import clustering
from keras_aae.models import defaults
from keras_aae.models import latents
from keras_aae.models import losses
from keras_aae.models import phases
from keras_aae.models import seeds as seeds_lib
from keras_aae.models import semisup

_NAME = "representation"


@keras.saving.register_keras_serializable("keras_aae")
class Representation(keras.layers.Layer):
    """The representation W_C y + z of a code (paper, section 7).

    Takes the parts of the code side by side, [B, K + n], and gives [B, n].

    Args:
        count: K, the number of heads.
        size: n, the dimensions of the representation.
        spread: Standard deviation of the heads at the start.
        name: As for `keras.layers.Layer`.
        **kwargs: As `keras.layers.Layer`.

    Attributes:
        heads: W_C, [K, n].
    """

    def __init__(self, count: int, size: int, spread: float, name: str = _NAME, **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self.count = count
        self.heads = self.add_weight(
            (count, size), keras.initializers.RandomNormal(stddev=spread), name="heads"
        )

    def call(self, code: tf.Tensor) -> tf.Tensor:
        """The representation, [B, n]."""
        return keras.ops.matmul(code[:, : self.count], self.heads) + code[:, self.count :]


class Separation(phases.Phase):
    """Sum over pairs of heads of max(0, threshold - distance) (paper, section 7).

    Args:
        threshold: The Euclidean distance from which on a pair costs nothing.

    Raises:
        ValueError: it is negative, infinite or NaN.
    """

    def __init__(self, threshold: float):
        checks.not_negative(head_distance=threshold)
        super().__init__("separation")
        self._threshold = threshold

    def networks(self, model: phases.Model) -> tuple[keras.Model, ...]:
        return (model.decoder,)

    def loss(self, model: phases.Model, batch: phases.Batch, code: latents.Code) -> tf.Tensor:
        del code
        decoder = model.decoder if batch.training else model.averaged_decoder
        heads = tf.convert_to_tensor(decoder.get_layer(_NAME).heads)
        return losses.separation(heads, self._threshold)[None]


def _representation(count: int, style_size: int, head_distance: float) -> Any:
    """Makes the layer of a model with so many classes or clusters."""
    # The space that `count` balls of that distance take, so that few heads start too close.
    spread = 0.5 * head_distance * count ** (1 / style_size)
    return functools.partial(Representation, count, style_size, spread, dtype="float32")


class _Representing(autoencoder.Autoencoder):
    """What both variants answer besides."""

    @property
    def cluster_heads(self) -> tf.Tensor:
        """The head of each class or cluster, W_C, float32 [K, n]."""
        return tf.convert_to_tensor(self.averaged_decoder.get_layer(_NAME).heads)

    def _encode(self, x: tf.Tensor, seeds: seeds_lib.Seeds | None = None) -> latents.Code:
        """As in the base, and `representation`, W_C y + z, float32 [B, n]."""
        code = super()._encode(x, seeds)
        representation = self.averaged_decoder.get_layer(_NAME)
        return {**code, _NAME: representation(self.decoder_input(code))}


@keras.saving.register_keras_serializable("keras_aae")
class DimensionalityReductionAAE(_Representing, semisup.SemiSupervisedAAE):
    """A representation in n dimensions with a head for each class, from few labels.

    The losses are those of `semisup.SemiSupervisedAAE`, and

        separation        min over W_C                sum over pairs max(0, threshold - distance)

    Args:
        input_shape: The shape of one example: (height, width, channels) or (features,).
        num_classes: The number of classes.
        style_size: n.
        head_distance: The threshold; the style about a head has standard deviation 1.
        extra_phases: See `autoencoder.Autoencoder`.
        **kwargs: As `semisup.SemiSupervisedAAE`.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        *,
        num_classes: int = defaults.NUM_CLASSES,
        style_size: int = defaults.STYLE_SIZE,
        head_distance: float = defaults.HEAD_DISTANCE,
        extra_phases: Sequence[phases.Phase] = (),
        **kwargs: Any,
    ):
        super().__init__(
            input_shape,
            num_classes=num_classes,
            style_size=style_size,
            extra_phases=(Separation(head_distance), *extra_phases),
            representation=_representation(num_classes, style_size, head_distance),
            **kwargs,
        )


@keras.saving.register_keras_serializable("keras_aae")
class UnsupervisedDimensionalityReductionAAE(_Representing, clustering.ClusteringAAE):
    """A representation in n dimensions with a head for each of some clusters, without labels.

    The losses are those of `clustering.ClusteringAAE`, and the separation of
    `DimensionalityReductionAAE`.

    Args:
        input_shape: The shape of one example: (height, width, channels) or (features,).
        num_clusters: The number of clusters.
        style_size: n.
        head_distance: As in `DimensionalityReductionAAE`.
        extra_phases: See `autoencoder.Autoencoder`.
        **kwargs: As `clustering.ClusteringAAE`.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        *,
        num_clusters: int = defaults.NUM_CLUSTERS,
        style_size: int = defaults.STYLE_SIZE,
        head_distance: float = defaults.HEAD_DISTANCE,
        extra_phases: Sequence[phases.Phase] = (),
        **kwargs: Any,
    ):
        super().__init__(
            input_shape,
            num_clusters=num_clusters,
            style_size=style_size,
            extra_phases=(Separation(head_distance), *extra_phases),
            representation=_representation(num_clusters, style_size, head_distance),
            **kwargs,
        )
