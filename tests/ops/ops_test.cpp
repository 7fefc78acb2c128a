// What ops add to a backend: checks of shapes, the cancel token, the trace.
#include "ops/ops.h"

#include <gtest/gtest.h>

#include "backend/reference/reference_backend.h"
#include "core/error.h"
#include "ops/layout.h"

namespace sdxl {
namespace {

class Ops : public ::testing::Test {
  protected:
    Tensor zeros(const Shape& shape) {
        return ops::upload(ctx(), std::vector<float>(static_cast<std::size_t>(shape.numel())), shape);
    }
    ops::LinearWeight weight(std::int64_t in, std::int64_t out) {
        values_.assign(static_cast<std::size_t>(in * out), 1.0F);
        const HostView view{reinterpret_cast<const std::byte*>(values_.data()), DType::kF32, {out, in}, "w"};
        return ops::prepare_linear({*backend_}, {{view}, {}});
    }
    Context ctx(const CancelToken* cancel = nullptr, Trace* trace = nullptr) {
        return {*backend_, DType::kF32, cancel, trace};
    }
    // The failure of `call`, which must be kInternal and name `shape`.
    template <class Call>
    void expect_refused(Call call, const std::string& shape) {
        try {
            call();
            ADD_FAILURE() << "accepted";
        } catch (const Failure& failure) {
            EXPECT_EQ(failure.error().code, ErrorCode::kInternal);
            EXPECT_NE(failure.error().message.find(shape), std::string::npos) << failure.error().message;
        }
    }

    std::unique_ptr<Backend> backend_ = make_reference_backend();
    std::vector<float> values_;
};

TEST_F(Ops, RefuseShapesThatDoNotFit) {
    const auto w = weight(8, 4);
    expect_refused([&] { ops::linear(ctx(), zeros({2, 7}), w); }, "[2, 7]");
    expect_refused([&] { ops::linear(ctx(), zeros({2, 8}), w, zeros({2, 5})); }, "[2, 5]");
    expect_refused([&] { ops::linear(ctx(), Tensor(), w); }, "undefined");
    expect_refused([&] { ops::add(ctx(), zeros({2, 3}), zeros({3, 2})); }, "[3, 2]");
    expect_refused([&] { ops::add_scaled(ctx(), zeros({2, 3}), zeros({3, 2}), 1.F); }, "[3, 2]");
    expect_refused(
        [&] {
            ops::concat_channels(ctx(), zeros({1, 2, 2, 3}), zeros({1, 2, 1, 3}));
        },
        "[1, 2, 1, 3]");
    expect_refused([&] { ops::upsample_nearest2x(ctx(), zeros({1, 2, 2, 3}), 4, 2); }, "[1, 2, 2, 3]");
    expect_refused(
        [&] {
            ops::attention(ctx(), zeros({1, 2, 6}), zeros({1, 3, 6}), zeros({1, 3, 6}), 4, false);
        },
        "[1, 2, 6]");
    expect_refused(
        [&] {
            ops::attention(ctx(), zeros({1, 2, 6}), zeros({1, 3, 6}), zeros({1, 3, 6}), 2, true);
        },
        "[1, 3, 6]");
    expect_refused(
        [&] {
            ops::group_norm(ctx(), zeros({1, 2, 6}), zeros({6}), zeros({6}), {.groups = 4});
        },
        "[1, 2, 6]");
}

TEST_F(Ops, RefuseTokensOutsideTheTable) {
    const std::vector<float> table(6);
    const HostView view{reinterpret_cast<const std::byte*>(table.data()), DType::kF32, {3, 2}, "table"};
    for (const std::int32_t id : {-1, 3}) {
        expect_refused([&] { ops::embed(ctx(), view, std::vector<std::int32_t>{0, id}, 1, {}); }, "[3, 2]");
    }
}

TEST_F(Ops, StopWhenCancelled) {
    CancelToken cancel;
    const auto w = weight(8, 4);
    const Tensor x = zeros({2, 8});
    EXPECT_NO_THROW(ops::linear(ctx(&cancel), x, w));
    cancel.cancel();
    try {
        ops::linear(ctx(&cancel), x, w);
        ADD_FAILURE() << "went on";
    } catch (const Failure& failure) {
        EXPECT_EQ(failure.error().code, ErrorCode::kCancelled);
    }
}

TEST_F(Ops, TraceCountsOperationsAndGroupsByShape) {
    Trace trace;
    const auto w = weight(8, 4);
    const Tensor a = zeros({2, 8}), b = zeros({3, 8});
    for (const Tensor& x : {a, a, b}) ops::linear(ctx(nullptr, &trace), x, w);
    const auto entries = trace.top(10);
    ASSERT_EQ(entries.size(), 2U);
    EXPECT_EQ(entries[0].count + entries[1].count, 3U);
    EXPECT_EQ(trace.total().operations, 2U * (2 + 2 + 3) * 8 * 4);
    EXPECT_EQ(trace.total().bytes, 4U * (2 + 2 + 3) * (8 + 4));
    EXPECT_EQ(trace.top(1).size(), 1U);
}

TEST(Layout, TurnsPlanesIntoPixelsAndBack) {
    const std::vector<float> planes{1, 2, 3, 10, 20, 30};  // [1, 2, 1, 3]
    const std::vector<float> pixels{1, 10, 2, 20, 3, 30};
    EXPECT_EQ(ops::nchw_to_nhwc(planes, {1, 2, 1, 3}), pixels);
    EXPECT_EQ(ops::nhwc_to_nchw(pixels, {1, 2, 1, 3}), planes);
    EXPECT_THROW(ops::nchw_to_nhwc(planes, {1, 2, 2, 3}), Failure);
}

}  // namespace
}  // namespace sdxl
