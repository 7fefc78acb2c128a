#include "backend/reference/elementwise.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>
#include <utility>
#include <vector>

#include "backend/reference/host_values.h"

namespace sdxl::reference {
namespace {

// Mean and variance of a set of values.
struct Moments {
    double mean = 0.0;
    double variance = 0.0;  // biased, as the norms use it
};

Moments moments_of(const std::vector<double>& values) {
    Moments moments;
    const auto count = static_cast<double>(values.size());
    for (const double value : values) moments.mean += value / count;
    for (const double value : values)
        moments.variance += (value - moments.mean) * (value - moments.mean) / count;
    return moments;
}

const float* row_of(const Tensor& x, std::int64_t row) {
    return x.data<float>() + row * x.row_stride();
}

}  // namespace

double apply(Activation activation, double x) {
    switch (activation) {
        case Activation::kNone:
            return x;
        case Activation::kSilu:
            return x / (1.0 + std::exp(-x));
        case Activation::kGelu:
            return 0.5 * x * (1.0 + std::erf(x / std::numbers::sqrt2));
        case Activation::kQuickGelu:
            return x / (1.0 + std::exp(-1.702 * x));
        case Activation::kRelu:
            return x < 0.0 ? 0.0 : x;
    }
    return x;
}

Tensor group_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, int groups, float eps, bool silu,
                  const Tensor& shift) {
    Tensor y = make_host_tensor(x.shape(), DType::kF32);
    const std::int64_t batch = x.dim(0), channels = x.dim(-1), width = channels / groups;
    const std::int64_t rows = x.shape().rows() / batch;
    std::vector<double> values(static_cast<std::size_t>(rows * width));
    for (std::int64_t n = 0; n < batch; ++n) {
        for (std::int64_t first = 0; first < channels; first += width) {
            const float* extra = shift.defined() ? row_of(shift, n) + first : nullptr;
            for (std::int64_t i = 0; i < rows * width; ++i) {
                values[i] = static_cast<double>(row_of(x, n * rows + i / width)[first + i % width]) +
                            (extra ? static_cast<double>(extra[i % width]) : 0.0);
            }
            const Moments moments = moments_of(values);
            const double scale = 1.0 / std::sqrt(moments.variance + static_cast<double>(eps));
            for (std::int64_t i = 0; i < rows * width; ++i) {
                const std::int64_t c = first + i % width;
                const double normed =
                    (values[i] - moments.mean) * scale * static_cast<double>(gamma.data<float>()[c]) +
                    static_cast<double>(beta.data<float>()[c]);
                y.data<float>()[(n * rows + i / width) * channels + c] =
                    static_cast<float>(silu ? apply(Activation::kSilu, normed) : normed);
            }
        }
    }
    return y;
}

GroupMoments group_moments(const Tensor& x, int groups) {
    const std::int64_t batch = x.dim(0), channels = x.dim(-1), width = channels / groups;
    const std::int64_t rows = x.shape().rows() / batch;
    GroupMoments result;
    std::vector<double> values(static_cast<std::size_t>(rows * width));
    for (std::int64_t n = 0; n < batch; ++n) {
        for (std::int64_t first = 0; first < channels; first += width) {
            for (std::int64_t i = 0; i < rows * width; ++i)
                values[i] = static_cast<double>(row_of(x, n * rows + i / width)[first + i % width]);
            const Moments moments = moments_of(values);
            result.mean.push_back(moments.mean);
            result.variance.push_back(moments.variance);
        }
    }
    return result;
}

Tensor group_norm_by(const Tensor& x, const Tensor& gamma, const Tensor& beta, const GroupMoments& moments,
                     float eps, bool silu) {
    Tensor y = make_host_tensor(x.shape(), DType::kF32);
    const std::int64_t batch = x.dim(0), channels = x.dim(-1);
    const auto groups = static_cast<std::int64_t>(moments.mean.size()) / batch;
    const std::int64_t rows = x.shape().rows() / batch;
    for (std::int64_t row = 0; row < batch * rows; ++row) {
        for (std::int64_t c = 0; c < channels; ++c) {
            const auto group = static_cast<std::size_t>(row / rows * groups + c / (channels / groups));
            const double scale = 1.0 / std::sqrt(moments.variance[group] + static_cast<double>(eps));
            const double normed = (static_cast<double>(row_of(x, row)[c]) - moments.mean[group]) * scale *
                                      static_cast<double>(gamma.data<float>()[c]) +
                                  static_cast<double>(beta.data<float>()[c]);
            y.data<float>()[row * channels + c] =
                static_cast<float>(silu ? apply(Activation::kSilu, normed) : normed);
        }
    }
    return y;
}

Tensor layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, float eps) {
    Tensor y = make_host_tensor(x.shape(), DType::kF32);
    const std::int64_t channels = x.dim(-1);
    for (std::int64_t row = 0; row < x.shape().rows(); ++row) {
        const float* from = row_of(x, row);
        const std::vector<double> values(from, from + channels);
        const Moments moments = moments_of(values);
        const double scale = 1.0 / std::sqrt(moments.variance + static_cast<double>(eps));
        for (std::int64_t c = 0; c < channels; ++c) {
            y.data<float>()[row * channels + c] = static_cast<float>(
                (values[c] - moments.mean) * scale * static_cast<double>(gamma.data<float>()[c]) +
                static_cast<double>(beta.data<float>()[c]));
        }
    }
    return y;
}

Tensor activate(const Tensor& x, Activation activation) {
    Tensor y = make_host_tensor(x.shape(), DType::kF32);
    const std::int64_t channels = x.dim(-1);
    for (std::int64_t i = 0; i < x.shape().numel(); ++i) {
        const float value = row_of(x, i / channels)[i % channels];
        y.data<float>()[i] = static_cast<float>(apply(activation, static_cast<double>(value)));
    }
    return y;
}

Tensor add(const Tensor& a, const Tensor& b) {
    Tensor y = make_host_tensor(a.shape(), DType::kF32);
    const std::int64_t channels = a.dim(-1);
    for (std::int64_t i = 0; i < a.shape().numel(); ++i) {
        y.data<float>()[i] = row_of(a, i / channels)[i % channels] + row_of(b, i / channels)[i % channels];
    }
    return y;
}

Tensor add_scaled(const Tensor& a, const Tensor& b, float factor) {
    Tensor y = make_host_tensor(a.shape(), DType::kF32);
    const std::int64_t channels = a.dim(-1);
    for (std::int64_t i = 0; i < a.shape().numel(); ++i) {
        y.data<float>()[i] =
            row_of(a, i / channels)[i % channels] + factor * row_of(b, i / channels)[i % channels];
    }
    return y;
}

Tensor scale_channels(const Tensor& x, std::int64_t channels, float factor) {
    Tensor y = make_host_tensor(x.shape(), DType::kF32);
    for (std::int64_t i = 0; i < x.shape().numel(); ++i)
        y.data<float>()[i] = x.data<float>()[i] * (i % x.dim(-1) < channels ? factor : 1.F);
    return y;
}

// By the definition of the transform: forth and back, frequency by frequency.
Tensor scale_low_frequencies(const Tensor& x, float factor) {
    constexpr double kTurn = 2 * std::numbers::pi;
    const std::int64_t height = x.dim(1), width = x.dim(2), channels = x.dim(3), pixels = height * width;
    Tensor y = make_host_tensor(x.shape(), DType::kF32);
    std::copy_n(x.data<float>(), x.shape().numel(), y.data<float>());
    for (std::int64_t n = 0; n < x.dim(0); ++n) {
        for (std::int64_t c = 0; c < channels; ++c) {
            const auto value = [&](std::int64_t p) { return (n * pixels + p) * channels + c; };
            for (int down = height > 1 ? -1 : 0; down <= 0; ++down) {
                for (int across = width > 1 ? -1 : 0; across <= 0; ++across) {
                    const auto wave = [&](std::int64_t p) {
                        const std::int64_t row = p / width, column = p % width;
                        const double turns =
                            down * static_cast<double>(row) / static_cast<double>(height) +
                            across * static_cast<double>(column) / static_cast<double>(width);
                        return std::polar(1.0, kTurn * turns);
                    };
                    std::complex<double> coefficient = 0;
                    for (std::int64_t p = 0; p < pixels; ++p)
                        coefficient += static_cast<double>(x.data<float>()[value(p)]) * std::conj(wave(p));
                    coefficient *= (static_cast<double>(factor) - 1) / static_cast<double>(pixels);
                    for (std::int64_t p = 0; p < pixels; ++p)
                        y.data<float>()[value(p)] += static_cast<float>((coefficient * wave(p)).real());
                }
            }
        }
    }
    return y;
}

Tensor concat_batch(const Tensor& a, const Tensor& b) {
    auto dims = a.shape().dims();
    dims.front() += b.dim(0);
    Tensor y = make_host_tensor(Shape(std::move(dims)), DType::kF32);
    float* to = y.data<float>();
    for (const Tensor* part : {&a, &b})
        for (std::int64_t row = 0; row < part->shape().rows(); ++row)
            to = std::copy_n(row_of(*part, row), part->dim(-1), to);
    return y;
}

Tensor concat_channels(const Tensor& a, const Tensor& b) {
    auto dims = a.shape().dims();
    dims.back() += b.dim(-1);
    Tensor y = make_host_tensor(Shape(std::move(dims)), DType::kF32);
    float* to = y.data<float>();
    for (std::int64_t row = 0; row < a.shape().rows(); ++row) {
        to = std::copy_n(row_of(a, row), a.dim(-1), to);
        to = std::copy_n(row_of(b, row), b.dim(-1), to);
    }
    return y;
}

Tensor upsample_nearest2x(const Tensor& x, std::int64_t height, std::int64_t width) {
    Tensor y = make_host_tensor({x.dim(0), height, width, x.dim(3)}, DType::kF32);
    float* to = y.data<float>();
    for (std::int64_t row = 0; row < x.dim(0) * height * width; ++row) {
        const std::int64_t n = row / (height * width), i = row / width % height, j = row % width;
        to = std::copy_n(row_of(x, (n * x.dim(1) + i / 2) * x.dim(2) + j / 2), x.dim(3), to);
    }
    return y;
}

Tensor embed(const HostView& table, std::span<const std::int32_t> ids, std::int64_t batch,
             const HostView& positions) {
    const std::int64_t length = static_cast<std::int64_t>(ids.size()) / batch, channels = table.shape[1];
    const auto rows = load_values(table);
    const auto offsets = positions.data != nullptr ? load_values(positions) : std::vector<float>{};
    Tensor y = make_host_tensor({batch, length, channels}, DType::kF32);
    for (std::int64_t i = 0; i < batch * length; ++i) {
        for (std::int64_t c = 0; c < channels; ++c) {
            const float offset = offsets.empty() ? 0.0F : offsets[i % length * channels + c];
            y.data<float>()[i * channels + c] = rows[ids[i] * channels + c] + offset;
        }
    }
    return y;
}

}  // namespace sdxl::reference
