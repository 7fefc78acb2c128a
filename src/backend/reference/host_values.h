// Weight files' bytes as float32 values.
#pragma once

#include <cstdint>
#include <vector>

#include "tensor/host_view.h"

namespace sdxl::reference {

// The view's values; it need not be aligned. Fails with kInvalidModel if it is not floating point.
std::vector<float> load_values(const HostView& view);

// The values of several views one after another.
std::vector<float> load_stacked(const std::vector<HostView>& views);

// values [rows, ...] to the nearest that int8 weights stand for: whole multiples of a 127th of each row's
// largest magnitude.
void round_to_int8(std::vector<float>& values, std::int64_t rows);

}  // namespace sdxl::reference
