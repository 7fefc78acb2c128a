"""Trains a 2x upscaler of ESRGAN's architecture (RRDBNet, as Real-ESRGAN's x2 model: pixels are unshuffled first)."""
import argparse
from dataclasses import replace

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import scenes
from trainer import Trainer


class DenseBlock(nn.Module):
    def __init__(self, channels, growth):
        super().__init__()
        for i in range(5):
            setattr(self, f"conv{i + 1}", nn.Conv2d(channels + i * growth, channels if i == 4 else growth, 3, padding=1))

    def forward(self, x):
        kept = [x]
        for i in range(4):
            kept.append(F.leaky_relu(getattr(self, f"conv{i + 1}")(torch.cat(kept, 1)), 0.2))
        return x + 0.2 * self.conv5(torch.cat(kept, 1))


class Rrdb(nn.Module):
    def __init__(self, channels, growth):
        super().__init__()
        self.rdb1, self.rdb2, self.rdb3 = (DenseBlock(channels, growth) for _ in range(3))

    def forward(self, x):
        return x + 0.2 * self.rdb3(self.rdb2(self.rdb1(x)))


class RRDBNet(nn.Module):
    def __init__(self, channels=24, blocks=2, growth=12):
        super().__init__()
        conv = lambda inputs, outputs: nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv_first = conv(12, channels)
        self.body = nn.Sequential(*(Rrdb(channels, growth) for _ in range(blocks)))
        self.conv_body, self.conv_up1, self.conv_up2, self.conv_hr = (conv(channels, channels) for _ in range(4))
        self.conv_last = conv(channels, 3)

    def forward(self, x):
        """[N, 3, H, W] in 0..1, even sides -> [N, 3, 2 H, 2 W]."""
        first = self.conv_first(F.pixel_unshuffle(x, 2))
        x = first + self.conv_body(self.body(first))
        for conv in (self.conv_up1, self.conv_up2):
            x = F.leaky_relu(conv(F.interpolate(x, scale_factor=2.0, mode="nearest")), 0.2)
        return self.conv_last(F.leaky_relu(self.conv_hr(x), 0.2))


def draw_large(scene):
    """[2 SIZE, 2 SIZE, 3]: the scene at twice the size, with outlines as fine."""
    size = 2 * scenes.SIZE
    picture = scenes.background(scene.background, size)
    for thing in scene.things:
        large = replace(thing, x=2 * thing.x, y=2 * thing.y, radius=2 * thing.radius)
        cover = scenes.coverage(large, size)[..., None]
        picture = picture * (1 - cover) + np.array(scenes.COLOURS[thing.colour], float) * cover
    return np.clip(picture + 0.5, 0, 255).astype(np.uint8)


class UpscalerJob:
    name = "upscaler"

    def __init__(self, seed=14, pictures=600, batch=16, crop=32):
        self.seed, self.batch, self.crop = seed, batch, crop
        torch.manual_seed(seed)
        self.module = RRDBNet()
        made = scenes.training_scenes(seed)
        self.pictures = np.stack([draw_large(next(made)[0]) for _ in range(pictures)])

    def loss(self, step, rank, workers):
        random = np.random.default_rng((self.seed, step, rank))
        patches = []
        for i in random.integers(len(self.pictures), size=self.batch):
            y, x = 2 * random.integers(scenes.SIZE - self.crop + 1, size=2)
            patches.append(self.pictures[i, y:y + 2 * self.crop, x:x + 2 * self.crop])
        large = torch.from_numpy(np.stack(patches)).permute(0, 3, 1, 2).float() / 255
        small = F.avg_pool2d(large, 2)
        small = small + 0.02 * random.random() * torch.randn_like(small)
        out = self.module(small.bfloat16().contiguous(memory_format=torch.channels_last)).float()
        return (out - large).abs().mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", required=True, help="checkpoints and logs")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    Trainer(UpscalerJob(), options.folder, options.workers, rate=1e-3, warmup=30, steps=options.steps,
            average=0.99).run()


if __name__ == "__main__":
    main()
