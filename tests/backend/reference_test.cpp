// The oracle itself, against numbers worked out by hand (and, for the odd ones, by torch).
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "backend/reference/reference_backend.h"
#include "core/error.h"

namespace sdxl {
namespace {

HostView view(const std::vector<float>& values, Shape shape) {
    return {reinterpret_cast<const std::byte*>(values.data()), DType::kF32, std::move(shape), "test"};
}

class Reference : public ::testing::Test {
  protected:
    Tensor up(const std::vector<float>& values, const Shape& shape) {
        return backend_->upload(values, shape, DType::kF32);
    }
    void expect(const Tensor& found, const Shape& shape, const std::vector<float>& expected) {
        EXPECT_EQ(found.shape(), shape) << found.shape().str();
        const auto values = backend_->download(found);
        ASSERT_EQ(values.size(), expected.size());
        for (std::size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(values[i], expected[i], 1e-6F) << i;
    }
    std::unique_ptr<Backend> backend_ = make_reference_backend();
};

TEST_F(Reference, LinearIsXTimesTheTranspose) {
    const std::vector<float> w{1, 2, 3, 4, 5, 6}, b{10, 20};
    const auto weight = backend_->prepare_linear({{view(w, {2, 3})}, {view(b, {2})}}, {});
    expect(backend_->linear(up({1, 0, -1}, {1, 3}), *weight, Activation::kNone, up({100, 200}, {1, 2})),
           {1, 2}, {108, 218});
}

TEST_F(Reference, GegluIsValueTimesGeluOfTheGate) {
    const std::vector<float> w{3, 1}, b{0, 0};
    const auto weight = backend_->prepare_geglu({{view(w, {2, 1})}, {view(b, {2})}}, {});
    expect(backend_->geglu(up({1}, {1, 1}), *weight), {1, 1}, {3 * 0.8413447F});
}

TEST_F(Reference, ConvolutionCorrelatesAndPads) {
    const std::vector<float> w{1, 2, 3, 4};  // [1, 1, 2, 2]
    const ConvSource source{view(w, {1, 1, 2, 2}), {}, 1, {.top = 0, .left = 0, .bottom = 1, .right = 1}};
    const auto weight = backend_->prepare_conv2d(source, {});
    expect(backend_->conv2d(up({1, 10, 100, 1000}, {1, 2, 2, 1}), *weight, Tensor()), {1, 2, 2, 1},
           {1 + 20 + 300 + 4000, 10 + 3000, 100 + 2000, 1000});
}

TEST_F(Reference, AttentionAveragesValuesAndRespectsCausality) {
    const Tensor q = up({0, 0}, {1, 2, 1}), v = up({2, 4}, {1, 2, 1});
    expect(backend_->attention(q, q, v, 1, false), {1, 2, 1}, {3, 3});
    expect(backend_->attention(q, q, v, 1, true), {1, 2, 1}, {2, 3});
}

TEST_F(Reference, GroupNormTakesMomentsOverGroupAndPixels) {
    const Tensor one = up({1, 1}, {2}), zero = up({0, 0}, {2});
    const float root = std::sqrt(1.25F);
    expect(backend_->group_norm(up({1, 2, 3, 4}, {1, 2, 1, 2}), one, zero, 1, 0.0F, false, Tensor()),
           {1, 2, 1, 2}, {-1.5F / root, -0.5F / root, 0.5F / root, 1.5F / root});
    // A shift of one channel only: 1, 4, 3, 6 has mean 3.5 and variance 3.25.
    expect(
        backend_->group_norm(up({1, 2, 3, 4}, {1, 2, 1, 2}), one, zero, 1, 0.0F, false, up({0, 2}, {1, 2})),
        {1, 2, 1, 2},
        {-2.5F / std::sqrt(3.25F), 0.5F / std::sqrt(3.25F), -0.5F / std::sqrt(3.25F),
         2.5F / std::sqrt(3.25F)});
}

TEST_F(Reference, ActivationsMatchTorch) {
    const Tensor x = up({-1, 2}, {1, 2});
    expect(backend_->activate(x, Activation::kSilu), {1, 2}, {-0.26894142F, 1.7615942F});
    expect(backend_->activate(x, Activation::kGelu), {1, 2}, {-0.15865526F, 1.9544997F});
    expect(backend_->activate(x, Activation::kQuickGelu), {1, 2}, {-0.15420423F, 1.9356586F});
}

// torch.nn.functional.interpolate(x, size=(1, 5)) of three columns gives 0 0 1 1 2.
TEST_F(Reference, UpsamplingToAnOddSizeDropsTheLast) {
    expect(backend_->upsample_nearest2x(up({0, 1, 2}, {1, 1, 3, 1}), 1, 5), {1, 1, 5, 1}, {0, 0, 1, 1, 2});
}

TEST_F(Reference, RefusesOtherElementTypes) {
    EXPECT_FALSE(backend_->supports(DType::kBF16));
    EXPECT_THROW(backend_->empty({1}, DType::kBF16), Failure);
}

TEST_F(Reference, LowFrequenciesAreThoseOfTorch) {
    const auto golden = nlohmann::json::parse(std::ifstream(SDXL_TEST_DATA "/free_u.json"));
    for (const auto& one : golden["cases"]) {
        const Shape shape{1, one["height"], one["width"], one["channels"]};
        const Tensor x = up(one["input"].get<std::vector<float>>(), shape);
        expect(backend_->scale_low_frequencies(x, one["scale"]), shape,
               one["output"].get<std::vector<float>>());
    }
    EXPECT_EQ(golden["cases"].size(), 5U);
}

}  // namespace
}  // namespace sdxl
