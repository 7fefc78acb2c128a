"""Trains a refiner: the second text encoder alone, an aesthetic score, the last fifth of the timesteps."""
import argparse

import numpy as np
import torch
from torch import nn

import configs
from latents import Shards
from model import open_base, sigmas
from train_base import SHORT, UNPROMPTED, noised
from trainer import Trainer
from unet import UNet

LAST = 200  # timesteps
GOOD, POOR = 6.0, 2.5  # scores, as SDXL's refiner takes them: of whole pictures and of enlarged small ones


class RefinerModel(nn.Module):
    def __init__(self, base):
        super().__init__()
        self.text_encoder_2 = base.text_encoder_2.requires_grad_(False)
        self.tokenizer = base.tokenizer
        self.unet = UNet(configs.REFINER)


def score_ids(time_ids):
    """Six ids of a picture -> the refiner's five: original size, crop, score."""
    small = time_ids[:, :1] < configs.SIZE
    return torch.cat([time_ids[:, :4], torch.where(small, POOR, GOOD)], dim=1)


class RefinerJob:
    name = "refiner"

    def __init__(self, folder, model, seed=12, batch=32, shards=40):
        self.seed, self.batch = seed, batch
        torch.manual_seed(seed)
        self.module = RefinerModel(open_base(model))
        self.shards = Shards(folder)
        self.shards.grow(shards)
        self.table = sigmas()

    def loss(self, step, rank, workers):
        random = np.random.default_rng((self.seed, step, rank))
        latents, captions, time_ids, _ = self.shards.pick(random, self.batch)
        timesteps = torch.from_numpy(random.integers(0, LAST, self.batch))
        x, target, _ = noised(latents, timesteps, self.table)
        said = torch.from_numpy(random.random(self.batch) >= UNPROMPTED).bfloat16()
        ids = torch.from_numpy(np.stack([self.module.tokenizer.encode(text, 0, SHORT) for text in captions]))
        with torch.no_grad():
            context, pooled = self.module.text_encoder_2(ids)
        out = self.module.unet(x.bfloat16().contiguous(memory_format=torch.channels_last), timesteps,
                               context * said[:, None, None], pooled * said[:, None], score_ids(time_ids))
        return ((out.float() - target) ** 2).mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", required=True, help="checkpoints, logs and latent shards")
    parser.add_argument("--model", required=True, help="the exported base model")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    Trainer(RefinerJob(options.folder, options.model), options.folder, options.workers, rate=1e-3, warmup=50,
            steps=options.steps, average=0.995).run()


if __name__ == "__main__":
    main()
