// The UNet's stages: down, middle and up blocks, with or without attention. Names follow diffusers'
// unet_2d_blocks.py.
//
// `time_silu` is SiLU of the time embedding, [N, time_embed_dim], in every forward.
#pragma once

#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "models/unet_config.h"
#include "nn/resample.h"
#include "nn/resnet_block.h"
#include "nn/transformer_2d.h"

namespace sdxl {

// Keys and values of something else than the prompt, for every cross-attention, and how much they count.
struct AddedContexts {
    std::span<const Tensor> kv;
    float scale = 1;
};

// Hands out the prompt's keys and values in the order in which the transformers were asked to compute them,
// each with what is added there.
class ContextReader {
  public:
    explicit ContextReader(std::span<const Tensor> kv, std::vector<AddedContexts> added = {})
        : kv_(kv), added_(std::move(added)) {}
    // Fails with kInternal if fewer are left.
    std::vector<nn::CrossContext> take(std::size_t count);

  private:
    std::span<const Tensor> kv_;
    std::vector<AddedContexts> added_;
    std::size_t taken_ = 0;
};

// CrossAttnDownBlock2D and DownBlock2D.
class UNetDownBlock {
  public:
    UNetDownBlock(const LoadContext& load, const WeightScope& scope, const UNetConfig& config,
                  std::size_t index);

    void project_context(const Context& ctx, const Tensor& context, std::vector<Tensor>& kv) const;
    // x [N, h, w, in] -> [N, h', w', out]; appends every layer's output to `skips`. A T2I-Adapter's state is
    // added where diffusers adds it: with attention to the last layer's output, before it is made smaller;
    // without to the block's.
    Tensor forward(const Context& ctx, Tensor x, const Tensor& time_silu, ContextReader& kv,
                   std::vector<Tensor>& skips, const Tensor& adapter_state = {}) const;

  private:
    std::vector<nn::ResnetBlock2D> resnets_;
    std::vector<nn::Transformer2DModel> attentions_;  // one for each resnet, or none
    std::optional<nn::Downsample2D> downsampler_;     // but for the last block
};

// UNetMidBlock2DCrossAttn, or, at a depth of 0, UNetMidBlock2D with one resnet (of small ControlNets).
class UNetMidBlock {
  public:
    UNetMidBlock(const LoadContext& load, const WeightScope& scope, const UNetConfig& config);

    void project_context(const Context& ctx, const Tensor& context, std::vector<Tensor>& kv) const;
    // x [N, h, w, C] -> [N, h, w, C]; the last `perturbed` entries with perturbed self-attention.
    Tensor forward(const Context& ctx, const Tensor& x, const Tensor& time_silu, ContextReader& kv,
                   std::int64_t perturbed) const;

  private:
    nn::ResnetBlock2D resnet_0_;
    std::optional<nn::Transformer2DModel> attention_;
    std::optional<nn::ResnetBlock2D> resnet_1_;  // behind attention
};

// FreeU in one block (Si et al. 2023): what comes from below is made stronger in the first half of its
// channels, what comes over the skips weaker in its lowest frequencies.
struct SkipBalance {
    float backbone = 1;
    float skip = 1;
};

// CrossAttnUpBlock2D and UpBlock2D.
class UNetUpBlock {
  public:
    UNetUpBlock(const LoadContext& load, const WeightScope& scope, const UNetConfig& config,
                std::size_t index);

    void project_context(const Context& ctx, const Tensor& context, std::vector<Tensor>& kv) const;
    // x [N, h, w, in] -> [N, h', w', out], h' and w' as in the skip that is due next; takes its skips from
    // the back, weighed where wanted.
    Tensor forward(const Context& ctx, Tensor x, const Tensor& time_silu, ContextReader& kv,
                   std::vector<Tensor>& skips, const std::optional<SkipBalance>& balance) const;

  private:
    std::vector<nn::ResnetBlock2D> resnets_;
    std::vector<nn::Transformer2DModel> attentions_;  // one for each resnet, or none
    std::optional<nn::Upsample2D> upsampler_;         // but for the last block
};

}  // namespace sdxl
