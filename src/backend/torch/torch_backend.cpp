#include "backend/torch/torch_backend.h"

#include "backend/torch/aten.h"
//
#include <ATen/TensorOperators.h>
#include <ATen/ops/add.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/upsample_nearest2d.h>

#include <cmath>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "backend/torch/cuda.h"
#include "backend/torch/devices.h"
#include "backend/torch/errors.h"
#include "backend/torch/ops.h"
#include "backend/torch/tensors.h"
#include "core/error.h"

namespace sdxl::torch {
namespace {

constexpr std::uint64_t kScoreBytes = std::uint64_t{256} << 20;

std::span<const std::byte> bytes_of(const at::Tensor& host) {
    return {static_cast<const std::byte*>(host.data_ptr()), host.nbytes()};
}

struct Weight : PreparedWeight {
    at::Tensor matrix;  // [out, in] or [out, in, kh, kw]
    at::Tensor bias;    // [out], may be undefined

    std::size_t bytes() const override { return matrix.nbytes() + (bias.defined() ? bias.nbytes() : 0); }
    std::uint64_t digest() const override {
        return guarded("digest", matrix.device(), [&] {
            const std::uint64_t seed =
                bias.defined() ? digest_of(bytes_of(bias.to(at::kCPU).contiguous())) : 0;
            return digest_of(bytes_of(matrix.to(at::kCPU).contiguous()), seed);
        });
    }
};

struct Conv2dWeight final : Weight {
    int stride = 1;
    Padding padding;
};

template <class T>
const T& own(const PreparedWeight& weight) {
    const auto* mine = dynamic_cast<const T*>(&weight);
    if (mine == nullptr) fail(ErrorCode::kInternal, "a weight prepared for another op or backend");
    return *mine;
}

// [N, H, W, C] -> [N, C, H, W] in libtorch's channels-last layout: the same memory.
at::Tensor channels_first(const at::Tensor& x) {
    return x.permute({0, 3, 1, 2});
}
at::Tensor channels_last(const at::Tensor& x) {
    return x.permute({0, 2, 3, 1});
}

// What every network does, on ones: 8 channels summed.
bool computes(const at::Device& device, at::ScalarType type) {
    const at::Tensor x = at::ones({1, 8, 4, 4}).to(type).to(device);
    const at::Tensor w = at::ones({8, 8, 1, 1}).to(type).to(device);
    const at::Tensor convolved = at::conv2d(x, w);
    const at::Tensor product = at::linear(channels_last(convolved), w.view({8, 8}));
    const std::vector<float> sums = download(product + at::softmax(product, -1));
    constexpr float kSum = 64.F + 0.125F;
    for (const float sum : sums)
        if (!(std::abs(sum - kSum) < 0.5F)) return false;
    return true;
}

class TorchBackend final : public Backend {
  public:
    TorchBackend(const c10::Device& device, const Devices& devices)
        : device_(device),
          devices_(devices),
          transfers_(make_cuda_transfers(device)),
          recorder_(make_cuda_recorder(device)) {
        if (device.is_cuda()) forbid_tf32();
    }

    std::string_view name() const override { return "torch"; }

    bool supports(DType compute) const override {
        if (compute == DType::kF32) return true;
        // libtorch 2.x has float16 for the CPU, by conversion and slower than float32.
        const bool candidate = compute == DType::kBF16 || (compute == DType::kF16 && !device_.is_cpu());
        if (!candidate) return false;
        const auto [entry, is_new] = supported_.try_emplace(compute, false);
        if (is_new) {
            try {
                entry->second =
                    guarded("a trial", device_, [&] { return computes(device_, scalar_type(compute)); });
            } catch (const Failure&) {
                entry->second = false;
            }
        }
        return entry->second;
    }

    Tensor empty(const Shape& shape, DType dtype) override {
        return guarded("empty", device_, [&] {
            return from_torch(at::empty(shape.dims(), at::TensorOptions(device_).dtype(scalar_type(dtype))));
        });
    }

    Tensor upload(std::span<const float> values, const Shape& shape, DType dtype) override {
        return guarded("upload", device_,
                       [&] { return from_torch(torch::upload(values, shape, scalar_type(dtype), device_)); });
    }

    std::vector<float> download(const Tensor& x) override {
        return guarded("download", device_, [&] { return torch::download(to_torch(x)); });
    }

    Tensor cast(const Tensor& x, DType dtype) override {
        if (x.dtype() == dtype) return x;
        return guarded("cast", device_, [&] { return from_torch(to_torch(x).to(scalar_type(dtype))); });
    }

    DeviceMemory memory() const override {
        return guarded("memory", device_, [&] { return devices_.memory(device_); });
    }
    void release_cached_memory() override {
        guarded("release_cached_memory", device_, [&] { torch::release_cached_memory(device_); });
    }
    void limit_attention(std::uint64_t bytes) override { score_bytes_ = bytes == 0 ? kScoreBytes : bytes; }
    Recorder* recorder() override { return recorder_.get(); }

    WeightPtr prepare_linear(const LinearSource& source, WeightForm form) override {
        return guarded("prepare_linear", device_, [&] {
            auto weight = std::make_shared<Weight>();
            const at::ScalarType type = scalar_type(form.compute);
            bring(*weight, [&] {
                weight->matrix = torch::upload(source.weights, type, device_).flatten(1);
                if (!source.biases.empty()) weight->bias = torch::upload(source.biases, type, device_);
            });
            return WeightPtr(std::move(weight));
        });
    }
    WeightPtr prepare_geglu(const LinearSource& source, WeightForm form) override {
        return prepare_linear(source, form);
    }

    WeightPtr prepare_conv2d(const ConvSource& source, WeightForm form) override {
        return guarded("prepare_conv2d", device_, [&] {
            auto weight = std::make_shared<Conv2dWeight>();
            const auto upload_one = [&](const HostView& view) {
                return torch::upload(std::span(&view, 1), scalar_type(form.compute), device_);
            };
            bring(*weight, [&] {
                weight->matrix = upload_one(source.weight).contiguous(at::MemoryFormat::ChannelsLast);
                if (source.bias.data != nullptr) weight->bias = upload_one(source.bias);
            });
            weight->stride = source.stride;
            weight->padding = source.padding;
            return WeightPtr(std::move(weight));
        });
    }

    void widen(const HostView& view, std::span<float> values) override {
        guarded("widen", at::kCPU, [&] { torch::widen(view, values); });
    }

    void add_product(std::span<float> target, std::span<const float> a, std::span<const float> b,
                     std::int64_t k, float scale) override {
        guarded("add_product", at::kCPU, [&] {
            const auto matrix = [](std::span<const float> values, std::int64_t rows, std::int64_t columns) {
                return at::from_blob(const_cast<float*>(values.data()), {rows, columns}, at::kFloat);
            };
            const auto m = static_cast<std::int64_t>(a.size()) / k;
            const auto n = static_cast<std::int64_t>(b.size()) / k;
            matrix(target, m, n).addmm_(matrix(a, m, k), matrix(b, k, n), 1, scale);
        });
    }

    Tensor linear(const Tensor& x, const PreparedWeight& weight, Activation activation,
                  const Tensor& residual) override {
        return guarded("linear", device_, [&] {
            const auto& w = own<Weight>(weight);
            at::Tensor result = at::linear(to_torch(x), w.matrix, w.bias);
            if (residual.defined()) result.add_(to_torch(residual));
            return from_torch(torch::activate(result, activation));
        });
    }

    Tensor geglu(const Tensor& x, const PreparedWeight& weight) override {
        return guarded("geglu", device_, [&] {
            const auto& w = own<Weight>(weight);
            const std::int64_t inner = w.matrix.size(0) / 2;
            const at::Tensor both = at::linear(to_torch(x), w.matrix, w.bias);  // [..., 2 * inner]
            return from_torch(at::gelu(both.narrow(-1, inner, inner)).mul_(both.narrow(-1, 0, inner)));
        });
    }

    Tensor conv2d(const Tensor& x, const PreparedWeight& weight, const Tensor& residual) override {
        return guarded("conv2d", device_, [&] {
            const auto& w = own<Conv2dWeight>(weight);
            const Padding& pad = w.padding;
            at::Tensor image = channels_first(to_torch(x));
            const bool even = pad.top == pad.bottom && pad.left == pad.right;
            if (!even) image = at::constant_pad_nd(image, {pad.left, pad.right, pad.top, pad.bottom});
            at::Tensor result = channels_last(
                at::conv2d(image, w.matrix, w.bias, w.stride, even ? at::IntArrayRef{pad.top, pad.left} : 0));
            if (residual.defined()) result.add_(to_torch(residual));
            return from_torch(result);  // [N, H', W', out]
        });
    }

    Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, int heads, bool causal) override {
        return guarded("attention", device_, [&] {
            return from_torch(
                torch::attention(to_torch(q), to_torch(k), to_torch(v), heads, causal, score_bytes_));
        });
    }

    Tensor group_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, int groups, float eps,
                      bool silu, const Tensor& shift) override {
        return guarded("group_norm", device_, [&] {
            return from_torch(torch::group_norm(to_torch(x), to_torch(gamma), to_torch(beta), groups, eps,
                                                silu, shift.defined() ? to_torch(shift) : at::Tensor()));
        });
    }

    GroupMoments group_moments(const Tensor& x, int groups) override {
        return guarded("group_moments", device_, [&] {
            const Moments moments = torch::group_moments(to_torch(x), groups);
            const auto mean = torch::download(moments.mean), variance = torch::download(moments.variance);
            return GroupMoments{{mean.begin(), mean.end()}, {variance.begin(), variance.end()}};
        });
    }

    Tensor group_norm_by(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                         const GroupMoments& moments, float eps, bool silu) override {
        return guarded("group_norm_by", device_, [&] {
            const auto up = [&](const std::vector<double>& doubles) {
                const std::vector<float> values(doubles.begin(), doubles.end());
                const auto groups = static_cast<std::int64_t>(values.size()) / x.dim(0);
                return torch::upload(values, {x.dim(0), groups}, at::kFloat, device_);
            };
            return from_torch(torch::group_norm_by(to_torch(x), to_torch(gamma), to_torch(beta),
                                                   {up(moments.mean), up(moments.variance)}, eps, silu));
        });
    }

    Tensor layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, float eps) override {
        return guarded("layer_norm", device_, [&] {
            return from_torch(torch::layer_norm(to_torch(x), to_torch(gamma), to_torch(beta), eps));
        });
    }

    Tensor activate(const Tensor& x, Activation activation) override {
        return guarded("activate", device_,
                       [&] { return from_torch(torch::activate(to_torch(x), activation)); });
    }

    Tensor add(const Tensor& a, const Tensor& b) override { return add_scaled(a, b, 1.F); }
    Tensor add_scaled(const Tensor& a, const Tensor& b, float factor) override {
        return guarded("add", device_, [&] { return from_torch(at::add(to_torch(a), to_torch(b), factor)); });
    }

    Tensor scale_channels(const Tensor& x, std::int64_t channels, float factor) override {
        return guarded("scale_channels", device_, [&] {
            at::Tensor result = to_torch(x).clone();
            // In float32: libtorch rounds the factor to a 16-bit type first.
            const at::Tensor scaled = result.narrow(-1, 0, channels);
            scaled.copy_(scaled.to(at::kFloat).mul_(factor));
            return from_torch(result);
        });
    }

    Tensor scale_low_frequencies(const Tensor& x, float factor) override {
        return guarded("scale_low_frequencies", device_,
                       [&] { return from_torch(torch::scale_low_frequencies(to_torch(x), factor)); });
    }

    Tensor concat_channels(const Tensor& a, const Tensor& b) override {
        return guarded("concat_channels", device_, [&] {
            return from_torch(at::cat({to_torch(a), to_torch(b)}, -1));
        });
    }
    Tensor concat_batch(const Tensor& a, const Tensor& b) override {
        return guarded("concat_batch", device_, [&] {
            return from_torch(at::cat({to_torch(a), to_torch(b)}, 0));
        });
    }

    Tensor upsample_nearest2x(const Tensor& x, std::int64_t height, std::int64_t width) override {
        return guarded("upsample_nearest2x", device_, [&] {
            return from_torch(channels_last(
                at::upsample_nearest2d(channels_first(to_torch(x)), {height, width}, 2.0, 2.0)));
        });
    }

    // Only the rows that the ids name leave the table.
    Tensor embed(const HostView& table, std::span<const std::int32_t> ids, std::int64_t batch,
                 const HostView& positions, DType dtype) override {
        return guarded("embed", device_, [&] {
            const std::int64_t width = table.shape[-1];
            const auto length = static_cast<std::int64_t>(ids.size()) / batch;
            const at::Tensor values = at::empty({batch * length, width}, at::kFloat);
            auto* row = static_cast<float*>(values.data_ptr());
            HostView one = table;
            one.shape = {width};
            for (const std::int32_t id : ids) {
                one.data = table.data + static_cast<std::size_t>(id) * one.bytes();
                torch::widen(one, {row, static_cast<std::size_t>(width)});
                row += width;
            }
            at::Tensor result = values.view({batch, length, width});
            if (positions.data != nullptr)
                result = result + torch::upload(std::span(&positions, 1), at::kFloat, at::kCPU);
            return from_torch(result.to(scalar_type(dtype)).to(device_));
        });
    }

  private:
    // `make` makes what the weight holds.
    template <class Make>
    void bring(const Weight& weight, const Make& make) {
        if (transfers_)
            transfers_->bring(make, {&weight.matrix, &weight.bias});
        else
            make();
    }

    c10::Device device_;
    const Devices& devices_;
    std::unique_ptr<Transfers> transfers_;  // null: weights are copied where everything is
    std::unique_ptr<Recorder> recorder_;    // null where there is none
    std::uint64_t score_bytes_ = kScoreBytes;
    mutable std::map<DType, bool> supported_;
};

}  // namespace

std::unique_ptr<Backend> make_torch_backend(const c10::Device& device, const Devices& devices) {
    return std::make_unique<TorchBackend>(device, devices);
}

}  // namespace sdxl::torch
