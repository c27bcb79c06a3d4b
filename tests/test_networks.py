from concurrent import futures
import math

from conftest import bars
import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_aae
from keras_aae import streams
from keras_aae.models import aae
from keras_aae.models import networks


@pytest.mark.parametrize("name", ["mlp", "conv", "wide_resnet"])
@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 32, 3), (13, 9, 3), (5, 7, 1)])
def test_a_family_fits_together_for_any_image_size(name, shape):
    family = networks.get(name, shape)
    encoder = family.encoder(shape, {"class_logits": 4, "style": 3})
    assert {head: tuple(out.shape) for head, out in encoder.output.items()} == {
        "class_logits": (None, 4),
        "style": (None, 3),
    }
    assert family.decoder(7, shape).output_shape == (None, *shape)
    assert family.discriminator(3).output_shape == (None, 1)


def test_mlp_has_the_papers_sizes():
    encoder = networks.MLP().encoder((28, 28, 1), {"style": 10})
    sizes = [layer.units for layer in encoder.layers if isinstance(layer, keras.layers.Dense)]
    assert sizes == [1000, 1000, 10]
    decoder = networks.MLP().decoder(10, (28, 28, 1))
    sizes = [layer.units for layer in decoder.layers if isinstance(layer, keras.layers.Dense)]
    assert sizes == [1000, 1000, 784]
    # 784 inputs: (784 + 1) 1000 + (1000 + 1) 1000 + (1000 + 1) 10 weights, worked out by hand.
    assert encoder.count_params() == 785_000 + 1_001_000 + 10_010


def test_mlp_takes_feature_vectors_and_conv_says_that_it_does_not():
    assert networks.get("mlp", (6,)).encoder((6,), {"style": 2}).input_shape == (None, 6)
    with pytest.raises(ValueError, match=r"network='conv'.*\(6,\)"):
        networks.get("conv", (6,))
    with pytest.raises(ValueError, match=r"network='conv'.*\(6,\)"):
        networks.get(networks.Conv(width=8), (6,))


def test_an_unknown_family_is_named():
    with pytest.raises(ValueError, match=r"'mlp'.*Received: 'lstm'"):
        networks.get("lstm", (28, 28, 1))


@pytest.mark.parametrize("network", [5, None, {"width": 3}, networks.MLP])
def test_what_is_no_family_is_refused(network):
    with pytest.raises(ValueError, match="or a Family"):
        networks.get(network, (28, 28, 1))


def test_a_family_of_ones_own_passes():
    mine = networks.MLP(width=50)
    assert networks.get(mine, (28, 28, 1)) is mine


@pytest.mark.parametrize(
    ("shape", "sides"), [((28, 28, 1), [14, 7]), ((32, 32, 3), [16, 8, 4, 2]), ((5, 7, 1), [])]
)
def test_conv_halves_its_maps_as_often_as_they_are_worth_it(shape, sides):
    encoder = networks.Conv().encoder(shape, {"style": 2})
    maps = [
        layer.output.shape for layer in encoder.layers if isinstance(layer, keras.layers.Conv2D)
    ]
    assert [map[1] for map in maps] == sides
    assert [map[3] for map in maps] == [32, 64, 128, 256][: len(sides)]


def test_wide_resnet_begins_at_full_size_and_has_blocks_after_each_stage():
    family = networks.WideResNet(channels=(4, 6), blocks=2, width=8, stem=5)
    encoder = family.encoder((28, 28, 3), {"style": 2})
    found = [
        (layer.kernel_size[0], layer.strides[0], layer.filters)
        for layer in encoder.layers
        if isinstance(layer, keras.layers.Conv2D)
    ]
    first, second = ([(4, 2, channels), *4 * [(3, 1, channels)]] for channels in (4, 6))
    assert found == [(3, 1, 5), *first, *second]


def test_auto_is_convolutions_for_images_and_dense_layers_for_features():
    assert networks.get("auto", (28, 28, 1)) == networks.Conv()
    assert networks.get("auto", (6,)) == networks.MLP()


def test_width_and_depth_are_arguments_and_are_saved():
    family = networks.MLP(width=5, depth=3)
    assert networks.MLP.from_config(family.get_config()) == family
    sizes = [layer.units for layer in dense(family.encoder((4,), {"style": 2}))]
    assert sizes == [5, 5, 5, 2]
    assert [layer.units for layer in dense(family.discriminator(2))] == [5, 5, 5, 1]


def dense(network):
    return [layer for layer in network.layers if isinstance(layer, keras.layers.Dense)]


def test_a_family_of_ones_own_has_a_name():
    @networks.register("wide")
    class Wide(networks.MLP):
        """Dense networks of 2000 units."""

        def __init__(self):
            super().__init__(width=2000)

    assert isinstance(networks.get("wide", (6,)), Wide)


def test_noise_meets_the_features_and_leaves_the_backbone_alone():
    plain = networks.Conv().encoder((28, 28, 1), {"style": 3})
    noisy = networks.Conv().encoder((28, 28, 1), {"style": 3}, noise_size=4)
    convolutions = [
        [layer.kernel.shape for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
        for network in (plain, noisy)
    ]
    assert convolutions[0] == convolutions[1]
    assert noisy.input_shape == [(None, 28, 28, 1), (None, 4)]


def test_a_backbone_scales_its_input_and_averages_maps():
    backbone = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Identity()])
    network = networks.Backbone(backbone, scale=2.0, offset=-1.0)
    encoder = network.encoder((4, 4, 1), {"style": 1})
    encoder.get_layer("style").set_weights([np.ones((1, 1)), np.zeros(1)])
    x = np.linspace(0, 1, 16, dtype=np.float32).reshape(1, 4, 4, 1)
    np.testing.assert_allclose(encoder(x)["style"], [[0.0]], atol=1e-6)
    np.testing.assert_allclose(encoder(x / 2)["style"], [[-0.5]], atol=1e-6)


@networks.register("subclassed")
class Subclassed(networks.MLP):
    """Networks that make their weights when they are first called."""

    def encoder(self, input_shape, outputs, noise_size=0):
        return Subclass(dict(outputs))

    def decoder(self, code_size, output_shape):
        return keras.Sequential(
            [keras.layers.Dense(math.prod(output_shape)), keras.layers.Reshape(output_shape)]
        )

    def discriminator(self, code_size):
        return keras.Sequential([keras.layers.Dense(1)])


class Subclass(keras.Model):
    def __init__(self, outputs):
        super().__init__()
        self.heads = {name: keras.layers.Dense(size) for name, size in outputs.items()}

    def call(self, inputs, training=False):
        x, noise = inputs if isinstance(inputs, (list, tuple)) else (inputs, None)
        x = keras.ops.reshape(x, (-1, 144))
        x = x if noise is None else keras.ops.concatenate([x, noise], axis=-1)
        return {name: head(x) for name, head in self.heads.items()}


@pytest.mark.parametrize("posterior", ["deterministic", "universal"])
@pytest.mark.parametrize("average", [0.0, 0.9])
def test_subclassed_networks_train_and_come_back(tmp_path, posterior, average):
    settings = {"posterior": posterior, "average": average, "style_size": 2}
    model = aae.AdversarialAutoencoder((12, 12, 1), network="subclassed", **settings)
    model.compile("adam", run_eagerly=True)
    images, _ = bars(12)
    model.fit(images, batch_size=12, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras_aae.load(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.encode(images)["style"], model.encode(images)["style"])


@pytest.mark.parametrize("shape", [(6, 3), (4, 5, 7, 3)])
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_fused_batch_normalisation_is_that_of_keras(shape, dtype):
    x = tf.random.stateless_normal(shape, (1, 2), mean=2, stddev=3)
    weights = tf.random.stateless_normal(shape, (3, 4))
    found = []
    for kind in (keras.layers.BatchNormalization, networks.BatchNormalization):
        layer = kind(momentum=0.9, synchronized=True, dtype=dtype)
        layer.build(shape)
        layer.set_weights([np.arange(3.0), np.ones(3), np.full(3, 5.0), np.full(3, 6.0)])
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
            loss = tf.reduce_sum(tf.cast(y, tf.float32) * weights)
        gradients = tape.gradient(loss, [x, *layer.trainable_variables])
        found.append([y, layer(x), *gradients, *layer.get_weights()])
    tolerance = 1e-4 if dtype == "float32" else 0.1
    for expected, got in zip(*found, strict=True):
        assert got.dtype == expected.dtype
        np.testing.assert_allclose(
            np.float32(got), np.float32(expected), rtol=tolerance, atol=tolerance
        )


def test_a_frozen_batch_normalisation_keeps_its_statistics():
    layer = networks.BatchNormalization()
    layer.build((None, 3))
    layer.trainable = False
    x = tf.constant([[1.0, 2.0, 3.0], [5.0, 5.0, 5.0]])
    np.testing.assert_allclose(layer(x, training=True), x / np.sqrt(1.001), rtol=1e-6)
    np.testing.assert_array_equal(layer.moving_mean, np.zeros(3))
    by_hand = networks.BatchNormalization(scale=False, center=False, epsilon=0.0)
    np.testing.assert_allclose(by_hand(x, training=True), [[-1] * 3, [1] * 3], rtol=1e-5)


def test_initial_weights_are_those_of_the_seed_in_several_threads():
    def weights(seed):
        with streams.initial_weights(seed, "weights"):
            made = [keras.layers.Dense(3) for _ in range(4)]
            for layer in made:
                layer.build((None, 2))
        return np.stack([layer.get_weights()[0] for layer in made])

    alone = [weights(seed) for seed in range(8)]
    with futures.ThreadPoolExecutor(8) as pool:
        np.testing.assert_array_equal(list(pool.map(weights, range(8))), alone)
