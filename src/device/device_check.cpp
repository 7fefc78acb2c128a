#include "device/device_check.h"

#include <cmath>
#include <cstdint>
#include <vector>

#include "core/error.h"

namespace sdxl {
namespace {

constexpr std::int64_t kRows = 8, kIn = 64, kOut = 48;

// Small integers, whose products and sums every type holds exactly.
std::vector<float> integers(std::int64_t count, std::uint32_t state) {
    std::vector<float> values(static_cast<std::size_t>(count));
    for (float& value : values) {
        state = state * 1664525U + 1013904223U;
        value = static_cast<float>((state >> 16U) % 3U) - 1;
    }
    return values;
}

// [kRows, kIn] x [kOut, kIn]^T
std::vector<float> product(const std::vector<float>& x, const std::vector<float>& weight) {
    std::vector<float> y;
    for (std::int64_t row = 0; row < kRows; ++row)
        for (std::int64_t out = 0; out < kOut; ++out) {
            float sum = 0;
            for (std::int64_t i = 0; i < kIn; ++i)
                sum += x[static_cast<std::size_t>(row * kIn + i)] *
                       weight[static_cast<std::size_t>(out * kIn + i)];
            y.push_back(sum);
        }
    return y;
}

std::string compare(Backend& backend, DType dtype) {
    const auto x = integers(kRows * kIn, 1);
    const auto weight = integers(kOut * kIn, 2);
    const HostView view{
        reinterpret_cast<const std::byte*>(weight.data()), DType::kF32, {kOut, kIn}, "device check", nullptr};
    const WeightPtr prepared = backend.prepare_linear({{view}, {}}, {dtype, false});
    const Tensor on_device = backend.upload(x, {kRows, kIn}, dtype);
    const auto found = backend.download(backend.linear(on_device, *prepared, Activation::kNone, {}));
    const auto expected = product(x, weight);
    std::size_t wrong = found.size() == expected.size() ? 0 : expected.size();
    for (std::size_t i = 0; wrong == 0 && i < expected.size(); ++i)
        if (!(std::abs(found[i] - expected[i]) < 0.25F)) ++wrong;  // NaN is wrong, too
    return wrong == 0 ? ""
                      : "a product of two matrices in " + std::string(dtype_name(dtype)) +
                            " is not what it should be";
}

}  // namespace

std::string find_fault(Backend& backend) {
    try {
        for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
            if (!backend.supports(dtype)) continue;
            if (auto fault = compare(backend, dtype); !fault.empty()) return fault;
        }
        backend.memory();
        return "";
    } catch (...) {
        const Error error = current_error();
        // Full is not broken: what fits runs.
        return error.code == ErrorCode::kOutOfMemory ? "" : error.message;
    }
}

}  // namespace sdxl
