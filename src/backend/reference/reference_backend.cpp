#include "backend/reference/reference_backend.h"

#include <algorithm>

#include "backend/int8_rule.h"
#include "backend/reference/attention.h"
#include "backend/reference/elementwise.h"
#include "backend/reference/host_values.h"
#include "backend/reference/products.h"
#include "core/error.h"

namespace sdxl {
namespace {

void require_f32(DType dtype) {
    if (dtype != DType::kF32) {
        fail(ErrorCode::kInternal,
             "the reference backend computes in float32, not " + std::string(dtype_name(dtype)));
    }
}

template <class T>
const T& own(const PreparedWeight& weight) {
    const auto* mine = dynamic_cast<const T*>(&weight);
    if (mine == nullptr) fail(ErrorCode::kInternal, "a weight prepared for another op or backend");
    return *mine;
}

class ReferenceBackend final : public Backend {
  public:
    std::string_view name() const override { return "reference"; }
    bool supports(DType compute) const override { return compute == DType::kF32; }
    bool supports_int8(DType compute) const override { return supports(compute); }

    Tensor empty(const Shape& shape, DType dtype) override {
        require_f32(dtype);
        return make_host_tensor(shape, dtype);
    }
    Tensor upload(std::span<const float> values, const Shape& shape, DType dtype) override {
        Tensor x = empty(shape, dtype);
        std::copy(values.begin(), values.end(), x.data<float>());
        return x;
    }
    std::vector<float> download(const Tensor& x) override {
        require_f32(x.dtype());
        return {x.data<float>(), x.data<float>() + x.shape().numel()};
    }
    Tensor cast(const Tensor& x, DType dtype) override {
        require_f32(dtype);
        return reference::activate(x, Activation::kNone);
    }

    WeightPtr prepare_linear(const LinearSource& source, WeightForm form) override {
        require_f32(form.compute);
        std::int64_t out = 0;
        for (const HostView& view : source.weights) out += view.shape[0];
        return reference::prepare_linear(source,
                                         form.int8 && worth_int8(source.weights.front().shape[1], out));
    }
    WeightPtr prepare_geglu(const LinearSource& source, WeightForm form) override {
        require_f32(form.compute);
        const Shape& shape = source.weights.front().shape;
        return reference::prepare_linear(source, form.int8 && worth_int8(shape[1], shape[0] / 2));
    }
    WeightPtr prepare_conv2d(const ConvSource& source, WeightForm form) override {
        require_f32(form.compute);
        const Shape& shape = source.weight.shape;
        return reference::prepare_conv2d(source, form.int8 && worth_int8(shape[1], shape[0]));
    }

    void widen(const HostView& view, std::span<float> values) override {
        std::ranges::copy(reference::load_values(view), values.begin());
    }
    void add_product(std::span<float> target, std::span<const float> a, std::span<const float> b,
                     std::int64_t k, float scale) override {
        reference::add_product(target, a, b, k, scale);
    }

    Tensor linear(const Tensor& x, const PreparedWeight& weight, Activation activation,
                  const Tensor& residual) override {
        return reference::linear(x, own<reference::LinearWeight>(weight), activation, residual);
    }
    Tensor geglu(const Tensor& x, const PreparedWeight& weight) override {
        return reference::geglu(x, own<reference::LinearWeight>(weight));
    }
    Tensor conv2d(const Tensor& x, const PreparedWeight& weight, const Tensor& residual) override {
        return reference::conv2d(x, own<reference::ConvWeight>(weight), residual);
    }
    Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, int heads, bool causal) override {
        return reference::attention(q, k, v, heads, causal);
    }

    Tensor group_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, int groups, float eps,
                      bool silu, const Tensor& shift) override {
        return reference::group_norm(x, gamma, beta, groups, eps, silu, shift);
    }
    GroupMoments group_moments(const Tensor& x, int groups) override {
        return reference::group_moments(x, groups);
    }
    Tensor group_norm_by(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                         const GroupMoments& moments, float eps, bool silu) override {
        return reference::group_norm_by(x, gamma, beta, moments, eps, silu);
    }
    Tensor layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, float eps) override {
        return reference::layer_norm(x, gamma, beta, eps);
    }
    Tensor activate(const Tensor& x, Activation activation) override {
        return reference::activate(x, activation);
    }
    Tensor add(const Tensor& a, const Tensor& b) override { return reference::add(a, b); }
    Tensor add_scaled(const Tensor& a, const Tensor& b, float factor) override {
        return reference::add_scaled(a, b, factor);
    }
    Tensor scale_channels(const Tensor& x, std::int64_t channels, float factor) override {
        return reference::scale_channels(x, channels, factor);
    }
    Tensor scale_low_frequencies(const Tensor& x, float factor) override {
        return reference::scale_low_frequencies(x, factor);
    }
    Tensor concat_batch(const Tensor& a, const Tensor& b) override { return reference::concat_batch(a, b); }
    Tensor concat_channels(const Tensor& a, const Tensor& b) override {
        return reference::concat_channels(a, b);
    }
    Tensor upsample_nearest2x(const Tensor& x, std::int64_t height, std::int64_t width) override {
        return reference::upsample_nearest2x(x, height, width);
    }
    Tensor embed(const HostView& table, std::span<const std::int32_t> ids, std::int64_t batch,
                 const HostView& positions, DType dtype) override {
        require_f32(dtype);
        return reference::embed(table, ids, batch, positions);
    }
};

}  // namespace

std::unique_ptr<Backend> make_reference_backend() {
    return std::make_unique<ReferenceBackend>();
}

}  // namespace sdxl
