// Prepared weights with the extents that ops check against.
//
// Ownership: shares the backend's packed weight; copying is cheap.
#pragma once

#include <cstddef>
#include <cstdint>

#include "backend/backend.h"
#include "ops/context.h"

namespace sdxl::ops {

struct LinearWeight {
    WeightPtr weight;
    std::int64_t in = 0;
    std::int64_t out = 0;  // all stacked rows

    std::size_t bytes() const { return weight->bytes(); }
    std::uint64_t digest(Backend&) const { return weight->digest(); }
};

struct GegluWeight {
    WeightPtr weight;
    std::int64_t in = 0;
    std::int64_t inner = 0;

    std::size_t bytes() const { return weight->bytes(); }
    std::uint64_t digest(Backend&) const { return weight->digest(); }
};

struct ConvWeight {
    WeightPtr weight;
    std::int64_t in = 0;
    std::int64_t out = 0;
    std::int64_t kernel_height = 0;
    std::int64_t kernel_width = 0;
    int stride = 1;
    Padding padding;

    std::size_t bytes() const { return weight->bytes(); }
    std::uint64_t digest(Backend&) const { return weight->digest(); }
};

// Each checks the source's shapes (kInternal with the shapes) and has the backend convert and pack it.
LinearWeight prepare_linear(const LoadContext& load, const LinearSource& source);
GegluWeight prepare_geglu(const LoadContext& load, const LinearSource& source);
ConvWeight prepare_conv2d(const LoadContext& load, const ConvSource& source);

}  // namespace sdxl::ops
