"""What the variants share whose code is a category beside a style (paper, sections 5 to 7)."""

import tensorflow as tf

from keras_aae.data import augmentation
from keras_aae.models import aae
from keras_aae.models import autoencoder
from keras_aae.models import base
from keras_aae.models import losses
from keras_aae.models import priors as priors_lib

_JITTER = 0.3  # Standard deviation of a view of a standardised feature vector.


class CategoricalAAE(aae.AdversarialAutoencoder):
    """The encoder gives a category q(y|x), of the kind that the variant `tells`, and a style z.

    One adversary makes y look like samples of a categorical distribution, another makes z look like
    samples of its prior.

    To the paper's losses an agreement is added: of two random views of each example the encoder has
    to give categories that tell as much of each other as they can (invariant information
    clustering, Ji et al., arXiv 1807.06653). Without it categories form by slant and thickness
    before they form by shape.

    Args:
        input_shape: The shape of one example: (height, width, channels) or (features,).
        num_categories: The number of classes or clusters.
        agreement_weight: Weight of the agreement; with 0 there is one view of each example and
            nothing but the paper's losses.
        views: How far the views of an image may go from it. Those of a feature vector have Gaussian
            noise of 0.3 of a standard deviation.
        **kwargs: As `aae.AdversarialAutoencoder` and `base.PhasedAutoencoder`.

    Raises:
        ValueError: there are fewer than two categories.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        num_categories: int,
        *,
        agreement_weight: float = 1.0,
        views: augmentation.Affine = augmentation.AFFINE,
        **kwargs,
    ):
        categories = {f"{self.tells}_probabilities": priors_lib.categorical(num_categories)}
        super().__init__(input_shape, other_priors=categories, **kwargs)
        self.agreement_weight = agreement_weight
        self.views = views

    @property
    def phases(self) -> tuple[base.Phase, ...]:
        if not self.agreement_weight:
            return super().phases
        agreement = base.Phase("agreement", self.agreement, (self.encoder,), self.agreement_weight)
        return (*super().phases, agreement)

    @property
    def heads(self):
        """As in the base, with the logits of the categories in their place."""
        heads = dict(super().heads)
        return {f"{self.tells}_logits": heads.pop(f"{self.tells}_probabilities"), **heads}

    def to_code(self, outputs, seeds=None):
        """Adds q(y|x) [B, categories] to its logits and the style."""
        code = super().to_code(outputs, seeds)
        probabilities = tf.nn.softmax(outputs[f"{self.tells}_logits"])
        return {f"{self.tells}_probabilities": probabilities, **code}

    def probabilities(self, code):
        """q(y|x) [B, categories]."""
        return code[f"{self.tells}_probabilities"]

    def augment(self, batch: base.Batch) -> base.Batch:
        """Two views of each example, [2 B, ...], the first of all before the second of any."""
        if not self.agreement_weight:
            return batch
        streams = ("first view", "second view")
        if len(self.example_shape) == 3:
            views = [augmentation.affine(batch.x, batch.seeds(s), self.views) for s in streams]
        else:
            views = [batch.seeds.noise(batch.x, _JITTER, s) for s in streams]
        return batch._replace(x=tf.concat(views, axis=0), y=tf.tile(batch.y, [2]))

    def agreement(self, batch: base.Batch, code: autoencoder.Code) -> tf.Tensor:
        """Minus the mutual information of the categories of two views, over all replicas, [1]."""
        del batch
        first, second = tf.split(self.probabilities(code), 2)
        joint = tf.matmul(first, second, transpose_a=True) / tf.cast(len(first), tf.float32)
        context = tf.distribute.get_replica_context()
        return -losses.mutual_information(context.all_reduce("MEAN", joint))[None]
