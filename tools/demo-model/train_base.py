"""Trains both text encoders and the UNet together, on cached latents.

The UNet predicts v (Salimans and Ho, 2022), as some of SDXL's descendants do: where noise is high, that is nearly the
picture itself. A prediction of noise errs there by sigma times its error, and small models learn backgrounds slowly.
"""
import argparse
import sys

import numpy as np
import torch

import configs
from latents import Shards
from model import BaseModel, open_base, sigmas
from trainer import Trainer

SHORT = 32  # positions of most steps' captions; the rest of the 77 are padding, which costs time
UNPROMPTED = 0.1
SNR_LIMIT = 5.0


def noised(latents, timesteps, table):
    """x_t, v and the weight of an error in that (less where there is hardly any noise)."""
    sigma = table[timesteps][:, None, None, None]
    noise = torch.randn_like(latents)
    scale = (1 + sigma**2).rsqrt()
    snr = sigma.flatten() ** -2
    return (latents + sigma * noise) * scale, (noise - sigma * latents) * scale, (SNR_LIMIT / snr).clamp(max=1.0)


def draw_timesteps(random, count, low=0, high=1000):
    """Uniform, with more of the noisy ones, where the layout is decided."""
    return torch.from_numpy(np.where(random.random(count) < 0.6, random.integers(low, high, count),
                                     random.integers(max(low, int(0.4 * high)), high, count)))


class BaseJob:
    name = "base"

    def __init__(self, folder, base=None, seed=2, batch=16, shards=40):
        self.seed, self.batch, self.most = seed, batch, shards
        self.first = shards if base else 2  # a new model may begin while the latents are still being made
        torch.manual_seed(seed)
        self.module = base or BaseModel()
        self.shards = Shards(folder)
        self.table = sigmas()

    def loss(self, step, rank, workers):
        self.shards.grow(min(self.most, self.first + step // 40))
        random = np.random.default_rng((self.seed, step, rank))
        latents, captions, time_ids, _ = self.shards.pick(random, self.batch)
        captions = [text if random.random() >= UNPROMPTED else "" for text in captions]
        timesteps = draw_timesteps(random, self.batch)
        x, target, weight = noised(latents, timesteps, self.table)
        context, pooled = self.module.encode(captions, SHORT if step % 7 else configs.POSITIONS)
        out = self.module.unet(x.bfloat16().contiguous(memory_format=torch.channels_last), timesteps, context,
                               pooled, time_ids)
        return (((out.float() - target) ** 2).mean((1, 2, 3)) * weight).mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", required=True, help="checkpoints, logs and latent shards")
    parser.add_argument("--from", dest="start", help="an exported model whose weights to begin with, where the "
                        "folder has no base.pt yet")
    parser.add_argument("--steps", type=int, default=20000)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cooldown", type=float, default=0.3, help="share at the end over which the rate falls")
    parser.add_argument("--minutes", type=float, help="end by then, cooled down, whatever the steps")
    parser.add_argument("--average", type=float, default=0.998, help="decay of the weights' moving average")
    parser.add_argument("--shards", type=int, default=40, help="of latents.py, how many")
    options = parser.parse_args()
    job = BaseJob(options.folder, open_base(options.start) if options.start else None, shards=options.shards)
    trainer = Trainer(job, options.folder, options.workers, rate=options.rate, warmup=100, steps=options.steps,
                      cooldown=options.cooldown, average=options.average, minutes=options.minutes)
    if options.start and trainer.step:
        print(f"{trainer.checkpoint} is there: training goes on from it, not from {options.start}", file=sys.stderr)
    trainer.run()


if __name__ == "__main__":
    main()
