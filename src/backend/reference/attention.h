// Scaled dot-product attention, one query at a time. Vaswani et al., "Attention Is All You Need", 2017,
// eq. 1.
#pragma once

#include "tensor/tensor.h"

namespace sdxl::reference {

// Contract as in backend.h.
Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, int heads, bool causal);

}  // namespace sdxl::reference
