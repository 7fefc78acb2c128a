#include "pipeline/memory_check.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace {

using namespace sdxl;

TEST(MemoryCheck, RefusesWithNumbers) {
    try {
        require_memory(std::uint64_t{25} << 30, std::uint64_t{20} << 30, "decoding");
        FAIL() << "was let through";
    } catch (const Failure& failure) {
        EXPECT_EQ(failure.error().code, ErrorCode::kOutOfMemory);
        EXPECT_NE(failure.error().message.find("25.0 GiB"), std::string::npos) << failure.error().message;
        EXPECT_NE(failure.error().message.find("20.0 GiB"), std::string::npos) << failure.error().message;
    }
}

TEST(MemoryCheck, LetsThroughWhatFitsOrIsUnknown) {
    EXPECT_NO_THROW(require_memory(10, 10, "decoding"));
    EXPECT_NO_THROW(require_memory(10, 0, "decoding"));
}

TEST(MemoryCheck, GrowsWithThePicture) {
    EXPECT_EQ(decode_peak_bytes(1024, 1024, DType::kBF16), 4 * decode_peak_bytes(512, 512, DType::kBF16));
    EXPECT_EQ(decode_peak_bytes(512, 512, DType::kF32), 2 * decode_peak_bytes(512, 512, DType::kBF16));
}

}  // namespace
