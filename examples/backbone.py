"""Trains a model whose encoder is a network of keras.applications.

    python examples/backbone.py

It makes its own images, trains a few steps and prints shapes, in about a minute on two CPU cores.
With `weights="imagenet"` in place of `weights=None`, and 3 channels, training starts from weights
that Keras downloads.
"""

import keras
import numpy as np

import keras_aae as ka

SHAPE = (64, 64, 3)
CLASSES = ("red", "green", "blue")


def images(count, seed):
    """Random images, each tinted in the colour of its class.

    Args:
        count: How many.
        seed: Draws them.

    Returns:
        uint8 images [count, 64, 64, 3] and int32 labels [count].
    """
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, len(CLASSES), count).astype(np.int32)
    x = generator.integers(0, 128, (count, *SHAPE), np.uint8)
    x[np.arange(count), :, :, labels] += 127
    return x, labels


def main():
    """Builds the model, trains it and prints what it gives."""
    mobilenet = keras.applications.MobileNetV2(SHAPE, alpha=0.35, include_top=False, weights=None)
    # MobileNetV2 takes pixels in [-1, 1]; a model of keras_aae has them in [0, 1].
    network = ka.networks.Backbone(mobilenet, scale=2.0, offset=-1.0)
    model = ka.SemiSupervisedAAE(
        SHAPE, num_classes=len(CLASSES), class_names=CLASSES, network=network, seed=0
    )
    model.compile(keras.optimizers.Adam(1e-3, beta_1=0.5))

    x, labels = images(96, seed=0)
    labels[24:] = ka.data.UNLABELLED  # A quarter of the labels is known.
    history = model.fit(
        x, labels, batch_size=32, epochs=2, validation_data=images(32, seed=1), verbose=2
    )
    print("losses", {name: values[-1] for name, values in history.history.items()})

    answer = model.classify(images(8, seed=2)[0])
    print("class probabilities", answer["class_probabilities"].shape)
    print("style", answer["style"].shape)
    print("decoded", model.decode({part: answer[part] for part in model.parts}).shape)
    print("generated", model.generate(np.arange(4), np.array([0, 1, 2, 0])).shape)


if __name__ == "__main__":
    main()
