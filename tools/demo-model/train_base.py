"""Trains both text encoders and the UNet together, on latents made once.

The UNet predicts v (Salimans and Ho, 2022), as some of SDXL's descendants do: where noise is high, that is nearly the
picture itself. A prediction of noise errs there by sigma times its error, and small models learn backgrounds slowly.
"""
import argparse

import torch

import configs
from dataset import Latents
from model import BaseModel, open_base, sigmas
from train_text import read_encoders
from trainer import Job, add_options, train

SHORT = 24  # positions of most steps' captions on a CPU; the rest of the 77 are padding, which costs time
UNPROMPTED = 0.1
LITTLE_NOISE = 250  # timesteps below: a sigma of 0.7
SNR_LIMIT = 5.0


def noised(latents, noise, timesteps, table):
    """x_t, v and the weight of an error in that (less where there is hardly any noise)."""
    sigma = table[timesteps][:, None, None, None]
    scale = (1 + sigma**2).rsqrt()
    snr = sigma.flatten() ** -2
    return (latents + sigma * noise) * scale, (noise - sigma * latents) * scale, (SNR_LIMIT / snr).clamp(max=1.0)


class LatentJob(Job):
    """Picks latents of the training set, with their captions' ids, time ids, timesteps and noise."""
    unprompted = UNPROMPTED
    mistaken = 0.0  # of the samples with little noise: the share whose captions are another's, so that the picture counts
    low, middle, high = 0, 400, 1000  # timesteps: uniform, with more from the middle on, where the layout is decided

    def __init__(self, options, data, batch):
        self.device, self.batch = options.device, options.batch or batch
        self.data = data.to(self.device)
        self.table = sigmas().to(self.device)
        self.always_long = torch.device(self.device).type != "cpu"

    def pick(self, random, step):
        chosen = torch.randint(len(self.data), (self.batch,), generator=random, device=self.device)
        return self.batch_of(chosen, random, step)

    def batch_of(self, chosen, random, step):
        count = len(chosen)
        draw = lambda: torch.rand(count, generator=random, device=self.device)
        length = configs.POSITIONS if self.always_long or step % 7 == 0 else SHORT
        lowest = torch.where(draw() < 0.6, self.low, self.middle)
        timesteps = (lowest + draw() * (self.high - lowest)).long().clamp(max=self.high - 1)
        latents = self.data.latents[chosen].float()
        noise = torch.randn(latents.shape, generator=random, device=self.device)
        mistaken = (draw() < self.mistaken) & (timesteps < LITTLE_NOISE)
        told = torch.where(mistaken, chosen.roll(1), chosen)
        ids, ids_2 = (table[told, :length] for table in self.data.ids)
        return (latents, noise, timesteps, ids, ids_2, (draw() >= self.unprompted).float(),
                self.data.time_ids[chosen])

    def given(self, latents, noise, timesteps):
        """What the network is given, what it should say, and the weight of that."""
        x, target, weight = noised(latents, noise, timesteps, self.table)
        return self.given_as(x), target, weight

    @staticmethod
    def error(out, target, weight):
        return (((out.float() - target) ** 2).mean((1, 2, 3)) * weight).mean()


class BaseJob(LatentJob):
    name = "base"
    mistaken = 0.25

    def __init__(self, options, base, seed=2):
        self.seed, self.module = seed, base
        super().__init__(options, Latents.read(options.folder, self.module.tokenizer), batch=16)

    def loss(self, latents, noise, timesteps, ids, ids_2, said, time_ids):
        x, target, weight = self.given(latents, noise, timesteps)
        context, pooled = self.module.encode_ids((ids, ids_2), said)
        return self.error(self.module.unet(x, timesteps, context, pooled, time_ids), target, weight)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, 20000)
    parser.add_argument("--from", dest="start", help="an exported model whose weights to begin with, where the "
                        "folder has no base.pt yet")
    parser.add_argument("--text", help="the checkpoint of train_text.py whose encoders to begin with")
    parser.add_argument("--rate", type=float, default=4e-3)
    parser.add_argument("--cooldown", type=float, default=0.75, help="share at the end over which the rate falls")
    parser.add_argument("--average", type=float, default=0.998, help="decay of the weights' moving average")
    options = parser.parse_args()
    torch.manual_seed(2)
    base = open_base(options.start) if options.start else BaseModel()
    if options.text:
        read_encoders(options.text, base)
    job = BaseJob(options, base)
    train(job, options, rate=options.rate, warmup=100, cooldown=options.cooldown, average=options.average)


if __name__ == "__main__":
    main()
