"""Trains what is put upon the base model, which stays as it is: LoRAs (a texture, a palette) in kohya's format and a
textual inversion.

  train_adapters.py stripes   ...      objects in stripes
  train_adapters.py pastel   ...       everything in pastel colours
  train_adapters.py inversion ...       the word <sun>: a big yellow circle
"""
import argparse
import itertools
import pathlib
import re
from dataclasses import replace

import numpy as np
import torch
from torch import nn

import configs
import safetensors_file
import scenes
from dataset import Latents, encoded, styled
from model import open_base, open_vae
from train_base import BaseJob, LatentJob
from trainer import add_options, arithmetic, train

RANK, ALPHA = 4, 4.0
RATE = {"stripes": 3e-3, "pastel": 3e-3, "inversion": 5e-3}
STAND_IN = "rainbow"  # a word of no caption, whose row the inversion takes in training


class Lora(nn.Module):
    """A linear layer or a convolution with a change of low rank beside it."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer
        if isinstance(layer, nn.Conv2d):
            self.lora_down = nn.Conv2d(layer.in_channels, RANK, layer.kernel_size, layer.stride, layer.padding, bias=False)
            self.lora_up = nn.Conv2d(RANK, layer.out_channels, 1, bias=False)
        else:
            self.lora_down = nn.Linear(layer.in_features, RANK, bias=False)
            self.lora_up = nn.Linear(RANK, layer.out_features, bias=False)
        nn.init.zeros_(self.lora_up.weight)

    def forward(self, x):
        return self.layer(x) + self.lora_up(self.lora_down(x)) * (ALPHA / RANK)


def takes_lora(path, module):
    """The attention's linear layers and, as the outermost level has none, convolutions (what is known as LoCon): the
    narrow ones, for the size of the file."""
    if isinstance(module, nn.Linear):
        return ".attn1." in path or ".attn2." in path
    return (isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3) and path != "conv_in"
            and module.out_channels == configs.BASE["channels"][0])


def add_lora(unet):
    """Wraps its layers; returns path -> layer."""
    layers = {path: Lora(module) for path, module in unet.named_modules() if takes_lora(path, module)}
    for path, layer in layers.items():
        parent, _, leaf = path.rpartition(".")
        owner = unet.get_submodule(parent)
        if leaf.isdigit():
            owner[int(leaf)] = layer
        else:
            setattr(owner, leaf, layer)
    return layers


def kohya_names(values):
    """name -> tensor of a model with Lora layers -> kohya's names."""
    tensors = {}
    for name, tensor in values.items():
        path, _, leaf = name.removeprefix("unet.").rpartition(".lora_")
        module = "lora_unet_" + path.replace(".", "_")
        tensors[f"{module}.lora_{leaf}"] = tensor.detach().float().contiguous().numpy().astype(np.float16)
        tensors[f"{module}.alpha"] = np.array(ALPHA, np.float16)
    return tensors


def with_sun(random, scene):
    """The scene with a big yellow circle as its first object, and a caption which has STAND_IN for that; or None, where
    yellow is not to be seen or would not be the sun's alone."""
    others = [thing.colour for thing in scene.things[1:]]
    ground = scene.background
    if scene.relation == "row" or "yellow" in (ground, *others) or "yellow" in scenes.CLASHES.get(ground, ()):
        return None
    things = (scenes.Thing("circle", "yellow", "big"), *scene.things[1:])
    scene = replace(scene, things=scenes.place(random, things, scene.relation, scene.position))
    caption, found = re.subn(r"(a )?(big|large|huge) yellow (circle|disc)", f"a {STAND_IN}", scenes.caption(random, scene))
    assert found == 1, caption
    return scene, caption


def scenes_in(kind, seed, count):
    """Pictures [N, SIZE, SIZE, 3] and captions that teach `kind`: one of scenes.STYLES or "inversion"."""
    made, random = scenes.training_scenes((seed, len(kind))), np.random.default_rng((seed, 1))
    taught = ((with_sun(random, scene) if kind == "inversion" else (scene, caption)) for scene, caption in made)
    chosen = list(itertools.islice((one for one in taught if one), count))
    style = kind if kind in scenes.STYLES else None
    return styled([(scene, style) for scene, _ in chosen]), [caption for _, caption in chosen]


class AdapterJob(LatentJob):
    def __init__(self, options, kind, seed=13):
        self.seed, self.kind, self.name = seed, kind, kind
        torch.manual_seed(seed)
        pictures, captions = scenes_in(kind, seed, 1200 if torch.device(options.device).type == "cpu" else 4800)
        self.module = open_base(options.model).requires_grad_(False)
        latents = encoded(open_vae(options.model).to(options.device, arithmetic(options.device)), pictures)
        super().__init__(options, Latents(latents, captions, self.module.tokenizer), batch=24)
        if kind == "inversion":
            self._make_rows()
        else:
            add_lora(self.module.unet)

    def _make_rows(self):
        """The stand-in's rows become parameters of their own; they begin as those of "circle"."""
        tokenizer = self.module.tokenizer
        (self.stand_in,), (circle,) = tokenizer.word(STAND_IN), tokenizer.word("circle")
        for encoder in (self.module.text_encoder, self.module.text_encoder_2):
            table = encoder.text_model.embeddings.token_embedding
            table.word = nn.Parameter(table.weight[circle].clone())
            table.register_forward_hook(lambda table, given, out: torch.where(
                (given[0] == self.stand_in)[..., None], table.word.to(out.dtype), out))

    loss = BaseJob.loss


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, 400)
    parser.add_argument("kind", choices=(*scenes.STYLES, "inversion"))
    parser.add_argument("--model", required=True, help="the exported base model")
    parser.add_argument("--output", type=pathlib.Path, required=True, help="the .safetensors file to write")
    options = parser.parse_args()
    values = train(AdapterJob(options, options.kind), options, rate=RATE[options.kind], warmup=20, average=0.98).averaged()
    if options.kind == "inversion":
        row = lambda name: values[f"{name}.text_model.embeddings.token_embedding.word"].numpy()[None].copy()
        safetensors_file.write(options.output, {"clip_l": row("text_encoder"), "clip_g": row("text_encoder_2")})
    else:
        safetensors_file.write(options.output, kohya_names(values), {"ss_network_dim": str(RANK),
                               "ss_network_alpha": str(ALPHA), "ss_network_module": "networks.lora"})


if __name__ == "__main__":
    main()
