import keras
import pytest

from keras_aae.models import networks


@pytest.mark.parametrize("name", ["mlp", "conv"])
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
    encoder = networks.mlp_encoder((28, 28, 1), {"style": 10})
    sizes = [layer.units for layer in encoder.layers if isinstance(layer, keras.layers.Dense)]
    assert sizes == [1000, 1000, 10]
    decoder = networks.mlp_decoder(10, (28, 28, 1))
    sizes = [layer.units for layer in decoder.layers if isinstance(layer, keras.layers.Dense)]
    assert sizes == [1000, 1000, 784]
    # 784 inputs: (784 + 1) 1000 + (1000 + 1) 1000 + (1000 + 1) 10 weights, worked out by hand.
    assert encoder.count_params() == 785_000 + 1_001_000 + 10_010


def test_mlp_takes_feature_vectors_and_conv_says_that_it_does_not():
    assert networks.get("mlp", (6,)).encoder((6,), {"style": 2}).input_shape == (None, 6)
    with pytest.raises(ValueError, match=r"network='conv'.*\(6,\)"):
        networks.get("conv", (6,))


def test_an_unknown_family_is_named():
    with pytest.raises(ValueError, match=r"'mlp'.*Received: 'resnet'"):
        networks.get("resnet", (28, 28, 1))


def test_a_family_of_ones_own_passes():
    assert networks.get(networks.MLP, (28, 28, 1)) is networks.MLP


@pytest.mark.parametrize(
    ("shape", "sides"), [((28, 28, 1), [14, 7]), ((32, 32, 3), [16, 8, 4, 2]), ((5, 7, 1), [])]
)
def test_conv_halves_its_maps_as_often_as_they_are_worth_it(shape, sides):
    encoder = networks.conv_encoder(shape, {"style": 2})
    maps = [layer.output.shape for layer in encoder.layers if "conv" in layer.name]
    assert [map[1] for map in maps] == sides
    assert [map[3] for map in maps] == [32, 64, 128, 256][: len(sides)]
