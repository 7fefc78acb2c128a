#include "backend/reference/host_values.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>

#include "core/error.h"

namespace sdxl::reference {
namespace {

template <class T>
T read(const std::byte* data, std::size_t index) {
    T value;
    std::memcpy(&value, data + index * sizeof(T), sizeof(T));
    return value;
}

}  // namespace

std::vector<float> load_values(const HostView& view) {
    std::vector<float> values(static_cast<std::size_t>(view.shape.numel()));
    for (std::size_t i = 0; i < values.size(); ++i) {
        switch (view.dtype) {
            case DType::kF32:
                values[i] = read<float>(view.data, i);
                break;
            case DType::kF64:
                values[i] = static_cast<float>(read<double>(view.data, i));
                break;
            case DType::kF16:
                values[i] = f16_to_f32(read<f16_bits>(view.data, i));
                break;
            case DType::kBF16:
                values[i] = bf16_to_f32(read<bf16_bits>(view.data, i));
                break;
            default:
                fail(ErrorCode::kInvalidModel, view.name + " has element type " +
                                                   std::string(dtype_name(view.dtype)) + ", not a float");
        }
    }
    view.finish(values);
    return values;
}

std::vector<float> load_stacked(const std::vector<HostView>& views) {
    std::vector<float> values;
    for (const HostView& view : views) {
        const auto more = load_values(view);
        values.insert(values.end(), more.begin(), more.end());
    }
    return values;
}

void round_to_int8(std::vector<float>& values, std::int64_t rows) {
    constexpr float kLevels = 127;
    const std::size_t width = values.size() / static_cast<std::size_t>(rows);
    for (std::size_t row = 0; row < values.size(); row += width) {
        const std::span<float> one(values.data() + row, width);
        float largest = 0;
        for (const float value : one) largest = std::max(largest, std::abs(value));
        if (!(largest > 0)) continue;
        for (float& value : one) value = std::nearbyint(value * (kLevels / largest)) * (largest / kLevels);
    }
}

}  // namespace sdxl::reference
