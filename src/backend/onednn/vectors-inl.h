// Vectors of float32 over rows of float32 or bfloat16, for the kernels of every instruction set: included
// once for each of them, after hwy/highway.h, by the files that list themselves as HWY_TARGET_INCLUDE.
#if defined(SDXL_ONEDNN_VECTORS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef SDXL_ONEDNN_VECTORS_INL_H
#undef SDXL_ONEDNN_VECTORS_INL_H
#else
#define SDXL_ONEDNN_VECTORS_INL_H
#endif

#include <cstring>

#include "tensor/dtype.h"

HWY_BEFORE_NAMESPACE();
namespace sdxl::onednn::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::ScalableTag<float>;
using VF = hn::Vec<DF>;
constexpr std::int64_t kMaxLanes = HWY_MAX_BYTES / 4;

HWY_INLINE std::int64_t lanes() {
    return static_cast<std::int64_t>(hn::Lanes(DF()));
}

HWY_INLINE VF load(const float* p) {
    return hn::LoadU(DF(), p);
}
HWY_INLINE VF load(const bf16_bits* p) {
    const DF df;
    const hn::RebindToUnsigned<DF> du;
    const hn::Rebind<std::uint16_t, DF> dh;
    return hn::BitCast(df, hn::ShiftLeft<16>(hn::PromoteTo(du, hn::LoadU(dh, p))));
}

HWY_INLINE void store(VF v, float* p) {
    hn::StoreU(v, DF(), p);
}
// Rounds to nearest even. A NaN stays one: its quiet bit is above the bits that are cut.
HWY_INLINE void store(VF v, bf16_bits* p) {
    const hn::RebindToUnsigned<DF> du;
    const hn::Rebind<std::uint16_t, DF> dh;
    const auto bits = hn::BitCast(du, v);
    const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1));
    const auto rounded = hn::Add(bits, hn::Add(odd, hn::Set(du, 0x7fff)));
    const auto is_nan = hn::RebindMask(du, hn::IsNaN(v));
    const auto kept = hn::IfThenElse(is_nan, hn::Or(bits, hn::Set(du, 0x400000)), rounded);
    hn::StoreU(hn::DemoteTo(dh, hn::BitCast(hn::RebindToSigned<DF>(), hn::ShiftRight<16>(kept))), dh, p);
}

// The last, incomplete vector of a row goes through a small buffer: nothing outside the row is touched.
template <class T>
HWY_INLINE VF load_some(const T* p, std::int64_t count) {
    if (HWY_LIKELY(count >= lanes())) return load(p);
    T buffer[kMaxLanes] = {};
    std::memcpy(buffer, p, static_cast<std::size_t>(count) * sizeof(T));
    return load(buffer);
}

template <class T>
HWY_INLINE void store_some(VF v, T* p, std::int64_t count) {
    if (HWY_LIKELY(count >= lanes())) return store(v, p);
    T buffer[kMaxLanes];
    store(v, buffer);
    std::memcpy(p, buffer, static_cast<std::size_t>(count) * sizeof(T));
}

// exp(x) for x <= 0 as 2^n * p(f): a degree-5 polynomial on |f| <= 1/2, relative error below 3e-7 before
// rounding.
HWY_INLINE VF fast_exp(VF x) {
    const DF d;
    const hn::RebindToSigned<DF> di;
    const auto t =
        hn::Clamp(hn::Mul(x, hn::Set(d, 1.44269504088896341F)), hn::Set(d, -126.F), hn::Set(d, 126.F));
    const auto n = hn::Round(t);
    const auto f = hn::Sub(t, n);
    auto p = hn::Set(d, 1.3390815e-3F);
    p = hn::MulAdd(p, f, hn::Set(d, 9.6184373e-3F));
    p = hn::MulAdd(p, f, hn::Set(d, 5.5503287e-2F));
    p = hn::MulAdd(p, f, hn::Set(d, 2.4022651e-1F));
    p = hn::MulAdd(p, f, hn::Set(d, 6.9314718e-1F));
    p = hn::MulAdd(p, f, hn::Set(d, 1.F));
    const auto power = hn::ShiftLeft<23>(hn::Add(hn::ConvertTo(di, n), hn::Set(di, 127)));
    return hn::Mul(p, hn::BitCast(d, power));
}

HWY_INLINE VF sigmoid(VF x) {
    const DF d;
    const auto one = hn::Set(d, 1.F);
    return hn::Div(one, hn::Add(one, fast_exp(hn::Neg(x))));
}

}  // namespace sdxl::onednn::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
