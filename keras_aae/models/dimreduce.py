"""Dimensionality reduction with adversarial autoencoders (paper, section 7).

The decoder sees an n-dimensional representation W_C y + z alone: the head of the example's class or
cluster, a row of W_C, and its style about that head.
"""

import keras
import tensorflow as tf

from keras_aae.models import autoencoder
from keras_aae.models import base
from keras_aae.models import clustering
from keras_aae.models import losses
from keras_aae.models import seeds as seeds_lib
from keras_aae.models import semisup

_NAME = "representation"


@keras.saving.register_keras_serializable("keras_aae")
class Representation(keras.layers.Layer):
    """The representation W_C y + z of a code (paper, section 7).

    Takes the code's parts side by side, [B, K + n], and gives [B, n].

    Args:
        count: K, the number of heads.
        size: n, the dimensions of the representation.
        spread: Standard deviation of the heads at the start.
        **kwargs: As `keras.layers.Layer`.

    Attributes:
        heads: W_C, [K, n].
    """

    def __init__(self, count: int, size: int, spread: float, **kwargs):
        super().__init__(**kwargs)
        initializer = keras.initializers.RandomNormal(stddev=spread)
        self.count = count
        self.heads = self.add_weight((count, size), initializer, name="heads")

    def call(self, code):
        return keras.ops.matmul(code[:, : self.count], self.heads) + code[:, self.count :]


class _Representation:
    """Mixed into a `categorical.CategoricalAAE`: the decoder sees W_C y + z.

    Args:
        input_shape: The shape of one example: (height, width, channels) or (features,).
        head_distance: Heads that are closer to each other than this are pushed apart; the style's
            standard deviation about its head is one.
        **kwargs: As the model that it is mixed into; `style_size` is n.
    """

    def __init__(self, input_shape: tuple[int, ...], *, head_distance: float = 6.0, **kwargs):
        self.head_distance = head_distance
        super().__init__(input_shape, **kwargs)

    @property
    def phases(self) -> tuple[base.Phase, ...]:
        return (*super().phases, base.Phase("separation", self.separation, (self.decoder,)))

    def build_decoder(self) -> keras.Model:
        """W_C y + z, then the family's decoder of n-dimensional codes."""
        count, size = self.parts[f"{self.category}_probabilities"], self.parts["style"]
        # The space that `count` balls of that distance take, so that few heads start too close.
        spread = 0.5 * self.head_distance * count ** (1 / size)
        code = keras.Input((count + size,))
        representation = Representation(count, size, spread, name=_NAME)(code)
        network = self.family.decoder(size, self.example_shape)
        return keras.Model(code, network(representation), name="decoder")

    def separation(self, batch: base.Batch, code: autoencoder.Code) -> tf.Tensor:
        """The penalty on heads that are close to each other (paper, section 7), [1]."""
        del batch, code
        heads = self.decoder.get_layer(_NAME).heads
        return losses.separation(tf.convert_to_tensor(heads), self.head_distance)[None]

    @property
    def cluster_heads(self) -> tf.Tensor:
        """The head of each class or cluster, W_C, float32 [K, n]."""
        return tf.convert_to_tensor(self.averaged_decoder.get_layer(_NAME).heads)

    def encode(self, x: tf.Tensor, seeds: seeds_lib.Seeds | None = None) -> autoencoder.Code:
        """As in the base, and `representation`, W_C y + z, float32 [B, n]."""
        code = super().encode(x, seeds)
        return {**code, _NAME: self.averaged_decoder.get_layer(_NAME)(self.join(code))}


class DimensionalityReductionAAE(_Representation, semisup.SemiSupervisedAAE):
    """A representation in n dimensions with a head for each class, from few labels.

    Args:
        input_shape: The shape of one example: (height, width, channels) or (features,).
        head_distance: Heads closer to each other than this are pushed apart.
        **kwargs: As `semisup.SemiSupervisedAAE`; `style_size` is n.
    """


class UnsupervisedDimensionalityReductionAAE(_Representation, clustering.ClusteringAAE):
    """A representation in n dimensions with a head for each of some clusters, without labels.

    Args:
        input_shape: The shape of one example: (height, width, channels) or (features,).
        head_distance: Heads closer to each other than this are pushed apart.
        **kwargs: As `clustering.ClusteringAAE`; `style_size` is n.
    """
