// CLIPTextModel (and CLIPTextModelWithProjection): token ids to hidden states and a pooled vector.
//
// Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021; names follow
// Hugging Face's modeling_clip.py. The token table stays in its mapped file, which the WeightMap given at
// construction keeps open through `table_bytes_`; every other weight is packed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "models/clip_config.h"
#include "models/clip_encoder_layer.h"
#include "nn/norms.h"
#include "ops/ops.h"

namespace sdxl {

class ClipTextModel {
  public:
    struct Output {
        Tensor hidden;  // [N, L, hidden_size], without the final norm
        Tensor pooled;  // [N, projection_dim]; undefined without a projection
    };

    ClipTextModel(const LoadContext& load, const WeightMap& weights, const ClipTextConfig& config);

    const ClipTextConfig& config() const { return config_; }

    // ids N x max_positions, start and end tokens included. `skip` 0 gives the last layer but one, as SDXL
    // was trained with; every further one stops a layer earlier, down to the embeddings at layers - 1. The
    // pooled vector is the last layer's state at the first end token, after norm and projection, whatever
    // `skip` is. Ids from vocab_size on are rows of `more_rows` [n, hidden_size], which this call alone has
    // beside the token table. Fails with kInvalidRequest if skip is out of range.
    Output forward(const Context& ctx, std::span<const std::int32_t> ids, int skip = 0,
                   std::span<const float> more_rows = {}) const;

  private:
    Tensor embed(const Context& ctx, std::span<const std::int32_t> ids, std::int64_t batch,
                 std::span<const float> more_rows) const;
    Tensor pool(const Context& ctx, const Tensor& last, std::span<const std::int32_t> ids) const;

    ClipTextConfig config_;
    HostView tokens_;
    std::shared_ptr<const WeightBytes> table_bytes_;
    HostView positions_;
    std::shared_ptr<const WeightBytes> position_bytes_;
    std::vector<ClipEncoderLayer> layers_;
    nn::LayerNorm final_norm_;
    std::optional<nn::Linear> projection_;
};

}  // namespace sdxl
