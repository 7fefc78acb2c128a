// A backend whose products are wrong while `is_wrong` says so; all else is the reference's.
#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "backend/reference/reference_backend.h"

namespace sdxl {

class WrongBackend final : public Backend {
  public:
    explicit WrongBackend(
        std::function<bool()> is_wrong = [] { return true; },
        std::unique_ptr<Backend> right = make_reference_backend())
        : is_wrong_(std::move(is_wrong)), right_(std::move(right)) {}

    std::string_view name() const override { return "wrong"; }
    bool supports(DType compute) const override { return right_->supports(compute); }
    Tensor empty(const Shape& shape, DType dtype) override { return right_->empty(shape, dtype); }
    Tensor upload(std::span<const float> values, const Shape& shape, DType dtype) override {
        return right_->upload(values, shape, dtype);
    }
    std::vector<float> download(const Tensor& x) override { return right_->download(x); }
    Tensor cast(const Tensor& x, DType dtype) override { return right_->cast(x, dtype); }
    WeightPtr prepare_linear(const LinearSource& source, WeightForm form) override {
        return right_->prepare_linear(source, form);
    }
    WeightPtr prepare_geglu(const LinearSource& source, WeightForm form) override {
        return right_->prepare_geglu(source, form);
    }
    WeightPtr prepare_conv2d(const ConvSource& source, WeightForm form) override {
        return right_->prepare_conv2d(source, form);
    }
    void widen(const HostView& view, std::span<float> values) override { right_->widen(view, values); }
    void add_product(std::span<float> target, std::span<const float> a, std::span<const float> b,
                     std::int64_t k, float scale) override {
        right_->add_product(target, a, b, k, scale);
    }
    Tensor linear(const Tensor& x, const PreparedWeight& weight, Activation activation,
                  const Tensor& residual) override {
        const Tensor y = right_->linear(x, weight, activation, residual);
        return is_wrong_() ? right_->add(y, y) : y;
    }
    Tensor geglu(const Tensor& x, const PreparedWeight& weight) override { return right_->geglu(x, weight); }
    Tensor conv2d(const Tensor& x, const PreparedWeight& weight, const Tensor& residual) override {
        return right_->conv2d(x, weight, residual);
    }
    Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, int heads, bool causal) override {
        return right_->attention(q, k, v, heads, causal);
    }
    Tensor group_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, int groups, float eps,
                      bool silu, const Tensor& shift) override {
        return right_->group_norm(x, gamma, beta, groups, eps, silu, shift);
    }
    GroupMoments group_moments(const Tensor& x, int groups) override {
        return right_->group_moments(x, groups);
    }
    Tensor group_norm_by(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                         const GroupMoments& moments, float eps, bool silu) override {
        return right_->group_norm_by(x, gamma, beta, moments, eps, silu);
    }
    Tensor layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, float eps) override {
        return right_->layer_norm(x, gamma, beta, eps);
    }
    Tensor activate(const Tensor& x, Activation activation) override {
        return right_->activate(x, activation);
    }
    Tensor add(const Tensor& a, const Tensor& b) override { return right_->add(a, b); }
    Tensor add_scaled(const Tensor& a, const Tensor& b, float factor) override {
        return right_->add_scaled(a, b, factor);
    }
    Tensor scale_channels(const Tensor& x, std::int64_t channels, float factor) override {
        return right_->scale_channels(x, channels, factor);
    }
    Tensor scale_low_frequencies(const Tensor& x, float factor) override {
        return right_->scale_low_frequencies(x, factor);
    }
    Tensor concat_channels(const Tensor& a, const Tensor& b) override {
        return right_->concat_channels(a, b);
    }
    Tensor concat_batch(const Tensor& a, const Tensor& b) override { return right_->concat_batch(a, b); }
    Tensor upsample_nearest2x(const Tensor& x, std::int64_t height, std::int64_t width) override {
        return right_->upsample_nearest2x(x, height, width);
    }
    Tensor embed(const HostView& table, std::span<const std::int32_t> ids, std::int64_t batch,
                 const HostView& positions, DType dtype) override {
        return right_->embed(table, ids, batch, positions, dtype);
    }

  private:
    std::function<bool()> is_wrong_;
    std::unique_ptr<Backend> right_;
};

}  // namespace sdxl
