"""Draws pictures in torch as the worker does: Euler steps, leading spacing, classifier-free guidance.

The first noise is torch's for the seed, so that the same prompt, seed and settings give the worker's picture.
"""
import argparse
import pathlib

import numpy as np
import torch

import configs
from model import SCALING_FACTOR, open_base, open_vae, plain_time_ids, sigmas


def schedule(steps):
    """Timesteps (leading spacing, offset 1) and their sigmas, with a last 0."""
    timesteps = torch.arange(steps).flip(0) * (1000 // steps) + 1
    return timesteps, torch.cat([sigmas()[timesteps], torch.zeros(1)])


@torch.no_grad()
def sample(base, prompts, noise, steps=20, guidance=5.0, length=configs.POSITIONS):
    """Latents of unit variance for each prompt from its noise [N, 4, h, w]."""
    count, dtype = len(prompts), base.unet.conv_in.weight.dtype
    context, pooled = base.encode([*[""] * count, *prompts], length)
    time_ids = plain_time_ids(2 * count, 8 * noise.shape[-1])
    timesteps, levels = schedule(steps)
    x = noise * (levels[0] ** 2 + 1).sqrt()
    for i, timestep in enumerate(timesteps):
        scale = (levels[i] ** 2 + 1).rsqrt()
        given = (x * scale).to(dtype)
        out = base.unet(torch.cat([given, given]), timestep.expand(2 * count), context, pooled, time_ids).float()
        without, with_prompt = out.chunk(2)
        velocity = without + guidance * (with_prompt - without)
        noise = scale * (velocity + levels[i] * scale * x)
        x = x + noise * (levels[i + 1] - levels[i])
    return x


@torch.no_grad()
def decode(vae, latents):
    """-> [N, H, W, 3] uint8."""
    picture = vae.decode((latents / SCALING_FACTOR).to(vae.post_quant_conv.weight.dtype)).float()
    values = (picture.clamp(-1, 1) * 127.5 + 127.5).round().to(torch.uint8)
    return values.permute(0, 2, 3, 1).contiguous().numpy()


def first_noise(seeds, size=configs.SIZE):
    return torch.cat([torch.randn(1, 4, size // 8, size // 8, generator=torch.Generator().manual_seed(seed))
                      for seed in seeds])


def main():
    from PIL import Image
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="exported folder")
    parser.add_argument("prompt")
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=configs.SETTINGS["num_inference_steps"])
    parser.add_argument("--guidance", type=float, default=configs.SETTINGS["guidance_scale"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    latents = sample(open_base(options.model), [options.prompt], first_noise([options.seed]), options.steps,
                     options.guidance)
    Image.fromarray(decode(open_vae(options.model), latents)[0]).save(options.output)


if __name__ == "__main__":
    main()
