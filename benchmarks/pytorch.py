"""Plain PyTorch loops over the paper's phases, on batches that are in memory already."""

from collections.abc import Callable
from collections.abc import Sequence
import itertools
import time

import torch
from torch import nn
from torch.nn import functional

from benchmarks import cases
from benchmarks import examples


def dense(inputs: int, outputs: int) -> nn.Sequential:
    """Three dense layers with rectified units between them."""
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise((inputs, cases.WIDTH, cases.WIDTH, outputs)):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def batches(case: cases.Case) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Flat images in [0, 1], [B, 784], and their labels, [B]."""
    size = case.flags["batch_size"]
    images = torch.tensor(examples.images(case)).flatten(1)
    labels = torch.tensor(examples.labels(case)).long()
    count = len(images) // size * size
    return list(images[:count].split(size)), list(labels[:count].split(size))


def loop(case: cases.Case) -> Callable[[int], float]:
    """Reconstruction, discrimination, generation and, with labels, classification, in turn.

    What it classifies are the images of the batch, as many as ours gets for their labels beside it.
    """
    x, y = batches(case)
    classes, style = case.classes, case.flags["style_size"]
    encoder, decoder = dense(784, classes + style), dense(classes + style, 784)
    parts = [size for size in (classes, style) if size]
    discriminators = [dense(size, 1) for size in parts]

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
        samples = priors(len(images))
        told = [_real(d(z)) for d, z in zip(discriminators, samples, strict=True)]
        told += [_fake(d(z)) for d, z in zip(discriminators, codes, strict=True)]
        take(adversary, torch.stack(told).sum())
        passed = [_real(d(z)) for d, z in zip(discriminators, code(images), strict=True)]
        take(generator, torch.stack(passed).sum())
        if classes:
            y_logits = encoder(images)[:, :classes]
            take(classifier, functional.cross_entropy(y_logits, labels))

    return timed(step, list(zip(x, y, strict=True)))


def networks(case: cases.Case) -> Callable[[int], float]:
    """The networks of `keras_aae.networks.Conv` for 28x28 images; see `ours.networks`."""

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
    images = torch.tensor(examples.images(case)[: cases.IMAGES]).permute(0, 3, 1, 2)

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
