"""Trains the autoencoder: crops of scenes and whole ones, L1 and its like on gradients, a small Kullback-Leibler term.

Then, with `--decoder MODEL`, the decoder alone (and the tiny one, `--tiny MODEL`), from latents that do not change
any more, while the base model trains on them. Noise is added to these, for diffusion does not meet them exactly.
"""
import argparse

import numpy as np
import torch

import configs
import scenes
from dataset import Pictures, as_tensor, styled
from model import SCALING_FACTOR, open_vae
from tiny import TinyDecoder
from trainer import Job, add_options, train
from vae import AutoencoderKL, start_from_colours

KL_WEIGHT = 3e-4


def picture_error(out, picture):
    error = out - picture
    slope = (error[..., 1:] - error[..., :-1]).abs().mean() + (error[..., 1:, :] - error[..., :-1, :]).abs().mean()
    return error.abs().mean() + (error**2).mean() + 0.5 * slope


class VaeJob(Job):
    name = "vae"
    crops = ((100, 32), (10**9, 64))  # until that step, of that side: small ones first, colours come quickly
    full_every = 10  # whole pictures, as the model is used

    def __init__(self, options, seed=1):
        self.seed, self.device = seed, options.device
        self.batch, self.whole = options.batch or 16, torch.device(options.device).type != "cpu"
        torch.manual_seed(seed)
        self.module = AutoencoderKL(configs.VAE)
        self.pictures = Pictures(options.folder, self.device, None if self.whole else 8192)
        start_from_colours(self.module, self.pictures[torch.arange(12, device=self.device)].cpu())

    def pick(self, random, step):
        draw = lambda high, count: torch.randint(high, (count,), generator=random, device=self.device)
        side = next(side for until, side in self.crops if step < until)
        full = self.whole or step % self.full_every == 0 and step > self.crops[0][0]
        count, side = (self.batch if self.whole else self.batch // 4, scenes.SIZE) if full else (self.batch, side)
        picture = self.pictures[draw(len(self.pictures), count)]
        if not full:
            corners = zip(draw(scenes.SIZE - side + 1, count).tolist(), draw(scenes.SIZE - side + 1, count).tolist())
            picture = torch.stack([whole[:, y:y + side, x:x + side] for whole, (y, x) in zip(picture, corners)])
        latents = (count, 4, side // 8, side // 8)
        return picture, torch.randn(latents, generator=random, device=self.device)

    def loss(self, picture, noise):
        mean, log_variance = self.module.encode(self.given_as(picture))
        mean, log_variance = mean.float(), log_variance.float()
        latents = mean + torch.exp(0.5 * log_variance) * noise
        kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).mean()
        return picture_error(self.module.decode(latents.to(self.dtype)).float(), picture) + KL_WEIGHT * kl


class DecoderJob(VaeJob):
    """`module` decodes; its latents come from the exported, normalised autoencoder."""
    crops, full_every = ((10**9, 64),), 2  # norms see other statistics in crops

    def __init__(self, options, folder, tiny=False, seed=5, noise=0.12):
        super().__init__(options, seed)
        self.noise, self.tiny = noise, tiny
        self.name = "tiny" if tiny else "decoder"
        made = scenes.training_scenes(seed + 1)
        others = range(0, len(self.pictures), 5)[:4000]  # the LoRAs' styles, too
        styles = styled([(next(made)[0], scenes.STYLES[i % len(scenes.STYLES)]) for i in range(len(others))])
        self.pictures.values[torch.tensor(others)] = torch.from_numpy(styles).to(self.device)
        self.encoder = open_vae(folder).to(self.device, self.dtype, memory_format=torch.channels_last)
        if tiny:
            self.module = TinyDecoder()
        else:
            self.module = open_vae(folder)
            for half in (self.module.encoder, self.module.quant_conv):
                half.requires_grad_(False)

    def pick(self, random, step):
        picture, noise = super().pick(random, step)
        return picture, noise, torch.rand((len(picture), 1, 1, 1), generator=random, device=self.device)

    def loss(self, picture, noise, shares):
        with torch.no_grad():
            mean = self.encoder.encode(self.given_as(picture))[0].float()
            latents = mean * SCALING_FACTOR + shares * self.noise * noise
        latents = latents if self.tiny else latents / SCALING_FACTOR
        return picture_error(self.module.decode(latents.to(self.dtype)).float(), picture)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, 1500)
    parser.add_argument("--decoder", metavar="MODEL", help="train the decoder alone, from this exported autoencoder")
    parser.add_argument("--tiny", metavar="MODEL", help="train the tiny decoder for this exported autoencoder")
    options = parser.parse_args()
    if options.decoder or options.tiny:
        job = DecoderJob(options, options.decoder or options.tiny, bool(options.tiny))
    else:
        job = VaeJob(options)
    train(job, options, rate=2e-3 if options.tiny else 1.5e-3, warmup=30, cooldown=0.5, average=0.99)


if __name__ == "__main__":
    main()
