"""Trains both text encoders and the UNet together: noise prediction on cached latents."""
import argparse

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
    """x_t, the noise and the weight of its error (min-SNR)."""
    sigma = table[timesteps][:, None, None, None]
    noise = torch.randn_like(latents)
    scale = (1 + sigma**2).rsqrt()
    snr = sigma.flatten() ** -2
    return (latents + sigma * noise) * scale, noise, snr.clamp(max=SNR_LIMIT) / snr


def draw_timesteps(random, count, low=0, high=1000):
    """Uniform, with more of the noisy ones, where the layout is decided."""
    return torch.from_numpy(np.where(random.random(count) < 0.6, random.integers(low, high, count),
                                     random.integers(max(low, int(0.4 * high)), high, count)))


class BaseJob:
    name = "base"

    def __init__(self, folder, base=None, seed=2, batch=16, shards=40):
        self.seed, self.batch, self.most = seed, batch, shards
        torch.manual_seed(seed)
        self.module = base or BaseModel()
        self.shards = Shards(folder)
        self.table = sigmas()

    def loss(self, step, rank, workers):
        self.shards.grow(min(self.most, 2 + step // 40))
        random = np.random.default_rng((self.seed, step, rank))
        latents, captions, time_ids, _ = self.shards.pick(random, self.batch)
        captions = [text if random.random() >= UNPROMPTED else "" for text in captions]
        timesteps = draw_timesteps(random, self.batch)
        x, noise, weight = noised(latents, timesteps, self.table)
        context, pooled = self.module.encode(captions, SHORT if step % 7 else configs.POSITIONS)
        out = self.module.unet(x.bfloat16().contiguous(memory_format=torch.channels_last), timesteps, context,
                               pooled, time_ids)
        return (((out.float() - noise) ** 2).mean((1, 2, 3)) * weight).mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", required=True, help="checkpoints, logs and latent shards")
    parser.add_argument("--from", dest="start", help="an exported model whose weights to begin with")
    parser.add_argument("--steps", type=int, default=20000)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cooldown", type=float, default=0.3)
    options = parser.parse_args()
    job = BaseJob(options.folder, open_base(options.start) if options.start else None)
    Trainer(job, options.folder, options.workers, rate=options.rate, warmup=100, steps=options.steps,
            cooldown=options.cooldown, average=0.998).run()


if __name__ == "__main__":
    main()
