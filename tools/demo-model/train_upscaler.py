"""Trains a 2x upscaler of ESRGAN's architecture (RRDBNet, as Real-ESRGAN's x2 model: pixels are unshuffled first)."""
import argparse
from dataclasses import replace

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import scenes
from dataset import on_all_cores
from trainer import Job, add_options, train


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


class UpscalerJob(Job):
    name = "upscaler"

    def __init__(self, options, seed=14, crop=32):
        self.seed, self.device, self.batch, self.crop = seed, options.device, options.batch or 16, crop
        torch.manual_seed(seed)
        self.module = RRDBNet()
        made = scenes.training_scenes(seed)
        count = 600 if torch.device(self.device).type == "cpu" else 2400
        drawn = list(on_all_cores(draw_large, [next(made)[0] for _ in range(count)]))
        self.pictures = torch.from_numpy(np.stack(drawn)).to(self.device)

    def pick(self, random, step):
        draw = lambda high: torch.randint(high, (self.batch,), generator=random, device=self.device)
        side = 2 * self.crop
        rows, columns = (2 * draw(scenes.SIZE - self.crop + 1)[:, None] + torch.arange(side, device=self.device)
                         for _ in range(2))
        chosen = draw(len(self.pictures))[:, None, None]
        large = self.pictures[chosen, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).float() / 255
        small = F.avg_pool2d(large, 2)
        level = 0.02 * torch.rand((self.batch, 1, 1, 1), generator=random, device=self.device)
        return large, small + level * torch.randn(small.shape, generator=random, device=self.device)

    def loss(self, large, small):
        out = self.module(self.given_as(small)).float()
        return (out - large).abs().mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, 1500)
    options = parser.parse_args()
    train(UpscalerJob(options), options, rate=1e-3, warmup=30, average=0.99)


if __name__ == "__main__":
    main()
