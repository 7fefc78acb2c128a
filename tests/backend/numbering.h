// An edit of rows whose result is known in advance.
#pragma once

#include <cstdint>
#include <span>

#include "tensor/host_view.h"

namespace sdxl {

// Adds its row's number, and the column's.
class Numbering final : public RowEdit {
  public:
    void apply(std::int64_t first, std::int64_t count, std::span<float> rows) const override {
        const auto width = static_cast<std::int64_t>(rows.size()) / count;
        for (std::int64_t i = 0; i < count * width; ++i)
            rows[static_cast<std::size_t>(i)] +=
                static_cast<float>(first + i / width) + 0.01F * static_cast<float>(i % width);
    }
};

}  // namespace sdxl
