"""Trains a ControlNet for edge pictures; the base model stays as it is."""
import argparse

import numpy as np
import torch
from torch import nn

import configs
from latents import Shards
from model import open_base, sigmas
from train_base import SHORT, draw_timesteps, noised
from trainer import Trainer
from unet import ControlNet

UNPROMPTED = 0.3  # often without a caption, so that the outlines are read


def like_base(unet):
    """A new ControlNet whose way down begins as the base model's, where the shapes are the same."""
    control = ControlNet(configs.CONTROLNET)
    ours, theirs = control.state_dict(), unet.state_dict()
    control.load_state_dict({name: theirs[name] if name in theirs and theirs[name].shape == tensor.shape else tensor
                             for name, tensor in ours.items()})
    return control


class Controlled(nn.Module):
    def __init__(self, base):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.control = like_base(base.unet)


class ControlNetJob:
    name = "controlnet"

    def __init__(self, folder, model, seed=11, batch=32, shards=40):
        self.seed, self.batch = seed, batch
        torch.manual_seed(seed)
        self.module = Controlled(open_base(model))
        self.shards = Shards(folder)
        self.shards.grow(shards)
        self.table = sigmas()

    def loss(self, step, rank, workers):
        random = np.random.default_rng((self.seed, step, rank))
        latents, captions, time_ids, edges = self.shards.pick(random, self.batch)
        keep = edges.any(1)  # varied pictures have none
        latents, time_ids, edges = latents[keep], time_ids[keep], edges[keep]
        captions = [text if random.random() >= UNPROMPTED else "" for text, kept in zip(captions, keep) if kept]
        lines = np.unpackbits(edges, axis=1).reshape(-1, 1, configs.SIZE, configs.SIZE)
        picture = torch.from_numpy(lines).bfloat16().expand(-1, 3, -1, -1)
        timesteps = draw_timesteps(random, len(latents))
        x, target, weight = noised(latents, timesteps, self.table)
        x = x.bfloat16().contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            context, pooled = self.module.base.encode(captions, SHORT)
        given = (x, timesteps, context, pooled, time_ids)
        residuals = self.module.control(*given, picture.contiguous(memory_format=torch.channels_last))
        out = self.module.base.unet(*given, residuals)
        return (((out.float() - target) ** 2).mean((1, 2, 3)) * weight).mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", required=True, help="checkpoints, logs and latent shards")
    parser.add_argument("--model", required=True, help="the exported base model")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    Trainer(ControlNetJob(options.folder, options.model), options.folder, options.workers, rate=1e-3, warmup=50,
            steps=options.steps, average=0.99).run()


if __name__ == "__main__":
    main()
