// Which products get int8 weights where a WeightForm asks for them: one rule for every backend.
//
// What has few inputs or outputs (the channels of a picture or a latent) is quick as it is, and it is where
// the network meets the picture. 255 * 127 summed over the most inputs fits 32 bits. (Products of the
// embeddings of time and sizes are left out by the networks, nn::unquantized.)
#pragma once

#include <cstdint>

namespace sdxl {

constexpr bool worth_int8(std::int64_t in, std::int64_t out) {
    constexpr std::int64_t kFewestInputs = 64, kMostInputs = 65536, kFewestOutputs = 32;
    return in >= kFewestInputs && in <= kMostInputs && out >= kFewestOutputs;
}

}  // namespace sdxl
