#include "weights/weight_scope.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>

#include "expect_failure.h"
#include "weights/owned_bytes.h"

namespace sdxl {
namespace {

using testing::expect_failure;

// Puts raw values one byte into a buffer, so that nothing is aligned.
template <class T, std::size_t kCount>
FileTensor tensor(const std::string& name, DType dtype, const std::array<T, kCount>& values) {
    std::vector<std::byte> raw(1 + sizeof(values));
    std::memcpy(raw.data() + 1, values.data(), sizeof(values));
    const auto bytes = std::make_shared<const OwnedBytes>("file.safetensors", std::move(raw));
    return {{bytes->bytes().data() + 1, dtype, Shape{static_cast<std::int64_t>(kCount)}, name}, bytes};
}

void insert(WeightMap& map, const std::string& canonical, const FileTensor& tensor) {
    map.insert(canonical, tensor.view, tensor.bytes);
}

class Scope : public ::testing::Test {
  protected:
    Scope() {
        insert(map_, "down_blocks.0.resnets.1.norm1.weight",
               tensor("orig.w", DType::kF32, std::array{1.5F, -2.0F}));
        insert(map_, "down_blocks.0.ids", tensor("orig.ids", DType::kI64, std::array<std::int64_t, 1>{7}));
    }
    WeightMap map_{"unet"};
};

TEST_F(Scope, FindsBelowItsPlaceAndCountsUse) {
    std::vector<std::uint64_t> done;
    map_.set_observer([&](std::uint64_t bytes, std::uint64_t total) {
        done.push_back(bytes);
        EXPECT_EQ(total, 16U);
    });
    const WeightScope scope = WeightScope(map_).sub("down_blocks", 0).sub("resnets", 1).sub("norm1");
    EXPECT_EQ(scope.path("weight"), "down_blocks.0.resnets.1.norm1.weight");
    EXPECT_TRUE(scope.has("weight"));
    EXPECT_FALSE(scope.has("bias"));
    EXPECT_EQ(to_f32(scope.get("weight", {2})), (std::vector<float>{1.5F, -2.0F}));
    scope.get("weight", {2});
    EXPECT_EQ(done, std::vector<std::uint64_t>{8});
    EXPECT_EQ(map_.unused(), std::vector<std::string>{"orig.ids"});
    EXPECT_EQ(scope.get_optional("bias", {2}).data, nullptr);
    EXPECT_TRUE(to_f32(scope.get_optional("bias", {2})).empty());
    scope.release("weight");
    scope.release("bias");
}

TEST_F(Scope, FailsWithNamesAndShapes) {
    const WeightScope norm = WeightScope(map_).sub("down_blocks.0.resnets.1.norm1");
    expect_failure([&] { norm.get("bias", {2}); }, ErrorCode::kInvalidModel,
                   {"file.safetensors", "unet", "down_blocks.0.resnets.1.norm1.bias", "[2]"});
    expect_failure([&] { norm.get("weight", {3}); }, ErrorCode::kInvalidModel,
                   {"file.safetensors", "orig.w", "[2]", "[3]"});
    expect_failure([&] { norm.get_optional("weight", {3}); }, ErrorCode::kInvalidModel, {"[3]"});
    expect_failure([&] { WeightScope(map_).sub("down_blocks", 0).get("ids", {1}); }, ErrorCode::kInvalidModel,
                   {"orig.ids", "int64"});
    expect_failure(
        [&] {
            insert(map_, "down_blocks.0.ids", tensor("other", DType::kU8, std::array<std::uint8_t, 1>{}));
        },
        ErrorCode::kInvalidModel, {"orig.ids", "other", "down_blocks.0.ids"});
    EXPECT_EQ(map_.unused().size(), 2U);
}

TEST_F(Scope, LetsItsObserverCancel) {
    map_.set_observer([](std::uint64_t, std::uint64_t) { fail(ErrorCode::kCancelled, "stop"); });
    expect_failure([&] { WeightScope(map_).get("down_blocks.0.resnets.1.norm1.weight", {2}); },
                   ErrorCode::kCancelled, {"stop"});
}

TEST(ToF32, ConvertsEveryFloatType) {
    const std::vector<float> expected{1.0F, -2.5F, 0.0F};
    EXPECT_EQ(to_f32(tensor("t", DType::kF16, std::array<std::uint16_t, 3>{0x3C00, 0xC100, 0}).view),
              expected);
    EXPECT_EQ(to_f32(tensor("t", DType::kBF16, std::array<std::uint16_t, 3>{0x3F80, 0xC020, 0}).view),
              expected);
    EXPECT_EQ(to_f32(tensor("t", DType::kF64, std::array{1.0, -2.5, 0.0}).view), expected);
    expect_failure([] { to_f32(tensor("t", DType::kI32, std::array{1}).view); }, ErrorCode::kInvalidModel,
                   {"'t'", "int32"});
}

}  // namespace
}  // namespace sdxl
