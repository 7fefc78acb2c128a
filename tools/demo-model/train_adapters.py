"""Trains what is put upon the base model, which stays as it is: LoRAs (a texture, a palette) in kohya's format and a
textual inversion.

  train_adapters.py lora stripes ...      objects in stripes
  train_adapters.py lora pastel ...       everything in pastel colours
  train_adapters.py inversion ...         the word <mint>, a background that no word of the captions means
"""
import argparse
import pathlib

import numpy as np
import torch
from torch import nn

import safetensors_file
import scenes
from model import SCALING_FACTOR, open_base, open_vae, plain_time_ids, sigmas
from train_base import SHORT, draw_timesteps, noised
from train_vae import as_tensor
from trainer import Trainer

RANK, ALPHA = 8, 8.0
MINT, MINT_COLOUR = "<mint>", (136, 226, 196)
STAND_IN = "rainbow"  # a word of no caption, whose row the inversion takes in training


class LoraLinear(nn.Module):
    def __init__(self, linear):
        super().__init__()
        self.linear = linear
        self.lora_down = nn.Linear(linear.in_features, RANK, bias=False)
        self.lora_up = nn.Linear(RANK, linear.out_features, bias=False)
        nn.init.zeros_(self.lora_up.weight)

    def forward(self, x):
        return self.linear(x) + self.lora_up(self.lora_down(x)) * (ALPHA / RANK)


def add_lora(unet):
    """Wraps every linear layer of the transformers; returns path -> layer."""
    layers = {}
    for path, module in list(unet.named_modules()):
        if isinstance(module, nn.Linear) and ".attentions." in f".{path}":
            parent, _, leaf = path.rpartition(".")
            layers[path] = LoraLinear(module)
            owner = unet.get_submodule(parent)
            if leaf.isdigit():
                owner[int(leaf)] = layers[path]
            else:
                setattr(owner, leaf, layers[path])
    return layers


def kohya_names(values):
    """name -> tensor of a model with LoraLinear layers -> kohya's names."""
    tensors = {}
    for name, tensor in values.items():
        path, _, leaf = name.removeprefix("unet.").rpartition(".lora_")
        module = "lora_unet_" + path.replace(".", "_")
        tensors[f"{module}.lora_{leaf}"] = tensor.detach().float().contiguous().numpy().astype(np.float16)
        tensors[f"{module}.alpha"] = np.array(ALPHA, np.float16)
    return tensors


def draw_mint(scene):
    picture = scenes.draw(scene).astype(float)
    look = scenes.background(scene.background)
    share = np.zeros((scenes.SIZE, scenes.SIZE, 1))
    for thing in scene.things:
        share = np.maximum(share, scenes.coverage(thing)[..., None])
    return np.clip(picture + (np.array(MINT_COLOUR) - look) * (1 - share) + 0.5, 0, 255).astype(np.uint8)


class AdapterJob:
    """`kind`: a style of scenes.STYLES, or "inversion"."""

    def __init__(self, model, kind, seed=13, batch=24, pictures=1200):
        self.seed, self.batch, self.kind, self.name = seed, batch, kind, kind
        torch.manual_seed(seed)
        self.module = open_base(model).requires_grad_(False)
        self.table = sigmas()
        vae = open_vae(model).bfloat16()
        made = scenes.training_scenes((seed, len(kind)))
        drawn, self.captions = [], []
        while len(drawn) < pictures:
            scene, caption = next(made)
            if kind != "inversion":
                drawn.append(scenes.draw(scene, style=kind))
            elif scene.background == "gray" or f"{scene.background} background" not in caption:
                continue
            else:
                drawn.append(draw_mint(scene))
                caption = caption.replace(f"{scene.background} background", f"{STAND_IN} background")
            self.captions.append(caption)
        with torch.no_grad():
            self.latents = torch.cat([vae.encode(as_tensor(np.stack(drawn[i:i + 50])).bfloat16())[0].float()
                                      for i in range(0, len(drawn), 50)]) * SCALING_FACTOR
        if kind == "inversion":
            self._make_rows()
        else:
            add_lora(self.module.unet)

    def _make_rows(self):
        """The stand-in's rows become parameters of their own; they begin as those of "green"."""
        tokenizer = self.module.tokenizer
        (self.stand_in,), (green,) = tokenizer.word(STAND_IN), tokenizer.word("green")
        for encoder in (self.module.text_encoder, self.module.text_encoder_2):
            table = encoder.text_model.embeddings.token_embedding
            table.word = nn.Parameter(table.weight[green].clone())
            table.register_forward_hook(lambda table, given, out: torch.where(
                (given[0] == self.stand_in)[..., None], table.word.to(out.dtype), out))

    def loss(self, step, rank, workers):
        random = np.random.default_rng((self.seed, step, rank))
        chosen = random.integers(len(self.captions), size=self.batch)
        timesteps = draw_timesteps(random, self.batch)
        x, target, weight = noised(self.latents[chosen], timesteps, self.table)
        context, pooled = self.module.encode([self.captions[i] for i in chosen], SHORT)
        out = self.module.unet(x.bfloat16().contiguous(memory_format=torch.channels_last), timesteps, context, pooled,
                               plain_time_ids(self.batch))
        return (((out.float() - target) ** 2).mean((1, 2, 3)) * weight).mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=(*scenes.STYLES, "inversion"))
    parser.add_argument("--folder", required=True, help="checkpoints and logs")
    parser.add_argument("--model", required=True, help="the exported base model")
    parser.add_argument("--output", type=pathlib.Path, required=True, help="the .safetensors file to write")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    trainer = Trainer(AdapterJob(options.model, options.kind), options.folder, options.workers, rate=2e-3, warmup=20,
                      steps=options.steps, average=0.98)
    trainer.run()
    values = trainer.averaged()
    if options.kind == "inversion":
        row = lambda name: values[f"{name}.text_model.embeddings.token_embedding.word"].numpy()[None].copy()
        safetensors_file.write(options.output, {"clip_l": row("text_encoder"), "clip_g": row("text_encoder_2")})
    else:
        safetensors_file.write(options.output, kohya_names(values), {"ss_network_dim": str(RANK),
                               "ss_network_alpha": str(ALPHA), "ss_network_module": "networks.lora"})


if __name__ == "__main__":
    main()
