"""The training set: captioned pictures, drawn once by all cores, and their latents, made once by the autoencoder.

    dataset.py draw --folder RUN --count 20480       pictures, captions, size conditioning
    dataset.py encode --folder RUN --model MODEL     latents of the finished autoencoder

The same count gives the same pictures, whatever the number of cores. Files are written whole or not at all.
"""
import argparse
import multiprocessing
import os
import pathlib
import sys

import numpy as np
import torch
from torch.nn import functional as F

import configs
import scenes
from model import SCALING_FACTOR, open_vae, plain_time_ids
from trainer import arithmetic

PART = 512  # pictures that are made together, from a seed of their own
LOW_RESOLUTION, CROPPED = 0.04, 0.06  # shares that teach the size conditioning


def as_tensor(pictures):
    """[N, H, W, 3] uint8, array or tensor -> [N, 3, H, W] in -1..1, channels last."""
    return torch.as_tensor(np.array(pictures) if isinstance(pictures, np.ndarray) else pictures).permute(0, 3, 1, 2).float() / 127.5 - 1.0


def _planes(pictures):
    """[N, H, W, 3] uint8 -> [N, 3, H, W] in 0..255."""
    return torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).float()


def _bytes(planes):
    return (planes.permute(0, 2, 3, 1) + 0.5).clamp(0, 255).byte().numpy()


def _bilinear(planes, side):
    return F.interpolate(planes, (side, side), mode="bilinear", align_corners=False)


def enlarged(pictures):
    """[N, SIZE, SIZE, 3] uint8, made small and large again."""
    small = F.interpolate(_planes(pictures), (configs.SIZE // 2,) * 2, mode="area")
    return _bytes(_bilinear(small, configs.SIZE))


def vary(picture, random):
    """A picture and its six time ids: mostly whole, at times drawn small or cut out of a larger one."""
    size = configs.SIZE
    kind = random.random()
    if kind < LOW_RESOLUTION:
        return enlarged(picture[None])[0], (size // 2, size // 2, 0, 0, size, size)
    if kind < LOW_RESOLUTION + CROPPED:
        larger = size + 32
        top, left = (int(i) for i in random.integers(0, 33, 2))
        whole = _bilinear(_planes(picture[None]), larger)
        return _bytes(whole[..., top:top + size, left:left + size])[0], (larger, larger, top, left, size, size)
    return picture, (size, size, 0, 0, size, size)


def draw_part(index):
    """Pictures, captions and time ids."""
    torch.set_num_threads(1)
    made, random = scenes.training_scenes((7, index)), np.random.default_rng((8, index))
    pictures, captions, time_ids = [], [], []
    for _ in range(PART):
        scene, caption = next(made)
        picture, ids = vary(scenes.draw(scene), random)
        pictures.append(picture)
        captions.append(caption)
        time_ids.append(ids)
    return np.stack(pictures), captions, np.array(time_ids, np.float32)


def on_all_cores(function, values):
    """The results in order, one after another. Before anything that starts threads or an accelerator: it forks."""
    with multiprocessing.get_context("fork").Pool() as pool:
        yield from pool.imap(function, values)


def styled(jobs):
    """Draws (scene, style) pairs: [N, SIZE, SIZE, 3] uint8."""
    return np.stack(list(on_all_cores(_draw, jobs)))


def _draw(job):
    scene, style = job
    return scenes.draw(scene, style)


def _write(path, array):
    partial = path.with_suffix(".partial.npy")
    np.save(partial, array)
    os.replace(partial, path)


def draw(folder, count):
    folder.mkdir(parents=True, exist_ok=True)
    parts = -(-count // PART)
    pictures = np.empty((parts * PART, configs.SIZE, configs.SIZE, 3), np.uint8)
    captions, time_ids = [], []
    for i, part in enumerate(on_all_cores(draw_part, range(parts))):
        pictures[i * PART:(i + 1) * PART] = part[0]
        captions += part[1]
        time_ids.append(part[2])
        if sys.stderr.isatty():
            print(f"\rdrawn {(i + 1) * PART} of {parts * PART}", end="", file=sys.stderr)
    _write(folder / "time_ids.npy", np.concatenate(time_ids))
    _write(folder / "captions.npy", np.array(captions))
    _write(folder / "pictures.npy", pictures)


class Pictures:
    """[N, 3, SIZE, SIZE] of the set, in -1..1, by index."""

    def __init__(self, folder, device="cpu", most=None):
        stored = np.load(pathlib.Path(folder) / "pictures.npy", mmap_mode="r")[:most]
        self.values = torch.from_numpy(np.array(stored)).to(device)

    def __len__(self):
        return len(self.values)

    def __getitem__(self, chosen):
        return as_tensor(self.values[chosen])


@torch.no_grad()
def encoded(vae, pictures):
    """Latents of unit variance, [N, 4, h, w] float32, of [N, H, W, 3] uint8, on the autoencoder's device."""
    weight, parts = vae.quant_conv.weight, []
    batch = 256 if weight.is_cuda else 32
    for i in range(0, len(pictures), batch):
        given = as_tensor(pictures[i:i + batch]).to(weight.device, weight.dtype)
        parts.append(vae.encode(given.contiguous(memory_format=torch.channels_last))[0].float() * SCALING_FACTOR)
    return torch.cat(parts)


class Latents:
    """What is trained on: latents [N, 4, h, w], both encoders' token ids, time ids (as of whole pictures, if not
    given), packed edges (or none)."""

    def __init__(self, latents, captions, tokenizer, time_ids=None, edges=None):
        self.latents, self.edges = latents, edges
        self.time_ids = plain_time_ids(len(latents)).contiguous() if time_ids is None else time_ids
        first = torch.from_numpy(np.stack([tokenizer.encode(text) for text in captions]))  # padded with end tokens
        after = torch.arange(first.shape[1]) > (first == first[0, -1]).int().argmax(1, keepdim=True)
        self.ids = first, first.masked_fill(after, 0)

    @staticmethod
    def read(folder, tokenizer):
        """Of as many pictures as have latents."""
        get = lambda name: np.load(pathlib.Path(folder) / f"{name}.npy")
        latents = torch.from_numpy(get("latents"))
        first = lambda name: get(name)[:len(latents)]
        return Latents(latents, [str(text) for text in first("captions")], tokenizer,
                       torch.from_numpy(first("time_ids")))

    def to(self, device):
        self.latents, self.time_ids = self.latents.to(device), self.time_ids.to(device)
        self.ids = tuple(table.to(device) for table in self.ids)
        self.edges = None if self.edges is None else self.edges.to(device)
        return self

    def __len__(self):
        return len(self.latents)

    def lines(self, chosen):
        """The edge pictures, [N, 1, SIZE, SIZE] of 0 and 1."""
        bits = torch.tensor([128, 64, 32, 16, 8, 4, 2, 1], dtype=torch.uint8, device=self.edges.device)
        return ((self.edges[chosen][..., None] & bits) > 0).view(-1, 1, configs.SIZE, configs.SIZE).float()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("draw", "encode"))
    parser.add_argument("--folder", type=pathlib.Path, required=True)
    parser.add_argument("--model", type=pathlib.Path, help="encode: folder with the exported vae")
    parser.add_argument("--count", type=int, default=20480, help="of pictures; encode: the first so many")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    if options.what == "draw":
        draw(options.folder, options.count)
    else:
        torch.set_num_threads(os.cpu_count())  # no other process works beside this one
        vae = open_vae(options.model).to(options.device, arithmetic(options.device), memory_format=torch.channels_last)
        latents = encoded(vae, np.load(options.folder / "pictures.npy", mmap_mode="r")[:options.count])
        _write(options.folder / "latents.npy", latents.cpu().numpy().astype(np.float16))


if __name__ == "__main__":
    main()
