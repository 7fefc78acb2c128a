#include "backend/onednn/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "backend/onednn/dnnl_compat.h"
#include "backend/onednn/kernels.h"
#include "backend/onednn/parallel.h"
#include "backend/onednn/primitives.h"

namespace sdxl::onednn {
namespace {

using dnnl::memory;

// Tile extents: scores (256 x 512 float32) and weights fit a core's second-level cache beside the sums.
constexpr std::int64_t kQueryTile = 256;
constexpr std::int64_t kKeyTile = 512;

// Runs oneDNN code as if there were one core: primitives made inside plan for one thread.
class OneThread {
  public:
    OneThread() {
#ifdef _OPENMP
        before_ = omp_get_max_threads();
        omp_set_num_threads(1);
#endif
    }
    ~OneThread() {
#ifdef _OPENMP
        omp_set_num_threads(before_);
#endif
    }
    OneThread(const OneThread&) = delete;
    OneThread& operator=(const OneThread&) = delete;

  private:
    [[maybe_unused]] int before_ = 1;
};

std::int64_t tiles(std::int64_t count, std::int64_t tile) {
    return (count + tile - 1) / tile;
}

}  // namespace

// One core's buffers.
struct Attention::Thread {
    explicit Thread(const dnnl::engine& engine) : stream(engine) {}
    dnnl::stream stream;
    std::vector<float> scores, sums, row_max, row_sum;
    std::vector<std::byte> weights, scratch;
};

struct Attention::Job {
    const Tensor* q;
    const Tensor* k;
    const Tensor* v;
    const Tensor* out;
    int heads;
    bool causal;
    DType dtype;
    std::int64_t batch, query_count, key_count, head_size;
    // [query tile is the last one][key tile is the last one]
    Product* scores[2][2];
    Product* first_sum[2][2];
    Product* next_sum[2][2];
    std::size_t scratch_bytes = 0;

    std::int64_t query_tiles() const { return tiles(query_count, kQueryTile); }
    std::int64_t key_tiles() const { return tiles(key_count, kKeyTile); }
    std::int64_t rows(bool last) const {
        return last ? query_count - (query_tiles() - 1) * kQueryTile : kQueryTile;
    }
    std::int64_t keys(bool last) const { return last ? key_count - (key_tiles() - 1) * kKeyTile : kKeyTile; }
};

Attention::Attention(const dnnl::engine& engine) : engine_(engine) {}
Attention::~Attention() = default;

Attention::Product& Attention::product(const Key& key) {
    const auto found = products_.find(key);
    if (found != products_.end()) return found->second;
    const auto& [rows, inner, columns, stride_a, stride_b, transposed, accumulate, dtype] = key;
    const OneThread one;
    const auto type = dnnl_type(dtype);
    const memory::desc a({rows, inner}, type, memory::dims{stride_a, 1});
    const memory::desc b({inner, columns}, type,
                         transposed ? memory::dims{1, stride_b} : memory::dims{stride_b, 1});
    const memory::desc c({rows, columns}, memory::data_type::f32, memory::dims{columns, 1});
    dnnl::post_ops ops;
    if (accumulate) ops.append_sum(1.F);
    dnnl::primitive_attr attr;
    attr.set_post_ops(ops);
    attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const auto desc = matmul_desc(engine_, a, b, {}, c, attr);
    return products_.emplace(key, Product{dnnl::matmul(desc), a, b, c, desc.scratchpad_desc()}).first->second;
}

void Attention::prepare(Job& job) {
    for (const bool last_row : {false, true}) {
        for (const bool last_key : {false, true}) {
            const std::int64_t rows = job.rows(last_row);
            const std::int64_t keys = job.keys(last_key);
            const std::int64_t size = job.head_size;
            job.scores[last_row][last_key] = &product(
                {rows, size, keys, job.q->row_stride(), job.k->row_stride(), true, false, job.dtype});
            job.first_sum[last_row][last_key] =
                &product({rows, keys, size, keys, job.v->row_stride(), false, false, job.dtype});
            job.next_sum[last_row][last_key] =
                &product({rows, keys, size, keys, job.v->row_stride(), false, true, job.dtype});
            for (const Product* p : {job.scores[last_row][last_key], job.first_sum[last_row][last_key],
                                     job.next_sum[last_row][last_key]})
                job.scratch_bytes = std::max(job.scratch_bytes, p->scratchpad.get_size());
        }
    }
    while (static_cast<int>(threads_.size()) < thread_count())
        threads_.push_back(std::make_unique<Thread>(engine_));
    const auto rows = static_cast<std::size_t>(std::min(kQueryTile, job.query_count));
    const auto keys = static_cast<std::size_t>(std::min(kKeyTile, job.key_count));
    for (auto& thread : threads_) {
        thread->scores.resize(rows * keys);
        thread->weights.resize(rows * keys * dtype_size(job.dtype));
        thread->sums.resize(rows * static_cast<std::size_t>(job.head_size));
        thread->row_max.resize(rows);
        thread->row_sum.resize(rows);
        thread->scratch.resize(std::max(job.scratch_bytes, thread->scratch.size()));
    }
}

template <class T>
void Attention::walk_keys(const Job& job, std::int64_t task, Thread& thread) const {
    const std::int64_t query_tile = task % job.query_tiles();
    const std::int64_t head = task / job.query_tiles() % job.heads;
    const std::int64_t item = task / job.query_tiles() / job.heads;
    const bool last_row = query_tile == job.query_tiles() - 1;
    const std::int64_t rows = job.rows(last_row);
    const std::int64_t first_row = query_tile * kQueryTile;
    const std::int64_t column = head * job.head_size;
    const float scale = 1.F / std::sqrt(static_cast<float>(job.head_size));
    T* q = job.q->data<T>() + (item * job.query_count + first_row) * job.q->row_stride() + column;
    T* weights = reinterpret_cast<T*>(thread.weights.data());

    const auto multiply = [&](const Product& p, void* a, void* b, void* c) {
        p.primitive.execute(thread.stream,
                            {{DNNL_ARG_SRC, memory(p.a, engine_, a)},
                             {DNNL_ARG_WEIGHTS, memory(p.b, engine_, b)},
                             {DNNL_ARG_DST, memory(p.c, engine_, c)},
                             {DNNL_ARG_SCRATCHPAD, memory(p.scratchpad, engine_, thread.scratch.data())}});
    };

    std::fill_n(thread.row_max.begin(), rows, -std::numeric_limits<float>::infinity());
    std::fill_n(thread.row_sum.begin(), rows, 0.F);
    for (std::int64_t key_tile = 0; key_tile < job.key_tiles(); ++key_tile) {
        const std::int64_t first_key = key_tile * kKeyTile;
        if (job.causal && first_key > first_row + rows - 1) break;
        const bool last_key = key_tile == job.key_tiles() - 1;
        const std::int64_t keys = job.keys(last_key);
        T* k = job.k->data<T>() + (item * job.key_count + first_key) * job.k->row_stride() + column;
        T* v = job.v->data<T>() + (item * job.key_count + first_key) * job.v->row_stride() + column;
        multiply(*job.scores[last_row][last_key], q, k, thread.scores.data());  // [rows, keys]
        for (std::int64_t row = 0; row < rows; ++row) {
            float* scores = thread.scores.data() + row * keys;
            T* row_weights = weights + row * keys;
            const std::int64_t visible =
                job.causal ? std::clamp<std::int64_t>(first_row + row + 1 - first_key, 0, keys) : keys;
            std::fill(row_weights + visible, row_weights + keys, T{0});
            if (visible == 0) continue;
            const auto at = static_cast<std::size_t>(row);
            const float correction =
                softmax_row(scores, visible, scale, &thread.row_max[at], &thread.row_sum[at], row_weights);
            if (key_tile > 0 && correction != 1.F)
                scale_row(thread.sums.data() + row * job.head_size, correction, job.head_size);
        }
        const Product& sum = *(key_tile == 0 ? job.first_sum : job.next_sum)[last_row][last_key];
        multiply(sum, weights, v, thread.sums.data());  // [rows, head_size]
    }
    T* out = job.out->data<T>() + (item * job.query_count + first_row) * job.out->row_stride() + column;
    for (std::int64_t row = 0; row < rows; ++row)
        scale_convert_row(thread.sums.data() + row * job.head_size,
                          1.F / thread.row_sum[static_cast<std::size_t>(row)],
                          out + row * job.out->row_stride(), job.head_size);
}

void Attention::tile(const Job& job, std::int64_t task, Thread& thread) const {
    if (job.dtype == DType::kBF16) {
        walk_keys<bf16_bits>(job, task, thread);
    } else {
        walk_keys<float>(job, task, thread);
    }
}

void Attention::run(const Tensor& q, const Tensor& k, const Tensor& v, int heads, bool causal,
                    const Tensor& out) {
    Job job{};
    job.q = &q;
    job.k = &k;
    job.v = &v;
    job.out = &out;
    job.heads = heads;
    job.causal = causal;
    job.dtype = q.dtype();
    job.batch = q.dim(0);
    job.query_count = q.dim(1);
    job.key_count = k.dim(1);
    job.head_size = q.dim(2) / heads;
    prepare(job);
    // A task may throw (oneDNN does); the exception must not leave the parallel region.
    std::vector<std::exception_ptr> failures(threads_.size());
    parallel_tasks(job.batch * heads * job.query_tiles(), [&](std::int64_t task, int thread) {
        const auto at = static_cast<std::size_t>(thread);
        try {
            if (!failures[at]) tile(job, task, *threads_[at]);
        } catch (...) {
            failures[at] = std::current_exception();
        }
    });
    for (const auto& failure : failures)
        if (failure) std::rethrow_exception(failure);
}

}  // namespace sdxl::onednn
