"""Latents of training scenes in numbered shards, made once by the autoencoder and read by every later stage."""
import argparse
import os
import pathlib
import time

import numpy as np
import torch
from torch.nn import functional as F

import configs
import scenes
from model import SCALING_FACTOR, open_vae
from train_vae import as_tensor

SHARD = 512
LOW_RESOLUTION, CROPPED = 0.04, 0.06  # shares that teach the size conditioning


def vary(picture, random):
    """A picture and its six time ids: mostly whole, at times drawn small or cut out of a larger one."""
    size = configs.SIZE
    kind = random.random()
    if kind < LOW_RESOLUTION:
        small = F.interpolate(picture[None], (size // 2, size // 2), mode="area")
        blurred = F.interpolate(small, (size, size), mode="bilinear", align_corners=False)[0]
        return blurred, (size // 2, size // 2, 0, 0, size, size)
    if kind < LOW_RESOLUTION + CROPPED:
        larger = size + 32
        top, left = (int(i) for i in random.integers(0, 33, 2))
        whole = F.interpolate(picture[None], (larger, larger), mode="bilinear", align_corners=False)[0]
        return whole[:, top:top + size, left:left + size], (larger, larger, top, left, size, size)
    return picture, (size, size, 0, 0, size, size)


def make_shard(vae, index, path):
    """Same index, same shard. Written whole or not at all."""
    made = scenes.training_scenes((7, index))
    random = np.random.default_rng((8, index))
    latents, ids, captions, edges = [], [], [], []
    while len(latents) < SHARD:
        pictures = []
        for _ in range(32):
            scene, caption = next(made)
            picture, time_ids = vary(as_tensor(scenes.draw(scene)[None])[0], random)
            pictures.append(picture)
            ids.append(time_ids)
            captions.append(caption)
            plain = time_ids == (configs.SIZE, configs.SIZE, 0, 0, configs.SIZE, configs.SIZE)
            edges.append(np.packbits(scenes.edges(scene) > 127) if plain else np.zeros(configs.SIZE**2 // 8, np.uint8))
        batch = torch.stack(pictures).bfloat16().contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            latents.extend(vae.encode(batch)[0].float() * SCALING_FACTOR)
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, latents=torch.stack(latents).contiguous().numpy().astype(np.float16),
             time_ids=np.array(ids, np.float32), captions=np.array(captions), edges=np.stack(edges))
    os.replace(partial, path)


def shard_path(folder, index):
    return pathlib.Path(folder) / f"latents-{index:03}.npz"


class Shards:
    """Read one after another, as training comes to need them; waits for one that is still being made."""

    def __init__(self, folder):
        self.folder, self.parts = folder, []

    def grow(self, count):
        while len(self.parts) < count:
            path = shard_path(self.folder, len(self.parts))
            while not path.exists():
                time.sleep(1)
            with np.load(path) as file:
                self.parts.append({name: file[name] for name in file.files})

    def pick(self, random, count):
        """`count` samples: latents, captions, time ids, packed edges."""
        chosen = [(self.parts[i // SHARD], i % SHARD) for i in random.integers(len(self.parts) * SHARD, size=count)]
        get = lambda name: [part[name][i] for part, i in chosen]
        return (torch.from_numpy(np.stack(get("latents")).astype(np.float32)), [str(text) for text in get("captions")],
                torch.from_numpy(np.stack(get("time_ids"))), np.stack(get("edges")))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=pathlib.Path, required=True, help="folder with the exported vae")
    parser.add_argument("--folder", type=pathlib.Path, required=True)
    parser.add_argument("--count", type=int, default=40)
    options = parser.parse_args()
    torch.set_num_threads(1)
    vae = open_vae(options.model).bfloat16().to(memory_format=torch.channels_last)
    for index in range(options.count):
        path = shard_path(options.folder, index)
        if not path.exists():
            make_shard(vae, index, path)


if __name__ == "__main__":
    main()
