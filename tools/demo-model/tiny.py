"""A decoder of TAESD's kind (AutoencoderTiny), under the names of diffusers: ReLU blocks, no norms, latents of unit
variance in, pictures in 0..1 inside."""
import torch
from torch import nn
from torch.nn import functional as F


class TinyBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        conv = lambda: nn.Conv2d(channels, channels, 3, padding=1)
        self.conv = nn.Sequential(conv(), nn.ReLU(), conv(), nn.ReLU(), conv())

    def forward(self, x):
        return F.relu(self.conv(x) + x)


class TinyDecoder(nn.Module):
    """Layers are numbered as in diffusers' DecoderTiny: a convolution, ReLU, then thrice (blocks, upsample,
    convolution without bias), a block and the last convolution."""

    def __init__(self, channels=24, blocks=(2, 1, 1)):
        super().__init__()
        layers = [nn.Conv2d(4, channels, 3, padding=1), nn.ReLU()]
        for count in blocks:
            layers += [TinyBlock(channels) for _ in range(count)]
            layers += [nn.Upsample(scale_factor=2), nn.Conv2d(channels, channels, 3, padding=1, bias=False)]
        layers += [TinyBlock(channels), nn.Conv2d(channels, 3, 3, padding=1)]
        self.decoder = nn.Module()
        self.decoder.layers = nn.Sequential(*layers)

    def decode(self, latents):
        """[N, 4, h, w] of unit variance -> [N, 3, 8 h, 8 w] in -1..1."""
        return self.decoder.layers(torch.tanh(latents / 3) * 3) * 2 - 1
