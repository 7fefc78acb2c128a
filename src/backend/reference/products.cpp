#include "backend/reference/products.h"

#include <utility>

#include "backend/reference/elementwise.h"
#include "backend/reference/host_values.h"

namespace sdxl::reference {
namespace {

std::vector<float> bias_or_zeros(std::vector<float> bias, std::int64_t out) {
    if (bias.empty()) bias.assign(static_cast<std::size_t>(out), 0.0F);
    return bias;
}

// sums[o] += x * weights[o]
void accumulate(double x, const float* weights, std::vector<double>& sums) {
    for (std::size_t o = 0; o < sums.size(); ++o) sums[o] += x * static_cast<double>(weights[o]);
}

void set_to_bias(const std::vector<float>& bias, std::vector<double>& sums) {
    for (std::size_t o = 0; o < sums.size(); ++o) sums[o] = static_cast<double>(bias[o]);
}

// Where in the result.
struct Pixel {
    std::int64_t image, y, x;
};

void sum_pixel(const Tensor& input, const ConvWeight& w, Pixel pixel, std::vector<double>& sums) {
    const std::int64_t height = input.dim(1), width = input.dim(2);
    for (std::int64_t ky = 0; ky < w.kernel_height; ++ky) {
        const std::int64_t y = pixel.y * w.stride + ky - w.padding.top;
        if (y < 0 || y >= height) continue;
        for (std::int64_t kx = 0; kx < w.kernel_width; ++kx) {
            const std::int64_t x = pixel.x * w.stride + kx - w.padding.left;
            if (x < 0 || x >= width) continue;
            const float* row =
                input.data<float>() + ((pixel.image * height + y) * width + x) * input.row_stride();
            const float* weights = w.values.data() + (ky * w.kernel_width + kx) * w.in * w.out;
            for (std::int64_t i = 0; i < w.in; ++i) {
                accumulate(static_cast<double>(row[i]), weights + i * w.out, sums);
            }
        }
    }
}

}  // namespace

WeightPtr prepare_linear(const LinearSource& source, bool int8) {
    auto weight = std::make_shared<LinearWeight>();
    weight->in = source.weights.front().shape[1];
    for (const HostView& view : source.weights) weight->out += view.shape[0];
    weight->bias = bias_or_zeros(load_stacked(source.biases), weight->out);
    auto rows = load_stacked(source.weights);  // [out, in]
    if (int8) round_to_int8(rows, weight->out);
    weight->values.resize(rows.size());
    for (std::int64_t o = 0; o < weight->out; ++o) {
        for (std::int64_t i = 0; i < weight->in; ++i) {
            weight->values[i * weight->out + o] = rows[o * weight->in + i];
        }
    }
    return weight;
}

WeightPtr prepare_conv2d(const ConvSource& source, bool int8) {
    auto weight = std::make_shared<ConvWeight>();
    const Shape& shape = source.weight.shape;  // [out, in, kh, kw]
    weight->out = shape[0];
    weight->in = shape[1];
    weight->kernel_height = shape[2];
    weight->kernel_width = shape[3];
    weight->stride = source.stride;
    weight->padding = source.padding;
    const bool has_bias = source.bias.data != nullptr;
    weight->bias = bias_or_zeros(has_bias ? load_values(source.bias) : std::vector<float>{}, weight->out);
    auto values = load_values(source.weight);
    if (int8) round_to_int8(values, weight->out);
    const std::int64_t taps = weight->kernel_height * weight->kernel_width;
    weight->values.resize(values.size());
    for (std::int64_t o = 0; o < weight->out; ++o) {
        for (std::int64_t i = 0; i < weight->in; ++i) {
            for (std::int64_t tap = 0; tap < taps; ++tap) {
                weight->values[(tap * weight->in + i) * weight->out + o] =
                    values[(o * weight->in + i) * taps + tap];
            }
        }
    }
    return weight;
}

void add_product(std::span<float> target, std::span<const float> a, std::span<const float> b, std::int64_t k,
                 float scale) {
    const auto inner = static_cast<std::size_t>(k);
    const std::size_t columns = b.size() / inner;
    for (std::size_t at = 0; at < target.size(); ++at) {
        double sum = 0;
        for (std::size_t i = 0; i < inner; ++i)
            sum += static_cast<double>(a[at / columns * inner + i]) *
                   static_cast<double>(b[i * columns + at % columns]);
        target[at] = static_cast<float>(static_cast<double>(target[at]) + static_cast<double>(scale) * sum);
    }
}

Tensor linear(const Tensor& x, const LinearWeight& weight, Activation activation, const Tensor& residual) {
    auto dims = x.shape().dims();
    dims.back() = weight.out;
    Tensor y = make_host_tensor(Shape(std::move(dims)), DType::kF32);
    std::vector<double> sums(static_cast<std::size_t>(weight.out));
    for (std::int64_t row = 0; row < x.shape().rows(); ++row) {
        const float* from = x.data<float>() + row * x.row_stride();
        float* to = y.data<float>() + row * weight.out;
        set_to_bias(weight.bias, sums);
        for (std::int64_t i = 0; i < weight.in; ++i) {
            accumulate(static_cast<double>(from[i]), weight.values.data() + i * weight.out, sums);
        }
        const float* extra =
            residual.defined() ? residual.data<float>() + row * residual.row_stride() : nullptr;
        for (std::int64_t o = 0; o < weight.out; ++o) {
            to[o] = static_cast<float>(apply(activation, sums[o]) +
                                       (extra ? static_cast<double>(extra[o]) : 0.0));
        }
    }
    return y;
}

Tensor geglu(const Tensor& x, const LinearWeight& weight) {
    const Tensor both = linear(x, weight, Activation::kNone, Tensor());  // [..., 2 * inner]
    const std::int64_t inner = weight.out / 2;
    auto dims = x.shape().dims();
    dims.back() = inner;
    Tensor y = make_host_tensor(Shape(std::move(dims)), DType::kF32);
    for (std::int64_t row = 0; row < y.shape().rows(); ++row) {
        const float* value = both.data<float>() + row * 2 * inner;
        const float* gate = value + inner;
        float* to = y.data<float>() + row * inner;
        for (std::int64_t i = 0; i < inner; ++i) {
            to[i] = static_cast<float>(static_cast<double>(value[i]) *
                                       apply(Activation::kGelu, static_cast<double>(gate[i])));
        }
    }
    return y;
}

Tensor conv2d(const Tensor& x, const ConvWeight& w, const Tensor& residual) {
    const std::int64_t batch = x.dim(0);
    const std::int64_t height =
        (x.dim(1) + w.padding.top + w.padding.bottom - w.kernel_height) / w.stride + 1;
    const std::int64_t width = (x.dim(2) + w.padding.left + w.padding.right - w.kernel_width) / w.stride + 1;
    Tensor y = make_host_tensor({batch, height, width, w.out}, DType::kF32);
    std::vector<double> sums(static_cast<std::size_t>(w.out));
    for (std::int64_t pixel = 0; pixel < batch * height * width; ++pixel) {
        set_to_bias(w.bias, sums);
        sum_pixel(x, w, {pixel / (height * width), pixel / width % height, pixel % width}, sums);
        const float* extra =
            residual.defined() ? residual.data<float>() + pixel * residual.row_stride() : nullptr;
        for (std::int64_t o = 0; o < w.out; ++o) {
            y.data<float>()[pixel * w.out + o] =
                static_cast<float>(sums[o] + (extra ? static_cast<double>(extra[o]) : 0.0));
        }
    }
    return y;
}

}  // namespace sdxl::reference
