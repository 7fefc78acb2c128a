#include "backend/onednn/int8_kernels.h"

#include <algorithm>
#include <cstring>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/onednn/int8_kernels.cpp"
#include <hwy/foreach_target.h>
// foreach_target.h must come before highway.h.
#include <hwy/highway.h>

#include "backend/onednn/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace sdxl::onednn::HWY_NAMESPACE {

// Smaller ranges are taken for none: their reciprocal would not be finite.
constexpr float kSmallestRange = 1e-30F;

struct RowRange {
    float least = 0, most = 0;
    bool finite = true;
};

template <class T>
RowRange range_of(const T* x, std::int64_t width) {
    const DF d;
    const hn::RebindToSigned<DF> di;
    auto least = hn::Set(d, std::numeric_limits<float>::infinity());
    auto most = hn::Neg(least);
    auto magnitude = hn::Zero(di);  // the bits of the largest one: integers order them, NaN above infinity
    for (std::int64_t i = 0; i < width; i += lanes()) {
        auto v = load_some(x + i, width - i);
        magnitude = hn::Max(magnitude, hn::BitCast(di, hn::Abs(v)));
        if (width - i < lanes()) {
            // Beyond the row, its first value again.
            const auto in_row = hn::FirstN(d, static_cast<std::size_t>(width - i));
            v = hn::IfThenElse(in_row, v, hn::Set(d, hn::GetLane(load_some(x, 1))));
        }
        least = hn::Min(least, v);
        most = hn::Max(most, v);
    }
    return {hn::GetLane(hn::MinOfLanes(d, least)), hn::GetLane(hn::MaxOfLanes(d, most)),
            hn::GetLane(hn::MaxOfLanes(di, magnitude)) < 0x7f800000};
}

template <class T>
void quantize_row_impl(const T* x, std::int64_t width, std::int64_t padded, std::uint8_t* u, float* scale,
                       float* offset) {
    const DF d;
    const hn::RebindToSigned<DF> di;
    const hn::Rebind<std::uint8_t, DF> db;
    const RowRange range = range_of(x, width);
    const float extent = range.most - range.least;
    if (!range.finite || !(extent >= kSmallestRange)) {
        std::memset(u, 0, static_cast<std::size_t>(padded));
        *scale = range.finite ? 0.F : std::numeric_limits<float>::quiet_NaN();
        *offset = range.finite ? range.least : *scale;
        return;
    }
    constexpr float kLevels = 255;
    *scale = extent / kLevels;
    *offset = range.least;
    const auto inverse = hn::Set(d, kLevels / extent);
    const auto least = hn::Set(d, range.least);
    std::uint8_t last[kMaxLanes];
    for (std::int64_t i = 0; i < width; i += lanes()) {
        const std::int64_t left = width - i;
        const auto level = hn::NearestInt(hn::Mul(hn::Sub(load_some(x + i, left), least), inverse));
        const auto bytes = hn::DemoteTo(db, hn::Min(level, hn::Set(di, 255)));
        if (left >= lanes()) {
            hn::StoreU(bytes, db, u + i);
        } else {
            hn::StoreU(bytes, db, last);
            std::memcpy(u + i, last, static_cast<std::size_t>(left));
        }
    }
    std::memset(u + width, 0, static_cast<std::size_t>(padded - width));
}

float quantize_weights_impl(const float* w, std::int64_t count, std::int8_t* q) {
    const DF d;
    const hn::Rebind<std::int8_t, DF> db;
    const RowRange range = range_of(w, count);
    const float largest = std::max(-range.least, range.most);
    if (!range.finite || !(largest >= kSmallestRange)) {
        std::memset(q, 0, static_cast<std::size_t>(count));
        return range.finite ? 0.F : std::numeric_limits<float>::quiet_NaN();
    }
    constexpr float kLevels = 127;
    const auto inverse = hn::Set(d, kLevels / largest);
    std::int8_t last[kMaxLanes];
    for (std::int64_t i = 0; i < count; i += lanes()) {
        const std::int64_t left = count - i;
        const auto bytes = hn::DemoteTo(db, hn::NearestInt(hn::Mul(load_some(w + i, left), inverse)));
        if (left >= lanes()) {
            hn::StoreU(bytes, db, q + i);
        } else {
            hn::StoreU(bytes, db, last);
            std::memcpy(q + i, last, static_cast<std::size_t>(left));
        }
    }
    return largest / kLevels;
}

// erf by Abramowitz and Stegun 7.1.26, within 1.5e-7.
HWY_INLINE VF gelu(VF x) {
    const DF d;
    const auto one = hn::Set(d, 1.F);
    const auto z = hn::Mul(hn::Abs(x), hn::Set(d, 0.70710678F));
    const auto t = hn::Div(one, hn::MulAdd(z, hn::Set(d, 0.3275911F), one));
    auto p = hn::Set(d, 1.061405429F);
    p = hn::MulAdd(p, t, hn::Set(d, -1.453152027F));
    p = hn::MulAdd(p, t, hn::Set(d, 1.421413741F));
    p = hn::MulAdd(p, t, hn::Set(d, -0.284496736F));
    p = hn::MulAdd(p, t, hn::Set(d, 0.254829592F));
    const auto erf = hn::NegMulAdd(hn::Mul(p, t), fast_exp(hn::Neg(hn::Mul(z, z))), one);
    return hn::Mul(hn::Mul(x, hn::Set(d, 0.5F)), hn::Add(one, hn::CopySign(erf, x)));
}

HWY_INLINE VF activated(VF x, TileEnd end) {
    const DF d;
    switch (end) {
        case TileEnd::kSilu:
            return hn::Mul(x, sigmoid(x));
        case TileEnd::kQuickGelu:
            return hn::Mul(x, sigmoid(hn::Mul(x, hn::Set(d, 1.702F))));
        case TileEnd::kGelu:
            return gelu(x);
        case TileEnd::kRelu:
            return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), hn::Zero(d), x);  // a NaN stays one
        case TileEnd::kNone:
        case TileEnd::kAdd:
            break;
    }
    return x;
}

template <class T>
void finish_row_impl(const float* sums, const float* scale, const float* bias, TileEnd end, const T* residual,
                     T* y, std::int64_t count) {
    for (std::int64_t i = 0; i < count; i += lanes()) {
        auto v = activated(hn::MulAdd(load(sums + i), load(scale + i), load(bias + i)), end);
        if (end == TileEnd::kAdd) v = hn::Add(v, load_some(residual + i, count - i));
        store_some(v, y + i, count - i);
    }
}

template <class T>
void finish_geglu_impl(const float* sums, const float* scale, const float* bias, T* y, std::int64_t count) {
    constexpr std::int64_t kGate = kPanelColumns / 2;
    for (std::int64_t i = 0; i < count; i += lanes()) {
        const auto value = hn::MulAdd(load(sums + i), load(scale + i), load(bias + i));
        const std::int64_t g = kGate + i;
        const auto gate = hn::MulAdd(load(sums + g), load(scale + g), load(bias + g));
        store_some(hn::Mul(value, gelu(gate)), y + i, count - i);
    }
}

void add_scaled_impl(const std::int32_t* dots, const TileRows& rows, const float* totals, bool first,
                     float* sums) {
    const DF d;
    const hn::RebindToSigned<DF> di;
    for (std::int64_t row = 0; row < kTileRows; ++row, dots += kPanelColumns, sums += kPanelColumns) {
        const auto scale = hn::Set(d, rows.scale[row]);
        const auto offset = hn::Set(d, rows.offset[row]);
        for (std::int64_t i = 0; i < kPanelColumns; i += lanes()) {
            const auto before = first ? hn::Zero(d) : load(sums + i);
            const auto sum = hn::MulAdd(offset, load(totals + i), before);
            store(hn::MulAdd(scale, hn::ConvertTo(d, hn::LoadU(di, dots + i)), sum), sums + i);
        }
    }
}

// Entry points: T is named, as each needs an export of its own.
void quantize_row_f32(const float* x, std::int64_t n, std::int64_t p, std::uint8_t* u, float* s, float* o) {
    quantize_row_impl(x, n, p, u, s, o);
}
void quantize_row_bf16(const bf16_bits* x, std::int64_t n, std::int64_t p, std::uint8_t* u, float* s,
                       float* o) {
    quantize_row_impl(x, n, p, u, s, o);
}
void finish_row_f32(const float* sums, const float* s, const float* b, TileEnd end, const float* r, float* y,
                    std::int64_t n) {
    finish_row_impl(sums, s, b, end, r, y, n);
}
void finish_row_bf16(const float* sums, const float* s, const float* b, TileEnd end, const bf16_bits* r,
                     bf16_bits* y, std::int64_t n) {
    finish_row_impl(sums, s, b, end, r, y, n);
}
void finish_geglu_f32(const float* sums, const float* s, const float* b, float* y, std::int64_t n) {
    finish_geglu_impl(sums, s, b, y, n);
}
void finish_geglu_bf16(const float* sums, const float* s, const float* b, bf16_bits* y, std::int64_t n) {
    finish_geglu_impl(sums, s, b, y, n);
}

}  // namespace sdxl::onednn::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace sdxl::onednn {
namespace {

// The one kernel that Highway 1.0.3 has no operation for. GCC keeps its 24 sums in registers only as
// variables of their own that do nothing else.
#if HWY_ARCH_X86
#define SDXL_VNNI __attribute__((target("avx512f,avx512vnni")))
#define SDXL_VNNI_INLINE __attribute__((target("avx512f,avx512vnni"), always_inline)) inline

SDXL_VNNI_INLINE void add_quad(const std::uint8_t* x, __m512i wa, __m512i wb, __m512i wc, __m512i wd,
                               __m512i& a, __m512i& b, __m512i& c, __m512i& d) {
    std::int32_t four;
    std::memcpy(&four, x, sizeof four);
    const __m512i spread = _mm512_set1_epi32(four);
    a = _mm512_dpbusd_epi32(a, spread, wa);
    b = _mm512_dpbusd_epi32(b, spread, wb);
    c = _mm512_dpbusd_epi32(c, spread, wc);
    d = _mm512_dpbusd_epi32(d, spread, wd);
}

SDXL_VNNI_INLINE void store_row(__m512i a, __m512i b, __m512i c, __m512i d, std::int32_t* dots) {
    _mm512_storeu_si512(dots, a);
    _mm512_storeu_si512(dots + 16, b);
    _mm512_storeu_si512(dots + 32, c);
    _mm512_storeu_si512(dots + 48, d);
}

SDXL_VNNI void dot_tile(const std::uint8_t* const* x, const std::int8_t* panel, std::int64_t quads,
                        std::int32_t* dots) {
    static_assert(kTileRows == 6 && kPanelColumns == 64 && kQuad == 4);
    const std::uint8_t *x0 = x[0], *x1 = x[1], *x2 = x[2], *x3 = x[3], *x4 = x[4], *x5 = x[5];
    const __m512i zero = _mm512_setzero_si512();
    __m512i a0 = zero, b0 = zero, c0 = zero, d0 = zero;
    __m512i a1 = zero, b1 = zero, c1 = zero, d1 = zero;
    __m512i a2 = zero, b2 = zero, c2 = zero, d2 = zero;
    __m512i a3 = zero, b3 = zero, c3 = zero, d3 = zero;
    __m512i a4 = zero, b4 = zero, c4 = zero, d4 = zero;
    __m512i a5 = zero, b5 = zero, c5 = zero, d5 = zero;
    for (std::int64_t at = 0; at < quads * kQuad; at += kQuad, panel += kQuad * kPanelColumns) {
        const __m512i wa = _mm512_loadu_si512(panel), wb = _mm512_loadu_si512(panel + 64);
        const __m512i wc = _mm512_loadu_si512(panel + 128), wd = _mm512_loadu_si512(panel + 192);
        add_quad(x0 + at, wa, wb, wc, wd, a0, b0, c0, d0);
        add_quad(x1 + at, wa, wb, wc, wd, a1, b1, c1, d1);
        add_quad(x2 + at, wa, wb, wc, wd, a2, b2, c2, d2);
        add_quad(x3 + at, wa, wb, wc, wd, a3, b3, c3, d3);
        add_quad(x4 + at, wa, wb, wc, wd, a4, b4, c4, d4);
        add_quad(x5 + at, wa, wb, wc, wd, a5, b5, c5, d5);
    }
    store_row(a0, b0, c0, d0, dots + 0 * kPanelColumns);
    store_row(a1, b1, c1, d1, dots + 1 * kPanelColumns);
    store_row(a2, b2, c2, d2, dots + 2 * kPanelColumns);
    store_row(a3, b3, c3, d3, dots + 3 * kPanelColumns);
    store_row(a4, b4, c4, d4, dots + 4 * kPanelColumns);
    store_row(a5, b5, c5, d5, dots + 5 * kPanelColumns);
}

bool has_vnni() {
    return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512vnni") != 0;
}
#else
void dot_tile(const std::uint8_t* const*, const std::int8_t*, std::int64_t, std::int32_t*) {}
bool has_vnni() {
    return false;
}
#endif

HWY_EXPORT(quantize_row_f32);
HWY_EXPORT(quantize_row_bf16);
HWY_EXPORT(quantize_weights_impl);
HWY_EXPORT(add_scaled_impl);
HWY_EXPORT(finish_row_f32);
HWY_EXPORT(finish_row_bf16);
HWY_EXPORT(finish_geglu_f32);
HWY_EXPORT(finish_geglu_bf16);

}  // namespace

bool int8_kernels_run() {
    static const bool runs = has_vnni();
    return runs;
}

void add_tile(const TileRows& rows, const std::int8_t* panel, std::int64_t quads, const float* totals,
              bool first, float* sums) {
    alignas(64) std::int32_t dots[kTileRows * kPanelColumns];
    dot_tile(rows.values, panel, quads, dots);
    HWY_DYNAMIC_DISPATCH(add_scaled_impl)(dots, rows, totals, first, sums);
}

void quantize_row(const float* x, std::int64_t width, std::int64_t padded, std::uint8_t* u, float* scale,
                  float* offset) {
    HWY_DYNAMIC_DISPATCH(quantize_row_f32)(x, width, padded, u, scale, offset);
}
void quantize_row(const bf16_bits* x, std::int64_t width, std::int64_t padded, std::uint8_t* u, float* scale,
                  float* offset) {
    HWY_DYNAMIC_DISPATCH(quantize_row_bf16)(x, width, padded, u, scale, offset);
}

float quantize_weights(const float* w, std::int64_t count, std::int8_t* q) {
    return HWY_DYNAMIC_DISPATCH(quantize_weights_impl)(w, count, q);
}

void finish_row(const float* sums, const float* scale, const float* bias, TileEnd end, const float* residual,
                float* y, std::int64_t count) {
    HWY_DYNAMIC_DISPATCH(finish_row_f32)(sums, scale, bias, end, residual, y, count);
}
void finish_row(const float* sums, const float* scale, const float* bias, TileEnd end,
                const bf16_bits* residual, bf16_bits* y, std::int64_t count) {
    HWY_DYNAMIC_DISPATCH(finish_row_bf16)(sums, scale, bias, end, residual, y, count);
}

void finish_geglu_row(const float* sums, const float* scale, const float* bias, float* y,
                      std::int64_t count) {
    HWY_DYNAMIC_DISPATCH(finish_geglu_f32)(sums, scale, bias, y, count);
}
void finish_geglu_row(const float* sums, const float* scale, const float* bias, bf16_bits* y,
                      std::int64_t count) {
    HWY_DYNAMIC_DISPATCH(finish_geglu_bf16)(sums, scale, bias, y, count);
}

}  // namespace sdxl::onednn
#endif  // HWY_ONCE
