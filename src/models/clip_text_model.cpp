#include "models/clip_text_model.h"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <string>

#include "core/error.h"

namespace sdxl {
namespace {

std::shared_ptr<const WeightBytes> bytes_of(const WeightMap& weights, const char* name) {
    const auto* entry = weights.find(name);
    return entry != nullptr ? entry->bytes : nullptr;
}

constexpr const char* kTokens = "text_model.embeddings.token_embedding.weight";
constexpr const char* kPositions = "text_model.embeddings.position_embedding.weight";

}  // namespace

ClipTextModel::ClipTextModel(const LoadContext& load, const WeightMap& weights, const ClipTextConfig& config)
    : config_(config),
      table_bytes_(bytes_of(weights, kTokens)),
      position_bytes_(bytes_of(weights, kPositions)),
      final_norm_(load, WeightScope(weights).sub("text_model.final_layer_norm"), config.hidden_size,
                  config.norm_eps) {
    const WeightScope root(weights);
    const WeightScope text = root.sub("text_model");
    tokens_ = root.get(kTokens, {config.vocab_size, config.hidden_size});
    positions_ = root.get(kPositions, {config.max_positions, config.hidden_size});
    const ClipLayerConfig layer{config.hidden_size, config.intermediate_size, config.heads,
                                config.norm_eps,    config.activation,        true};
    for (int i = 0; i < config.layers; ++i) layers_.emplace_back(load, text.sub("encoder.layers", i), layer);
    if (config.projection_dim > 0) {
        projection_.emplace(load, root.sub("text_projection"), config.hidden_size, config.projection_dim,
                            nn::LinearOptions{.bias = false, .pointwise_conv = false});
    }
}

ClipTextModel::Output ClipTextModel::forward(const Context& ctx, std::span<const std::int32_t> ids, int skip,
                                             std::span<const float> more_rows) const {
    if (skip < 0 || skip >= config_.layers) {
        fail(ErrorCode::kInvalidRequest,
             "clip skip " + std::to_string(skip) + " is outside 0 to " + std::to_string(config_.layers - 1));
    }
    const int hidden_layers = config_.layers - 1 - skip;
    const int run_layers = projection_ ? config_.layers : hidden_layers;
    const auto batch = static_cast<std::int64_t>(ids.size()) / config_.max_positions;
    Tensor x = embed(ctx, ids, batch, more_rows);  // [N, L, C]
    Output output;
    output.hidden = x;
    for (int i = 0; i < run_layers; ++i) {
        x = layers_[static_cast<std::size_t>(i)].forward(ctx, x);
        if (i + 1 == hidden_layers) output.hidden = x;
    }
    if (projection_) output.pooled = pool(ctx, x, ids);
    return output;
}

Tensor ClipTextModel::embed(const Context& ctx, std::span<const std::int32_t> ids, std::int64_t batch,
                            std::span<const float> more_rows) const {
    if (more_rows.empty()) return ops::embed(ctx, tokens_, ids, batch, positions_);
    // A table of just the rows that are named, one behind the other: converting to float32 is exact.
    const auto width = static_cast<std::size_t>(config_.hidden_size);
    const auto vocabulary = static_cast<std::int32_t>(config_.vocab_size);
    const auto end = vocabulary + static_cast<std::int32_t>(more_rows.size() / width);
    std::vector<float> rows;  // [N L, C]
    rows.reserve(ids.size() * width);
    for (const std::int32_t id : ids) {
        if (id < 0 || id >= end)
            fail(ErrorCode::kInternal,
                 "token id " + std::to_string(id) + " is outside 0 to " + std::to_string(end - 1));
        if (id >= vocabulary) {
            const auto row = more_rows.subspan(static_cast<std::size_t>(id - vocabulary) * width, width);
            rows.insert(rows.end(), row.begin(), row.end());
            continue;
        }
        const std::size_t offset = static_cast<std::size_t>(id) * width * dtype_size(tokens_.dtype);
        const auto row = to_f32({tokens_.data + offset, tokens_.dtype, {config_.hidden_size}, tokens_.name});
        rows.insert(rows.end(), row.begin(), row.end());
    }
    std::vector<std::int32_t> places(ids.size());
    std::iota(places.begin(), places.end(), 0);
    const HostView table{reinterpret_cast<const std::byte*>(rows.data()),
                         DType::kF32,
                         {static_cast<std::int64_t>(ids.size()), config_.hidden_size},
                         tokens_.name};
    return ops::embed(ctx, table, places, batch, positions_);
}

Tensor ClipTextModel::pool(const Context& ctx, const Tensor& last, std::span<const std::int32_t> ids) const {
    const std::int64_t batch = last.dim(0), length = last.dim(1), channels = last.dim(2);
    std::vector<float> rows;  // [N, C]: small, and once per prompt, so it may go through host memory
    for (std::int64_t n = 0; n < batch; ++n) {
        const auto begin = ids.begin() + n * length;
        const auto eos = std::find(begin, begin + length, config_.eos_token_id);
        const std::int64_t position = eos == begin + length ? length - 1 : eos - begin;
        const Tensor row =
            last.reshape({batch * length, channels}).slice(n * length + position, 1);  // [1, C]
        const auto values = ops::download(ctx, row);
        rows.insert(rows.end(), values.begin(), values.end());
    }
    const Tensor states = ops::upload(ctx, rows, {batch, channels});     // [N, C]
    return projection_->forward(ctx, final_norm_.forward(ctx, states));  // [N, projection_dim]
}

}  // namespace sdxl
