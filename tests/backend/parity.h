// The same op on a backend and on the reference, with the same numbers.
//
// Inputs and weights are rounded to the backend's element type first, so that only the op itself is compared.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <vector>

#include "backend/reference/reference_backend.h"
#include "backends_under_test.h"
#include "ops/ops.h"
#include "parity_table.h"

namespace sdxl {

using Values = std::vector<float>;

// Float32 values as a weight file would hold them; keeps the bytes that its view points at.
class HostTensor {
  public:
    HostTensor(Values values, Shape shape) : values_(std::move(values)), shape_(std::move(shape)) {}
    HostView view() const {
        return {reinterpret_cast<const std::byte*>(values_.data()), DType::kF32, shape_, "test"};
    }
    const Values& values() const { return values_; }
    const Shape& shape() const { return shape_; }

  private:
    Values values_;
    Shape shape_;
};

inline double relative_l2(const Values& found, const Values& expected) {
    if (found.size() != expected.size()) return INFINITY;
    double difference = 0.0, norm = 0.0;
    for (std::size_t i = 0; i < found.size(); ++i) {
        const double a = static_cast<double>(found[i]), b = static_cast<double>(expected[i]);
        difference += (a - b) * (a - b);
        norm += b * b;
    }
    return std::sqrt(difference / norm);
}

class BackendParity : public ::testing::TestWithParam<BackendCase> {
  protected:
    // An op on one side: computes with the context it is given.
    using Op = std::function<Tensor(const LoadContext&, const Context&)>;

    void SetUp() override {
        tested_ = GetParam().make();
        if (!tested_->supports(GetParam().compute)) GTEST_SKIP() << "not supported on this processor";
    }

    // Normal numbers, rounded to the element type under test; the same for the same seed.
    HostTensor random(const Shape& shape, float scale = 1.0F, float mean = 0.0F) {
        std::normal_distribution<float> normal(mean, scale);
        Values values(static_cast<std::size_t>(shape.numel()));
        for (float& value : values) value = rounded(normal(engine_));
        return {std::move(values), shape};
    }

    void expect_parity(const Op& op, double tolerance_factor = 1.0) {
        const Values expected = evaluate(*reference_, DType::kF32, op);
        const Values found = evaluate(*tested_, GetParam().compute, op);
        const double error = relative_l2(found, expected);
        const double limit = tolerance_factor * GetParam().tolerance;
        EXPECT_LE(error, limit);
        const std::string test = ::testing::UnitTest::GetInstance()->current_test_info()->name();
        ParityTable::instance().add(test.substr(0, test.find('/')), GetParam().name, error, limit);
        RecordProperty("relative_l2", std::to_string(error));
    }

    static Tensor up(const Context& ctx, const HostTensor& x) {
        return ops::upload(ctx, x.values(), x.shape());
    }
    static Tensor up_f32(const Context& ctx, const HostTensor& x) {
        return ctx.backend.upload(x.values(), x.shape(), DType::kF32);
    }

  private:
    float rounded(float value) const {
        return GetParam().compute == DType::kBF16 ? bf16_to_f32(f32_to_bf16(value)) : value;
    }
    static Values evaluate(Backend& backend, DType compute, const Op& op) {
        const Context ctx{backend, compute, nullptr, nullptr};
        return ops::download(ctx, op({backend, compute}, ctx));
    }

    std::mt19937 engine_{20240607};
    std::unique_ptr<Backend> reference_ = make_reference_backend();
    std::unique_ptr<Backend> tested_;
};

}  // namespace sdxl
