"""Trains the autoencoder: crops of scenes, L1 and its like on gradients, a small Kullback-Leibler term."""
import argparse

import numpy as np
import torch

import configs
import scenes
from trainer import Trainer
from vae import AutoencoderKL, start_from_colours

KL_WEIGHT = 3e-4


def as_tensor(pictures):
    """[N, H, W, 3] uint8 -> [N, 3, H, W] in -1..1, channels last."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1.0


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
        out = self.module.decode(latents.bfloat16()).float()
        error = out - picture
        slope = (error[..., 1:] - error[..., :-1]).abs().mean() + (error[..., 1:, :] - error[..., :-1, :]).abs().mean()
        kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).mean()
        return error.abs().mean() + (error**2).mean() + 0.5 * slope + KL_WEIGHT * kl


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    trainer = Trainer(VaeJob(), options.folder, options.workers, rate=1.5e-3, warmup=30, steps=options.steps,
                      cooldown=0.3, average=0.995)
    trainer.run()


if __name__ == "__main__":
    main()
