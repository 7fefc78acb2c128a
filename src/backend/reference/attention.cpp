#include "backend/reference/attention.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace sdxl::reference {
namespace {

double dot(const float* a, const float* b, std::int64_t count) {
    double sum = 0.0;
    for (std::int64_t i = 0; i < count; ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
    return sum;
}

// In place; subtracts the largest first.
void softmax(std::vector<double>& scores) {
    const double largest = *std::max_element(scores.begin(), scores.end());
    double sum = 0.0;
    for (double& score : scores) sum += (score = std::exp(score - largest));
    for (double& score : scores) score /= sum;
}

// One head of one sequence: rows begin at the pointers and lie `*_stride` elements apart.
struct Head {
    const float *q, *k, *v;
    std::int64_t q_stride, k_stride, v_stride, size;
};

// Attends from query `row` to the first `keys` keys.
void attend(const Head& head, std::int64_t row, std::int64_t keys, float* to) {
    const double scale = 1.0 / std::sqrt(static_cast<double>(head.size));
    std::vector<double> weights(static_cast<std::size_t>(keys));
    for (std::int64_t j = 0; j < keys; ++j) {
        weights[j] = scale * dot(head.q + row * head.q_stride, head.k + j * head.k_stride, head.size);
    }
    softmax(weights);
    std::vector<double> sums(static_cast<std::size_t>(head.size), 0.0);
    for (std::int64_t j = 0; j < keys; ++j) {
        const float* value = head.v + j * head.v_stride;
        for (std::int64_t c = 0; c < head.size; ++c) sums[c] += weights[j] * static_cast<double>(value[c]);
    }
    for (std::int64_t c = 0; c < head.size; ++c) to[c] = static_cast<float>(sums[c]);
}

}  // namespace

Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, int heads, bool causal) {
    const std::int64_t batch = q.dim(0), queries = q.dim(1), channels = q.dim(2), keys = k.dim(1);
    const std::int64_t size = channels / heads;
    Tensor y = make_host_tensor(q.shape(), DType::kF32);
    for (std::int64_t n = 0; n < batch; ++n) {
        for (std::int64_t h = 0; h < heads; ++h) {
            const Head head{q.data<float>() + n * queries * q.row_stride() + h * size,
                            k.data<float>() + n * keys * k.row_stride() + h * size,
                            v.data<float>() + n * keys * v.row_stride() + h * size,
                            q.row_stride(),
                            k.row_stride(),
                            v.row_stride(),
                            size};
            for (std::int64_t i = 0; i < queries; ++i) {
                attend(head, i, causal ? i + 1 : keys,
                       y.data<float>() + (n * queries + i) * channels + h * size);
            }
        }
    }
    return y;
}

}  // namespace sdxl::reference
