"""SDXL's AutoencoderKL in plain torch, under diffusers' parameter names."""
import torch
from torch import nn
from torch.nn import functional as F

from norm import GroupNorm
from unet import ResnetBlock, Upsampler

EPS = 1e-6


class PaddedDownsampler(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x):
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class VaeAttention(nn.Module):
    def __init__(self, channels, groups):
        super().__init__()
        self.group_norm = GroupNorm(groups, channels, EPS)
        for name in ("to_q", "to_k", "to_v"):
            setattr(self, name, nn.Linear(channels, channels))
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, x):
        batch, channels, height, width = x.shape
        normed = self.group_norm(x).permute(0, 2, 3, 1).reshape(batch, height * width, channels)
        scores = self.to_q(normed) @ self.to_k(normed).transpose(-1, -2) * channels**-0.5
        out = self.to_out[0](scores.softmax(-1) @ self.to_v(normed))
        return x + out.view(batch, height, width, channels).permute(0, 3, 1, 2)


class VaeMidBlock(nn.Module):
    def __init__(self, channels, groups):
        super().__init__()
        self.resnets = nn.ModuleList(ResnetBlock(channels, channels, 0, groups, EPS) for _ in range(2))
        self.attentions = nn.ModuleList([VaeAttention(channels, groups)])

    def forward(self, x):
        return self.resnets[1](self.attentions[0](self.resnets[0](x)))


class VaeBlock(nn.Module):
    def __init__(self, inputs, outputs, layers, groups, down, resize):
        super().__init__()
        self.resnets = nn.ModuleList(ResnetBlock(inputs if i == 0 else outputs, outputs, 0, groups, EPS)
                                     for i in range(layers))
        if resize and down:
            self.downsamplers = nn.ModuleList([PaddedDownsampler(outputs)])
        if resize and not down:
            self.upsamplers = nn.ModuleList([Upsampler(outputs)])

    def forward(self, x):
        for resnet in self.resnets:
            x = resnet(x)
        for name in ("downsamplers", "upsamplers"):
            if hasattr(self, name):
                x = getattr(self, name)[0](x)
        return x


class VaeHalf(nn.Module):
    """The encoder (`down`) or the decoder."""

    def __init__(self, config, down):
        super().__init__()
        channels = config["channels"] if down else config["channels"][::-1]
        groups, layers = config["groups"], config["layers"] + (not down)
        self.conv_in = nn.Conv2d(3 if down else 4, channels[0], 3, padding=1)
        blocks, inputs = [], channels[0]
        for i, outputs in enumerate(channels):
            blocks.append(VaeBlock(inputs, outputs, layers, groups, down, i + 1 < len(channels)))
            inputs = outputs
        setattr(self, "down_blocks" if down else "up_blocks", nn.ModuleList(blocks))
        self.mid_block = VaeMidBlock(config["channels"][-1], groups)
        self.conv_norm_out = GroupNorm(groups, channels[-1], EPS)
        self.conv_out = nn.Conv2d(channels[-1], 8 if down else 3, 3, padding=1)

    def forward(self, x):
        x = self.conv_in(x)
        if hasattr(self, "down_blocks"):
            for block in self.down_blocks:
                x = block(x)
            x = self.mid_block(x)
        else:
            x = self.mid_block(x)
            for block in self.up_blocks:
                x = block(x)
        return self.conv_out(F.silu(self.conv_norm_out(x)))


class AutoencoderKL(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.encoder = VaeHalf(config, down=True)
        self.decoder = VaeHalf(config, down=False)
        self.quant_conv = nn.Conv2d(8, 8, 1)
        self.post_quant_conv = nn.Conv2d(4, 4, 1)
        with torch.no_grad():
            self.quant_conv.bias[4:] = -6.0  # little noise, so that there is something to decode

    def encode(self, picture):
        """[N, 3, H, W] in -1..1 -> mean and log variance [N, 4, H / 8, W / 8]."""
        mean, log_variance = self.quant_conv(self.encoder(picture)).chunk(2, dim=1)
        return mean, log_variance.clamp(-30.0, 20.0)

    def decode(self, latents):
        return self.decoder(self.post_quant_conv(latents))


# For each colour: it, its opposite (silu(x) - silu(-x) is x) and two constants, which keep a norm of these four
# from dividing the colour away.
PASSED = 12
CONSTANT = 2.0


def _pass_on(conv, window=(slice(1, 2), slice(1, 2))):
    """Makes the first channels of a convolution hand on what they are given (the mean over the window)."""
    weight = conv.weight
    if weight.shape[-1] == 1:
        window = (slice(0, 1), slice(0, 1))
    weight[:PASSED] = 0
    for i in range(PASSED):
        patch = weight[i, i][window]
        patch += 1.0 / patch.numel()
    conv.bias[:PASSED] = 0


def _take_in(conv):
    conv.weight[:PASSED] = 0
    for colour in range(3):
        conv.weight[4 * colour, colour, 1, 1] = 1.0
        conv.weight[4 * colour + 1, colour, 1, 1] = -1.0
        conv.bias[4 * colour:4 * colour + 4] = torch.tensor((0, 0, CONSTANT, -CONSTANT))


def _fit(features, targets):
    """Ridge regression: weights [targets, features] and bias for [N, F] -> [N, T]. Small weights, for bf16."""
    ones = torch.cat([features, torch.ones(len(features), 1)], dim=1).double()
    ridge = 1e-4 * len(ones) * torch.eye(ones.shape[1], dtype=torch.float64)
    solved = torch.linalg.solve(ones.T @ ones + ridge, ones.T @ targets.double()).float()
    return solved[:-1].T, solved[-1]


@torch.no_grad()
def start_from_colours(vae, pictures):
    """Initial weights with which the first three latents are the colours of each 8 x 8 cell, and decode to them.

    Training then has only the outlines left. Whether it needs this start is not known: it had learned no colours
    without, but with torch's own group norm, which is wrong here (norm.py) and the likelier cause.
    `pictures`: some of [N, 3, H, W] in -1..1 to fit the two last layers on.
    """
    box = (slice(0, 2), slice(0, 2))
    for half in (vae.encoder, vae.decoder):
        _take_in(half.conv_in)
        for name, module in half.named_modules():
            if isinstance(module, ResnetBlock):
                module.conv2.weight[:PASSED] = 0
                module.conv2.bias[:PASSED] = 0
                if hasattr(module, "conv_shortcut"):
                    _pass_on(module.conv_shortcut)
            elif isinstance(module, PaddedDownsampler):
                _pass_on(module.conv, box)
            elif isinstance(module, Upsampler):
                _pass_on(module.conv)
            elif isinstance(module, VaeAttention):
                module.to_out[0].weight[:PASSED] = 0
                module.to_out[0].bias[:PASSED] = 0
    kept = {}
    hooks = [half.conv_out.register_forward_pre_hook(lambda module, given: kept.__setitem__(module, given[0]))
             for half in (vae.encoder, vae.decoder)]
    vae.quant_conv.weight.zero_()
    for i in range(8):
        vae.quant_conv.weight[i, i] = 1.0 if i < 4 else 0.0
    vae.quant_conv.bias[:4] = 0
    vae.post_quant_conv.weight.zero_()
    for i in range(4):
        vae.post_quant_conv.weight[i, i] = 1.0
    vae.post_quant_conv.bias.zero_()
    rows = lambda x: x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])
    cells = F.avg_pool2d(pictures, 8)
    for half, given, target, count in ((vae.encoder, lambda: vae.encode(pictures), cells, 3),
                                       (vae.decoder, lambda: vae.decode(vae.encode(pictures)[0]), pictures, 3)):
        given()
        weight, bias = _fit(rows(kept[half.conv_out])[:, :PASSED], rows(target))
        half.conv_out.weight[:count] = 0
        half.conv_out.weight[:count, :PASSED, 1, 1] = weight
        half.conv_out.bias[:count] = bias
    for hook in hooks:
        hook.remove()
