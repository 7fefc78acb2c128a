#include "backend/onednn/onednn_backend.h"

#include <cmath>
#include <cstring>
#include <functional>

#include "backend/int8_rule.h"
#include "backend/onednn/attention.h"
#include "backend/onednn/frequencies.h"
#include "backend/onednn/int8_product.h"
#include "backend/onednn/int8_weight.h"
#include "backend/onednn/kernels.h"
#include "backend/onednn/memory_pool.h"
#include "backend/onednn/norms.h"
#include "backend/onednn/parallel.h"
#include "backend/onednn/primitives.h"
#include "core/error.h"

namespace sdxl {
namespace onednn {
namespace {

// Elements per thread below which a loop is not worth splitting.
constexpr std::int64_t kGrain = 8192;

PostOp post_op(Activation activation) {
    switch (activation) {
        case Activation::kNone:
            return PostOp::kNone;
        case Activation::kSilu:
            return PostOp::kSilu;
        case Activation::kGelu:
            return PostOp::kGelu;
        case Activation::kQuickGelu:
            return PostOp::kQuickGelu;
        case Activation::kRelu:
            return PostOp::kRelu;
    }
    return PostOp::kNone;
}

TileEnd tile_end(Activation activation, bool residual) {
    if (residual) return TileEnd::kAdd;
    switch (activation) {
        case Activation::kNone:
            return TileEnd::kNone;
        case Activation::kSilu:
            return TileEnd::kSilu;
        case Activation::kGelu:
            return TileEnd::kGelu;
        case Activation::kQuickGelu:
            return TileEnd::kQuickGelu;
        case Activation::kRelu:
            return TileEnd::kRelu;
    }
    return TileEnd::kNone;
}

EltwiseKind eltwise_kind(Activation activation) {
    if (activation == Activation::kGelu) return EltwiseKind::kGelu;
    if (activation == Activation::kRelu) return EltwiseKind::kRelu;
    return activation == Activation::kQuickGelu ? EltwiseKind::kQuickGelu : EltwiseKind::kSilu;
}

std::vector<float> floats_of(const HostView& view) {
    std::vector<float> values(static_cast<std::size_t>(view.shape.numel()));
    if (!values.empty()) convert(view.data, view.dtype, values.data(), view.shape.numel());
    view.finish(values);
    return values;
}

// Calls body with a null pointer of the activation's element type.
template <class Body>
void with_type(DType dtype, const Body& body) {
    if (dtype == DType::kBF16) {
        body(static_cast<bf16_bits*>(nullptr));
    } else {
        body(static_cast<float*>(nullptr));
    }
}

// oneDNN's exceptions become ours here and nowhere else.
template <class Body>
auto guarded(const char* what, const Body& body) {
    try {
        return body();
    } catch (const dnnl::error& error) {
        if (error.status == dnnl_out_of_memory) throw std::bad_alloc();
        fail(ErrorCode::kInternal, std::string("oneDNN failed in ") + what + ": " + error.what());
    }
}

class OnednnBackend final : public Backend {
  public:
    OnednnBackend()
        : pool_(std::make_shared<MemoryPool>()),
          weight_pool_(std::make_shared<MemoryPool>(MemoryPool::Sizes::kExact)),
          primitives_(weight_pool_),
          bfloat16_(primitives_.runs(DType::kBF16)),
          attention_(primitives_.engine()) {}

    std::string_view name() const override { return "onednn"; }
    bool supports(DType compute) const override {
        return compute == DType::kF32 || (compute == DType::kBF16 && bfloat16_);
    }
    bool supports_int8(DType compute) const override { return supports(compute) && int8_kernels_run(); }

    Tensor empty(const Shape& shape, DType dtype) override {
        const auto bytes = static_cast<std::size_t>(shape.numel()) * dtype_size(dtype);
        return {pool_->allocate(bytes), shape, dtype};
    }

    Tensor upload(std::span<const float> values, const Shape& shape, DType dtype) override {
        Tensor result = empty(shape, dtype);
        const auto* bytes = reinterpret_cast<const std::byte*>(values.data());
        with_type(dtype, [&](auto* type) {
            using T = std::remove_pointer_t<decltype(type)>;
            convert(bytes, DType::kF32, result.data<T>(), shape.numel());
        });
        return result;
    }

    std::vector<float> download(const Tensor& x) override {
        std::vector<float> values(static_cast<std::size_t>(x.shape().numel()));
        convert(x.data<std::byte>(), x.dtype(), values.data(), x.shape().numel());
        return values;
    }

    Tensor cast(const Tensor& x, DType dtype) override {
        if (x.dtype() == dtype) return x;
        Tensor result = empty(x.shape(), dtype);
        with_type(dtype, [&](auto* type) {
            using T = std::remove_pointer_t<decltype(type)>;
            convert(x.data<std::byte>(), x.dtype(), result.data<T>(), x.shape().numel());
        });
        return result;
    }

    WeightPtr prepare_linear(const LinearSource& source, WeightForm form) override {
        return guarded("prepare_linear", [&] {
            std::vector<RowBlock> rows;
            std::int64_t out = 0;
            for (const HostView& view : source.weights) {
                rows.push_back({view, 0, view.shape[0]});
                out += view.shape[0];
            }
            std::vector<float> bias;
            for (const HostView& view : source.biases) {
                const auto part = floats_of(view);
                bias.insert(bias.end(), part.begin(), part.end());
            }
            const std::int64_t in = rows.front().view.shape[1];
            if (takes_int8(form, in, out)) return quantized(rows, {.in = in}, bias);
            auto weight = std::make_shared<LinearWeight>();
            weight->product = pack_product(rows, std::move(bias), form.compute);
            return WeightPtr(std::move(weight));
        });
    }

    WeightPtr prepare_geglu(const LinearSource& source, WeightForm form) override {
        return guarded("prepare_geglu", [&] {
            const HostView& view = source.weights.front();
            const std::int64_t inner = view.shape[0] / 2;
            std::vector<float> bias, value_bias, gate_bias;
            if (!source.biases.empty()) bias = floats_of(source.biases.front());
            if (takes_int8(form, view.shape[1], inner))
                return quantized({{view, 0, 2 * inner}}, {.in = view.shape[1], .geglu = true}, bias);
            auto weight = std::make_shared<GegluWeight>();
            if (!bias.empty()) {
                value_bias.assign(bias.begin(), bias.begin() + inner);
                gate_bias.assign(bias.begin() + inner, bias.end());
            }
            weight->value = pack_product({{view, 0, inner}}, std::move(value_bias), form.compute);
            weight->gate = pack_product({{view, inner, inner}}, std::move(gate_bias), form.compute);
            return WeightPtr(std::move(weight));
        });
    }

    WeightPtr prepare_conv2d(const ConvSource& source, WeightForm form) override {
        return guarded("prepare_conv2d", [&] {
            const Shape& shape = source.weight.shape;
            std::vector<float> bias;
            if (source.bias.data != nullptr) bias = floats_of(source.bias);
            if (takes_int8(form, shape[1], shape[0]))
                return quantized({{source.weight, 0, shape[0]}},
                                 {.in = shape[1],
                                  .kernel_height = shape[2],
                                  .kernel_width = shape[3],
                                  .stride = source.stride,
                                  .padding = source.padding},
                                 bias);
            auto weight = std::make_shared<Conv2dWeight>();
            weight->out = shape[0];
            weight->in = shape[1];
            weight->kernel_h = shape[2];
            weight->kernel_w = shape[3];
            weight->stride = source.stride;
            weight->padding = source.padding;
            weight->dtype = form.compute;
            weight->bias = std::move(bias);
            weight->matrix = pack(primitives_.conv_weight_layout(*weight), {{source.weight, 0, shape[0]}}, 0,
                                  {1, 2, 3}, *weight_pool_);
            return WeightPtr(std::move(weight));
        });
    }

    void widen(const HostView& view, std::span<float> values) override {
        const std::size_t element = dtype_size(view.dtype);
        parallel_ranges(view.shape.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
            convert(view.data + static_cast<std::size_t>(begin) * element, view.dtype, values.data() + begin,
                    end - begin);
        });
    }

    void add_product(std::span<float> target, std::span<const float> a, std::span<const float> b,
                     std::int64_t k, float scale) override {
        const auto m = static_cast<std::int64_t>(a.size()) / k;
        const auto n = static_cast<std::int64_t>(b.size()) / k;
        const auto status =
            dnnl::sgemm('N', 'N', m, n, k, scale, a.data(), k, b.data(), n, 1.F, target.data(), n);
        if (status != dnnl::status::success) fail(ErrorCode::kInternal, "oneDNN failed in sgemm");
    }

    Tensor linear(const Tensor& x, const PreparedWeight& weight, Activation activation,
                  const Tensor& residual) override {
        return guarded("linear", [&] {
            if (const auto* int8 = dynamic_cast<const Int8Weight*>(&weight)) {
                Tensor result = empty(with_last(x.shape(), int8->out), x.dtype());
                int8_linear(*int8, x, tile_end(activation, residual.defined()), residual, result, *pool_);
                return result;
            }
            const auto& product = static_cast<const LinearWeight&>(weight).product;
            const PostOp post = residual.defined() ? PostOp::kAdd : post_op(activation);
            Tensor result = empty(with_last(x.shape(), product.out), x.dtype());
            primitives_.matmul(product, x.dtype(), x.shape().rows(), x.raw(), post,
                               residual.defined() ? residual.raw() : nullptr, result.raw());
            return result;
        });
    }

    Tensor geglu(const Tensor& x, const PreparedWeight& weight) override {
        return guarded("geglu", [&] {
            if (const auto* int8 = dynamic_cast<const Int8Weight*>(&weight)) {
                Tensor result = empty(with_last(x.shape(), int8->out), x.dtype());
                int8_linear(*int8, x, TileEnd::kNone, Tensor(), result, *pool_);
                return result;
            }
            const auto& halves = static_cast<const GegluWeight&>(weight);
            const std::int64_t rows = x.shape().rows();
            const Tensor gate = empty(with_last(x.shape(), halves.gate.out), x.dtype());
            Tensor result = empty(gate.shape(), x.dtype());
            primitives_.matmul(halves.gate, x.dtype(), rows, x.raw(), PostOp::kGelu, nullptr, gate.raw());
            primitives_.matmul(halves.value, x.dtype(), rows, x.raw(), PostOp::kMultiply, gate.raw(),
                               result.raw());
            return result;
        });
    }

    Tensor conv2d(const Tensor& x, const PreparedWeight& weight, const Tensor& residual) override {
        return guarded("conv2d", [&] {
            if (const auto* int8 = dynamic_cast<const Int8Weight*>(&weight)) {
                const Int8Shape& s = int8->shape;
                Tensor result = convolved(x, s.kernel_height, s.kernel_width, s.stride, s.padding, int8->out);
                int8_conv2d(*int8, x, residual, result, *pool_);
                return result;
            }
            const auto& conv = static_cast<const Conv2dWeight&>(weight);
            Tensor result = convolved(x, conv.kernel_h, conv.kernel_w, conv.stride, conv.padding, conv.out);
            primitives_.convolution(conv, x.dim(0), x.dim(1), x.dim(2), x.raw(), result.raw());
            // Not a post-op: with one, oneDNN 2.6 falls back to a slower convolution, which costs more than
            // this pass.
            if (residual.defined()) add_into(result, residual, result);
            return result;
        });
    }

    Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, int heads, bool causal) override {
        return guarded("attention", [&] {
            Tensor result = empty(q.shape(), q.dtype());
            attention_.run(q, k, v, heads, causal, result);
            return result;
        });
    }

    Tensor group_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, int groups, float eps,
                      bool silu, const Tensor& shift) override {
        Tensor result = empty(x.shape(), x.dtype());
        onednn::group_norm(x, gamma.data<float>(), beta.data<float>(), groups, eps, silu,
                           shift.defined() ? shift.data<float>() : nullptr, result);
        return result;
    }

    GroupMoments group_moments(const Tensor& x, int groups) override {
        return onednn::group_moments(x, groups);
    }
    Tensor group_norm_by(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                         const GroupMoments& moments, float eps, bool silu) override {
        Tensor result = empty(x.shape(), x.dtype());
        onednn::group_norm_by(x, gamma.data<float>(), beta.data<float>(), moments, eps, silu, result);
        return result;
    }

    Tensor layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, float eps) override {
        Tensor result = empty(x.shape(), x.dtype());
        const std::int64_t width = x.dim(-1);
        with_type(x.dtype(), [&](auto* type) {
            using T = std::remove_pointer_t<decltype(type)>;
            parallel_ranges(x.shape().rows(), std::max<std::int64_t>(1, kGrain / width),
                            [&](std::int64_t begin, std::int64_t end) {
                                for (std::int64_t row = begin; row < end; ++row)
                                    layer_norm_row(x.data<T>() + row * width, gamma.data<float>(),
                                                   beta.data<float>(), eps, result.data<T>() + row * width,
                                                   width);
                            });
        });
        return result;
    }

    Tensor activate(const Tensor& x, Activation activation) override {
        if (activation == Activation::kNone) return x;
        Tensor result = empty(x.shape(), x.dtype());
        with_type(x.dtype(), [&](auto* type) {
            using T = std::remove_pointer_t<decltype(type)>;
            parallel_ranges(x.shape().numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
                eltwise(eltwise_kind(activation), x.data<T>() + begin, result.data<T>() + begin, end - begin);
            });
        });
        return result;
    }

    Tensor add(const Tensor& a, const Tensor& b) override {
        Tensor result = empty(a.shape(), a.dtype());
        add_into(a, b, result);
        return result;
    }

    Tensor add_scaled(const Tensor& a, const Tensor& b, float factor) override {
        Tensor result = empty(a.shape(), a.dtype());
        with_type(a.dtype(), [&](auto* type) {
            using T = std::remove_pointer_t<decltype(type)>;
            parallel_ranges(a.shape().numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
                onednn::add_scaled(a.data<T>() + begin, b.data<T>() + begin, factor, result.data<T>() + begin,
                                   end - begin);
            });
        });
        return result;
    }

    Tensor scale_channels(const Tensor& x, std::int64_t channels, float factor) override {
        Tensor result = empty(x.shape(), x.dtype());
        const std::int64_t width = x.dim(-1);
        std::vector<float> scale(static_cast<std::size_t>(width), 1.F);
        std::fill_n(scale.begin(), channels, factor);
        const std::vector<float> bias(scale.size());
        with_type(x.dtype(), [&](auto* type) {
            using T = std::remove_pointer_t<decltype(type)>;
            parallel_ranges(x.shape().rows(), 16, [&](std::int64_t begin, std::int64_t end) {
                scale_bias_rows(x.data<T>() + begin * width, scale.data(), bias.data(), /*silu=*/false,
                                result.data<T>() + begin * width, end - begin, width);
            });
        });
        return result;
    }

    Tensor scale_low_frequencies(const Tensor& x, float factor) override {
        Tensor result = empty(x.shape(), x.dtype());
        onednn::scale_low_frequencies(x, factor, result);
        return result;
    }

    Tensor concat_batch(const Tensor& a, const Tensor& b) override {
        auto dims = a.shape().dims();
        dims.front() += b.dim(0);
        Tensor result = empty(Shape(std::move(dims)), a.dtype());
        const std::size_t size = dtype_size(a.dtype());
        const std::size_t bytes = static_cast<std::size_t>(a.dim(-1)) * size;
        auto* to = result.data<std::byte>();
        for (const Tensor* part : {&a, &b}) {
            const std::size_t stride = static_cast<std::size_t>(part->row_stride()) * size;
            parallel_ranges(part->shape().rows(), 64, [&](std::int64_t begin, std::int64_t end) {
                for (auto row = static_cast<std::size_t>(begin); row < static_cast<std::size_t>(end); ++row)
                    std::memcpy(to + row * bytes, part->data<std::byte>() + row * stride, bytes);
            });
            to += static_cast<std::size_t>(part->shape().rows()) * bytes;
        }
        return result;
    }

    Tensor concat_channels(const Tensor& a, const Tensor& b) override {
        const std::size_t size = dtype_size(a.dtype());
        const std::size_t bytes_a = static_cast<std::size_t>(a.dim(-1)) * size;
        const std::size_t bytes_b = static_cast<std::size_t>(b.dim(-1)) * size;
        Tensor result = empty(with_last(a.shape(), a.dim(-1) + b.dim(-1)), a.dtype());
        parallel_ranges(a.shape().rows(), 64, [&](std::int64_t begin, std::int64_t end) {
            for (auto row = static_cast<std::size_t>(begin); row < static_cast<std::size_t>(end); ++row) {
                auto* to = result.data<std::byte>() + row * (bytes_a + bytes_b);
                std::memcpy(to, a.data<std::byte>() + row * bytes_a, bytes_a);
                std::memcpy(to + bytes_a, b.data<std::byte>() + row * bytes_b, bytes_b);
            }
        });
        return result;
    }

    Tensor upsample_nearest2x(const Tensor& x, std::int64_t height, std::int64_t width) override {
        const auto columns = static_cast<std::size_t>(width);
        const std::size_t pixel = static_cast<std::size_t>(x.dim(3)) * dtype_size(x.dtype());
        Tensor result = empty({x.dim(0), height, width, x.dim(3)}, x.dtype());
        // One task is a source row, which becomes two rows, or one where an odd height drops the last.
        parallel_ranges(x.dim(0) * x.dim(1), 1, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t row = begin; row < end; ++row) {
                const std::int64_t y = 2 * (row % x.dim(1));
                const auto* from = x.data<std::byte>() + static_cast<std::size_t>(row * x.dim(2)) * pixel;
                auto* to = result.data<std::byte>() +
                           static_cast<std::size_t>(row / x.dim(1) * height + y) * columns * pixel;
                for (std::size_t column = 0; column < columns; ++column)
                    std::memcpy(to + column * pixel, from + column / 2 * pixel, pixel);
                if (y + 1 < height) std::memcpy(to + columns * pixel, to, columns * pixel);
            }
        });
        return result;
    }

    Tensor embed(const HostView& table, std::span<const std::int32_t> ids, std::int64_t batch,
                 const HostView& positions, DType dtype) override {
        const std::int64_t width = table.shape[-1];
        const auto length = static_cast<std::int64_t>(ids.size()) / batch;
        const std::size_t row_bytes = static_cast<std::size_t>(width) * dtype_size(table.dtype);
        const std::size_t position_bytes = static_cast<std::size_t>(width) * dtype_size(positions.dtype);
        std::vector<float> values(ids.size() * static_cast<std::size_t>(width));
        std::vector<float> position(static_cast<std::size_t>(width));
        for (std::size_t i = 0; i < ids.size(); ++i) {
            float* row = values.data() + i * static_cast<std::size_t>(width);
            convert(table.data + static_cast<std::size_t>(ids[i]) * row_bytes, table.dtype, row, width);
            if (positions.data == nullptr) continue;
            const std::size_t place = i % static_cast<std::size_t>(length);
            convert(positions.data + place * position_bytes, positions.dtype, position.data(), width);
            onednn::add(row, position.data(), row, width);
        }
        return upload(values, {batch, length, width}, dtype);
    }

    void release_cached_memory() override {
        pool_->trim();
        weight_pool_->trim();
    }

  private:
    static Shape with_last(const Shape& shape, std::int64_t last) {
        auto dims = shape.dims();
        dims.back() = last;
        return Shape(std::move(dims));
    }

    // A convolution's result, not filled in.
    Tensor convolved(const Tensor& x, std::int64_t kernel_h, std::int64_t kernel_w, int stride,
                     const Padding& pad, std::int64_t out) {
        const std::int64_t h = (x.dim(1) + pad.top + pad.bottom - kernel_h) / stride + 1;
        const std::int64_t w = (x.dim(2) + pad.left + pad.right - kernel_w) / stride + 1;
        return empty({x.dim(0), h, w, out}, x.dtype());
    }

    bool takes_int8(WeightForm form, std::int64_t in, std::int64_t out) const {
        if (!form.int8) return false;
        if (!supports_int8(form.compute))
            fail(ErrorCode::kUnsupported,
                 "int8 weights need a processor with AVX-512 VNNI; use another precision");
        return worth_int8(in, out);
    }

    WeightPtr quantized(const std::vector<RowBlock>& rows, const Int8Shape& shape,
                        const std::vector<float>& bias) {
        return quantize(rows, shape, bias, *weight_pool_, *pool_);
    }

    MatmulWeight pack_product(const std::vector<RowBlock>& rows, std::vector<float> bias, DType compute) {
        MatmulWeight product;
        for (const RowBlock& block : rows) product.out += block.count;
        product.in = rows.front().view.shape[1];
        product.bias = std::move(bias);
        product.matrix = pack(primitives_.matmul_weight_layout(product.in, product.out, compute), rows, 1,
                              {0}, *weight_pool_);
        return product;
    }

    static void add_into(const Tensor& a, const Tensor& b, const Tensor& result) {
        with_type(a.dtype(), [&](auto* type) {
            using T = std::remove_pointer_t<decltype(type)>;
            parallel_ranges(a.shape().numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
                onednn::add(a.data<T>() + begin, b.data<T>() + begin, result.data<T>() + begin, end - begin);
            });
        });
    }

    std::shared_ptr<MemoryPool> pool_;
    std::shared_ptr<MemoryPool> weight_pool_;
    Primitives primitives_;
    bool bfloat16_;
    Attention attention_;
};

}  // namespace
}  // namespace onednn

std::unique_ptr<Backend> make_onednn_backend() {
    return onednn::guarded(
        "start", [] { return std::unique_ptr<Backend>(std::make_unique<onednn::OnednnBackend>()); });
}

std::string onednn_description() {
    const dnnl_version_t& version = *dnnl_version();
    return "oneDNN " + std::to_string(version.major) + "." + std::to_string(version.minor) + "." +
           std::to_string(version.patch);
}

}  // namespace sdxl
