#include "backend/rehearsal/rehearsal_backend.h"

#include <algorithm>
#include <map>
#include <utility>

#include "backend/block_size.h"
#include "backend/int8_rule.h"

namespace sdxl {
namespace {

// Bytes in use and kept, by size class.
class Blocks {
  public:
    void take(std::size_t size) {
        auto& free = free_[size];
        if (free > 0) {
            --free;
        } else {
            held_ += footprint(size);
            peak_ = std::max(peak_, held_);
        }
    }
    void give_back(std::size_t size) { ++free_[size]; }
    void trim() {
        for (const auto& [size, count] : free_) held_ -= count * footprint(size);
        free_.clear();
        peak_ = begin_ = held_;
    }
    std::uint64_t peak() const { return peak_ - begin_; }

  private:
    static std::uint64_t footprint(std::size_t size) {
        return round_up(size, size > kPage ? kPage : kCacheLine);
    }

    std::map<std::size_t, std::uint64_t> free_;
    std::uint64_t held_ = 0;
    std::uint64_t peak_ = 0;
    std::uint64_t begin_ = 0;  // what was held when counting began
};

class ImaginedStorage final : public Storage {
  public:
    ImaginedStorage(std::shared_ptr<Blocks> blocks, std::size_t bytes)
        : blocks_(std::move(blocks)), size_(block_size(bytes)) {
        blocks_->take(size_);
    }
    ~ImaginedStorage() override { blocks_->give_back(size_); }
    ImaginedStorage(const ImaginedStorage&) = delete;
    ImaginedStorage& operator=(const ImaginedStorage&) = delete;

    void* data() override { return nullptr; }
    std::size_t bytes() const override { return size_; }

  private:
    std::shared_ptr<Blocks> blocks_;
    std::size_t size_;
};

struct ImaginedWeight final : PreparedWeight {
    std::int64_t out = 0;  // of a product or a convolution; of a geglu, half of its rows
    std::int64_t kernel_h = 1, kernel_w = 1;
    int stride = 1;
    Padding padding;
    WeightForm form;
    std::size_t size = 0;
    std::size_t bytes() const override { return size; }
    std::uint64_t digest() const override { return 0; }
};

std::size_t weight_bytes(std::int64_t elements, std::int64_t rows, WeightForm form) {
    const auto count = static_cast<std::size_t>(elements);
    if (!form.int8) return count * dtype_size(form.compute);
    return count + static_cast<std::size_t>(rows) * sizeof(float);
}

class Imagined final : public RehearsalBackend {
  public:
    void begin() override { blocks_->trim(); }
    std::uint64_t peak_bytes() const override { return blocks_->peak(); }

    std::string_view name() const override { return "rehearsal"; }
    bool supports(DType) const override { return true; }
    bool supports_int8(DType) const override { return true; }
    void release_cached_memory() override {}

    Tensor empty(const Shape& shape, DType dtype) override {
        const auto bytes = static_cast<std::size_t>(shape.numel()) * dtype_size(dtype);
        return {std::make_shared<ImaginedStorage>(blocks_, bytes), shape, dtype};
    }
    Tensor upload(std::span<const float>, const Shape& shape, DType dtype) override {
        return empty(shape, dtype);
    }
    std::vector<float> download(const Tensor& x) override {
        return std::vector<float>(static_cast<std::size_t>(x.shape().numel()));
    }
    Tensor cast(const Tensor& x, DType dtype) override {
        return x.dtype() == dtype ? x : empty(x.shape(), dtype);
    }

    WeightPtr prepare_linear(const LinearSource& source, WeightForm form) override {
        auto weight = std::make_shared<ImaginedWeight>();
        for (const HostView& view : source.weights) weight->out += view.shape[0];
        const Shape& first = source.weights.front().shape;
        form.int8 = form.int8 && worth_int8(first[1], weight->out);
        weight->form = form;
        for (const HostView& view : source.weights) {
            weight->size += weight_bytes(view.shape.numel(), view.shape[0], form);
        }
        return weight;
    }
    WeightPtr prepare_geglu(const LinearSource& source, WeightForm form) override {
        auto weight = std::make_shared<ImaginedWeight>();
        const Shape& shape = source.weights.front().shape;
        form.int8 = form.int8 && worth_int8(shape[1], shape[0] / 2);
        weight->form = form;
        weight->out = shape[0] / 2;
        weight->size = weight_bytes(shape.numel(), shape[0], form);
        return weight;
    }
    WeightPtr prepare_conv2d(const ConvSource& source, WeightForm form) override {
        auto weight = std::make_shared<ImaginedWeight>();
        const Shape& shape = source.weight.shape;
        form.int8 = form.int8 && worth_int8(shape[1], shape[0]);
        weight->form = form;
        weight->out = shape[0];
        weight->kernel_h = shape[2];
        weight->kernel_w = shape[3];
        weight->stride = source.stride;
        weight->padding = source.padding;
        weight->size = weight_bytes(shape.numel(), shape[0], form);
        return weight;
    }

    void widen(const HostView&, std::span<float>) override {}
    void add_product(std::span<float>, std::span<const float>, std::span<const float>, std::int64_t,
                     float) override {}

    Tensor linear(const Tensor& x, const PreparedWeight& weight, Activation, const Tensor&) override {
        const auto& linear = static_cast<const ImaginedWeight&>(weight);
        const Tensor quantised = quantise(x, linear);
        return empty(with_last(x.shape(), linear.out), x.dtype());
    }
    Tensor geglu(const Tensor& x, const PreparedWeight& weight) override {
        const auto& halves = static_cast<const ImaginedWeight&>(weight);
        const Shape result = with_last(x.shape(), halves.out);
        // The int8 product multiplies both halves while it has them.
        const Tensor beside = halves.form.int8 ? quantise(x, halves) : empty(result, x.dtype());
        return empty(result, x.dtype());
    }
    Tensor conv2d(const Tensor& x, const PreparedWeight& weight, const Tensor&) override {
        const auto& conv = static_cast<const ImaginedWeight&>(weight);
        const Padding& pad = conv.padding;
        const std::int64_t h = (x.dim(1) + pad.top + pad.bottom - conv.kernel_h) / conv.stride + 1;
        const std::int64_t w = (x.dim(2) + pad.left + pad.right - conv.kernel_w) / conv.stride + 1;
        const Tensor quantised = quantise(x, conv);
        return empty({x.dim(0), h, w, conv.out}, x.dtype());
    }
    Tensor attention(const Tensor& q, const Tensor&, const Tensor&, int, bool) override { return like(q); }

    Tensor group_norm(const Tensor& x, const Tensor&, const Tensor&, int, float, bool,
                      const Tensor&) override {
        return like(x);
    }
    GroupMoments group_moments(const Tensor& x, int groups) override {
        const auto count = static_cast<std::size_t>(x.dim(0) * groups);
        return {std::vector<double>(count), std::vector<double>(count)};
    }
    Tensor group_norm_by(const Tensor& x, const Tensor&, const Tensor&, const GroupMoments&, float,
                         bool) override {
        return like(x);
    }
    Tensor layer_norm(const Tensor& x, const Tensor&, const Tensor&, float) override { return like(x); }
    Tensor activate(const Tensor& x, Activation activation) override {
        return activation == Activation::kNone ? x : like(x);
    }
    Tensor add(const Tensor& a, const Tensor&) override { return like(a); }
    Tensor add_scaled(const Tensor& a, const Tensor&, float) override { return like(a); }
    Tensor scale_channels(const Tensor& x, std::int64_t, float) override { return like(x); }
    Tensor scale_low_frequencies(const Tensor& x, float) override { return like(x); }

    Tensor concat_channels(const Tensor& a, const Tensor& b) override {
        return empty(with_last(a.shape(), a.dim(-1) + b.dim(-1)), a.dtype());
    }
    Tensor concat_batch(const Tensor& a, const Tensor& b) override {
        auto dims = a.shape().dims();
        dims.front() += b.dim(0);
        return empty(Shape(std::move(dims)), a.dtype());
    }
    Tensor upsample_nearest2x(const Tensor& x, std::int64_t height, std::int64_t width) override {
        return empty({x.dim(0), height, width, x.dim(3)}, x.dtype());
    }
    Tensor embed(const HostView& table, std::span<const std::int32_t> ids, std::int64_t batch,
                 const HostView&, DType dtype) override {
        const auto length = static_cast<std::int64_t>(ids.size()) / batch;
        return empty({batch, length, table.shape[-1]}, dtype);
    }

  private:
    Tensor like(const Tensor& x) { return empty(x.shape(), x.dtype()); }
    // What an int8 product takes beside its input.
    Tensor quantise(const Tensor& x, const ImaginedWeight& weight) {
        return weight.form.int8 ? empty(x.shape(), DType::kI8) : Tensor{};
    }
    static Shape with_last(const Shape& shape, std::int64_t last) {
        auto dims = shape.dims();
        dims.back() = last;
        return Shape(std::move(dims));
    }

    std::shared_ptr<Blocks> blocks_ = std::make_shared<Blocks>();
};

}  // namespace

std::unique_ptr<RehearsalBackend> make_rehearsal_backend() {
    return std::make_unique<Imagined>();
}

}  // namespace sdxl
