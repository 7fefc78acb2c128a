// oneDNN 2.6 and 3.x behind one set of functions: the only file that knows which generation is compiled
// against.
//
// The 3.x interface dropped operation descriptors (a primitive descriptor is made from memory descriptors
// directly), post-op scales, and the public fields of memory descriptors. dnnl::error becomes Failure at the
// callers' edge.
#pragma once

#include <cstdint>
#include <dnnl.hpp>
#include <vector>

namespace sdxl::onednn {

// How a blocked layout places its elements, independent of the library's generation.
struct Blocking {
    bool blocked = false;                    // false: a layout of the library's own, not describable
    std::vector<std::int64_t> strides;       // per dimension, over its outer blocks, in elements
    std::vector<std::int64_t> inner_blocks;  // outermost first
    std::vector<int> inner_dims;             // which dimension each inner block divides
};

#if DNNL_VERSION_MAJOR >= 3

inline dnnl::matmul::primitive_desc matmul_desc(const dnnl::engine& engine, const dnnl::memory::desc& src,
                                                const dnnl::memory::desc& weights,
                                                const dnnl::memory::desc& bias, const dnnl::memory::desc& dst,
                                                const dnnl::primitive_attr& attr) {
    return bias.is_zero() ? dnnl::matmul::primitive_desc(engine, src, weights, dst, attr)
                          : dnnl::matmul::primitive_desc(engine, src, weights, bias, dst, attr);
}

inline dnnl::convolution_forward::primitive_desc convolution_desc(
    const dnnl::engine& engine, const dnnl::memory::desc& src, const dnnl::memory::desc& weights,
    const dnnl::memory::desc& bias, const dnnl::memory::desc& dst, const dnnl::memory::dims& strides,
    const dnnl::memory::dims& padding_begin, const dnnl::memory::dims& padding_end,
    const dnnl::primitive_attr& attr) {
    const auto kind = dnnl::prop_kind::forward_inference;
    const auto algorithm = dnnl::algorithm::convolution_direct;
    return bias.is_zero()
               ? dnnl::convolution_forward::primitive_desc(engine, kind, algorithm, src, weights, dst,
                                                           strides, padding_begin, padding_end, attr)
               : dnnl::convolution_forward::primitive_desc(engine, kind, algorithm, src, weights, bias, dst,
                                                           strides, padding_begin, padding_end, attr);
}

inline void append_eltwise(dnnl::post_ops& ops, dnnl::algorithm algorithm, float alpha) {
    ops.append_eltwise(algorithm, alpha, 0.F);
}

inline Blocking blocking_of(const dnnl::memory::desc& desc) {
    Blocking result;
    result.blocked = desc.get_format_kind() == dnnl::memory::format_kind::blocked;
    if (!result.blocked) return result;
    const auto strides = desc.get_strides();
    const auto blocks = desc.get_inner_blks();
    const auto dims = desc.get_inner_idxs();
    result.strides.assign(strides.begin(), strides.end());
    result.inner_blocks.assign(blocks.begin(), blocks.end());
    for (const auto dim : dims) result.inner_dims.push_back(static_cast<int>(dim));
    return result;
}

inline bool is_bf16(const dnnl::memory::desc& desc) {
    return desc.get_data_type() == dnnl::memory::data_type::bf16;
}

inline dnnl::memory::dims dims_of(const dnnl::memory::desc& desc) {
    return desc.get_dims();
}

#else

inline dnnl::matmul::primitive_desc matmul_desc(const dnnl::engine& engine, const dnnl::memory::desc& src,
                                                const dnnl::memory::desc& weights,
                                                const dnnl::memory::desc& bias, const dnnl::memory::desc& dst,
                                                const dnnl::primitive_attr& attr) {
    return bias.is_zero()
               ? dnnl::matmul::primitive_desc(dnnl::matmul::desc(src, weights, dst), attr, engine)
               : dnnl::matmul::primitive_desc(dnnl::matmul::desc(src, weights, bias, dst), attr, engine);
}

inline dnnl::convolution_forward::primitive_desc convolution_desc(
    const dnnl::engine& engine, const dnnl::memory::desc& src, const dnnl::memory::desc& weights,
    const dnnl::memory::desc& bias, const dnnl::memory::desc& dst, const dnnl::memory::dims& strides,
    const dnnl::memory::dims& padding_begin, const dnnl::memory::dims& padding_end,
    const dnnl::primitive_attr& attr) {
    using Desc = dnnl::convolution_forward::desc;
    const auto kind = dnnl::prop_kind::forward_inference;
    const auto algorithm = dnnl::algorithm::convolution_direct;
    const Desc desc =
        bias.is_zero() ? Desc(kind, algorithm, src, weights, dst, strides, padding_begin, padding_end)
                       : Desc(kind, algorithm, src, weights, bias, dst, strides, padding_begin, padding_end);
    return {desc, attr, engine};
}

inline void append_eltwise(dnnl::post_ops& ops, dnnl::algorithm algorithm, float alpha) {
    ops.append_eltwise(1.F, algorithm, alpha, 0.F);
}

inline Blocking blocking_of(const dnnl::memory::desc& desc) {
    Blocking result;
    result.blocked = desc.data.format_kind == dnnl_blocked;
    if (!result.blocked) return result;
    const auto& blocking = desc.data.format_desc.blocking;
    result.strides.assign(blocking.strides, blocking.strides + desc.data.ndims);
    result.inner_blocks.assign(blocking.inner_blks, blocking.inner_blks + blocking.inner_nblks);
    for (int i = 0; i < blocking.inner_nblks; ++i)
        result.inner_dims.push_back(static_cast<int>(blocking.inner_idxs[i]));
    return result;
}

inline bool is_bf16(const dnnl::memory::desc& desc) {
    return desc.data_type() == dnnl::memory::data_type::bf16;
}

inline dnnl::memory::dims dims_of(const dnnl::memory::desc& desc) {
    return desc.dims();
}

#endif

}  // namespace sdxl::onednn
