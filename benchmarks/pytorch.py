"""Plain PyTorch loops over the paper's phases, on batches that are in memory already."""

from collections.abc import Callable
from collections.abc import Sequence
import itertools

import torch
from torch import nn
from torch.nn import functional

from benchmarks import cases
from benchmarks import examples
from benchmarks import timing


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
    """The paper's phases in turn, as `Loop` takes them."""
    return timed(Loop(case), list(zip(*batches(case), strict=True)))


class Loop:
    """Reconstruction, discrimination, generation and, with labels, classification, in turn.

    What it classifies are the images of the batch, as many as ours gets for their labels beside it.
    """

    def __init__(self, case: cases.Case):
        self.classes, self.style = case.classes, case.flags["style_size"]
        self.parts = [size for size in (self.classes, self.style) if size]
        self.encoder, self.decoder = dense(784, sum(self.parts)), dense(sum(self.parts), 784)
        self.discriminators = [dense(size, 1) for size in self.parts]
        self.own = _adam(self.encoder, self.decoder)
        self.adversary = _adam(*self.discriminators)
        self.generator, self.classifier = _adam(self.encoder), _adam(self.encoder)

    def __call__(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        """Takes a step."""
        logits = self.decoder(torch.cat(self.code(images), dim=1))
        _take(self.own, functional.binary_cross_entropy_with_logits(logits, images))
        with torch.no_grad():
            codes = self.code(images)
        told = [_real(logits) for logits in self.judged(self.priors(len(images)))]
        told += [_fake(logits) for logits in self.judged(codes)]
        _take(self.adversary, torch.stack(told).sum())
        passed = [_real(logits) for logits in self.judged(self.code(images))]
        _take(self.generator, torch.stack(passed).sum())
        if self.classes:
            y_logits = self.encoder(images)[:, : self.classes]
            _take(self.classifier, functional.cross_entropy(y_logits, labels))

    def code(self, images: torch.Tensor) -> list[torch.Tensor]:
        """The class probabilities, with classes, and the style of images."""
        *y_logits, z = self.encoder(images).split(self.parts, dim=1)
        return [*(each.softmax(dim=1) for each in y_logits), z]

    def priors(self, count: int) -> list[torch.Tensor]:
        """So many samples of the prior of each part of a code."""
        z = torch.randn(count, self.style)
        if not self.classes:
            return [z]
        classes = torch.randint(self.classes, (count,))
        return [functional.one_hot(classes, self.classes).float(), z]

    def judged(self, code: list[torch.Tensor]) -> list[torch.Tensor]:
        """What the discriminator of each part says of it."""
        return [d(part) for d, part in zip(self.discriminators, code, strict=True)]


def _adam(*networks: nn.Module) -> torch.optim.Adam:
    parameters = itertools.chain(*(network.parameters() for network in networks))
    return torch.optim.Adam(parameters, lr=1e-3, betas=(0.5, 0.999))


def _take(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


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

    return timing.repeated(lambda: step(*next(endless)))


def _real(logits: torch.Tensor) -> torch.Tensor:
    return functional.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))


def _fake(logits: torch.Tensor) -> torch.Tensor:
    return functional.binary_cross_entropy_with_logits(logits, torch.zeros_like(logits))
