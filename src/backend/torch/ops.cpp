#include "backend/torch/ops.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/addcmul.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/baddbmm.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/sum.h>
#include <torch/version.h>
#if TORCH_VERSION_MAJOR >= 2
#include <ATen/ops/scaled_dot_product_attention.h>
#endif

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

namespace sdxl::torch {
namespace {

// [N, L, C] -> [N, heads, L, C / heads]
at::Tensor by_head(const at::Tensor& x, int heads) {
    return x.unflatten(2, {heads, x.size(2) / heads}).transpose(1, 2);
}

// [N, heads, L, C / heads] -> [N, L, C]
at::Tensor beside(const at::Tensor& x) {
    return x.transpose(1, 2).flatten(2);
}

#if TORCH_VERSION_MAJOR >= 2
// Whether scaled_dot_product_attention has a kernel there that keeps no scores.
bool has_fused_attention(const at::Device& device) {
    return device.is_cuda() || (device.is_cpu() && TORCH_VERSION_MINOR >= 1);
}
#endif

// Adds -infinity where query first + i must not see key j.
void hide_later_keys(at::Tensor& scores, std::int64_t first) {
    const at::Tensor later =
        at::ones({scores.size(1), scores.size(2)}, scores.options().dtype(at::kBool)).triu(first + 1);
    scores.masked_fill_(later, -std::numeric_limits<float>::infinity());
}

// Scores in float32: bfloat16 would round large ones by more than they are apart. Vaswani et al. 2017, eq. 1.
at::Tensor sliced_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, bool causal,
                            std::uint64_t score_bytes) {
    const std::int64_t queries = q.size(2), keys = k.size(2), size = q.size(3);
    const double scale = 1.0 / std::sqrt(static_cast<double>(size));
    const at::Tensor rows_q = (q.to(at::kFloat) * scale).reshape({-1, queries, size});
    const at::Tensor rows_k = k.to(at::kFloat).reshape({-1, keys, size}).transpose(1, 2);
    const at::Tensor rows_v = v.reshape({-1, keys, size});
    at::Tensor result = at::empty(rows_q.sizes(), v.options());  // [N * heads, Lq, size]
    const std::int64_t all = result.size(0);
    // Scores and the weights that softmax makes of them.
    const std::uint64_t row_bytes = 2 * sizeof(float) * static_cast<std::uint64_t>(keys);
    const auto rows = static_cast<std::int64_t>(
        std::clamp<std::uint64_t>(score_bytes / row_bytes, 1, static_cast<std::uint64_t>(all * queries)));
    const std::int64_t heads_each = std::max<std::int64_t>(1, rows / queries);
    const std::int64_t rows_each = std::min(rows, queries);
    for (std::int64_t head = 0; head < all; head += heads_each) {
        const std::int64_t heads = std::min(heads_each, all - head);
        for (std::int64_t row = 0; row < queries; row += rows_each) {
            const std::int64_t count = std::min(rows_each, queries - row);
            at::Tensor scores = at::bmm(rows_q.narrow(0, head, heads).narrow(1, row, count),
                                        rows_k.narrow(0, head, heads));  // [heads, count, keys]
            if (causal) hide_later_keys(scores, row);
            const at::Tensor weights = at::softmax(scores, -1).to(v.scalar_type());
            result.narrow(0, head, heads)
                .narrow(1, row, count)
                .copy_(at::bmm(weights, rows_v.narrow(0, head, heads)));
        }
    }
    return result.view(q.sizes());
}

// [N, ..., C] -> [N, L, C]
at::Tensor as_rows(const at::Tensor& x) {
    return x.view({x.size(0), -1, x.size(-1)});
}

// [N, groups] -> [N, 1, C]
at::Tensor over_channels(const at::Tensor& x, std::int64_t channels) {
    return x.unsqueeze(2).expand({-1, -1, channels / x.size(1)}).reshape({x.size(0), 1, channels});
}

// The means of each group of rows float32 [N, L, C], [N, groups]: down the columns first, which is many times
// as fast as libtorch's reduction over both axes.
at::Tensor group_means(const at::Tensor& rows, int groups) {
    return rows.mean(1).view({rows.size(0), groups, -1}).mean(2);
}

// Rows without their groups' means, and the moments. In two passes: the variance does not drown in the mean.
struct Centred {
    at::Tensor rows;  // float32 [N, L, C]
    Moments moments;
};
Centred centre(const at::Tensor& rows, int groups) {
    const at::Tensor mean = group_means(rows, groups);
    const at::Tensor centred = rows - over_channels(mean, rows.size(2));
    return {centred, {mean, group_means(centred.square(), groups)}};
}

// centred float32 [N, L, C], variance [N, groups]
at::Tensor scaled(const at::Tensor& centred, const at::Tensor& gamma, const at::Tensor& beta,
                  const at::Tensor& variance, float eps, bool silu) {
    const at::Tensor scale = over_channels(at::rsqrt(variance + eps), centred.size(2)) * gamma;  // [N, 1, C]
    at::Tensor result = at::addcmul(beta, centred, scale);
    return silu ? at::silu_(result) : result;
}

// The same for 16-bit types, where passes over memory are what it takes: the moments of each channel in
// float32 as it is read, without a copy of x, and one pass that scales. Where a mean drowns a variance in
// that, it has drowned in the type of x before.
at::Tensor narrow_group_norm(const at::Tensor& x, const at::Tensor& gamma, const at::Tensor& beta, int groups,
                             float eps, const at::Tensor& shift) {
    const at::Tensor rows = as_rows(x);
    const auto length = static_cast<double>(rows.size(1));
    const auto grouped = [&](const at::Tensor& channels) { return channels.view({x.size(0), groups, -1}); };
    at::Tensor mean = at::sum(rows, 1, false, at::kFloat) / length;  // [N, C]
    const at::Tensor squares =
        at::linalg_vector_norm(rows, 2, at::IntArrayRef{1}, false, at::kFloat).square() / length;
    const at::Tensor variance = (squares - mean.square()).clamp_min(0);  // [N, C]
    if (shift.defined()) mean = mean + shift;
    const at::Tensor middle = grouped(mean).mean(2, true);  // [N, groups, 1]
    const at::Tensor spread = (grouped(variance) + (grouped(mean) - middle).square()).mean(2, true);
    const at::Tensor scale =
        gamma.view({1, groups, -1}) * at::rsqrt(spread + eps);                // [N, groups, C / groups]
    at::Tensor offset = (middle * scale).neg().view({x.size(0), -1}) + beta;  // [N, C]
    const at::Tensor factor = scale.view({x.size(0), -1});
    if (shift.defined()) offset = at::addcmul(offset, shift, factor);
    // Only CUDA's kernel takes several types and computes in the widest.
    if (!x.is_cuda())
        return at::addcmul(offset.unsqueeze(1), rows.to(at::kFloat), factor.unsqueeze(1)).to(x.scalar_type());
    at::Tensor result = at::empty_like(rows);
    return at::addcmul_out(result, offset.unsqueeze(1), rows, factor.unsqueeze(1));
}

// Cosine and sine of each frequency 0 or -1 down and across, [K, height * width]: what x has of them is its
// product with each. On CUDA nothing of it comes from the host, where the step may be recorded.
at::Tensor low_waves(std::int64_t height, std::int64_t width, const at::Device& device) {
    constexpr double kTurn = 2 * std::numbers::pi;
    const auto options =
        at::TensorOptions(device.is_cuda() ? device : at::Device(at::kCPU)).dtype(at::kFloat);
    const auto turns = [&](int frequency, std::int64_t size) {
        return at::arange(size, options) * (static_cast<double>(frequency) / static_cast<double>(size));
    };
    std::vector<at::Tensor> waves;
    for (int down = height > 1 ? -1 : 0; down <= 0; ++down)
        for (int across = width > 1 ? -1 : 0; across <= 0; ++across)
            for (const double phase : {0.0, 0.25}) {
                const at::Tensor angles =
                    turns(down, height).unsqueeze(1) + turns(across, width).unsqueeze(0) - phase;
                waves.push_back(at::cos(angles * kTurn).flatten());
            }
    return at::stack(waves).to(device);
}

}  // namespace

at::Tensor activate(const at::Tensor& x, Activation activation) {
    switch (activation) {
        case Activation::kNone:
            return x;
        case Activation::kSilu:
            return at::silu(x);
        case Activation::kGelu:
            return at::gelu(x);
        case Activation::kQuickGelu: {
            const at::Tensor wide = x.to(at::kFloat);
            return (wide * at::sigmoid(wide * 1.702)).to(x.scalar_type());
        }
        case Activation::kRelu:
            return at::relu(x);
    }
    return x;
}

at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, int heads, bool causal,
                     std::uint64_t score_bytes) {
    const at::Tensor by_q = by_head(q, heads), by_k = by_head(k, heads), by_v = by_head(v, heads);
#if TORCH_VERSION_MAJOR >= 2
    if (has_fused_attention(q.device()))
        return beside(at::scaled_dot_product_attention(by_q, by_k, by_v, {}, 0.0, causal));
#endif
    return beside(sliced_attention(by_q, by_k, by_v, causal, score_bytes));
}

Moments group_moments(const at::Tensor& x, int groups) {
    return centre(as_rows(x).to(at::kFloat), groups).moments;
}

at::Tensor group_norm_by(const at::Tensor& x, const at::Tensor& gamma, const at::Tensor& beta,
                         const Moments& moments, float eps, bool silu) {
    const at::Tensor centred = as_rows(x).to(at::kFloat) - over_channels(moments.mean, x.size(-1));
    return scaled(centred, gamma, beta, moments.variance, eps, silu).to(x.scalar_type()).view(x.sizes());
}

at::Tensor group_norm(const at::Tensor& x, const at::Tensor& gamma, const at::Tensor& beta, int groups,
                      float eps, bool silu, const at::Tensor& shift) {
    if (x.scalar_type() != at::kFloat) {
        at::Tensor narrow = narrow_group_norm(x, gamma, beta, groups, eps, shift);
        return (silu ? at::silu_(narrow) : narrow).view(x.sizes());
    }
    at::Tensor rows = as_rows(x);
    if (shift.defined()) rows = rows + shift.unsqueeze(1);
    const Centred centred = centre(rows, groups);
    return scaled(centred.rows, gamma, beta, centred.moments.variance, eps, silu).view(x.sizes());
}

at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& gamma, const at::Tensor& beta, float eps) {
    // libtorch's kernels sum in float32 whatever x is.
    return at::layer_norm(x, x.size(-1), gamma.to(x.scalar_type()), beta.to(x.scalar_type()), eps);
}

at::Tensor scale_low_frequencies(const at::Tensor& x, float factor) {
    const std::int64_t pixels = x.size(1) * x.size(2);
    const at::Tensor waves = low_waves(x.size(1), x.size(2), x.device());  // [K, pixels]
    const at::Tensor rows = as_rows(x).to(at::kFloat);
    const at::Tensor shares = at::matmul(waves, rows);  // [N, K, C]
    const double change = (static_cast<double>(factor) - 1) / static_cast<double>(pixels);
    return (rows + at::matmul(waves.t(), shares) * change).to(x.scalar_type()).view(x.sizes());
}

}  // namespace sdxl::torch
