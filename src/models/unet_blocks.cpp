#include "models/unet_blocks.h"

#include <algorithm>
#include <utility>

#include "core/error.h"

namespace sdxl {
namespace {

nn::ResnetConfig resnet(const UNetConfig& config, std::int64_t in, std::int64_t out) {
    return {in, out, config.time_embed_dim, config.norm_groups, config.norm_eps};
}

nn::Transformer2DConfig transformer(const UNetConfig& config, std::int64_t channels, int depth) {
    const auto heads = static_cast<int>(channels / config.head_size);
    return {{channels, config.cross_attention_dim, heads},
            depth,
            config.norm_groups,
            config.transformer_norm_eps,
            config.use_linear_projection};
}

Tensor pop(std::vector<Tensor>& skips) {
    if (skips.empty()) fail(ErrorCode::kInternal, "unet: a skip connection is missing");
    Tensor skip = std::move(skips.back());
    skips.pop_back();
    return skip;
}

void project_all(const Context& ctx, const std::vector<nn::Transformer2DModel>& attentions,
                 const Tensor& context, std::vector<Tensor>& kv) {
    for (const auto& attention : attentions) attention.project_context(ctx, context, kv);
}

}  // namespace

std::vector<nn::CrossContext> ContextReader::take(std::size_t count) {
    const auto require = [&](std::size_t there) {
        if (taken_ + count > there) fail(ErrorCode::kInternal, "unet: conditioning of another network");
    };
    require(kv_.size());
    for (const AddedContexts& added : added_) require(added.kv.size());
    std::vector<nn::CrossContext> contexts;
    for (const std::size_t end = taken_ + count; taken_ < end; ++taken_) {
        contexts.push_back({kv_[taken_], {}});
        for (const AddedContexts& added : added_)
            contexts.back().added.push_back({added.kv[taken_], added.scale});
    }
    return contexts;
}

UNetDownBlock::UNetDownBlock(const LoadContext& load, const WeightScope& scope, const UNetConfig& config,
                             std::size_t index) {
    const std::int64_t out = config.block_out_channels[index];
    const std::int64_t in = config.block_out_channels[index == 0 ? 0 : index - 1];
    const int depth = config.down_depths[index];
    for (int i = 0; i < config.layers_per_block; ++i) {
        resnets_.emplace_back(load, scope.sub("resnets", i), resnet(config, i == 0 ? in : out, out));
        if (depth > 0)
            attentions_.emplace_back(load, scope.sub("attentions", i), transformer(config, out, depth));
    }
    if (index + 1 < config.block_out_channels.size()) {
        downsampler_.emplace(load, scope.sub("downsamplers", 0), out, nn::DownsamplePadding::kSymmetric);
    }
}

void UNetDownBlock::project_context(const Context& ctx, const Tensor& context,
                                    std::vector<Tensor>& kv) const {
    project_all(ctx, attentions_, context, kv);
}

Tensor UNetDownBlock::forward(const Context& ctx, Tensor x, const Tensor& time_silu, ContextReader& kv,
                              std::vector<Tensor>& skips, const Tensor& adapter_state) const {
    for (std::size_t i = 0; i < resnets_.size(); ++i) {
        x = resnets_[i].forward(ctx, x, time_silu);  // [N, h, w, out]
        if (!attentions_.empty()) x = attentions_[i].forward(ctx, x, kv.take(attentions_[i].depth()));
        const bool last = i + 1 == resnets_.size();
        if (last && !attentions_.empty() && adapter_state.defined()) x = ops::add(ctx, x, adapter_state);
        skips.push_back(x);
    }
    if (downsampler_) {
        x = downsampler_->forward(ctx, x);  // [N, h / 2, w / 2, out]
        skips.push_back(x);
    }
    if (attentions_.empty() && adapter_state.defined())
        skips.back() = x = ops::add(ctx, x, adapter_state);  // [N, h', w', out]
    return x;
}

UNetMidBlock::UNetMidBlock(const LoadContext& load, const WeightScope& scope, const UNetConfig& config)
    : resnet_0_(load, scope.sub("resnets", 0),
                resnet(config, config.block_out_channels.back(), config.block_out_channels.back())) {
    if (config.mid_depth == 0) return;
    attention_.emplace(load, scope.sub("attentions", 0),
                       transformer(config, config.block_out_channels.back(), config.mid_depth));
    resnet_1_.emplace(load, scope.sub("resnets", 1),
                      resnet(config, config.block_out_channels.back(), config.block_out_channels.back()));
}

void UNetMidBlock::project_context(const Context& ctx, const Tensor& context, std::vector<Tensor>& kv) const {
    if (attention_) attention_->project_context(ctx, context, kv);
}

Tensor UNetMidBlock::forward(const Context& ctx, const Tensor& x, const Tensor& time_silu, ContextReader& kv,
                             std::int64_t perturbed) const {
    Tensor first = resnet_0_.forward(ctx, x, time_silu);  // [N, h, w, C]
    if (!attention_) return first;
    const Tensor attended =
        attention_->forward(ctx, first, kv.take(attention_->depth()), perturbed);  // [N, h, w, C]
    return resnet_1_->forward(ctx, attended, time_silu);                           // [N, h, w, C]
}

UNetUpBlock::UNetUpBlock(const LoadContext& load, const WeightScope& scope, const UNetConfig& config,
                         std::size_t index) {
    const std::vector<std::int64_t> channels(config.block_out_channels.rbegin(),
                                             config.block_out_channels.rend());
    const std::int64_t out = channels[index];
    const std::int64_t before = channels[index == 0 ? 0 : index - 1];
    const std::int64_t after = channels[std::min(index + 1, channels.size() - 1)];
    const int depth = config.up_depths[index];
    for (int i = 0; i <= config.layers_per_block; ++i) {
        const std::int64_t skip = i == config.layers_per_block ? after : out;
        resnets_.emplace_back(load, scope.sub("resnets", i),
                              resnet(config, (i == 0 ? before : out) + skip, out));
        if (depth > 0)
            attentions_.emplace_back(load, scope.sub("attentions", i), transformer(config, out, depth));
    }
    if (index + 1 < channels.size()) upsampler_.emplace(load, scope.sub("upsamplers", 0), out);
}

void UNetUpBlock::project_context(const Context& ctx, const Tensor& context, std::vector<Tensor>& kv) const {
    project_all(ctx, attentions_, context, kv);
}

Tensor UNetUpBlock::forward(const Context& ctx, Tensor x, const Tensor& time_silu, ContextReader& kv,
                            std::vector<Tensor>& skips, const std::optional<SkipBalance>& balance) const {
    for (std::size_t i = 0; i < resnets_.size(); ++i) {
        Tensor skip = pop(skips);
        if (balance) {
            x = ops::scale_channels(ctx, x, x.dim(3) / 2, balance->backbone);
            skip = ops::scale_low_frequencies(ctx, skip, balance->skip);
        }
        x = ops::concat_channels(ctx, x, skip);      // [N, h, w, in + skip]
        x = resnets_[i].forward(ctx, x, time_silu);  // [N, h, w, out]
        if (!attentions_.empty()) x = attentions_[i].forward(ctx, x, kv.take(attentions_[i].depth()));
    }
    if (upsampler_) {
        if (skips.empty()) fail(ErrorCode::kInternal, "unet: a skip connection is missing");
        x = upsampler_->forward(ctx, x, skips.back().dim(1), skips.back().dim(2));  // [N, h', w', out]
    }
    return x;
}

}  // namespace sdxl
