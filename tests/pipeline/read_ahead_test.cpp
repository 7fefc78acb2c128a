#include "pipeline/read_ahead.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>

namespace {

using namespace sdxl;

// Counts what is asked for.
class CountingBytes final : public WeightBytes {
  public:
    const std::string& path() const override { return path_; }
    void release(const std::byte*, std::size_t) const override {}
    void will_need(const std::byte*, std::size_t bytes) const override { asked += bytes; }

    mutable std::atomic<std::uint64_t> asked{0};

  private:
    std::string path_ = "file";
};

// Ten tensors of 256 MiB that are not there: nobody looks at their bytes.
WeightMap large_map(const std::shared_ptr<const CountingBytes>& bytes) {
    WeightMap map("unet");
    constexpr std::int64_t kFloats = std::int64_t{64} << 20;
    for (int i = 0; i < 10; ++i)
        map.insert("t" + std::to_string(i), HostView{nullptr, DType::kF32, {kFloats}, "t"}, bytes);
    return map;
}

bool becomes(const CountingBytes& bytes, std::uint64_t wanted) {
    for (int i = 0; i < 1000 && bytes.asked != wanted; ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    return bytes.asked == wanted;
}

TEST(ReadAhead, StaysWithinItsWindow) {
    constexpr std::uint64_t kTensor = std::uint64_t{256} << 20;
    const auto bytes = std::make_shared<CountingBytes>();
    const WeightMap map = large_map(bytes);
    ReadAhead ahead({&map});
    EXPECT_TRUE(becomes(*bytes, 3 * kTensor)) << bytes->asked;
    ahead.consumed(kTensor);
    EXPECT_TRUE(becomes(*bytes, 4 * kTensor)) << bytes->asked;
    ahead.consumed(10 * kTensor);
    EXPECT_TRUE(becomes(*bytes, 10 * kTensor)) << bytes->asked;
}

TEST(ReadAhead, StopsInTheMiddle) {
    const auto bytes = std::make_shared<CountingBytes>();
    const WeightMap map = large_map(bytes);
    const ReadAhead ahead({&map});
}

}  // namespace
