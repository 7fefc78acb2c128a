"""SDXL's two text encoders in plain torch: CLIPTextModel and CLIPTextModelWithProjection.

Parameters bear the names of transformers' state dict. Causal attention, pre-norm layers; the context is the
input of the last layer (the "penultimate" states, without the final norm), the pooled prompt is the projected,
normed state at the first end-of-text token.
"""
import torch
from torch import nn
from torch.nn import functional as F


class ClipAttention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            setattr(self, name, nn.Linear(width, width))

    def forward(self, x, mask):
        batch, tokens, width = x.shape
        split = lambda y: y.view(batch, tokens, self.heads, -1).transpose(1, 2)  # [N, heads, T, 64]
        query, key, value = split(self.q_proj(x)), split(self.k_proj(x)), split(self.v_proj(x))
        scores = query @ key.transpose(-1, -2) * (width // self.heads) ** -0.5 + mask
        mixed = scores.softmax(-1) @ value
        return self.out_proj(mixed.transpose(1, 2).reshape(batch, tokens, width))


class ClipMlp(nn.Module):
    def __init__(self, width, quick):
        super().__init__()
        self.quick = quick
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x):
        x = self.fc1(x)
        return self.fc2(x * torch.sigmoid(1.702 * x) if self.quick else F.gelu(x))


class ClipLayer(nn.Module):
    def __init__(self, width, heads, quick):
        super().__init__()
        self.self_attn = ClipAttention(width, heads)
        self.layer_norm1 = nn.LayerNorm(width)
        self.mlp = ClipMlp(width, quick)
        self.layer_norm2 = nn.LayerNorm(width)

    def forward(self, x, mask):
        x = x + self.self_attn(self.layer_norm1(x), mask)
        return x + self.mlp(self.layer_norm2(x))


class ClipEmbeddings(nn.Module):
    def __init__(self, vocabulary, width, positions):
        super().__init__()
        self.token_embedding = nn.Embedding(vocabulary, width)
        self.position_embedding = nn.Embedding(positions, width)
        nn.init.normal_(self.token_embedding.weight, std=0.2)
        nn.init.normal_(self.position_embedding.weight, std=0.1)


class ClipEncoder(nn.Module):
    def __init__(self, width, heads, layers, quick):
        super().__init__()
        self.layers = nn.ModuleList(ClipLayer(width, heads, quick) for _ in range(layers))


class ClipTransformer(nn.Module):
    def __init__(self, vocabulary, width, layers, positions, quick):
        super().__init__()
        self.embeddings = ClipEmbeddings(vocabulary, width, positions)
        self.encoder = ClipEncoder(width, width // 64, layers, quick)
        self.final_layer_norm = nn.LayerNorm(width)


class ClipTextModel(nn.Module):
    """`projection` 0 makes the first kind of encoder, whose pooled prompt SDXL does not use."""

    def __init__(self, vocabulary, width, layers, positions=77, projection=0, end_token=None):
        super().__init__()
        quick = projection == 0
        self.text_model = ClipTransformer(vocabulary, width, layers, positions, quick)
        self.end_token = vocabulary - 1 if end_token is None else end_token
        self.text_projection = nn.Linear(width, projection, bias=False) if projection else None

    def forward(self, ids):
        """[N, T] -> context [N, T, C], pooled [N, P] or None."""
        model = self.text_model
        tokens = ids.shape[1]
        x = model.embeddings.token_embedding(ids) + model.embeddings.position_embedding.weight[:tokens]
        mask = torch.full((tokens, tokens), float("-inf"), dtype=x.dtype, device=x.device).triu(1)
        layers = model.encoder.layers
        for layer in layers[:-1]:
            x = layer(x, mask)
        context = x
        if self.text_projection is None:
            return context, None
        last = model.final_layer_norm(layers[-1](x, mask))
        end = (ids == self.end_token).int().argmax(-1)
        return context, self.text_projection(last[torch.arange(len(ids), device=ids.device), end])
