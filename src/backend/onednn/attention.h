// Scaled dot-product attention in tiles that stay in a core's cache.
//
// FlashAttention's scheme (Dao et al., 2022; online softmax by Milakov and Gimelshein, 2018): one task is a
// head and a tile of query rows; it walks over tiles of keys, keeps scores and weights in its own buffers,
// and rescales what it has summed when a larger score turns up. Tasks run on all cores; the two products of a
// tile are single-threaded oneDNN matmuls that read queries, keys and values in place, whatever their row
// stride.
#pragma once

#include <dnnl.hpp>
#include <map>
#include <tuple>
#include <vector>

#include "backend/onednn/memory_pool.h"
#include "tensor/tensor.h"

namespace sdxl::onednn {

class Attention {
  public:
    explicit Attention(const dnnl::engine& engine);

    // q [N, Lq, C], k, v [N, Lk, C] -> out [N, Lq, C] (contiguous), all of one element type, f32 or bf16.
    void run(const Tensor& q, const Tensor& k, const Tensor& v, int heads, bool causal, const Tensor& out);

  private:
    struct Product {
        dnnl::matmul primitive;
        dnnl::memory::desc a, b, c, scratchpad;
    };
    // rows, inner, columns, row stride of a, of b, whether b is transposed, whether the product adds to c,
    // type
    using Key =
        std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t, bool, bool, DType>;
    struct Shape {
        std::int64_t query_rows, key_rows, head_size;
    };
    struct Thread;
    struct Job;

    Product& product(const Key& key);
    void prepare(Job& job);
    void tile(const Job& job, std::int64_t task, Thread& thread) const;
    template <class T>
    void walk_keys(const Job& job, std::int64_t task, Thread& thread) const;

    dnnl::engine engine_;
    std::map<Key, Product> products_;
    std::vector<std::unique_ptr<Thread>> threads_;

  public:
    ~Attention();
};

}  // namespace sdxl::onednn
