#include "recording_backend.h"

#include <cstring>
#include <utility>

#include "core/error.h"

namespace sdxl {
namespace {

class RecordingBackend final : public Backend, Recorder {
  public:
    RecordingBackend(std::unique_ptr<Backend> by, RecordingCounts& counts)
        : by_(std::move(by)), counts_(counts) {}

    std::string_view name() const override { return "recording"; }
    bool supports(DType compute) const override { return by_->supports(compute); }
    bool supports_int8(DType compute) const override { return by_->supports_int8(compute); }
    DeviceMemory memory() const override { return by_->memory(); }
    void release_cached_memory() override { by_->release_cached_memory(); }
    void limit_attention(std::uint64_t bytes) override { by_->limit_attention(bytes); }
    Recorder* recorder() override { return this; }

    Tensor empty(const Shape& shape, DType dtype) override { return by_->empty(shape, dtype); }
    Tensor upload(std::span<const float> values, const Shape& shape, DType dtype) override {
        from_host();
        return by_->upload(values, shape, dtype);
    }
    std::vector<float> download(const Tensor& x) override {
        from_host();
        return by_->download(x);
    }
    WeightPtr prepare_linear(const LinearSource& source, WeightForm form) override {
        from_host();
        return by_->prepare_linear(source, form);
    }
    WeightPtr prepare_geglu(const LinearSource& source, WeightForm form) override {
        from_host();
        return by_->prepare_geglu(source, form);
    }
    WeightPtr prepare_conv2d(const ConvSource& source, WeightForm form) override {
        from_host();
        return by_->prepare_conv2d(source, form);
    }
    Tensor embed(const HostView& table, std::span<const std::int32_t> ids, std::int64_t batch,
                 const HostView& positions, DType dtype) override {
        from_host();
        return by_->embed(table, ids, batch, positions, dtype);
    }
    GroupMoments group_moments(const Tensor& x, int groups) override {
        from_host();
        return by_->group_moments(x, groups);
    }
    Tensor group_norm_by(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                         const GroupMoments& moments, float eps, bool silu) override {
        from_host();
        return by_->group_norm_by(x, gamma, beta, moments, eps, silu);
    }
    void widen(const HostView& view, std::span<float> values) override { by_->widen(view, values); }
    void add_product(std::span<float> target, std::span<const float> a, std::span<const float> b,
                     std::int64_t k, float scale) override {
        by_->add_product(target, a, b, k, scale);
    }

    Tensor cast(const Tensor& x, DType dtype) override {
        return op([&] { return by_->cast(x, dtype); });
    }
    Tensor linear(const Tensor& x, const PreparedWeight& weight, Activation activation,
                  const Tensor& residual) override {
        return op([&] { return by_->linear(x, weight, activation, residual); });
    }
    Tensor geglu(const Tensor& x, const PreparedWeight& weight) override {
        return op([&] { return by_->geglu(x, weight); });
    }
    Tensor conv2d(const Tensor& x, const PreparedWeight& weight, const Tensor& residual) override {
        return op([&] { return by_->conv2d(x, weight, residual); });
    }
    Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, int heads, bool causal) override {
        return op([&] { return by_->attention(q, k, v, heads, causal); });
    }
    Tensor group_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, int groups, float eps,
                      bool silu, const Tensor& shift) override {
        return op([&] { return by_->group_norm(x, gamma, beta, groups, eps, silu, shift); });
    }
    Tensor layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, float eps) override {
        return op([&] { return by_->layer_norm(x, gamma, beta, eps); });
    }
    Tensor activate(const Tensor& x, Activation activation) override {
        return op([&] { return by_->activate(x, activation); });
    }
    Tensor add(const Tensor& a, const Tensor& b) override {
        return op([&] { return by_->add(a, b); });
    }
    Tensor add_scaled(const Tensor& a, const Tensor& b, float factor) override {
        return op([&] { return by_->add_scaled(a, b, factor); });
    }
    Tensor scale_channels(const Tensor& x, std::int64_t channels, float factor) override {
        return op([&] { return by_->scale_channels(x, channels, factor); });
    }
    Tensor scale_low_frequencies(const Tensor& x, float factor) override {
        return op([&] { return by_->scale_low_frequencies(x, factor); });
    }
    Tensor concat_channels(const Tensor& a, const Tensor& b) override {
        return op([&] { return by_->concat_channels(a, b); });
    }
    Tensor concat_batch(const Tensor& a, const Tensor& b) override {
        return op([&] { return by_->concat_batch(a, b); });
    }
    Tensor upsample_nearest2x(const Tensor& x, std::int64_t height, std::int64_t width) override {
        return op([&] { return by_->upsample_nearest2x(x, height, width); });
    }

  private:
    class Taken final : public Recording {
      public:
        Taken(RecordingBackend& backend, std::function<Tensor()> work)
            : backend_(backend), work_(std::move(work)) {
            ++backend_.counts_.living;
        }
        ~Taken() override { --backend_.counts_.living; }
        Taken(const Taken&) = delete;
        Taken& operator=(const Taken&) = delete;

        Tensor replay() override {
            ++backend_.counts_.replays;
            backend_.replaying_ = true;
            Tensor result = work_();
            backend_.replaying_ = false;
            return result;
        }

      private:
        RecordingBackend& backend_;
        std::function<Tensor()> work_;
    };

    std::unique_ptr<Recording> record(std::function<Tensor()> work) override {
        if (counts_.fail) fail(ErrorCode::kInternal, "nothing is recorded today");
        ++counts_.recordings;
        return std::make_unique<Taken>(*this, std::move(work));
    }
    void copy(const Tensor& from, const Tensor& to) override {
        if (from.shape() != to.shape() || from.dtype() != to.dtype() || !from.contiguous())
            fail(ErrorCode::kInternal, "copy of what does not fit");
        std::memcpy(to.raw(), from.raw(), from.bytes());
    }

    void from_host() { counts_.refused += replaying_ ? 1 : 0; }
    template <class Work>
    Tensor op(const Work& work) {
        counts_.ops += replaying_ ? 0 : 1;
        return work();
    }

    std::unique_ptr<Backend> by_;
    RecordingCounts& counts_;
    bool replaying_ = false;
};

}  // namespace

std::unique_ptr<Backend> make_recording_backend(std::unique_ptr<Backend> by, RecordingCounts& counts) {
    return std::make_unique<RecordingBackend>(std::move(by), counts);
}

}  // namespace sdxl
