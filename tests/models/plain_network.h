// Networks written down a second time, in double precision and without our code: what the modules are
// compared with. A matrix is a batch of one: tokens by channels.
#pragma once

#include <cmath>
#include <cstddef>
#include <functional>
#include <numbers>
#include <string>
#include <vector>

#include "micro_variants.h"

namespace sdxl::plain {

struct Matrix {
    std::size_t rows = 0, columns = 0;
    std::vector<double> values;

    Matrix(std::size_t r, std::size_t c) : rows(r), columns(c), values(r * c) {}
    double& at(std::size_t row, std::size_t column) { return values[row * columns + column]; }
    double at(std::size_t row, std::size_t column) const { return values[row * columns + column]; }
    Matrix part(std::size_t begin, std::size_t count) const {  // of the columns
        Matrix y(rows, count);
        for (std::size_t r = 0; r < rows; ++r)
            for (std::size_t c = 0; c < count; ++c) y.at(r, c) = at(r, begin + c);
        return y;
    }
    Matrix row(std::size_t index) const {
        Matrix y(1, columns);
        for (std::size_t c = 0; c < columns; ++c) y.at(0, c) = at(index, c);
        return y;
    }
};

// A tensor of one or two extents as it stands in a file.
inline Matrix tensor(const PlainTensors& tensors, const std::string& name) {
    const PlainTensor& from = tensors.at(name);
    const auto columns = static_cast<std::size_t>(from.shape.back());
    Matrix y(from.values.size() / columns, columns);
    for (std::size_t i = 0; i < from.values.size(); ++i) y.values[i] = static_cast<double>(from.values[i]);
    return y;
}

inline Matrix add(Matrix a, const Matrix& b, double factor = 1) {
    for (std::size_t i = 0; i < a.values.size(); ++i) a.values[i] += factor * b.values[i];
    return a;
}

inline Matrix map(Matrix x, const std::function<double(double)>& f) {
    for (double& value : x.values) value = f(value);
    return x;
}

inline double gelu(double x) {
    return 0.5 * x * (1 + std::erf(x / std::numbers::sqrt2));
}

// One matrix above the other.
inline Matrix stack(const Matrix& a, const Matrix& b) {
    Matrix y(a.rows + b.rows, a.columns);
    y.values = a.values;
    y.values.insert(y.values.end(), b.values.begin(), b.values.end());
    return y;
}

// x W^T + b; the bias where the file has one.
inline Matrix linear(const PlainTensors& tensors, const std::string& name, const Matrix& x) {
    const Matrix weight = tensor(tensors, name + ".weight");
    Matrix y(x.rows, weight.rows);
    const bool bias = tensors.count(name + ".bias") > 0;
    for (std::size_t r = 0; r < x.rows; ++r)
        for (std::size_t o = 0; o < weight.rows; ++o) {
            double sum = bias ? tensor(tensors, name + ".bias").at(0, o) : 0;
            for (std::size_t i = 0; i < x.columns; ++i) sum += x.at(r, i) * weight.at(o, i);
            y.at(r, o) = sum;
        }
    return y;
}

// Ba et al. 2016.
inline Matrix norm(const PlainTensors& tensors, const std::string& name, const Matrix& x) {
    const Matrix gamma = tensor(tensors, name + ".weight");
    const Matrix beta = tensor(tensors, name + ".bias");
    Matrix y = x;
    const auto count = static_cast<double>(x.columns);
    for (std::size_t r = 0; r < x.rows; ++r) {
        double mean = 0, variance = 0;
        for (std::size_t c = 0; c < x.columns; ++c) mean += x.at(r, c) / count;
        for (std::size_t c = 0; c < x.columns; ++c) variance += std::pow(x.at(r, c) - mean, 2) / count;
        for (std::size_t c = 0; c < x.columns; ++c)
            y.at(r, c) = (x.at(r, c) - mean) / std::sqrt(variance + 1e-5) * gamma.at(0, c) + beta.at(0, c);
    }
    return y;
}

// softmax(q k^T / sqrt(d)) v for every head: Vaswani et al. 2017.
inline Matrix attention(const Matrix& q, const Matrix& k, const Matrix& v, std::size_t heads) {
    Matrix y(q.rows, q.columns);
    const std::size_t size = q.columns / heads;
    for (std::size_t head = 0; head < heads; ++head)
        for (std::size_t r = 0; r < q.rows; ++r) {
            std::vector<double> weights;
            double sum = 0;
            for (std::size_t t = 0; t < k.rows; ++t) {
                double score = 0;
                for (std::size_t c = head * size; c < (head + 1) * size; ++c)
                    score += q.at(r, c) * k.at(t, c);
                weights.push_back(std::exp(score / std::sqrt(static_cast<double>(size))));
                sum += weights.back();
            }
            for (std::size_t t = 0; t < k.rows; ++t)
                for (std::size_t c = head * size; c < (head + 1) * size; ++c)
                    y.at(r, c) += weights[t] / sum * v.at(t, c);
        }
    return y;
}

// ||found - expected|| / ||expected||
inline double relative_error(const std::vector<float>& found, const Matrix& expected) {
    if (found.size() != expected.values.size()) return INFINITY;
    double difference = 0, size = 0;
    for (std::size_t i = 0; i < found.size(); ++i) {
        difference += std::pow(static_cast<double>(found[i]) - expected.values[i], 2);
        size += std::pow(expected.values[i], 2);
    }
    return std::sqrt(difference / size);
}

}  // namespace sdxl::plain
