// T2IAdapter for SDXL: from a control picture to states that are added inside the UNet's down blocks and
// behind its middle block. They do not depend on the step.
//
// Mou et al., "T2I-Adapter: Learning Adapters to Dig out More Controllable Ability for Text-to-Image
// Diffusion Models", 2023; structure and names follow FullAdapterXL in diffusers' adapter.py.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "nn/conv2d.h"
#include "weights/weight_scope.h"

namespace sdxl {

struct T2IAdapterConfig {
    std::int64_t picture_channels = 3;  // 1 for one that takes a grey picture
    std::vector<std::int64_t> channels{320, 640, 1280, 1280};
    int resnets_per_level = 2;
};

// Fails with kInvalidModel if the tensors are no T2I-Adapter for SDXL.
T2IAdapterConfig detect_t2i_adapter_config(const WeightMap& weights);

// Fails with kInvalidModel, saying which option differs or is not supported.
void check_against_json(const T2IAdapterConfig& config, std::string_view json);

class T2IAdapter {
  public:
    static constexpr std::int64_t kUnshuffle = 16;  // pixels on a side that become one

    T2IAdapter(const LoadContext& load, const WeightMap& weights, const T2IAdapterConfig& config);

    const T2IAdapterConfig& config() const { return config_; }

    // picture [1, H / 16, W / 16, channels * 256], of pixel_unshuffle, 0..1 -> a state for each level,
    // [1, h, w, C]: the first two at H / 16, the others half as large, rounded up.
    std::vector<Tensor> forward(const Context& ctx, const Tensor& picture) const;

  private:
    struct Resnet {
        nn::Conv2d block1, block2;
    };
    struct Level {
        bool down = false;
        std::optional<nn::Conv2d> down_opt;  // in place of the mean of 2 x 2
        std::optional<nn::Conv2d> in_conv;   // where the number of channels changes
        std::vector<Resnet> resnets;
    };

    T2IAdapterConfig config_;
    nn::Conv2d conv_in_;
    std::vector<Level> body_;
};

// torch.nn.PixelUnshuffle on channels-last values [H, W, C]: [H / 16, W / 16, C * 256]. H and W that are no
// multiples are filled up with the last row and column.
std::vector<float> pixel_unshuffle(const std::vector<float>& values, std::int64_t height, std::int64_t width,
                                   std::int64_t channels);

}  // namespace sdxl
