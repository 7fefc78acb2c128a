"""Group norm with float32 statistics, for bf16 channels-last training on a CPU (torch 1.13 sums these in bf16)."""
import torch
from torch import nn


def _tokens(x):
    """[N, C, H, W] -> [N, H * W, C] in float32."""
    return x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, x.shape[1]).float()


def _picture(tokens, like):
    batch, channels, height, width = like.shape
    return tokens.to(like.dtype).view(batch, height, width, channels).permute(0, 3, 1, 2)


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias, groups, eps):
        tokens = _tokens(x)
        batch, channels = x.shape[:2]
        of_groups = lambda values: values.view(batch, groups, -1).mean(-1, keepdim=True)  # [N, G, 1]
        mean = of_groups(tokens.mean(1))
        variance = of_groups((tokens * tokens).mean(1)) - mean**2
        inverse = (variance.clamp(min=0) + eps).rsqrt()
        gain = weight.float().view(1, groups, -1)
        scale = (inverse * gain).view(batch, 1, channels)
        shift = bias.float() - (mean * inverse * gain).view(batch, 1, channels)
        ctx.save_for_backward(x, weight, mean, inverse)
        ctx.groups = groups
        return _picture(torch.addcmul(shift, tokens, scale), x)

    @staticmethod
    def backward(ctx, gradient):
        x, weight, mean, inverse = ctx.saved_tensors
        batch, channels = x.shape[:2]
        grouped = (batch, ctx.groups, -1)
        tokens, upper = _tokens(x), _tokens(gradient)
        gain = weight.float().view(1, ctx.groups, -1)
        plain = upper.sum(1).view(grouped)  # [N, G, C / G]
        moment = (upper * tokens).sum(1).view(grouped)
        count = tokens.shape[1] * channels // ctx.groups
        plain_sum = (plain * gain).sum(-1, keepdim=True)
        moment_sum = (moment * gain).sum(-1, keepdim=True)
        slope = (plain_sum * mean - moment_sum) * inverse**3 / count
        offset = -slope * mean - plain_sum * inverse / count
        spread = lambda values: (values.expand(-1, -1, channels // ctx.groups)).reshape(batch, 1, channels)
        lower = torch.addcmul(torch.addcmul(spread(offset), tokens, spread(slope)), upper, spread(inverse * gain))
        by_weight = ((moment - mean * plain) * inverse).sum(0).flatten().to(weight.dtype)
        return _picture(lower, x), by_weight, plain.sum(0).flatten().to(weight.dtype), None, None


class GroupNorm(nn.GroupNorm):
    def forward(self, x):
        if x.dtype != torch.bfloat16 or x.is_cuda:
            return super().forward(x)
        return _Norm.apply(x, self.weight, self.bias, self.num_groups, self.eps)
