"""Trains a ControlNet for edge pictures; the base model stays as it is."""
import argparse

import numpy as np
import torch
from torch import nn

import configs
import scenes
from dataset import Latents, encoded, on_all_cores
from model import open_base, open_vae
from train_base import LatentJob
from trainer import add_options, arithmetic, train
from unet import ControlNet


def like_base(unet):
    """A new ControlNet whose way down begins as the base model's, where the shapes are the same."""
    control = ControlNet(configs.CONTROLNET)
    ours, theirs = control.state_dict(), unet.state_dict()
    control.load_state_dict({name: theirs[name] if name in theirs and theirs[name].shape == tensor.shape else tensor
                             for name, tensor in ours.items()})
    return control


def _draw(scene):
    return scenes.draw(scene), np.packbits(scenes.edges(scene) > 127)


def outlined(vae, seed, count):
    """Latents, captions and packed edges of scenes whose objects stand anywhere, as outlines of people may."""
    random, made = np.random.default_rng(seed), scenes.training_scenes((seed, 1))
    pairs = [next(made) for _ in range(count)]
    pictures, edges = zip(*on_all_cores(_draw, [scenes.loosened(random, scene) for scene, _ in pairs]))
    return (encoded(vae, np.stack(pictures)), [caption for _, caption in pairs], torch.from_numpy(np.stack(edges)))


class Controlled(nn.Module):
    def __init__(self, base):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.control = like_base(base.unet)


class ControlNetJob(LatentJob):
    name = "controlnet"
    unprompted = 0.3  # often, so that the outlines are read

    def __init__(self, options, model, seed=11):
        torch.manual_seed(seed)
        count = 2400 if torch.device(options.device).type == "cpu" else 9600
        data = outlined(open_vae(model).to(options.device, arithmetic(options.device)), seed, count)
        self.seed, self.module = seed, Controlled(open_base(model))
        super().__init__(options, Latents(*data[:2], self.module.base.tokenizer, edges=data[2]), batch=32)

    def batch_of(self, chosen, random, step):
        return (*super().batch_of(chosen, random, step), self.data.lines(chosen))

    def loss(self, latents, noise, timesteps, ids, ids_2, said, time_ids, lines):
        x, target, weight = self.given(latents, noise, timesteps)
        picture = self.given_as(lines.expand(-1, 3, -1, -1))
        with torch.no_grad():
            context, pooled = self.module.base.encode_ids((ids, ids_2), said)
        given = (x, timesteps, context, pooled, time_ids)
        return self.error(self.module.base.unet(*given, self.module.control(*given, picture)), target, weight)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, 1500)
    parser.add_argument("--model", required=True, help="the exported base model")
    options = parser.parse_args()
    train(ControlNetJob(options, options.model), options, rate=2e-3, warmup=50, cooldown=0.5, average=0.99)


if __name__ == "__main__":
    main()
