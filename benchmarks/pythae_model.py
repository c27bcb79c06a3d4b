"""pythae's Adversarial_AE, with networks of the same sizes."""

import atexit
from collections.abc import Callable
import logging
import shutil
import tempfile
import time

from pythae.data import datasets
from pythae.models import Adversarial_AE
from pythae.models import Adversarial_AE_Config
from pythae.models import nn as pythae_nn
from pythae.models.base import base_utils
from pythae.trainers import AdversarialTrainer
from pythae.trainers import AdversarialTrainerConfig
import torch
from torch import nn

from benchmarks import cases
from benchmarks import pytorch

logging.disable(logging.INFO)  # It greets.


class _Dense(nn.Module):
    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.layers = pytorch.dense(inputs, outputs)


class _Encoder(_Dense, pythae_nn.BaseEncoder):
    def forward(self, x: torch.Tensor) -> base_utils.ModelOutput:
        embedding = self.layers(x)
        return base_utils.ModelOutput(
            embedding=embedding, log_covariance=torch.zeros_like(embedding)
        )


class _Decoder(_Dense, pythae_nn.BaseDecoder):
    def forward(self, z: torch.Tensor) -> base_utils.ModelOutput:
        return base_utils.ModelOutput(reconstruction=torch.sigmoid(self.layers(z)))


class _Discriminator(_Dense, pythae_nn.BaseDiscriminator):
    def forward(self, z: torch.Tensor) -> base_utils.ModelOutput:
        return base_utils.ModelOutput(embedding=torch.sigmoid(self.layers(z)))


def _trainer(case: cases.Case) -> AdversarialTrainer:
    size = case.flags["style_size"]
    model = Adversarial_AE(
        Adversarial_AE_Config(
            input_dim=(784,),
            latent_dim=size,
            reconstruction_loss="bce",
            deterministic_posterior=True,
        ),
        encoder=_Encoder(784, size),
        decoder=_Decoder(size, 784),
        discriminator=_Discriminator(size, 1),
    )
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder)
    images = torch.cat(pytorch.batches(case)[0])
    settings = AdversarialTrainerConfig(
        output_dir=folder,
        num_epochs=1,
        per_device_train_batch_size=case.flags["batch_size"],
        no_cuda=True,
    )
    train = datasets.BaseDataset(images, torch.ones(len(images)))
    trainer = AdversarialTrainer(model, train, training_config=settings)
    trainer.prepare_training()
    return trainer


def step(case: cases.Case) -> Callable[[int], float]:
    """Its loss and its optimizers' steps, on batches that are in memory already."""
    trainer = _trainer(case)
    trainer.model.train()

    def take(images: torch.Tensor) -> None:
        trainer._optimizers_step(trainer.model({"data": images}))

    return pytorch.timed(take, [(images,) for images in pytorch.batches(case)[0]])


def epoch(case: cases.Case) -> Callable[[int], float]:
    """Epochs of its trainer, as it takes them; the time is that of so many steps."""
    trainer = _trainer(case)

    def seconds(steps: int) -> float:
        start = time.perf_counter()
        taken = 0
        while taken < steps:
            trainer.train_step(1)
            taken += len(trainer.train_loader)
        return (time.perf_counter() - start) * steps / taken

    return seconds
