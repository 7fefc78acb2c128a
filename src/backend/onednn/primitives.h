// The oneDNN primitives of this backend, made once per shape and kept.
//
// Weights carry the layout they were packed in; primitives are found by shape, layout and post-ops, and
// shared by all weights of the same shape. Nothing is created and no weight moves inside a step once each
// shape has been seen. Threads: one thread at a time. Errors: dnnl::error is translated to Failure at the
// backend's edge.
#pragma once

#include <cstdint>
#include <dnnl.hpp>
#include <map>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "backend/backend.h"
#include "backend/onednn/weight_packer.h"

namespace sdxl::onednn {

// One packed matrix [out, in] and its bias.
struct MatmulWeight {
    std::int64_t in = 0;
    std::int64_t out = 0;
    PackedMatrix matrix;
    std::vector<float> bias;  // empty: none

    std::uint64_t digest() const {
        return digest_of(matrix.buffer->span(), digest_of(std::as_bytes(std::span(bias))));
    }
};

struct LinearWeight final : PreparedWeight {
    MatmulWeight product;
    std::size_t bytes() const override { return product.matrix.buffer->bytes(); }
    std::uint64_t digest() const override { return product.digest(); }
};

struct GegluWeight final : PreparedWeight {
    MatmulWeight value;
    MatmulWeight gate;
    std::size_t bytes() const override { return value.matrix.buffer->bytes() + gate.matrix.buffer->bytes(); }
    std::uint64_t digest() const override { return value.digest() * 31 + gate.digest(); }
};

struct Conv2dWeight final : PreparedWeight {
    std::int64_t in = 0;
    std::int64_t out = 0;
    std::int64_t kernel_h = 0;
    std::int64_t kernel_w = 0;
    int stride = 1;
    Padding padding;
    DType dtype = DType::kF32;
    std::vector<float> bias;  // empty: none
    // The layout that suits a convolution depends on the picture's size: packed for a usual one, and moved
    // when another size asks for another (once, before that size's first step is done).
    mutable PackedMatrix matrix;
    std::size_t bytes() const override { return matrix.buffer->bytes(); }
    std::uint64_t digest() const override {
        return digest_of(matrix.buffer->span(), digest_of(std::as_bytes(std::span(bias))));
    }
};

// What is fused behind a product.
enum class PostOp { kNone, kSilu, kGelu, kQuickGelu, kRelu, kAdd, kMultiply };

class Primitives {
  public:
    // `weights` lends the memory of weights that are packed again.
    explicit Primitives(std::shared_ptr<MemoryPool> weights);

    // Whether the library computes with this type on this processor: bfloat16 wants AVX-512 (or, in oneDNN 3,
    // AVX2 with VNNI 2).
    bool runs(DType dtype) const;
    // The layout in which weights [out, in] are packed, the same for every number of rows.
    dnnl::memory::desc matmul_weight_layout(std::int64_t in, std::int64_t out, DType dtype) const;
    // The layout for a convolution at a usual picture size.
    dnnl::memory::desc conv_weight_layout(const Conv2dWeight& weight) const;

    // dst = post(src W^T + bias); src [rows, in], dst [rows, out]; `other` [rows, out] for kAdd and
    // kMultiply.
    void matmul(const MatmulWeight& weight, DType dtype, std::int64_t rows, const void* src, PostOp post,
                const void* other, void* dst);
    // dst = conv(src) + bias; src [n, h, w, in], dst [n, h', w', out].
    void convolution(const Conv2dWeight& weight, std::int64_t n, std::int64_t h, std::int64_t w,
                     const void* src, void* dst);

    const dnnl::engine& engine() const { return engine_; }
    // Scratch memory for the running primitive.
    void* scratch(std::size_t bytes);

  private:
    struct Made {
        dnnl::primitive primitive;
        dnnl::memory::desc src, weights, bias, dst, scratchpad;
    };
    using Key = std::tuple<int, DType, PostOp, bool, std::vector<std::int64_t>>;

    Made& matmul_primitive(const MatmulWeight& weight, DType dtype, std::int64_t rows, PostOp post);
    Made& convolution_primitive(const Conv2dWeight& weight, std::int64_t n, std::int64_t h, std::int64_t w);
    dnnl::convolution_forward::primitive_desc convolution_primitive_desc(const Conv2dWeight& weight,
                                                                         std::int64_t n, std::int64_t h,
                                                                         std::int64_t w) const;

    dnnl::engine engine_;
    dnnl::stream stream_;
    std::shared_ptr<MemoryPool> weights_;
    std::map<Key, Made> made_;
    std::unique_ptr<WeightBuffer> scratch_;
};

dnnl::memory::data_type dnnl_type(DType dtype);

}  // namespace sdxl::onednn
