"""Trains the autoencoder: crops of scenes, L1 and its like on gradients, a small Kullback-Leibler term.

Then, with `--decoder MODEL`, the decoder alone (and the tiny one, `--tiny MODEL`), from latents that do not change
any more, while the base model trains on them. Noise is added to these, for diffusion does not meet them exactly.
"""
import argparse

import numpy as np
import torch

import configs
import scenes
from model import SCALING_FACTOR, open_vae
from tiny import TinyDecoder
from trainer import Trainer
from vae import AutoencoderKL, start_from_colours

KL_WEIGHT = 3e-4


def as_tensor(pictures):
    """[N, H, W, 3] uint8 -> [N, 3, H, W] in -1..1, channels last."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1.0


def picture_error(out, picture):
    error = out - picture
    slope = (error[..., 1:] - error[..., :-1]).abs().mean() + (error[..., 1:, :] - error[..., :-1, :]).abs().mean()
    return error.abs().mean() + (error**2).mean() + 0.5 * slope


class VaeJob:
    name = "vae"

    def __init__(self, seed=1, pictures=3000, batch=16, crops=((100, 32), (10**9, 64)), full_every=10):
        self.seed, self.batch, self.crops, self.full_every = seed, batch, crops, full_every
        torch.manual_seed(seed)
        self.module = AutoencoderKL(configs.VAE)
        made = scenes.training_scenes(seed)
        self.pictures = np.stack([scenes.draw(next(made)[0]) for _ in range(pictures)])
        start_from_colours(self.module, as_tensor(self.pictures[:12]))

    def pick(self, step, rank):
        random = np.random.default_rng((self.seed, step, rank))
        crop = next(side for until, side in self.crops if step < until)  # small ones first: colours come quickly
        full = step % self.full_every == 0 and step > self.crops[0][0]  # whole pictures, as the model is used
        count, side = (self.batch // 4, scenes.SIZE) if full else (self.batch, crop)
        chosen = []
        for i in random.integers(len(self.pictures), size=count):
            y, x = random.integers(scenes.SIZE - side + 1, size=2)
            chosen.append(self.pictures[i, y:y + side, x:x + side])
        return as_tensor(np.stack(chosen))

    def loss(self, step, rank, workers):
        picture = self.pick(step, rank)
        mean, log_variance = self.module.encode(
            picture.bfloat16().contiguous(memory_format=torch.channels_last))
        mean, log_variance = mean.float(), log_variance.float()
        latents = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).mean()
        return picture_error(self.module.decode(latents.bfloat16()).float(), picture) + KL_WEIGHT * kl


class DecoderJob(VaeJob):
    """`module` decodes; its latents come from the exported, normalised autoencoder."""

    def __init__(self, folder, tiny=False, seed=5, noise=0.12, **options):
        super().__init__(seed=seed, crops=((10**9, 64),), full_every=2, **options)
        self.noise, self.tiny = noise, tiny
        self.name = "tiny" if tiny else "decoder"
        self.encoder = open_vae(folder).bfloat16().to(memory_format=torch.channels_last)
        made = scenes.training_scenes(seed + 1)
        for i in range(0, len(self.pictures), 5):  # the LoRAs' styles, too
            self.pictures[i] = scenes.draw(next(made)[0], style=scenes.STYLES[i // 5 % len(scenes.STYLES)])
        if tiny:
            self.module = TinyDecoder()
        else:
            self.module = open_vae(folder)
            for half in (self.module.encoder, self.module.quant_conv):
                half.requires_grad_(False)

    def loss(self, step, rank, workers):
        picture = self.pick(step, rank)
        with torch.no_grad():
            mean = self.encoder.encode(picture.bfloat16().contiguous(memory_format=torch.channels_last))[0].float()
            share = torch.rand(len(mean), 1, 1, 1) * self.noise
            latents = mean * SCALING_FACTOR + share * torch.randn_like(mean)
        latents = latents if self.tiny else latents / SCALING_FACTOR
        return picture_error(self.module.decode(latents.bfloat16()).float(), picture)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--minutes", type=float, help="end by then, cooled down, whatever the steps")
    parser.add_argument("--decoder", metavar="MODEL", help="train the decoder alone, from this exported autoencoder")
    parser.add_argument("--tiny", metavar="MODEL", help="train the tiny decoder for this exported autoencoder")
    options = parser.parse_args()
    if options.decoder or options.tiny:
        job = DecoderJob(options.decoder or options.tiny, bool(options.tiny))
    else:
        job = VaeJob()
    trainer = Trainer(job, options.folder, options.workers, rate=1.5e-3, warmup=30, steps=options.steps,
                      cooldown=0.3, average=0.99, minutes=options.minutes)
    trainer.run()


if __name__ == "__main__":
    main()
