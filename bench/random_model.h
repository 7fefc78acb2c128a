// sdxl-bench make-model: a checkpoint with the names and shapes of SDXL base and random weights, to measure
// with where the real one is not.
#pragma once

#include <string>

namespace sdxl {

// One file in the original layout, float16, 6.94 GB; weights are scaled by their inputs, so that what is
// computed stays finite. The picture that it makes is noise. Fails with kIo.
void make_random_model(const std::string& path);

}  // namespace sdxl
