"""The base model's parts together, and what training, sampling and export share."""
import json
import pathlib

import numpy as np
import torch
from torch import nn

import configs
import safetensors_file
from bpe import Tokenizer
from clip import ClipTextModel
from unet import UNet
from vae import AutoencoderKL

SCALING_FACTOR = 0.13025  # SDXL's; the exported autoencoder's latents are scaled to fit it


def betas():
    return torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2


def sigmas():
    """[1000]: noise over signal at each timestep, float32."""
    alphas = torch.cumprod(1 - betas(), 0)
    return ((1 - alphas) / alphas).sqrt().float()


class BaseModel(nn.Module):
    """Both text encoders and the UNet; the attributes are the folders of the diffusers layout."""

    def __init__(self, tokenizer=None):
        super().__init__()
        self.tokenizer = tokenizer or Tokenizer()
        vocabulary, positions = self.tokenizer.size, configs.POSITIONS
        one, two = configs.TEXT_1, configs.TEXT_2
        self.text_encoder = ClipTextModel(vocabulary, one["width"], one["layers"], positions)
        self.text_encoder_2 = ClipTextModel(vocabulary, two["width"], two["layers"], positions, two["projection"])
        self.unet = UNet(configs.BASE)

    def ids(self, captions, length=configs.POSITIONS):
        """Of both tokenizers: [N, length] each. The first pads with the end token, the second with 0."""
        encode = lambda pad: torch.from_numpy(np.stack(
            [self.tokenizer.encode(text, pad, length) for text in captions]))
        return encode(None), encode(0)

    def encode_ids(self, ids, said):
        """`ids` as of ids(), `said` [N] of 0 and 1 -> context [N, T, C], pooled [N, P]: all zeros where nothing is
        said, as the pipeline makes it."""
        hidden, (hidden_2, pooled) = self.text_encoder(ids[0])[0], self.text_encoder_2(ids[1])
        said = said.to(pooled.dtype)
        return torch.cat([hidden, hidden_2], dim=-1) * said[:, None, None], pooled * said[:, None]

    def encode(self, captions, length=configs.POSITIONS):
        said = torch.tensor([float(bool(text)) for text in captions])
        return self.encode_ids(self.ids(captions, length), said)


def plain_time_ids(count, size=configs.SIZE, device=None):
    """Original size, crop and target size of whole pictures of the native size."""
    return torch.tensor([[size, size, 0, 0, size, size]], dtype=torch.float32, device=device).expand(count, -1)


def load_weights(module, tensors):
    """name -> numpy array, all of them."""
    module.load_state_dict({name: torch.from_numpy(np.array(array, np.float32)) for name, array in tensors.items()})


def open_vae(folder):
    """The exported autoencoder in float32: latents times SCALING_FACTOR have unit variance."""
    vae = AutoencoderKL(configs.VAE)
    load_weights(vae, safetensors_file.read(pathlib.Path(folder) / "vae/diffusion_pytorch_model.safetensors"))
    return vae.eval()


def open_base(folder):
    """The exported text encoders and UNet in float32."""
    folder = pathlib.Path(folder)
    merges = (folder / "tokenizer/merges.txt").read_text().splitlines()[1:]
    base = BaseModel(Tokenizer([tuple(line.split(" ")) for line in merges]))
    for part, name in (("text_encoder", "model"), ("text_encoder_2", "model"), ("unet", "diffusion_pytorch_model")):
        load_weights(getattr(base, part), safetensors_file.read(folder / part / f"{name}.safetensors"))
    return base.eval()


def save_json(path, values):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values, indent=1) + "\n")
