#include "backend/onednn/primitives.h"

#include <utility>

#include "backend/onednn/dnnl_compat.h"
#include "core/error.h"

namespace sdxl::onednn {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;

// Rows of the product that weight layouts are chosen for; the choice holds for every other number of rows
// too.
constexpr std::int64_t kUsualRows = 512;
// Picture extent that convolution layouts are first chosen for: the middle level of a 512 x 512 picture.
constexpr std::int64_t kUsualExtent = 32;

dnnl::primitive_attr attributes(PostOp post, const memory::desc& other) {
    dnnl::post_ops ops;
    switch (post) {
        case PostOp::kNone:
            break;
        case PostOp::kSilu:
            append_eltwise(ops, dnnl::algorithm::eltwise_swish, 1.F);
            break;
        case PostOp::kQuickGelu:
            append_eltwise(ops, dnnl::algorithm::eltwise_swish, 1.702F);
            break;
        case PostOp::kRelu:
            append_eltwise(ops, dnnl::algorithm::eltwise_relu, 0.F);
            break;
        case PostOp::kGelu:
            append_eltwise(ops, dnnl::algorithm::eltwise_gelu_erf, 0.F);
            break;
        case PostOp::kAdd:
            ops.append_binary(dnnl::algorithm::binary_add, other);
            break;
        case PostOp::kMultiply:
            ops.append_binary(dnnl::algorithm::binary_mul, other);
            break;
    }
    dnnl::primitive_attr attr;
    attr.set_post_ops(ops);
    attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    return attr;
}

void* writable(const void* data) {
    return const_cast<void*>(data);
}

}  // namespace

memory::data_type dnnl_type(DType dtype) {
    return dtype == DType::kBF16 ? memory::data_type::bf16 : memory::data_type::f32;
}

Primitives::Primitives(std::shared_ptr<MemoryPool> weights)
    : engine_(dnnl::engine::kind::cpu, 0), stream_(engine_), weights_(std::move(weights)) {}

void* Primitives::scratch(std::size_t bytes) {
    if (!scratch_ || scratch_->bytes() < bytes) {
        scratch_.reset();
        scratch_ = std::make_unique<WeightBuffer>(*weights_, bytes);
    }
    return scratch_->data();
}

bool Primitives::runs(DType dtype) const {
    try {
        matmul_weight_layout(64, 64, dtype);
        return true;
    } catch (const dnnl::error& error) {
        if (error.status != dnnl_unimplemented) throw;
        return false;
    }
}

memory::desc Primitives::matmul_weight_layout(std::int64_t in, std::int64_t out, DType dtype) const {
    const auto type = dnnl_type(dtype);
    const memory::desc src({kUsualRows, in}, type, Tag::ab);
    const memory::desc weights({in, out}, type, Tag::any);
    const memory::desc dst({kUsualRows, out}, type, Tag::ab);
    return matmul_desc(engine_, src, weights, {}, dst, attributes(PostOp::kNone, {})).weights_desc();
}

Primitives::Made& Primitives::matmul_primitive(const MatmulWeight& weight, DType dtype, std::int64_t rows,
                                               PostOp post) {
    const bool has_bias = !weight.bias.empty();
    auto [found, fresh] = made_.try_emplace(Key{0, dtype, post, has_bias, {rows, weight.in, weight.out}});
    Made& made = found->second;
    if (!fresh) return made;
    try {
        const auto type = dnnl_type(dtype);
        const memory::desc src({rows, weight.in}, type, Tag::ab);
        const memory::desc dst({rows, weight.out}, type, Tag::ab);
        const memory::desc bias =
            has_bias ? memory::desc({1, weight.out}, memory::data_type::f32, Tag::ab) : memory::desc();
        const auto desc = matmul_desc(engine_, src, weight.matrix.desc, bias, dst, attributes(post, dst));
        made = {dnnl::matmul(desc), src, weight.matrix.desc, bias, dst, desc.scratchpad_desc()};
    } catch (...) {
        made_.erase(found);
        throw;
    }
    return made;
}

void Primitives::matmul(const MatmulWeight& weight, DType dtype, std::int64_t rows, const void* src,
                        PostOp post, const void* other, void* dst) {
    Made& made = matmul_primitive(weight, dtype, rows, post);
    std::unordered_map<int, memory> args;
    args.emplace(DNNL_ARG_SRC, memory(made.src, engine_, writable(src)));
    args.emplace(DNNL_ARG_WEIGHTS, memory(made.weights, engine_, weight.matrix.buffer->data()));
    args.emplace(DNNL_ARG_DST, memory(made.dst, engine_, dst));
    args.emplace(DNNL_ARG_SCRATCHPAD, memory(made.scratchpad, engine_, scratch(made.scratchpad.get_size())));
    if (!weight.bias.empty())
        args.emplace(DNNL_ARG_BIAS, memory(made.bias, engine_, writable(weight.bias.data())));
    if (post == PostOp::kAdd || post == PostOp::kMultiply)
        args.emplace(DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1,
                     memory(made.dst, engine_, writable(other)));
    made.primitive.execute(stream_, args);
    stream_.wait();
}

dnnl::convolution_forward::primitive_desc Primitives::convolution_primitive_desc(const Conv2dWeight& weight,
                                                                                 std::int64_t n,
                                                                                 std::int64_t h,
                                                                                 std::int64_t w) const {
    const auto type = dnnl_type(weight.dtype);
    const Padding& pad = weight.padding;
    const std::int64_t out_h = (h + pad.top + pad.bottom - weight.kernel_h) / weight.stride + 1;
    const std::int64_t out_w = (w + pad.left + pad.right - weight.kernel_w) / weight.stride + 1;
    const memory::desc src({n, weight.in, h, w}, type, Tag::nhwc);
    const memory::desc weights({weight.out, weight.in, weight.kernel_h, weight.kernel_w}, type, Tag::any);
    const memory::desc dst({n, weight.out, out_h, out_w}, type, Tag::nhwc);
    const memory::desc bias =
        weight.bias.empty() ? memory::desc() : memory::desc({weight.out}, memory::data_type::f32, Tag::a);
    return convolution_desc(engine_, src, weights, bias, dst, {weight.stride, weight.stride},
                            {pad.top, pad.left}, {pad.bottom, pad.right}, attributes(PostOp::kNone, {}));
}

memory::desc Primitives::conv_weight_layout(const Conv2dWeight& weight) const {
    return convolution_primitive_desc(weight, 2, kUsualExtent, kUsualExtent).weights_desc();
}

Primitives::Made& Primitives::convolution_primitive(const Conv2dWeight& weight, std::int64_t n,
                                                    std::int64_t h, std::int64_t w) {
    const Padding& pad = weight.padding;
    auto [found, fresh] =
        made_.try_emplace(Key{1,
                              weight.dtype,
                              PostOp::kNone,
                              !weight.bias.empty(),
                              {n, h, w, weight.in, weight.out, weight.kernel_h, weight.kernel_w,
                               weight.stride, pad.top, pad.left, pad.bottom, pad.right}});
    Made& made = found->second;
    if (!fresh) return made;
    try {
        const auto desc = convolution_primitive_desc(weight, n, h, w);
        made = {dnnl::convolution_forward(desc),
                desc.src_desc(),
                desc.weights_desc(),
                desc.bias_desc(),
                desc.dst_desc(),
                desc.scratchpad_desc()};
    } catch (...) {
        made_.erase(found);
        throw;
    }
    return made;
}

void Primitives::convolution(const Conv2dWeight& weight, std::int64_t n, std::int64_t h, std::int64_t w,
                             const void* src, void* dst) {
    Made& made = convolution_primitive(weight, n, h, w);
    if (made.weights != weight.matrix.desc) weight.matrix = repack(weight.matrix, made.weights, *weights_);
    std::unordered_map<int, memory> args;
    args.emplace(DNNL_ARG_SRC, memory(made.src, engine_, writable(src)));
    args.emplace(DNNL_ARG_WEIGHTS, memory(made.weights, engine_, weight.matrix.buffer->data()));
    args.emplace(DNNL_ARG_DST, memory(made.dst, engine_, dst));
    args.emplace(DNNL_ARG_SCRATCHPAD, memory(made.scratchpad, engine_, scratch(made.scratchpad.get_size())));
    if (!weight.bias.empty())
        args.emplace(DNNL_ARG_BIAS, memory(made.bias, engine_, writable(weight.bias.data())));
    made.primitive.execute(stream_, args);
    stream_.wait();
}

}  // namespace sdxl::onednn
