"""Plain PyTorch loops over the paper's phases, on batches that are in memory already."""

from collections.abc import Callable
from collections.abc import Sequence
import itertools
import time

import torch
from torch import nn
from torch.nn import functional

from benchmarks import cases
from keras_aae import data

_WIDTH = 1000
_IMAGES = 300


def dense(*sizes: int) -> nn.Sequential:
    """Dense layers with rectified units between them."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def batches(case: cases.Case) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Flat images in [0, 1], [B, 784], and their labels, [B]."""
    train = data.load(case.settings["dataset"]).train
    size = case.settings["batch_size"]
    images = torch.tensor(train.x.reshape(len(train.x), -1) / 255, dtype=torch.float32)
    count = len(images) // size * size
    labels = torch.tensor(train.y[:count].astype("int64"))
    return list(images[:count].split(size)), list(labels.split(size))


def loop(case: cases.Case) -> Callable[[int], float]:
    """Reconstruction, discrimination, generation and, with labels, classification, in turn."""
    x, y = batches(case)
    classes, style = (10, 10) if case.labelled else (0, case.settings["style_size"])
    encoder = dense(784, _WIDTH, _WIDTH, classes + style)
    decoder = dense(classes + style, _WIDTH, _WIDTH, 784)
    parts = [size for size in (classes, style) if size]
    discriminators = [dense(size, _WIDTH, _WIDTH, 1) for size in parts]

    def adam(*networks: nn.Module) -> torch.optim.Adam:
        parameters = itertools.chain(*(network.parameters() for network in networks))
        return torch.optim.Adam(parameters, lr=1e-3, betas=(0.5, 0.999))

    own, adversary, generator = adam(encoder, decoder), adam(*discriminators), adam(encoder)
    classifier = adam(encoder)

    def code(images: torch.Tensor) -> list[torch.Tensor]:
        *y_logits, z = encoder(images).split(parts, dim=1)
        return [*(each.softmax(dim=1) for each in y_logits), z]

    def priors(count: int) -> list[torch.Tensor]:
        z = torch.randn(count, style)
        if not classes:
            return [z]
        return [functional.one_hot(torch.randint(classes, (count,)), classes).float(), z]

    def take(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def step(images: torch.Tensor, labels: torch.Tensor) -> None:
        logits = decoder(torch.cat(code(images), dim=1))
        take(own, functional.binary_cross_entropy_with_logits(logits, images))
        with torch.no_grad():
            codes = code(images)
        pairs = zip(discriminators, priors(len(images)), codes, strict=True)
        take(adversary, sum(_real(d(prior)) + _fake(d(own)) for d, prior, own in pairs))
        pairs = zip(discriminators, code(images), strict=True)
        take(generator, sum(_real(d(own)) for d, own in pairs))
        if classes:
            y_logits = encoder(images)[:, :classes]
            take(classifier, functional.cross_entropy(y_logits, labels))

    return timed(step, list(zip(x, y, strict=True)))


def networks(case: cases.Case) -> Callable[[int], float]:
    """The networks of `keras_aae.networks.Conv` for 28x28 images; see `ours.networks`."""
    del case

    def normalized(layer: nn.Module, norm: nn.Module) -> list[nn.Module]:
        return [layer, norm, nn.LeakyReLU(0.1)]

    network = nn.Sequential(
        *normalized(nn.Conv2d(1, 32, 4, 2, 1, bias=False), nn.BatchNorm2d(32)),
        *normalized(nn.Conv2d(32, 64, 4, 2, 1, bias=False), nn.BatchNorm2d(64)),
        nn.Flatten(),
        *normalized(nn.Linear(3136, 256, bias=False), nn.BatchNorm1d(256)),
        nn.Linear(256, 20),
        *normalized(nn.Linear(20, 256, bias=False), nn.BatchNorm1d(256)),
        *normalized(nn.Linear(256, 3136, bias=False), nn.BatchNorm1d(3136)),
        nn.Unflatten(1, (64, 7, 7)),
        *normalized(nn.ConvTranspose2d(64, 32, 4, 2, 1, bias=False), nn.BatchNorm2d(32)),
        nn.ConvTranspose2d(32, 1, 4, 2, 1),
    )
    train = data.load("mnist_5k").train.x[:_IMAGES, ..., 0]
    images = torch.tensor(train / 255, dtype=torch.float32)[:, None]

    def step(images: torch.Tensor) -> None:
        network.zero_grad()
        functional.binary_cross_entropy_with_logits(network(images), images).backward()

    return timed(step, [(images,)])


def timed(
    step: Callable[..., None], arguments: Sequence[tuple[torch.Tensor, ...]]
) -> Callable[[int], float]:
    """A function that takes so many steps, on one batch after the other, and gives the seconds."""
    endless = itertools.cycle(arguments)

    def seconds(steps: int) -> float:
        start = time.perf_counter()
        for each in itertools.islice(endless, steps):
            step(*each)
        return time.perf_counter() - start

    return seconds


def _real(logits: torch.Tensor) -> torch.Tensor:
    return functional.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))


def _fake(logits: torch.Tensor) -> torch.Tensor:
    return functional.binary_cross_entropy_with_logits(logits, torch.zeros_like(logits))
