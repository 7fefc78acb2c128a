#include "backend/onednn/norms.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <span>
#include <type_traits>
#include <vector>

#include "backend/onednn/kernels.h"
#include "backend/onednn/parallel.h"

namespace sdxl::onednn {
namespace {

// Rows whose moments are summed in float32 before they go to double: keeps the error of long sums at float32
// level.
constexpr std::int64_t kRowsPerBlock = 64;

// Sums over rows for every channel, relative to a pivot: large means would drown the variance otherwise.
struct Moments {
    std::vector<double> sum, square;  // of x - pivot and its square
};

template <class T>
std::vector<float> first_row(const T* x, std::int64_t width) {
    std::vector<float> row(static_cast<std::size_t>(width));
    convert(reinterpret_cast<const std::byte*>(x), std::is_same_v<T, float> ? DType::kF32 : DType::kBF16,
            row.data(), width);
    return row;
}

// Moments of x - pivot.
template <class T>
Moments moments(const T* x, const std::vector<float>& pivot, std::int64_t rows) {
    const std::size_t channels = pivot.size();
    const auto width = static_cast<std::int64_t>(channels);
    const std::int64_t blocks = (rows + kRowsPerBlock - 1) / kRowsPerBlock;
    std::vector<float> minus_pivot(channels);
    std::transform(pivot.begin(), pivot.end(), minus_pivot.begin(), std::negate<>());
    std::vector<Moments> partial(static_cast<std::size_t>(thread_count()),
                                 {std::vector<double>(channels), std::vector<double>(channels)});
    // Static pieces, added up in order: the result does not depend on which thread ran what.
    const auto pieces = static_cast<std::int64_t>(partial.size());
    parallel_ranges(pieces, 1, [&](std::int64_t first, std::int64_t last) {
        std::vector<float> sum(channels), square(channels);
        for (std::int64_t piece = first; piece < last; ++piece) {
            Moments& total = partial[static_cast<std::size_t>(piece)];
            for (std::int64_t block = piece * blocks / pieces; block < (piece + 1) * blocks / pieces;
                 ++block) {
                const std::int64_t row = block * kRowsPerBlock;
                sum.assign(channels, 0.F);
                square.assign(channels, 0.F);
                channel_moments(x + row * width, minus_pivot.data(), std::min(kRowsPerBlock, rows - row),
                                width, sum.data(), square.data());
                for (std::size_t c = 0; c < channels; ++c) {
                    total.sum[c] += static_cast<double>(sum[c]);
                    total.square[c] += static_cast<double>(square[c]);
                }
            }
        }
    });
    for (std::size_t piece = 1; piece < partial.size(); ++piece) {
        for (std::size_t c = 0; c < channels; ++c) {
            partial[0].sum[c] += partial[piece].sum[c];
            partial[0].square[c] += partial[piece].square[c];
        }
    }
    return std::move(partial[0]);
}

// Mean and variance of each group, of x + shift.
GroupMoments by_group(const Moments& moments, const std::vector<float>& pivot, const float* shift, int groups,
                      std::int64_t rows) {
    const std::size_t channels = pivot.size();
    const std::size_t size = channels / static_cast<std::size_t>(groups);
    const auto count = static_cast<double>(rows);
    // Leads from the pivot to the value.
    const auto offset = [&](std::size_t c) {
        return static_cast<double>(pivot[c]) + (shift != nullptr ? static_cast<double>(shift[c]) : 0.0);
    };
    GroupMoments result;
    for (std::size_t first = 0; first < channels; first += size) {
        double sum = 0;
        for (std::size_t c = first; c < first + size; ++c) sum += moments.sum[c] + count * offset(c);
        const double mean = sum / (count * static_cast<double>(size));
        double square = 0;
        for (std::size_t c = first; c < first + size; ++c) {
            // sum of (v + d)^2 over rows, where v is what was summed and d leads from the pivot to the
            // group's mean
            const double d = offset(c) - mean;
            square += moments.square[c] + 2 * d * moments.sum[c] + count * d * d;
        }
        result.mean.push_back(mean);
        result.variance.push_back(std::max(0.0, square / (count * static_cast<double>(size))));
    }
    return result;
}

// Per-channel factors so that y = x * scale + bias.
struct Affine {
    std::vector<float> scale, bias;
};

// `mean` and `variance` of the groups of one entry.
Affine affine(std::span<const double> mean, std::span<const double> variance, const float* gamma,
              const float* beta, const float* shift, std::size_t channels, float eps) {
    const std::size_t size = channels / mean.size();
    Affine result{std::vector<float>(channels), std::vector<float>(channels)};
    for (std::size_t c = 0; c < channels; ++c) {
        const double rstd = 1.0 / std::sqrt(variance[c / size] + static_cast<double>(eps));
        const double scale = static_cast<double>(gamma[c]) * rstd;
        const double offset = shift != nullptr ? static_cast<double>(shift[c]) : 0.0;
        result.scale[c] = static_cast<float>(scale);
        result.bias[c] = static_cast<float>(static_cast<double>(beta[c]) + (offset - mean[c / size]) * scale);
    }
    return result;
}

template <class T>
void apply(const Affine& factors, bool silu, const T* from, T* to, std::int64_t rows, std::int64_t width) {
    parallel_ranges(rows, 16, [&](std::int64_t begin, std::int64_t end) {
        scale_bias_rows(from + begin * width, factors.scale.data(), factors.bias.data(), silu,
                        to + begin * width, end - begin, width);
    });
}

// Calls `work` with a null pointer of x's element type.
template <class Work>
void with_type(const Tensor& x, Work work) {
    if (x.dtype() == DType::kBF16)
        work(static_cast<bf16_bits*>(nullptr));
    else
        work(static_cast<float*>(nullptr));
}

template <class T>
void run(const Tensor& x, const float* gamma, const float* beta, int groups, float eps, bool silu,
         const float* shift, const Tensor& y) {
    const std::int64_t width = x.dim(-1);
    const std::int64_t rows = x.shape().rows() / x.dim(0);
    for (std::int64_t item = 0; item < x.dim(0); ++item) {
        const T* from = x.data<T>() + item * rows * width;
        const float* item_shift = shift != nullptr ? shift + item * width : nullptr;
        const std::vector<float> pivot = first_row(from, width);
        const GroupMoments known = by_group(moments(from, pivot, rows), pivot, item_shift, groups, rows);
        apply(affine(known.mean, known.variance, gamma, beta, item_shift, pivot.size(), eps), silu, from,
              y.data<T>() + item * rows * width, rows, width);
    }
}

}  // namespace

void group_norm(const Tensor& x, const float* gamma, const float* beta, int groups, float eps, bool silu,
                const float* shift, const Tensor& y) {
    with_type(x, [&]<class T>(T*) { run<T>(x, gamma, beta, groups, eps, silu, shift, y); });
}

GroupMoments group_moments(const Tensor& x, int groups) {
    const std::int64_t rows = x.shape().rows() / x.dim(0);
    GroupMoments all;
    with_type(x, [&]<class T>(T*) {
        for (std::int64_t item = 0; item < x.dim(0); ++item) {
            const T* from = x.data<T>() + item * rows * x.dim(-1);
            const std::vector<float> pivot = first_row(from, x.dim(-1));
            const GroupMoments one = by_group(moments(from, pivot, rows), pivot, nullptr, groups, rows);
            all.mean.insert(all.mean.end(), one.mean.begin(), one.mean.end());
            all.variance.insert(all.variance.end(), one.variance.begin(), one.variance.end());
        }
    });
    return all;
}

void group_norm_by(const Tensor& x, const float* gamma, const float* beta, const GroupMoments& moments,
                   float eps, bool silu, const Tensor& y) {
    const std::int64_t width = x.dim(-1);
    const std::int64_t rows = x.shape().rows() / x.dim(0);
    const std::size_t groups = moments.mean.size() / static_cast<std::size_t>(x.dim(0));
    for (std::int64_t item = 0; item < x.dim(0); ++item) {
        const std::size_t first = static_cast<std::size_t>(item) * groups;
        const Affine factors = affine(std::span(moments.mean).subspan(first, groups),
                                      std::span(moments.variance).subspan(first, groups), gamma, beta,
                                      nullptr, static_cast<std::size_t>(width), eps);
        with_type(x, [&]<class T>(T*) {
            apply(factors, silu, x.data<T>() + item * rows * width, y.data<T>() + item * rows * width, rows,
                  width);
        });
    }
}

}  // namespace sdxl::onednn
