"""Teaches both text encoders to read scenes, before they are trained on with the UNet.

SDXL's encoders come from CLIP, which learned from pictures what words mean; ours begin with nothing. From the states
at the end of the caption, linear heads (thrown away afterwards) tell the background and each object's shape, colour,
size and place. That costs hundredths of what the same takes through the UNet.
"""
import argparse

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import configs
import scenes
from dataset import Latents
from model import BaseModel
from trainer import Job, add_options, load_averaged, train

SLOTS, NOTHING = 3, 0  # class 0 of shape, colour and size: there is no such object
GROUNDS = (*scenes.PLAIN, *scenes.PLACES)
SIZES = ("", "small", "big")
CLASSES = [len(GROUNDS), *[len(table) + 1 for table in (scenes.SHAPES, scenes.COLOURS, SIZES)] * SLOTS]
SHORT = 32


def classes(scene):
    """The scene as class indices: the background, then shape, colour and size of each slot."""
    found = [GROUNDS.index(scene.background)]
    for i in range(SLOTS):
        if i < len(scene.things):
            thing = scene.things[i]
            found += [scenes.SHAPES.index(thing.shape) + 1, list(scenes.COLOURS).index(thing.colour) + 1,
                      SIZES.index(thing.size) + 1]
        else:
            found += [NOTHING] * 3
    return found


def places(scene):
    """x and y of each slot in -1..1, 0 where there is no object."""
    found = np.zeros((SLOTS, 2), np.float32)
    for i, thing in enumerate(scene.things):
        found[i] = np.array((thing.x, thing.y)) / (scenes.SIZE / 2) - 1
    return found.flatten()


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.base = BaseModel()
        self.base.unet = nn.Identity()
        outputs = sum(CLASSES) + 2 * SLOTS
        self.heads = nn.ModuleList(nn.Linear(width, outputs) for width in (
            configs.TEXT_1["width"], configs.TEXT_2["width"], configs.TEXT_2["projection"]))


class TextJob(Job):
    name = "text"

    def __init__(self, options, seed=3, count=40960):
        self.seed, self.device, self.batch = seed, options.device, options.batch or 64
        torch.manual_seed(seed)
        self.module = Reader()
        made = scenes.training_scenes((seed, 1))
        pairs = [next(made) for _ in range(count)]
        tokenizer = self.module.base.tokenizer
        self.end = tokenizer.size - 1
        self.ids = Latents(torch.zeros(0), [caption for _, caption in pairs], tokenizer).ids
        self.ids = tuple(table[:, :SHORT].to(self.device) for table in self.ids)
        self.classes = torch.tensor([classes(scene) for scene, _ in pairs]).to(self.device)
        self.places = torch.from_numpy(np.stack([places(scene) for scene, _ in pairs])).to(self.device)

    def pick(self, random, step):
        chosen = torch.randint(len(self.classes), (self.batch,), generator=random, device=self.device)
        return self.ids[0][chosen], self.ids[1][chosen], self.classes[chosen], self.places[chosen]

    def loss(self, ids, ids_2, wanted, places):
        base = self.module.base
        rows = torch.arange(len(ids), device=ids.device)
        at = lambda states, given: states[rows, (given == self.end).int().argmax(-1)]
        first, (second, pooled) = base.text_encoder(ids)[0], base.text_encoder_2(ids_2)
        total = 0.0
        for head, states in zip(self.module.heads, (at(first, ids), at(second, ids_2), pooled)):
            said = head(states).float()
            answers = said.split([*CLASSES, 2 * SLOTS], dim=1)
            total = total + sum(F.cross_entropy(answer, wanted[:, i]) for i, answer in enumerate(answers[:-1]))
            total = total + 5 * ((answers[-1] - places) ** 2).mean()
        return total / len(self.module.heads)


def read_encoders(path, base):
    """Gives `base` the text encoders of a checkpoint."""
    reader = Reader()
    load_averaged(reader, path)
    for part in ("text_encoder", "text_encoder_2"):
        getattr(base, part).load_state_dict(getattr(reader.base, part).state_dict())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, 3000)
    options = parser.parse_args()
    train(TextJob(options), options, rate=2e-3, warmup=50, average=0.99)


if __name__ == "__main__":
    main()
