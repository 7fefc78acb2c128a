// Weight files' bytes as float32 values.
#pragma once

#include <vector>

#include "tensor/host_view.h"

namespace sdxl::reference {

// The view's values; it need not be aligned. Fails with kInvalidModel if it is not floating point.
std::vector<float> load_values(const HostView& view);

// The values of several views one after another.
std::vector<float> load_stacked(const std::vector<HostView>& views);

}  // namespace sdxl::reference
