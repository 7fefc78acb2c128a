// A control-LoRA becomes a ControlNet: W + up * down over the base model's UNet, in float32.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/cancel_token.h"
#include "weights/control_file.h"
#include "weights/weight_scope.h"

namespace sdxl {

// up [rows, rank] times down [rank, columns] -> [rows, columns], row by row.
struct ProductExtents {
    std::int64_t rows = 0, rank = 0, columns = 0;
};
using MatrixProduct = std::function<std::vector<float>(std::span<const float> up, std::span<const float> down,
                                                       const ProductExtents& extents)>;

// In plain C++: slow for the real size, where the caller has a faster one.
std::vector<float> plain_product(std::span<const float> up, std::span<const float> down,
                                 const ProductExtents& extents);

// Puts whole weights into `control.weights`: the merged ones, kept as `stored` (float32 or bfloat16), and
// those of the base model's encoder that the file does not carry, which stay in the base's files. `base_unet`
// has diffusers' names. A base that takes more than latents (inpainting) gives the channels of the latents.
// Fails with kInvalidModel, naming the tensor, where shapes do not fit; a weight that is not a number comes
// out as one that is not.
void merge_control_lora(ControlCheckpoint& control, const WeightMap& base_unet, const MatrixProduct& product,
                        DType stored, const CancelToken& cancel);

}  // namespace sdxl
