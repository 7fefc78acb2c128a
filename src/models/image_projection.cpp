#include "models/image_projection.h"

#include <cstddef>
#include <string>

#include "core/error.h"
#include "models/weight_shapes.h"

namespace sdxl {
namespace {

constexpr const char* kKind = "an IP-Adapter";
constexpr std::int64_t kHeadSize = 64;
constexpr nn::LinearOptions kNoBias{.bias = false, .pointwise_conv = false};

WeightScope projection_scope(const WeightMap& weights) {
    return WeightScope(weights).sub("image_proj");
}

std::int64_t extent(const WeightMap& weights, const std::string& name, std::size_t rank, int axis) {
    return shape_at(weights, "image_proj." + name, rank, kKind)[axis];
}

// Two batches of tokens behind each other in every entry, [N, A, C] and [N, B, C] -> [N, A + B, C]: entries
// are rows whose channels are all of their tokens'.
Tensor concat_tokens(const Context& ctx, const Tensor& a, const Tensor& b) {
    const std::int64_t batch = a.dim(0), channels = a.dim(2);
    const Tensor rows = ops::concat_channels(ctx, a.reshape({batch, 1, 1, a.dim(1) * channels}),
                                             b.reshape({batch, 1, 1, b.dim(1) * channels}));
    return rows.reshape({batch, a.dim(1) + b.dim(1), channels});
}

}  // namespace

ImageProjModel::ImageProjModel(const LoadContext& load, const WeightMap& weights, std::int64_t out)
    : in_(extent(weights, "proj.weight", 2, 1)),
      out_(out),
      tokens_(extent(weights, "proj.weight", 2, 0) / out),
      proj_(load, projection_scope(weights).sub("proj"), in_, tokens_ * out_),
      norm_(load, projection_scope(weights).sub("norm"), out_) {}

Tensor ImageProjModel::forward(const Context& ctx, const Tensor& x) const {
    const Tensor tokens = proj_.forward(ctx, x).reshape({x.dim(0), tokens_, out_});  // [N, tokens, out]
    return norm_.forward(ctx, tokens);
}

Resampler::Layer::Layer(const LoadContext& load, const WeightScope& scope, const WeightMap& weights,
                        std::int64_t width)
    : inner(shape_at(weights, scope.path("0.to_q.weight"), 2, kKind)[0]),
      norm1(load, scope.sub("0.norm1"), width),
      norm2(load, scope.sub("0.norm2"), width),
      to_q(load, scope.sub("0.to_q"), width, inner, kNoBias),
      to_kv(load, scope.sub("0.to_kv"), width, 2 * inner, kNoBias),
      to_out(load, scope.sub("0.to_out"), inner, width, kNoBias),
      ff_norm(load, scope.sub("1.0"), width),
      ff_in(load, scope.sub("1.1"), width, shape_at(weights, scope.path("1.1.weight"), 2, kKind)[0], kNoBias),
      ff_out(load, scope.sub("1.3"), shape_at(weights, scope.path("1.1.weight"), 2, kKind)[0], width,
             kNoBias) {
    if (inner % kHeadSize != 0)
        fail(ErrorCode::kInvalidModel, "'" + weights.source() + "': '" + scope.path("0.to_q.weight") +
                                           "' has " + std::to_string(inner) +
                                           " rows, expected a multiple of " + std::to_string(kHeadSize));
}

Tensor Resampler::Layer::forward(const Context& ctx, const Tensor& x, const Tensor& latents) const {
    const Tensor queries = norm2.forward(ctx, latents);  // [N, tokens, C]
    const Tensor q = to_q.forward(ctx, queries);         // [N, tokens, inner]
    const Tensor kv =
        to_kv.forward(ctx, concat_tokens(ctx, norm1.forward(ctx, x), queries));  // [N, L + tokens, 2 * inner]
    const Tensor attended =
        ops::attention(ctx, q, kv.columns(0, inner), kv.columns(inner, inner),
                       static_cast<int>(inner / kHeadSize), /*causal=*/false);  // [N, tokens, inner]
    const Tensor seen = to_out.forward(ctx, attended, latents);                 // [N, tokens, C]
    const Tensor hidden = ff_in.forward(ctx, ff_norm.forward(ctx, seen), {}, Activation::kGelu);
    return ff_out.forward(ctx, hidden, seen);  // [N, tokens, C]
}

Resampler::Resampler(const LoadContext& load, const WeightMap& weights, std::int64_t out)
    : in_(extent(weights, "proj_in.weight", 2, 1)),
      width_(extent(weights, "latents", 3, 2)),
      tokens_(extent(weights, "latents", 3, 1)),
      latents_(to_f32(projection_scope(weights).get("latents", {1, tokens_, width_}))),
      proj_in_(load, projection_scope(weights).sub("proj_in"), in_, width_),
      proj_out_(load, projection_scope(weights).sub("proj_out"), width_, out),
      norm_out_(load, projection_scope(weights).sub("norm_out"), out) {
    const int layers = count_of(weights, "image_proj.layers.", ".0.to_q.weight");
    for (int i = 0; i < layers; ++i)
        layers_.emplace_back(load, projection_scope(weights).sub("layers", i), weights, width_);
}

Tensor Resampler::forward(const Context& ctx, const Tensor& x) const {
    std::vector<float> repeated;
    for (std::int64_t n = 0; n < x.dim(0); ++n)
        repeated.insert(repeated.end(), latents_.begin(), latents_.end());
    Tensor latents = ops::upload(ctx, repeated, {x.dim(0), tokens_, width_});           // [N, tokens, C]
    const Tensor patches = proj_in_.forward(ctx, x);                                    // [N, L, C]
    for (const Layer& layer : layers_) latents = layer.forward(ctx, patches, latents);  // [N, tokens, C]
    return norm_out_.forward(ctx, proj_out_.forward(ctx, latents));                     // [N, tokens, out]
}

ImageProjectionInput image_projection_input(const WeightMap& weights) {
    const bool resampler = weights.find("image_proj.latents") != nullptr;
    return {resampler, extent(weights, resampler ? "proj_in.weight" : "proj.weight", 2, 1)};
}

ImageProjection make_image_projection(const LoadContext& load, const WeightMap& weights, std::int64_t out) {
    if (image_projection_input(weights).hidden_states) return Resampler(load, weights, out);
    const std::int64_t rows = extent(weights, "proj.weight", 2, 0);
    if (rows == 0 || rows % out != 0)
        fail(ErrorCode::kInvalidModel, "'" + weights.source() + "': 'image_proj.proj.weight' has " +
                                           std::to_string(rows) + " rows, expected a multiple of " +
                                           std::to_string(out) + ", the width of SDXL's cross-attention");
    return ImageProjModel(load, weights, out);
}

}  // namespace sdxl
