"""The semi-supervised adversarial autoencoder (paper, section 5)."""

import tensorflow as tf

from keras_aae import losses
from keras_aae import priors as priors_lib
from keras_aae.models import aae
from keras_aae.models import base


class SemiSupervisedAAE(aae.AdversarialAutoencoder):
    """The encoder gives a class q(y|x) and a style z; few labels say which class is which.

    One adversary makes y look like samples of a categorical distribution, another makes z Gaussian,
    and a third phase minimises the cross-entropy of q(y|x) on the labelled examples of the
    minibatch.

    Args:
        input_shape: The shape of one example: (height, width, channels) or (features,).
        num_classes: The number of classes.
        style_size: Dimensions of the style code z.
        classification_weight: Weight of the classification loss.
        **kwargs: As `aae.AdversarialAutoencoder` and `base.Autoencoder`.

    Raises:
        ValueError: there are fewer than two classes.
    """

    uses_labels = True

    def __init__(
        self,
        input_shape: tuple[int, ...],
        *,
        num_classes: int = 10,
        style_size: int = 10,
        classification_weight: float = 1.0,
        **kwargs,
    ):
        if num_classes < 2:
            raise ValueError(
                f"Expected num_classes of at least 2. Received: num_classes={num_classes}"
            )
        priors = {
            "class_probabilities": priors_lib.categorical(num_classes),
            "style": priors_lib.gaussian(style_size),
        }
        super().__init__(input_shape, priors=priors, **kwargs)
        self.num_classes = num_classes
        self.classification_weight = classification_weight

    @property
    def phases(self) -> tuple[base.Phase, ...]:
        classification = base.Phase(
            "classification", self.classification, (self.encoder,), self.classification_weight
        )
        return (*super().phases, classification)

    @property
    def heads(self):
        """{"class_logits": classes, "style": size}."""
        return {"class_logits": self.parts["class_probabilities"], "style": self.parts["style"]}

    def to_code(self, outputs):
        """Adds `class_probabilities`, q(y|x) [B, classes], to the logits and the style."""
        return {"class_probabilities": tf.nn.softmax(outputs["class_logits"]), **outputs}

    def classification(self, batch: base.Batch, code: base.Code) -> tf.Tensor:
        """Classification phase (paper, section 5): cross-entropy on labelled examples."""
        return losses.classification(batch.y, code["class_logits"])

    def classify(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        """The class of raw examples.

        Args:
            x: uint8 images [B, H, W, C], or float features [B, D].

        Returns:
            {"class": int32 [B], "class_probabilities": float32 [B, classes]}.
        """
        probabilities = self.encode(x)["class_probabilities"]
        return {
            "class": tf.argmax(probabilities, axis=-1, output_type=tf.int32),
            "class_probabilities": probabilities,
        }

    def generate(self, seeds: tf.Tensor, labels: tf.Tensor | None = None) -> tf.Tensor:
        """An example in a style drawn from the prior for each of the seeds.

        Args:
            seeds: Integer [B]; equal seeds give equal draws.
            labels: The class of each example, integer [B] in [0, classes). Default: drawn from the
                prior.

        Returns:
            Images float32 [B, H, W, C] in [0, 1], or features [B, D].
        """
        code = self.sample_prior(seeds)
        if labels is not None:
            code["class_probabilities"] = tf.one_hot(labels, self.num_classes)
        return self.decode(code)

    def signatures(self):
        inputs = [
            tf.TensorSpec([None], tf.int64, name="seed"),
            tf.TensorSpec([None], tf.int32, name="label"),
        ]
        return super().signatures() | {
            "classify": base.Signature(self.classify, [self.example_spec]),
            "generate": base.Signature(
                lambda seed, label: {self.observation.name: self.generate(seed, label)}, inputs
            ),
        }
