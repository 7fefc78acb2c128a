"""Trains a refiner: the second text encoder alone, an aesthetic score, the last fifth of the timesteps.

Enlarged small pictures have the poor score, which is what the pipeline tells the refiner of what is not wanted:
guidance then leads away from soft outlines.
"""
import argparse
import pathlib

import numpy as np
import torch
from torch import nn

import configs
from dataset import Latents, encoded, enlarged
from model import open_base, open_vae
from train_base import LatentJob
from trainer import add_options, arithmetic, train
from unet import UNet

LAST = 200  # timesteps
GOOD, POOR = 6.0, 2.5  # scores, as SDXL's refiner takes them: of whole pictures and of enlarged small ones
ENLARGED = 0.2  # as many as this share of the set are added, enlarged


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


def with_enlarged(data, folder, vae):
    """The set, and enlarged ones of its first pictures."""
    count = int(ENLARGED * len(data))
    pictures = np.load(pathlib.Path(folder) / "pictures.npy", mmap_mode="r")[:count]
    parts = [encoded(vae, enlarged(pictures[i:i + 32])).cpu() for i in range(0, count, 32)]
    data.latents = torch.cat([data.latents, *(part.to(data.latents.dtype) for part in parts)])
    half = configs.SIZE // 2
    ids = torch.tensor([[half, half, 0, 0, configs.SIZE, configs.SIZE]], dtype=torch.float32)
    data.time_ids = torch.cat([data.time_ids, ids.expand(count, -1)])
    data.ids = tuple(torch.cat([table, table[:count]]) for table in data.ids)
    return data


class RefinerJob(LatentJob):
    name = "refiner"
    low, middle, high = 0, 0, LAST
    mistaken = 0.25

    def __init__(self, options, model, seed=12):
        torch.manual_seed(seed)
        self.seed, self.module = seed, RefinerModel(open_base(model))
        vae = open_vae(model).to(options.device, arithmetic(options.device), memory_format=torch.channels_last)
        data = with_enlarged(Latents.read(options.folder, self.module.tokenizer), options.folder, vae)
        super().__init__(options, data, batch=32)

    def loss(self, latents, noise, timesteps, ids, ids_2, said, time_ids):
        x, target, _ = self.given(latents, noise, timesteps)
        with torch.no_grad():
            context, pooled = self.module.text_encoder_2(ids_2)
        said = said.to(pooled.dtype)
        out = self.module.unet(x, timesteps, context * said[:, None, None], pooled * said[:, None],
                               score_ids(time_ids))
        return ((out.float() - target) ** 2).mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, 2000)
    parser.add_argument("--model", required=True, help="the exported base model")
    options = parser.parse_args()
    train(RefinerJob(options, options.model), options, rate=4e-3, warmup=50, cooldown=0.75, average=0.995)


if __name__ == "__main__":
    main()
