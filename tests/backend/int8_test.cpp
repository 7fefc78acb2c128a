// int8 weights: the kernels against integer arithmetic done plainly, what they lose, and what must hold
// whatever the values.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "backend/onednn/onednn_backend.h"
#include "backend/reference/reference_backend.h"
#include "numbering.h"
#include "parity.h"

namespace sdxl {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr WeightForm kInt8{DType::kF32, true};

// x = scale * level + offset, levels 0..255.
struct QuantizedRow {
    std::vector<int> levels;
    double scale = 0, offset = 0;
};

QuantizedRow quantized_row(std::span<const float> x) {
    const auto [least, most] = std::minmax_element(x.begin(), x.end());
    const float extent = *most - *least;
    QuantizedRow row{{}, static_cast<double>(extent / 255.F), static_cast<double>(*least)};
    for (const float value : x)
        row.levels.push_back(
            extent == 0 ? 0 : static_cast<int>(std::nearbyint((value - *least) * (255.F / extent))));
    return row;
}

// w = scale * level, levels -127..127.
QuantizedRow quantized_weights(std::span<const float> w) {
    float largest = 0;
    for (const float value : w) largest = std::max(largest, std::abs(value));
    QuantizedRow row{{}, static_cast<double>(largest / 127.F), 0};
    for (const float value : w)
        row.levels.push_back(largest == 0 ? 0 : static_cast<int>(std::nearbyint(value * (127.F / largest))));
    return row;
}

double activated(double x, Activation activation) {
    switch (activation) {
        case Activation::kNone:
            return x;
        case Activation::kSilu:
            return x / (1 + std::exp(-x));
        case Activation::kGelu:
            return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
        case Activation::kQuickGelu:
            return x / (1 + std::exp(-1.702 * x));
        case Activation::kRelu:
            return std::max(x, 0.0);
    }
    return x;
}

class Int8 : public testing::Test {
  protected:
    void SetUp() override {
        if (!backend_->supports_int8(DType::kF32)) GTEST_SKIP() << "no AVX-512 VNNI on this processor";
    }

    // Off centre, as activations are.
    HostTensor random(const Shape& shape, float scale = 1.0F, float mean = 0.2F) {
        std::normal_distribution<float> normal(mean, scale);
        Values values(static_cast<std::size_t>(shape.numel()));
        for (float& value : values) value = normal(random_);
        return {std::move(values), shape};
    }
    Tensor up(const HostTensor& x, DType dtype = DType::kF32) {
        return backend_->upload(x.values(), x.shape(), dtype);
    }
    Tensor up(const Values& values, const Shape& shape, DType dtype = DType::kF32) {
        return backend_->upload(values, shape, dtype);
    }
    Values linear(const HostTensor& x, const HostTensor& w, WeightForm form = kInt8) {
        const WeightPtr weight = backend_->prepare_linear({{w.view()}, {}}, form);
        return backend_->download(backend_->linear(up(x), *weight, Activation::kNone, Tensor()));
    }

    std::unique_ptr<Backend> backend_ = make_onednn_backend();
    std::unique_ptr<Backend> reference_ = make_reference_backend();
    std::mt19937 random_{11};
};

// [rows, out] of x [rows, in] and w [out, in], before bias and activation.
std::vector<double> exact_product(const HostTensor& x, const HostTensor& w) {
    const auto in = static_cast<std::size_t>(x.shape()[-1]);
    std::vector<QuantizedRow> weights;
    for (std::size_t at = 0; at < w.values().size(); at += in)
        weights.push_back(quantized_weights(std::span(w.values()).subspan(at, in)));
    std::vector<double> y;
    for (std::size_t at = 0; at < x.values().size(); at += in) {
        const QuantizedRow row = quantized_row(std::span(x.values()).subspan(at, in));
        for (const QuantizedRow& weight : weights) {
            std::int64_t dot = 0, total = 0;
            for (std::size_t i = 0; i < in; ++i) {
                dot += std::int64_t{row.levels[i]} * weight.levels[i];
                total += weight.levels[i];
            }
            y.push_back(weight.scale *
                        (row.scale * static_cast<double>(dot) + row.offset * static_cast<double>(total)));
        }
    }
    return y;
}

void expect_close(const Values& found, const std::vector<double>& expected, const std::string& what) {
    ASSERT_EQ(found.size(), expected.size()) << what;
    double norm = 0;
    for (const double value : expected) norm += value * value;
    const double tolerance = 3e-6 * std::sqrt(norm / static_cast<double>(expected.size())) + 1e-7;
    for (std::size_t i = 0; i < found.size(); ++i) {
        const double slack = tolerance * (1 + std::abs(expected[i]));
        ASSERT_NEAR(static_cast<double>(found[i]), expected[i], 4 * slack) << what << ", element " << i;
    }
}

// Every activation, with and without residual, over rows and outputs that do not fill tiles and inputs that
// do not fill quads.
TEST_F(Int8, LinearIsTheIntegerProduct) {
    for (const auto& [rows, in, out] :
         {std::tuple{1, 64, 32}, {7, 67, 65}, {6, 128, 64}, {13, 130, 200}, {200, 321, 70}, {3, 2048, 33}}) {
        const HostTensor x = random({rows, in}), w = random({out, in}, 0.1F, 0.F), bias = random({out});
        const HostTensor residual = random({rows, out});
        const WeightPtr weight = backend_->prepare_linear({{w.view()}, {bias.view()}}, kInt8);
        auto sums = exact_product(x, w);
        for (std::size_t i = 0; i < sums.size(); ++i)
            sums[i] += static_cast<double>(bias.values()[i % static_cast<std::size_t>(out)]);
        const std::string what =
            std::to_string(rows) + " x " + std::to_string(in) + " x " + std::to_string(out);
        for (const Activation activation : {Activation::kNone, Activation::kSilu, Activation::kGelu,
                                            Activation::kQuickGelu, Activation::kRelu}) {
            auto expected = sums;
            for (double& value : expected) value = activated(value, activation);
            expect_close(backend_->download(backend_->linear(up(x), *weight, activation, Tensor())), expected,
                         what + " " + std::string(activation_name(activation)));
        }
        for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += static_cast<double>(residual.values()[i]);
        expect_close(backend_->download(backend_->linear(up(x), *weight, Activation::kNone, up(residual))),
                     sums, what + " residual");
    }
}

TEST_F(Int8, StackedWeightsAreOneProduct) {
    const HostTensor x = random({9, 100});
    const HostTensor q = random({40, 100}), k = random({30, 100}), v = random({70, 100});
    const HostTensor bq = random({40}), bk = random({30}), bv = random({70});
    const WeightPtr weight =
        backend_->prepare_linear({{q.view(), k.view(), v.view()}, {bq.view(), bk.view(), bv.view()}}, kInt8);
    const Values found = backend_->download(backend_->linear(up(x), *weight, Activation::kNone, Tensor()));
    std::size_t at = 0;
    for (const auto& [w, b] : {std::pair{&q, &bq}, {&k, &bk}, {&v, &bv}}) {
        const auto out = b->values().size();
        const auto part = exact_product(x, *w);
        for (std::size_t i = 0; i < part.size(); ++i)
            ASSERT_NEAR(found[i / out * 140 + at + i % out],
                        part[i] + static_cast<double>(b->values()[i % out]), 1e-3);
        at += out;
    }
}

TEST_F(Int8, GegluIsTheIntegerProduct) {
    for (const auto& [rows, in, inner] : {std::tuple{7, 64, 32}, {13, 66, 100}, {65, 320, 40}}) {
        const HostTensor x = random({rows, in}), w = random({2 * inner, in}, 0.1F),
                         bias = random({2 * inner});
        const WeightPtr weight = backend_->prepare_geglu({{w.view()}, {bias.view()}}, kInt8);
        const auto sums = exact_product(x, w);
        std::vector<double> expected;
        const auto width = static_cast<std::size_t>(inner);
        for (std::size_t at = 0; at < sums.size(); at += 2 * width)
            for (std::size_t i = 0; i < width; ++i) {
                const double value = sums[at + i] + static_cast<double>(bias.values()[i]);
                const double gate = sums[at + width + i] + static_cast<double>(bias.values()[width + i]);
                expected.push_back(value * activated(gate, Activation::kGelu));
            }
        expect_close(backend_->download(backend_->geglu(up(x), *weight)), expected,
                     "geglu " + std::to_string(in));
    }
}

struct ConvCase {
    Shape x, w;  // [N, H, W, in], [out, in, kh, kw]
    int stride;
    Padding padding;
};

// What lies outside of the picture is zero, whatever its neighbours' scales and offsets.
std::vector<double> exact_convolution(const ConvCase& c, const HostTensor& x, const HostTensor& w,
                                      const Values& bias, const Shape& y) {
    const std::int64_t in = c.w[1], kh = c.w[2], kw = c.w[3];
    std::vector<QuantizedRow> pixels, weights;
    for (std::int64_t i = 0; i < x.shape().numel() / in; ++i)
        pixels.push_back(quantized_row(
            std::span(x.values()).subspan(static_cast<std::size_t>(i * in), static_cast<std::size_t>(in))));
    const auto row = static_cast<std::size_t>(in * kh * kw);
    for (std::size_t at = 0; at < w.values().size(); at += row)
        weights.push_back(quantized_weights(std::span(w.values()).subspan(at, row)));
    std::vector<double> result;
    for (std::int64_t i = 0; i < y.numel(); ++i) {
        const std::int64_t o = i % y[3], column = i / y[3] % y[2], line = i / y[3] / y[2] % y[1],
                           n = i / y[3] / y[2] / y[1];
        double sum = 0;
        for (std::int64_t tap = 0; tap < kh * kw; ++tap) {
            const std::int64_t py = line * c.stride + tap / kw - c.padding.top;
            const std::int64_t px = column * c.stride + tap % kw - c.padding.left;
            if (py < 0 || py >= c.x[1] || px < 0 || px >= c.x[2]) continue;
            const QuantizedRow& pixel = pixels[static_cast<std::size_t>((n * c.x[1] + py) * c.x[2] + px)];
            for (std::int64_t k = 0; k < in; ++k)
                sum +=
                    (pixel.scale * pixel.levels[static_cast<std::size_t>(k)] + pixel.offset) *
                    weights[static_cast<std::size_t>(o)].levels[static_cast<std::size_t>(k * kh * kw + tap)];
        }
        result.push_back(sum * weights[static_cast<std::size_t>(o)].scale +
                         static_cast<double>(bias[static_cast<std::size_t>(o)]));
    }
    return result;
}

TEST_F(Int8, ConvolutionIsTheIntegerProduct) {
    for (const ConvCase& c : {ConvCase{{2, 5, 7, 64}, {32, 64, 3, 3}, 1, {1, 1, 1, 1}},
                              {{1, 8, 8, 70}, {65, 70, 3, 3}, 2, {1, 1, 1, 1}},
                              {{1, 7, 6, 66}, {40, 66, 3, 3}, 2, {0, 0, 1, 1}},
                              {{2, 3, 3, 96}, {33, 96, 1, 1}, 1, {}},
                              {{1, 6, 5, 64}, {32, 64, 2, 3}, 1, {1, 0, 0, 2}}}) {
        const HostTensor x = random(c.x), w = random(c.w, 0.1F, 0.F), bias = random({c.w[0]});
        const WeightPtr weight =
            backend_->prepare_conv2d({w.view(), bias.view(), c.stride, c.padding}, kInt8);
        const Tensor plain = backend_->conv2d(up(x), *weight, Tensor());
        auto expected = exact_convolution(c, x, w, bias.values(), plain.shape());
        expect_close(backend_->download(plain), expected, "conv " + c.w.str());
        const HostTensor residual = random(plain.shape());
        for (std::size_t i = 0; i < expected.size(); ++i)
            expected[i] += static_cast<double>(residual.values()[i]);
        expect_close(backend_->download(backend_->conv2d(up(x), *weight, up(residual))), expected,
                     "conv with residual " + c.w.str());
    }
}

// Normal numbers: the largest of 640 weights is about 3.2 deviations, so a step is 1/40 of one and its error
// 0.7 %; activations have 255 steps over 6.4 deviations, which is 0.7 % too. Together 1.0 %.
TEST_F(Int8, ErrorIsAboutOnePercent) {
    const HostTensor x = random({64, 640}, 1.F, 0.F), w = random({128, 640}, 0.1F, 0.F);
    const auto on_reference = [&](WeightForm form) {
        const WeightPtr weight = reference_->prepare_linear({{w.view()}, {}}, form);
        return reference_->download(reference_->linear(reference_->upload(x.values(), x.shape(), DType::kF32),
                                                       *weight, Activation::kNone, Tensor()));
    };
    const Values found = linear(x, w);
    EXPECT_LT(relative_l2(found, on_reference({})), 1.2e-2);
    EXPECT_GT(relative_l2(found, on_reference({})), 0.5e-2);  // it is int8
    // The reference rounds weights alone: what is left is the activations'.
    EXPECT_LT(relative_l2(found, on_reference(kInt8)), 0.85e-2);
    EXPECT_GT(relative_l2(on_reference(kInt8), on_reference({})), 0.5e-2);
}

// Scales of their own: a row or an output that is a thousand times larger takes nothing from its neighbours.
TEST_F(Int8, RowsAndOutputsHaveTheirOwnScales) {
    const HostTensor x = random({4, 128}), w = random({40, 128});
    Values large_x = x.values(), large_w = w.values();
    for (std::size_t i = 0; i < 128; ++i) large_x[128 + i] *= 1024, large_w[3 * 128 + i] *= 1024;
    const Values plain = linear(x, w);
    const Values scaled = linear({large_x, x.shape()}, {large_w, w.shape()});
    for (std::size_t i = 0; i < plain.size(); ++i) {
        const float factor = (i / 40 == 1 ? 1024.F : 1.F) * (i % 40 == 3 ? 1024.F : 1.F);
        ASSERT_EQ(scaled[i], plain[i] * factor) << i;
    }
}

TEST_F(Int8, DegenerateRowsAreExact) {
    const HostTensor x = random({4, 64});
    Values values = x.values(), weights = random({40, 64}).values();
    std::fill_n(values.begin(), 64, 0.F);           // zeros
    std::fill_n(values.begin() + 64, 64, -2.5F);    // one value: an offset and no scale
    std::fill_n(values.begin() + 128, 64, 1e-40F);  // denormal
    std::fill_n(weights.begin(), 64, 0.F);
    std::fill_n(weights.begin() + 64, 64, 1e-40F);
    const HostTensor w{weights, {40, 64}};
    const Values y = linear({values, x.shape()}, w);
    const auto expected = exact_product({values, x.shape()}, w);
    for (std::size_t o = 0; o < 40; ++o) {
        EXPECT_EQ(y[o], 0.F) << o;
        EXPECT_NEAR(y[40 + o], expected[40 + o], 1e-4) << o;
        EXPECT_NEAR(y[80 + o], 0.F, 1e-30F) << o;
    }
    for (std::size_t row = 0; row < 4; ++row) {
        EXPECT_EQ(y[row * 40], 0.F);
        EXPECT_NEAR(y[row * 40 + 1], 0.F, 1e-30F);
    }
}

// So that whoever looks for values that are not finite sees them, and no other row is changed.
TEST_F(Int8, WhatIsNotFiniteStaysSo) {
    for (const DType dtype : {DType::kF32, DType::kBF16})
        for (const float bad : {kNaN, kInfinity, -kInfinity})
            for (const std::size_t place : {64U, 64U + 17, 127U}) {
                const HostTensor x = random({3, 64}), w = random({40, 64});
                const WeightPtr weight = backend_->prepare_linear({{w.view()}, {}}, {dtype, true});
                Values values = x.values();
                values[place] = bad;
                for (const Activation activation : {Activation::kNone, Activation::kSilu, Activation::kGelu,
                                                    Activation::kQuickGelu, Activation::kRelu}) {
                    const auto run = [&](const Values& from) {
                        return backend_->download(
                            backend_->linear(up(from, x.shape(), dtype), *weight, activation, Tensor()));
                    };
                    const Values clean = run(x.values()), found = run(values);
                    for (std::size_t i = 0; i < found.size(); ++i) {
                        if (i / 40 == 1)
                            ASSERT_FALSE(std::isfinite(found[i])) << i << activation_name(activation);
                        else
                            ASSERT_EQ(found[i], clean[i]) << i;
                    }
                }
            }
}

TEST_F(Int8, WeightsThatAreNotFiniteShow) {
    for (const float bad : {kNaN, kInfinity}) {
        const HostTensor x = random({3, 64});
        Values weights = random({40, 64}).values();
        weights[5 * 64 + 9] = bad;
        const Values y = linear(x, {weights, {40, 64}});
        for (std::size_t i = 0; i < y.size(); ++i) ASSERT_EQ(std::isfinite(y[i]), i % 40 != 5) << i;
    }
}

// To the bit: what runs beside a picture does not change it.
TEST_F(Int8, EntriesOfABatchAreIndependent) {
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
        const WeightForm form{dtype, true};
        const HostTensor w = random({130, 70}), kernels = random({70, 70, 3, 3}), halves = random({80, 70});
        const WeightPtr product = backend_->prepare_linear({{w.view()}, {}}, form);
        const WeightPtr geglu = backend_->prepare_geglu({{halves.view()}, {}}, form);
        const WeightPtr conv = backend_->prepare_conv2d({kernels.view(), {}, 1, {1, 1, 1, 1}}, form);
        const HostTensor x = random({3, 5, 7, 70}, 2.F);
        Values values = x.values();
        for (std::size_t i = 0; i < values.size() / 3; ++i) values[i] *= 100;  // a loud neighbour
        const Tensor all = up(values, x.shape(), dtype);
        const auto ops = {
            std::function<Tensor(const Tensor&)>(
                [&](const Tensor& t) { return backend_->linear(t, *product, Activation::kGelu, Tensor()); }),
            std::function<Tensor(const Tensor&)>([&](const Tensor& t) { return backend_->geglu(t, *geglu); }),
            std::function<Tensor(const Tensor&)>(
                [&](const Tensor& t) { return backend_->conv2d(t, *conv, Tensor()); })};
        for (const auto& op : ops) {
            const Values together = backend_->download(op(all));
            for (std::int64_t n = 0; n < 3; ++n) {
                const Values alone = backend_->download(op(all.slice(n, 1)));
                const auto at = together.begin() + n * static_cast<std::ptrdiff_t>(alone.size());
                ASSERT_TRUE(std::equal(alone.begin(), alone.end(), at)) << dtype_name(dtype) << " " << n;
            }
        }
    }
}

// What adapters do is done before the values are rounded, from every element type.
TEST_F(Int8, EditsAreMadeBeforeQuantising) {
    const Numbering edit;
    Values rounded = random({160, 576}).values();
    std::vector<bf16_bits> halves;
    for (float& value : rounded) {
        halves.push_back(f32_to_bf16(value));
        value = bf16_to_f32(halves.back());
    }
    Values changed = rounded;
    edit.apply(0, 160, changed);
    const auto digests = [&](HostView view) {
        HostView kernels = view;
        kernels.shape = {160, 64, 3, 3};
        return std::vector<std::uint64_t>{backend_->prepare_linear({{view, view}, {}}, kInt8)->digest(),
                                          backend_->prepare_geglu({{view}, {}}, kInt8)->digest(),
                                          backend_->prepare_conv2d({kernels, {}, 1, {}}, kInt8)->digest()};
    };
    HostView file{reinterpret_cast<const std::byte*>(halves.data()), DType::kBF16, {160, 576}, "file"};
    const auto plain = digests(file);
    EXPECT_EQ(plain, digests(HostTensor(rounded, {160, 576}).view()));
    file.edit = &edit;
    EXPECT_EQ(digests(file), digests(HostTensor(changed, {160, 576}).view()));
    EXPECT_NE(digests(file), plain);
}

TEST_F(Int8, AFailingEditIsAnError) {
    struct Failing final : RowEdit {
        void apply(std::int64_t, std::int64_t, std::span<float>) const override { throw std::bad_alloc(); }
    };
    const Failing edit;
    const HostTensor w = random({130, 64});
    HostView view = w.view();
    view.edit = &edit;
    EXPECT_THROW(backend_->prepare_linear({{view}, {}}, kInt8), std::bad_alloc);
}

TEST_F(Int8, WeightsAreAByteEachAndHaveDigestsOfTheirOwn) {
    const HostTensor w = random({1280, 640});
    const auto prepare = [&](WeightForm form) { return backend_->prepare_linear({{w.view()}, {}}, form); };
    const WeightPtr int8 = prepare(kInt8);
    EXPECT_GE(int8->bytes(), 1280U * 640);
    EXPECT_LT(int8->bytes(), 1280U * 640 * 1.03);
    EXPECT_NE(int8->digest(), prepare({DType::kF32})->digest());
    EXPECT_NE(int8->digest(), prepare({DType::kBF16})->digest());
    Values other = w.values();
    for (std::size_t i = 0; i < 640; ++i) other[i] *= 2;  // the same levels, another scale
    EXPECT_NE(int8->digest(),
              backend_->prepare_linear({{HostTensor(other, w.shape()).view()}, {}}, kInt8)->digest());
}

// The rule of backend/int8_rule.h.
TEST_F(Int8, WhatIsSmallStaysAsItIs) {
    const HostTensor narrow = random({64, 63}), few = random({31, 64}), latent = random({320, 4, 3, 3});
    for (Backend* backend : {backend_.get(), reference_.get()}) {
        for (const HostTensor* w : {&narrow, &few})
            EXPECT_EQ(backend->prepare_linear({{w->view()}, {}}, kInt8)->digest(),
                      backend->prepare_linear({{w->view()}, {}}, {})->digest());
        EXPECT_EQ(backend->prepare_conv2d({latent.view(), {}, 1, {}}, kInt8)->digest(),
                  backend->prepare_conv2d({latent.view(), {}, 1, {}}, {})->digest());
    }
}

}  // namespace
}  // namespace sdxl
