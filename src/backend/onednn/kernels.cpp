#include "backend/onednn/kernels.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/onednn/kernels.cpp"
#include <hwy/foreach_target.h>
// foreach_target.h must come before highway.h.
#include <hwy/highway.h>

#include "backend/onednn/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace sdxl::onednn::HWY_NAMESPACE {

template <class T>
void add_impl(const T* a, const T* b, T* y, std::int64_t count) {
    for (std::int64_t i = 0; i < count; i += lanes())
        store_some(hn::Add(load_some(a + i, count - i), load_some(b + i, count - i)), y + i, count - i);
}

template <class T>
void add_scaled_impl(const T* a, const T* b, float factor, T* y, std::int64_t count) {
    const auto f = hn::Set(DF(), factor);
    for (std::int64_t i = 0; i < count; i += lanes())
        store_some(hn::MulAdd(load_some(b + i, count - i), f, load_some(a + i, count - i)), y + i, count - i);
}

template <class T>
void silu_impl(float alpha, const T* x, T* y, std::int64_t count) {
    const DF d;
    for (std::int64_t i = 0; i < count; i += lanes()) {
        const auto v = load_some(x + i, count - i);
        store_some(hn::Mul(v, sigmoid(hn::Mul(v, hn::Set(d, alpha)))), y + i, count - i);
    }
}

template <class T>
void layer_norm_impl(const T* x, const float* gamma, const float* beta, float eps, T* y, std::int64_t width) {
    const DF d;
    auto sum = hn::Zero(d);
    for (std::int64_t i = 0; i < width; i += lanes()) sum = hn::Add(sum, load_some(x + i, width - i));
    const float mean = hn::GetLane(hn::SumOfLanes(d, sum)) / static_cast<float>(width);
    auto squares = hn::Zero(d);
    const auto center = hn::Set(d, mean);
    const std::int64_t whole = width / lanes() * lanes();
    for (std::int64_t i = 0; i < whole; i += lanes()) {
        const auto v = hn::Sub(load(x + i), center);
        squares = hn::MulAdd(v, v, squares);
    }
    if (whole < width) {
        const auto v = hn::Sub(load_some(x + whole, width - whole), center);
        const auto in_row = hn::FirstN(d, static_cast<std::size_t>(width - whole));
        squares = hn::Add(squares, hn::IfThenElseZero(in_row, hn::Mul(v, v)));
    }
    const float variance = hn::GetLane(hn::SumOfLanes(d, squares)) / static_cast<float>(width);
    const auto rstd = hn::Set(d, 1.F / std::sqrt(variance + eps));
    for (std::int64_t i = 0; i < width; i += lanes()) {
        const auto v = hn::Mul(hn::Sub(load_some(x + i, width - i), center), rstd);
        store_some(hn::MulAdd(v, load_some(gamma + i, width - i), load_some(beta + i, width - i)), y + i,
                   width - i);
    }
}

template <class T>
void channel_moments_impl(const T* x, const float* shift, std::int64_t rows, std::int64_t width, float* sum,
                          float* square) {
    const DF d;
    for (std::int64_t c = 0; c < width; c += lanes()) {
        const std::int64_t left = width - c;
        const auto offset = shift != nullptr ? load_some(shift + c, left) : hn::Zero(d);
        auto s = hn::Zero(d);
        auto q = hn::Zero(d);
        for (std::int64_t r = 0; r < rows; ++r) {
            const auto v = hn::Add(load_some(x + r * width + c, left), offset);
            s = hn::Add(s, v);
            q = hn::MulAdd(v, v, q);
        }
        store_some(hn::Add(s, load_some(sum + c, left)), sum + c, left);
        store_some(hn::Add(q, load_some(square + c, left)), square + c, left);
    }
}

template <class T>
void scale_bias_impl(const T* x, const float* scale, const float* bias, bool silu, T* y, std::int64_t rows,
                     std::int64_t width) {
    for (std::int64_t r = 0; r < rows; ++r, x += width, y += width) {
        for (std::int64_t c = 0; c < width; c += lanes()) {
            const std::int64_t left = width - c;
            auto v =
                hn::MulAdd(load_some(x + c, left), load_some(scale + c, left), load_some(bias + c, left));
            if (silu) v = hn::Mul(v, sigmoid(v));
            store_some(v, y + c, left);
        }
    }
}

template <class T>
float softmax_impl(const float* scores, std::int64_t width, float scale, float* row_max, float* row_sum,
                   T* p) {
    const DF d;
    auto biggest = hn::Set(d, scores[0]);
    const std::int64_t whole = width / lanes() * lanes();
    for (std::int64_t i = 0; i < whole; i += lanes()) biggest = hn::Max(biggest, load(scores + i));
    float top = hn::GetLane(hn::MaxOfLanes(d, biggest));
    for (std::int64_t i = whole; i < width; ++i) top = std::max(top, scores[i]);
    const float old_max = *row_max;
    const float new_max = std::max(old_max, top * scale);
    const auto factor = hn::Set(d, scale);
    const auto minus = hn::Set(d, -new_max);
    auto total = hn::Zero(d);
    for (std::int64_t i = 0; i < whole; i += lanes()) {
        const auto e = fast_exp(hn::MulAdd(load(scores + i), factor, minus));
        total = hn::Add(total, e);
        store(e, p + i);
    }
    if (whole < width) {
        const auto in_row = hn::FirstN(d, static_cast<std::size_t>(width - whole));
        const auto e = fast_exp(hn::MulAdd(load_some(scores + whole, width - whole), factor, minus));
        total = hn::Add(total, hn::IfThenElseZero(in_row, e));
        store_some(e, p + whole, width - whole);
    }
    const float correction = std::exp(old_max - new_max);
    *row_max = new_max;
    *row_sum = *row_sum * correction + hn::GetLane(hn::SumOfLanes(d, total));
    return correction;
}

template <class T>
void scale_convert_impl(const float* x, float factor, T* y, std::int64_t width) {
    const auto f = hn::Set(DF(), factor);
    for (std::int64_t i = 0; i < width; i += lanes())
        store_some(hn::Mul(load_some(x + i, width - i), f), y + i, width - i);
}

HWY_INLINE VF load_half(const std::byte* p) {
    const hn::Rebind<hwy::float16_t, DF> dh;
    const hn::Rebind<std::uint16_t, DF> du;
    return hn::PromoteTo(DF(), hn::BitCast(dh, hn::LoadU(du, reinterpret_cast<const std::uint16_t*>(p))));
}

template <class T>
std::int64_t convert_whole(const std::byte* source, DType dtype, T* target, std::int64_t count) {
    const std::int64_t whole = count / lanes() * lanes();
    if (dtype == DType::kF16) {
        for (std::int64_t i = 0; i < whole; i += lanes()) store(load_half(source + 2 * i), target + i);
    } else if (dtype == DType::kBF16) {
        for (std::int64_t i = 0; i < whole; i += lanes())
            store(load(reinterpret_cast<const bf16_bits*>(source + 2 * i)), target + i);
    } else if (dtype == DType::kF32) {
        for (std::int64_t i = 0; i < whole; i += lanes())
            store(load(reinterpret_cast<const float*>(source + 4 * i)), target + i);
    } else {
        return 0;
    }
    return whole;
}

// Entry points: one overload set per element type would need one export each, so T is named.
void add_f32(const float* a, const float* b, float* y, std::int64_t n) {
    add_impl(a, b, y, n);
}
void add_bf16(const bf16_bits* a, const bf16_bits* b, bf16_bits* y, std::int64_t n) {
    add_impl(a, b, y, n);
}
void add_scaled_f32(const float* a, const float* b, float f, float* y, std::int64_t n) {
    add_scaled_impl(a, b, f, y, n);
}
void add_scaled_bf16(const bf16_bits* a, const bf16_bits* b, float f, bf16_bits* y, std::int64_t n) {
    add_scaled_impl(a, b, f, y, n);
}
void silu_f32(float alpha, const float* x, float* y, std::int64_t n) {
    silu_impl(alpha, x, y, n);
}
void silu_bf16(float alpha, const bf16_bits* x, bf16_bits* y, std::int64_t n) {
    silu_impl(alpha, x, y, n);
}
void layer_norm_f32(const float* x, const float* g, const float* b, float eps, float* y, std::int64_t n) {
    layer_norm_impl(x, g, b, eps, y, n);
}
void layer_norm_bf16(const bf16_bits* x, const float* g, const float* b, float eps, bf16_bits* y,
                     std::int64_t n) {
    layer_norm_impl(x, g, b, eps, y, n);
}
void moments_f32(const float* x, const float* s, std::int64_t r, std::int64_t n, float* sum, float* square) {
    channel_moments_impl(x, s, r, n, sum, square);
}
void moments_bf16(const bf16_bits* x, const float* s, std::int64_t r, std::int64_t n, float* sum,
                  float* square) {
    channel_moments_impl(x, s, r, n, sum, square);
}
void scale_bias_f32(const float* x, const float* s, const float* b, bool silu, float* y, std::int64_t r,
                    std::int64_t n) {
    scale_bias_impl(x, s, b, silu, y, r, n);
}
void scale_bias_bf16(const bf16_bits* x, const float* s, const float* b, bool silu, bf16_bits* y,
                     std::int64_t r, std::int64_t n) {
    scale_bias_impl(x, s, b, silu, y, r, n);
}
float softmax_f32(const float* s, std::int64_t n, float scale, float* m, float* l, float* p) {
    return softmax_impl(s, n, scale, m, l, p);
}
float softmax_bf16(const float* s, std::int64_t n, float scale, float* m, float* l, bf16_bits* p) {
    return softmax_impl(s, n, scale, m, l, p);
}
void scale_f32(const float* x, float f, float* y, std::int64_t n) {
    scale_convert_impl(x, f, y, n);
}
void scale_bf16(const float* x, float f, bf16_bits* y, std::int64_t n) {
    scale_convert_impl(x, f, y, n);
}
std::int64_t convert_f32(const std::byte* s, DType dtype, float* t, std::int64_t n) {
    return convert_whole(s, dtype, t, n);
}
std::int64_t convert_bf16(const std::byte* s, DType dtype, bf16_bits* t, std::int64_t n) {
    return convert_whole(s, dtype, t, n);
}
const char* target_name() {
    return hwy::TargetName(HWY_TARGET);
}

}  // namespace sdxl::onednn::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace sdxl::onednn {
namespace {

HWY_EXPORT(add_f32);
HWY_EXPORT(add_bf16);
HWY_EXPORT(add_scaled_f32);
HWY_EXPORT(add_scaled_bf16);
HWY_EXPORT(silu_f32);
HWY_EXPORT(silu_bf16);
HWY_EXPORT(layer_norm_f32);
HWY_EXPORT(layer_norm_bf16);
HWY_EXPORT(moments_f32);
HWY_EXPORT(moments_bf16);
HWY_EXPORT(scale_bias_f32);
HWY_EXPORT(scale_bias_bf16);
HWY_EXPORT(softmax_f32);
HWY_EXPORT(softmax_bf16);
HWY_EXPORT(scale_f32);
HWY_EXPORT(scale_bf16);
HWY_EXPORT(convert_f32);
HWY_EXPORT(convert_bf16);
HWY_EXPORT(target_name);

float read_one(const std::byte* source, DType dtype) {
    if (dtype == DType::kF64) {
        double value = 0;
        std::memcpy(&value, source, sizeof value);
        return static_cast<float>(value);
    }
    if (dtype == DType::kF32) {
        float value = 0;
        std::memcpy(&value, source, sizeof value);
        return value;
    }
    std::uint16_t bits = 0;
    std::memcpy(&bits, source, sizeof bits);
    return dtype == DType::kBF16 ? bf16_to_f32(bits) : f16_to_f32(bits);
}

void assign(float value, float* target) {
    *target = value;
}
void assign(float value, bf16_bits* target) {
    *target = f32_to_bf16(value);
}
float value_of(float x) {
    return x;
}
float value_of(bf16_bits x) {
    return bf16_to_f32(x);
}

template <class T>
void gelu(const T* x, T* y, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) {
        const float v = value_of(x[i]);
        assign(0.5F * v * (1.F + std::erf(v * 0.70710678F)), y + i);
    }
}

// Plain enough for the compiler to make vectors of it. Values that are not numbers stay so.
void relu(const float* x, float* y, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) y[i] = x[i] < 0.F ? 0.F : x[i];
}
void relu(const bf16_bits* x, bf16_bits* y, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) y[i] = bf16_to_f32(x[i]) < 0.F ? bf16_bits{} : x[i];
}

float silu_alpha(EltwiseKind kind) {
    return kind == EltwiseKind::kQuickGelu ? 1.702F : 1.F;
}

}  // namespace

void convert(const std::byte* source, DType dtype, float* target, std::int64_t count) {
    for (std::int64_t i = HWY_DYNAMIC_DISPATCH(convert_f32)(source, dtype, target, count); i < count; ++i)
        assign(read_one(source + static_cast<std::size_t>(i) * dtype_size(dtype), dtype), target + i);
}
void convert(const std::byte* source, DType dtype, bf16_bits* target, std::int64_t count) {
    for (std::int64_t i = HWY_DYNAMIC_DISPATCH(convert_bf16)(source, dtype, target, count); i < count; ++i)
        assign(read_one(source + static_cast<std::size_t>(i) * dtype_size(dtype), dtype), target + i);
}

void add(const float* a, const float* b, float* y, std::int64_t count) {
    HWY_DYNAMIC_DISPATCH(add_f32)(a, b, y, count);
}
void add(const bf16_bits* a, const bf16_bits* b, bf16_bits* y, std::int64_t count) {
    HWY_DYNAMIC_DISPATCH(add_bf16)(a, b, y, count);
}

void add_scaled(const float* a, const float* b, float factor, float* y, std::int64_t count) {
    HWY_DYNAMIC_DISPATCH(add_scaled_f32)(a, b, factor, y, count);
}
void add_scaled(const bf16_bits* a, const bf16_bits* b, float factor, bf16_bits* y, std::int64_t count) {
    HWY_DYNAMIC_DISPATCH(add_scaled_bf16)(a, b, factor, y, count);
}

void eltwise(EltwiseKind kind, const float* x, float* y, std::int64_t count) {
    if (kind == EltwiseKind::kGelu) return gelu(x, y, count);
    if (kind == EltwiseKind::kRelu) return relu(x, y, count);
    HWY_DYNAMIC_DISPATCH(silu_f32)(silu_alpha(kind), x, y, count);
}
void eltwise(EltwiseKind kind, const bf16_bits* x, bf16_bits* y, std::int64_t count) {
    if (kind == EltwiseKind::kGelu) return gelu(x, y, count);
    if (kind == EltwiseKind::kRelu) return relu(x, y, count);
    HWY_DYNAMIC_DISPATCH(silu_bf16)(silu_alpha(kind), x, y, count);
}

void layer_norm_row(const float* x, const float* gamma, const float* beta, float eps, float* y,
                    std::int64_t width) {
    HWY_DYNAMIC_DISPATCH(layer_norm_f32)(x, gamma, beta, eps, y, width);
}
void layer_norm_row(const bf16_bits* x, const float* gamma, const float* beta, float eps, bf16_bits* y,
                    std::int64_t width) {
    HWY_DYNAMIC_DISPATCH(layer_norm_bf16)(x, gamma, beta, eps, y, width);
}

void channel_moments(const float* x, const float* shift, std::int64_t rows, std::int64_t width, float* sum,
                     float* square) {
    HWY_DYNAMIC_DISPATCH(moments_f32)(x, shift, rows, width, sum, square);
}
void channel_moments(const bf16_bits* x, const float* shift, std::int64_t rows, std::int64_t width,
                     float* sum, float* square) {
    HWY_DYNAMIC_DISPATCH(moments_bf16)(x, shift, rows, width, sum, square);
}

void scale_bias_rows(const float* x, const float* scale, const float* bias, bool silu, float* y,
                     std::int64_t rows, std::int64_t width) {
    HWY_DYNAMIC_DISPATCH(scale_bias_f32)(x, scale, bias, silu, y, rows, width);
}
void scale_bias_rows(const bf16_bits* x, const float* scale, const float* bias, bool silu, bf16_bits* y,
                     std::int64_t rows, std::int64_t width) {
    HWY_DYNAMIC_DISPATCH(scale_bias_bf16)(x, scale, bias, silu, y, rows, width);
}

float softmax_row(const float* scores, std::int64_t width, float scale, float* row_max, float* row_sum,
                  float* p) {
    return HWY_DYNAMIC_DISPATCH(softmax_f32)(scores, width, scale, row_max, row_sum, p);
}
float softmax_row(const float* scores, std::int64_t width, float scale, float* row_max, float* row_sum,
                  bf16_bits* p) {
    return HWY_DYNAMIC_DISPATCH(softmax_bf16)(scores, width, scale, row_max, row_sum, p);
}

void scale_row(float* x, float factor, std::int64_t width) {
    HWY_DYNAMIC_DISPATCH(scale_f32)(x, factor, x, width);
}
void scale_convert_row(const float* x, float factor, float* y, std::int64_t width) {
    HWY_DYNAMIC_DISPATCH(scale_f32)(x, factor, y, width);
}
void scale_convert_row(const float* x, float factor, bf16_bits* y, std::int64_t width) {
    HWY_DYNAMIC_DISPATCH(scale_bf16)(x, factor, y, width);
}

const char* kernel_target() {
    return HWY_DYNAMIC_DISPATCH(target_name)();
}

}  // namespace sdxl::onednn
#endif  // HWY_ONCE
