// Backend: memory, prepared weights and the coarse ops that networks are made of, on one device.
//
// Two kinds live here: `reference` (plain C++, fp32, the oracle) and `onednn` (CPU, fp32 and bf16). Networks
// never ask which one they run on. Callers go through ops/, which checks shapes and traces; a backend may
// assume what is written under REQUIRES here.
//
// Layout: activations are channels-last. Pictures and latents are [N, H, W, C], tokens [N, L, C]. Activations
// have the element type that the backend computes in; norms' parameters and biases are float32. Ownership:
// tensors and prepared weights own their memory and may outlive the views they were made from. Threads: one
// thread calls a backend at a time; ops run on the backend's own threads and are complete on return. Errors:
// Failure, kOutOfMemory or kInternal; no foreign exception leaves a backend.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "backend/device_info.h"
#include "backend/recorder.h"
#include "tensor/host_view.h"
#include "tensor/tensor.h"

namespace sdxl {

enum class Activation {
    kNone,
    kSilu,       // x * sigmoid(x)
    kGelu,       // x * Phi(x), the erf form
    kQuickGelu,  // x * sigmoid(1.702 x)
    kRelu,       // max(x, 0)
};

// "none", "silu", ...: for traces and messages.
std::string_view activation_name(Activation activation);

// Of any bytes.
std::uint64_t digest_of(std::span<const std::byte> bytes, std::uint64_t seed = 0);

// How a weight is kept and computed with.
struct WeightForm {
    DType compute = DType::kF32;  // of activations
    // Values in int8, one scale for each output row; activations are quantised as they come. Norms,
    // embeddings, biases and what is too small to gain stay in `compute`.
    bool int8 = false;
};

// A weight in the form that its backend computes with. Only the backend that made it may use it.
class PreparedWeight {
  public:
    virtual ~PreparedWeight() = default;
    virtual std::size_t bytes() const = 0;
    // Of its values as they are computed with: equal weights in equal layouts have equal digests.
    virtual std::uint64_t digest() const = 0;
};
using WeightPtr = std::shared_ptr<const PreparedWeight>;

// y = x W^T + b. Several matrices stack over their output rows (query, key and value as one product).
// Every weight view is [out_i, in] (or [out_i, in, 1, 1]); biases are [out_i], one for each weight, or none
// at all.
struct LinearSource {
    std::vector<HostView> weights;
    std::vector<HostView> biases;
};

struct Padding {
    int top = 0, left = 0, bottom = 0, right = 0;
};

// Cross-correlation as torch.nn.Conv2d; weight [out, in, kh, kw], bias [out] or empty view.
struct ConvSource {
    HostView weight;
    HostView bias;
    int stride = 1;
    Padding padding;
};

// Of the groups of channels of each entry of a batch, [N * groups].
struct GroupMoments {
    std::vector<double> mean;
    std::vector<double> variance;  // biased, as the norms use it
};

class Backend {
  public:
    virtual ~Backend() = default;

    virtual std::string_view name() const = 0;
    virtual bool supports(DType compute) const = 0;
    // Whether weights may be int8 (WeightForm) beside activations of this type.
    virtual bool supports_int8(DType) const { return false; }

    // --- memory
    // -----------------------------------------------------------------------------------------------------
    virtual Tensor empty(const Shape& shape, DType dtype) = 0;
    // Copies from host memory, converting to `dtype`. REQUIRES: values.size() == shape.numel().
    virtual Tensor upload(std::span<const float> values, const Shape& shape, DType dtype) = 0;
    // Copies to host memory as float32. REQUIRES: x contiguous.
    virtual std::vector<float> download(const Tensor& x) = 0;
    virtual Tensor cast(const Tensor& x, DType dtype) = 0;
    // Of the device: what it has, and what can be had of it now (what release_cached_memory() would give back
    // included). Zeros where the device does not tell.
    virtual DeviceMemory memory() const { return {}; }
    // Gives memory that is kept for the next op, but not in use, back to the system.
    virtual void release_cached_memory() {}
    // Bounds what attention holds of its scores at a time (attention slicing); 0: what the backend sees fit.
    // Of no effect where scores are never in memory.
    virtual void limit_attention(std::uint64_t /*bytes*/) {}
    // Null where passes cannot be recorded. The backend's own.
    virtual Recorder* recorder() { return nullptr; }

    // --- weights: converted and packed once, at load
    // ----------------------------------------------------------------
    virtual WeightPtr prepare_linear(const LinearSource& source, WeightForm form) = 0;
    // For geglu(): one weight [2 * inner, in] whose upper half is the value and lower half the gate.
    virtual WeightPtr prepare_geglu(const LinearSource& source, WeightForm form) = 0;
    virtual WeightPtr prepare_conv2d(const ConvSource& source, WeightForm form) = 0;

    // --- values of weights before they are prepared, in host memory: what adapters change
    // ----------------------------------------------------------------
    // As float32. REQUIRES: values.size() == view.shape.numel(), a floating-point type.
    virtual void widen(const HostView& view, std::span<float> values) = 0;
    // target [m, n] += scale * a [m, k] b [k, n], row-major.
    virtual void add_product(std::span<float> target, std::span<const float> a, std::span<const float> b,
                             std::int64_t k, float scale) = 0;

    // --- products
    // --------------------------------------------------------------------------------------------------- x
    // [..., in] -> activation(x W^T + b) + residual, [..., out]. `residual` may be undefined; if not, it has
    // the result's shape, and activation is kNone.
    virtual Tensor linear(const Tensor& x, const PreparedWeight& weight, Activation activation,
                          const Tensor& residual) = 0;
    // x [..., in] -> value * gelu(gate), [..., inner]. Shazeer, "GLU Variants Improve Transformer", 2020.
    virtual Tensor geglu(const Tensor& x, const PreparedWeight& weight) = 0;
    // x [N, H, W, in] -> conv(x) + residual, [N, H', W', out]. `residual` may be undefined.
    virtual Tensor conv2d(const Tensor& x, const PreparedWeight& weight, const Tensor& residual) = 0;
    // softmax(q k^T / sqrt(C / heads)) v per head. q [N, Lq, C], k and v [N, Lk, C], any row stride -> [N,
    // Lq, C]. With `causal`, position i sees positions <= i (and Lq == Lk).
    virtual Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, int heads, bool causal) = 0;

    // --- norms and element-wise
    // ------------------------------------------------------------------------------------- x [N, H, W, C] or
    // [N, L, C]; gamma, beta float32 [C]; `shift` float32 [N, C] is added to x before the norm where defined;
    // with `silu` the result goes through SiLU.
    virtual Tensor group_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, int groups, float eps,
                              bool silu, const Tensor& shift) = 0;
    // The same in two: moments of x [N, ..., C], and f((x - mean) / sqrt(variance + eps) * gamma + beta) by
    // moments from wherever.
    virtual GroupMoments group_moments(const Tensor& x, int groups) = 0;
    virtual Tensor group_norm_by(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                                 const GroupMoments& moments, float eps, bool silu) = 0;
    // Over the innermost extent; gamma, beta float32 [C].
    virtual Tensor layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, float eps) = 0;
    virtual Tensor activate(const Tensor& x, Activation activation) = 0;
    virtual Tensor add(const Tensor& a, const Tensor& b) = 0;
    // a + factor * b
    virtual Tensor add_scaled(const Tensor& a, const Tensor& b, float factor) = 0;
    // The first `channels` of x [..., C] times `factor`.
    virtual Tensor scale_channels(const Tensor& x, std::int64_t channels, float factor) = 0;
    // x [N, H, W, C] with the frequencies 0 and -1 of each side (of a discrete Fourier transform over H and
    // W) times `factor`, real part: FreeU's filter of radius 1 (Si et al. 2023).
    virtual Tensor scale_low_frequencies(const Tensor& x, float factor) = 0;

    // --- movement
    // --------------------------------------------------------------------------------------------------- [N,
    // H, W, A] and [N, H, W, B] -> [N, H, W, A + B]
    virtual Tensor concat_channels(const Tensor& a, const Tensor& b) = 0;
    // [N, L, C] and [M, L, C], any row stride -> [N + M, L, C]
    virtual Tensor concat_batch(const Tensor& a, const Tensor& b) = 0;
    // [N, H, W, C] -> [N, height, width, C]: pixel (y, x) is the source's (y / 2, x / 2).
    // REQUIRES: height is 2H or 2H - 1, width 2W or 2W - 1 (the odd ones drop the last row or column, which
    // is what torch's nearest interpolation to that size gives).
    virtual Tensor upsample_nearest2x(const Tensor& x, std::int64_t height, std::int64_t width) = 0;
    // Rows `ids` of a float table, plus `positions` [L, C] where given: ids are N x L -> [N, L, C] in
    // `dtype`. REQUIRES: every id in [0, table.shape[0]).
    virtual Tensor embed(const HostView& table, std::span<const std::int32_t> ids, std::int64_t batch,
                         const HostView& positions, DType dtype) = 0;
};

}  // namespace sdxl
