// The lowest frequencies of a channels-last picture, on all cores.
#pragma once

#include "tensor/tensor.h"

namespace sdxl::onednn {

// As Backend::scale_low_frequencies. x, y [N, H, W, C].
void scale_low_frequencies(const Tensor& x, float factor, const Tensor& y);

}  // namespace sdxl::onednn
