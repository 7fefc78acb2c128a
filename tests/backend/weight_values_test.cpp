// What backends do to the values of weights before they are packed, against the reference.
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "backend/onednn/onednn_backend.h"
#include "backend/reference/reference_backend.h"
#include "numbering.h"
#include "ops/ops.h"

namespace sdxl {
namespace {

class WeightValues : public testing::Test {
  protected:
    std::vector<float> random(std::int64_t count) {
        std::vector<float> values(static_cast<std::size_t>(count));
        std::normal_distribution<float> normal;
        for (float& value : values) value = normal(random_);
        return values;
    }

    std::unique_ptr<Backend> reference_ = make_reference_backend();
    std::unique_ptr<Backend> onednn_ = make_onednn_backend();
    std::mt19937 random_{5};
};

HostView view_of(const std::vector<float>& values, const Shape& shape) {
    return {reinterpret_cast<const std::byte*>(values.data()), DType::kF32, shape, "values"};
}

TEST_F(WeightValues, ProductsAreAdded) {
    for (const auto& [m, k, n] : {std::tuple{64, 32, 1280},
                                  {1, 1, 1},
                                  {3, 5, 7},
                                  {65, 4, 33},
                                  {64, 4, 31},
                                  {200, 300, 100},
                                  {7, 128, 64}}) {
        const auto a = random(m * k), b = random(k * n), before = random(m * n);
        std::vector<float> expected = before, found = before;
        reference_->add_product(expected, a, b, k, 0.75F);
        onednn_->add_product(found, a, b, k, 0.75F);
        for (std::size_t i = 0; i < found.size(); ++i)
            ASSERT_NEAR(found[i], expected[i], 1e-5 * std::sqrt(k) * 4)
                << m << " " << k << " " << n << " " << i;
    }
}

TEST_F(WeightValues, AreWidened) {
    constexpr std::int64_t kCount = 20'011;
    const auto values = random(kCount);
    std::vector<bf16_bits> halves;
    for (const float value : values) halves.push_back(f32_to_bf16(value));
    const HostView view{reinterpret_cast<const std::byte*>(halves.data()), DType::kBF16, {kCount}, "halves"};
    std::vector<float> expected(values.size()), found(values.size());
    reference_->widen(view, expected);
    onednn_->widen(view, found);
    EXPECT_EQ(found, expected);
}

// An edited weight is the one with the edited values, in every place where weights are prepared.
TEST_F(WeightValues, EditsAreMadeWhereWeightsArePrepared) {
    const Numbering edit;
    for (Backend* backend : {reference_.get(), onednn_.get()})
        for (const DType compute : {DType::kF32, DType::kBF16}) {
            if (!backend->supports(compute)) continue;
            const auto weight = random(130 * 48);
            auto whole = weight;
            edit.apply(0, 130, whole);
            const auto digests = [&](const HostView& view) {
                HostView kernels = view;
                kernels.shape = {130, 12, 2, 2};
                return std::vector<std::uint64_t>{
                    backend->prepare_linear({{view, view}, {}}, {compute})->digest(),
                    backend->prepare_geglu({{view}, {}}, {compute})->digest(),
                    backend->prepare_conv2d({kernels, {}, 1, {}}, {compute})->digest()};
            };
            HostView edited = view_of(weight, {130, 48});
            edited.edit = &edit;
            EXPECT_EQ(digests(edited), digests(view_of(whole, {130, 48}))) << backend->name();
            EXPECT_NE(digests(edited), digests(view_of(weight, {130, 48}))) << backend->name();
        }
}

// What fails in an edit fails the preparation, on whatever thread it ran.
TEST_F(WeightValues, AFailingEditIsAnError) {
    struct Failing final : RowEdit {
        void apply(std::int64_t, std::int64_t, std::span<float>) const override { throw std::bad_alloc(); }
    };
    const Failing edit;
    const auto weight = random(130 * 48);
    HostView view = view_of(weight, {130, 48});
    view.edit = &edit;
    EXPECT_THROW(onednn_->prepare_linear({{view}, {}}, {}), std::bad_alloc);
}

}  // namespace
}  // namespace sdxl
