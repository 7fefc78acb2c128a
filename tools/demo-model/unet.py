"""SDXL's UNet2DConditionModel and ControlNetModel in plain torch, under diffusers' parameter names."""
import math

import torch
from torch import nn
from torch.nn import functional as F

from norm import GroupNorm

HEAD = 64  # channels of an attention head, in every SDXL model


def sinusoid(values, channels):
    """[N] -> [N, channels], cosine first (flip_sin_to_cos, freq_shift 0)."""
    half = channels // 2
    rates = torch.exp(-math.log(10000.0) * torch.arange(half, dtype=torch.float32, device=values.device) / half)
    angles = values.float()[:, None] * rates[None]
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class Embedding(nn.Module):
    def __init__(self, inputs, width):
        super().__init__()
        self.linear_1 = nn.Linear(inputs, width)
        self.linear_2 = nn.Linear(width, width)

    def forward(self, x):
        return self.linear_2(F.silu(self.linear_1(x)))


class ResnetBlock(nn.Module):
    def __init__(self, inputs, outputs, time, groups, eps=1e-5):
        super().__init__()
        self.norm1 = GroupNorm(groups, inputs, eps)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        if time:
            self.time_emb_proj = nn.Linear(time, outputs)
        self.norm2 = GroupNorm(groups, outputs, eps)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        nn.init.normal_(self.conv2.weight, std=1e-3)
        if inputs != outputs:
            self.conv_shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x, time=None):
        hidden = self.conv1(F.silu(self.norm1(x)))
        if time is not None:
            hidden = hidden + self.time_emb_proj(F.silu(time))[:, :, None, None]
        hidden = self.conv2(F.silu(self.norm2(hidden)))
        return (self.conv_shortcut(x) if hasattr(self, "conv_shortcut") else x) + hidden


class Attention(nn.Module):
    def __init__(self, channels, context):
        super().__init__()
        self.heads = channels // HEAD
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_k = nn.Linear(context, channels, bias=False)
        self.to_v = nn.Linear(context, channels, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, x, context):
        split = lambda y: y.view(y.shape[0], y.shape[1], self.heads, HEAD).transpose(1, 2)
        query, key, value = split(self.to_q(x)), split(self.to_k(context)), split(self.to_v(context))
        mixed = (query @ key.transpose(-1, -2) * HEAD**-0.5).softmax(-1) @ value  # [N, heads, T, 64]
        return self.to_out[0](mixed.transpose(1, 2).reshape(x.shape))


class Geglu(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.proj = nn.Linear(channels, 8 * channels)

    def forward(self, x):
        value, gate = self.proj(x).chunk(2, dim=-1)
        return value * F.gelu(gate)


class FeedForward(nn.Module):
    def __init__(self, channels):
        super().__init__()
        # diffusers counts a dropout as net.1
        self.net = nn.ModuleList([Geglu(channels), nn.Identity(), nn.Linear(4 * channels, channels)])

    def forward(self, x):
        return self.net[2](self.net[0](x))


class TransformerBlock(nn.Module):
    def __init__(self, channels, context):
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attn1 = Attention(channels, channels)
        self.norm2 = nn.LayerNorm(channels)
        self.attn2 = Attention(channels, context)
        self.norm3 = nn.LayerNorm(channels)
        self.ff = FeedForward(channels)

    def forward(self, x, context):
        normed = self.norm1(x)
        x = x + self.attn1(normed, normed)
        x = x + self.attn2(self.norm2(x), context)
        return x + self.ff(self.norm3(x))


class Transformer2D(nn.Module):
    def __init__(self, channels, depth, context, groups):
        super().__init__()
        self.norm = GroupNorm(groups, channels, 1e-6)
        self.proj_in = nn.Linear(channels, channels)
        self.transformer_blocks = nn.ModuleList(TransformerBlock(channels, context) for _ in range(depth))
        self.proj_out = nn.Linear(channels, channels)
        nn.init.normal_(self.proj_out.weight, std=1e-3)

    def forward(self, x, context):
        batch, channels, height, width = x.shape
        tokens = self.proj_in(self.norm(x).permute(0, 2, 3, 1).reshape(batch, height * width, channels))
        for block in self.transformer_blocks:
            tokens = block(tokens, context)
        out = self.proj_out(tokens).view(batch, height, width, channels).permute(0, 3, 1, 2)
        return out + x


class Downsampler(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x):
        return self.conv(x)


class Upsampler(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Block(nn.Module):
    """A down block (`skips` empty) or an up block (`skips`: channels that each resnet takes in beside its own)."""

    def __init__(self, inputs, outputs, config, depth, skips, resize):
        super().__init__()
        groups, time, context = config["groups"], config["time"], config["context"]
        taken = skips or [0] * config["layers"]
        resnets = []
        for i, skip in enumerate(taken):
            resnets.append(ResnetBlock((inputs if i == 0 else outputs) + skip, outputs, time, groups))
        self.resnets = nn.ModuleList(resnets)
        if depth:
            self.attentions = nn.ModuleList(Transformer2D(outputs, depth, context, groups) for _ in taken)
        if resize and skips:
            self.upsamplers = nn.ModuleList([Upsampler(outputs)])
        if resize and not skips:
            self.downsamplers = nn.ModuleList([Downsampler(outputs)])

    def layer(self, i, x, time, context):
        x = self.resnets[i](x, time)
        return self.attentions[i](x, context) if hasattr(self, "attentions") else x


class MidBlock(nn.Module):
    """Without attention it is a lone resnet, as in diffusers' small ControlNets."""

    def __init__(self, channels, config, depth):
        super().__init__()
        self.resnets = nn.ModuleList(ResnetBlock(channels, channels, config["time"], config["groups"])
                                     for _ in range(2 if depth else 1))
        if depth:
            self.attentions = nn.ModuleList([Transformer2D(channels, depth, config["context"],
                                                           config["groups"])])

    def forward(self, x, time, context):
        x = self.resnets[0](x, time)
        if hasattr(self, "attentions"):
            x = self.resnets[1](self.attentions[0](x, context), time)
        return x


class UNetEncoder(nn.Module):
    """What a UNet and a ControlNet share: the embeddings, the way down, the middle."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        channels, depths = config["channels"], config["depths"]
        self.conv_in = nn.Conv2d(4, channels[0], 3, padding=1)
        self.time_embedding = Embedding(channels[0], config["time"])
        self.add_embedding = Embedding(config["pooled"] + 256 * config["time_ids"], config["time"])
        blocks, inputs = [], channels[0]
        self.skip_channels = [channels[0]]
        for i, outputs in enumerate(channels):
            last = i + 1 == len(channels)
            blocks.append(Block(inputs, outputs, config, depths[i], [], not last))
            self.skip_channels += [outputs] * (config["layers"] + (not last))
            inputs = outputs
        self.down_blocks = nn.ModuleList(blocks)
        self.mid_block = MidBlock(channels[-1], config, config["mid_depth"])

    def embed(self, timesteps, pooled, time_ids):
        dtype = self.conv_in.weight.dtype
        ids = sinusoid(time_ids.flatten(), 256).view(len(time_ids), -1)
        return (self.time_embedding(sinusoid(timesteps, self.config["channels"][0]).to(dtype))
                + self.add_embedding(torch.cat([pooled, ids.to(pooled.dtype)], dim=-1)))

    def down(self, x, time, context):
        skips = [x]
        for block in self.down_blocks:
            for i in range(len(block.resnets)):
                x = block.layer(i, x, time, context)
                skips.append(x)
            if hasattr(block, "downsamplers"):
                x = block.downsamplers[0](x)
                skips.append(x)
        return skips


class UNet(UNetEncoder):
    def __init__(self, config):
        super().__init__(config)
        channels = config["channels"]
        blocks, skips, inputs = [], list(self.skip_channels), channels[-1]
        for i, outputs in enumerate(reversed(channels)):
            taken = [skips.pop() for _ in range(config["layers"] + 1)]
            depth = config["depths"][len(channels) - 1 - i]
            blocks.append(Block(inputs, outputs, config, depth, taken, i + 1 < len(channels)))
            inputs = outputs
        self.up_blocks = nn.ModuleList(blocks)
        self.conv_norm_out = GroupNorm(config["groups"], channels[0], 1e-5)
        self.conv_out = nn.Conv2d(channels[0], 4, 3, padding=1)
        nn.init.zeros_(self.conv_out.weight)
        nn.init.zeros_(self.conv_out.bias)

    def forward(self, x, timesteps, context, pooled, time_ids, control=None):
        """Latents [N, 4, h, w] -> the noise in them. `control`: residuals of a ControlNet, the middle's last."""
        time = self.embed(timesteps, pooled, time_ids)
        skips = self.down(self.conv_in(x), time, context)
        x = self.mid_block(skips[-1], time, context)
        if control is not None:
            skips = [skip + residual for skip, residual in zip(skips, control[:-1])]
            x = x + control[-1]
        for block in self.up_blocks:
            for i in range(len(block.resnets)):
                x = block.layer(i, torch.cat([x, skips.pop()], dim=1), time, context)
            if hasattr(block, "upsamplers"):
                x = block.upsamplers[0](x)
        return self.conv_out(F.silu(self.conv_norm_out(x)))


class ControlEmbedding(nn.Module):
    """A control picture [N, 3, H, W] in 0..1 -> [N, C, H / 8, W / 8]."""

    def __init__(self, channels, levels):
        super().__init__()
        self.conv_in = nn.Conv2d(3, levels[0], 3, padding=1)
        blocks = []
        for here, there in zip(levels, levels[1:]):
            blocks += [nn.Conv2d(here, here, 3, padding=1), nn.Conv2d(here, there, 3, padding=1, stride=2)]
        self.blocks = nn.ModuleList(blocks)
        self.conv_out = nn.Conv2d(levels[-1], channels, 3, padding=1)
        nn.init.zeros_(self.conv_out.weight)
        nn.init.zeros_(self.conv_out.bias)

    def forward(self, x):
        x = F.silu(self.conv_in(x))
        for block in self.blocks:
            x = F.silu(block(x))
        return self.conv_out(x)


class ControlNet(UNetEncoder):
    def __init__(self, config):
        super().__init__(config)
        zero = lambda channels: nn.Conv2d(channels, channels, 1)
        self.controlnet_cond_embedding = ControlEmbedding(config["channels"][0], config["hint"])
        self.controlnet_down_blocks = nn.ModuleList(zero(channels) for channels in self.skip_channels)
        self.controlnet_mid_block = zero(config["channels"][-1])
        for conv in [*self.controlnet_down_blocks, self.controlnet_mid_block]:
            nn.init.zeros_(conv.weight)
            nn.init.zeros_(conv.bias)

    def forward(self, x, timesteps, context, pooled, time_ids, picture):
        time = self.embed(timesteps, pooled, time_ids)
        skips = self.down(self.conv_in(x) + self.controlnet_cond_embedding(picture), time, context)
        middle = self.mid_block(skips[-1], time, context)
        return ([conv(skip) for conv, skip in zip(self.controlnet_down_blocks, skips)]
                + [self.controlnet_mid_block(middle)])
