#include <gtest/gtest.h>

#include "expect_failure.h"
#include "model_builder.h"
#include "weights/safetensors.h"

namespace sdxl {
namespace {

using testing::expect_failure;
using testing::safetensors;
using testing::TemporaryFolder;

class Sharded : public ::testing::Test {
  protected:
    void SetUp() override {
        folder_.write("s1.safetensors", safetensors({{"a", {1}}, {"b", {2}}}));
        folder_.write("s2.safetensors", safetensors({{"c", {3}}}));
    }
    TensorFiles open(const std::string& weight_map) {
        return open_tensor_files(
            folder_.write("model.safetensors.index.json", "{\"weight_map\":" + weight_map + "}"));
    }
    void expect_refused(const std::string& weight_map, std::initializer_list<std::string> named) {
        expect_failure([&] { open(weight_map); }, ErrorCode::kInvalidModel, named);
    }

    TemporaryFolder folder_;
};

TEST_F(Sharded, JoinsItsShards) {
    const auto files = open(R"({"a":"s1.safetensors","b":"s1.safetensors","c":"s2.safetensors"})");
    EXPECT_EQ(files.tensors.size(), 3U);
    EXPECT_EQ(files.tensors.at("c").view.shape, (Shape{3}));
}

TEST_F(Sharded, NamesWhatIsWrong) {
    expect_refused(R"({"a":"s3.safetensors"})", {"'s3.safetensors'", "not there"});
    expect_refused(R"({"a":"s1.safetensors","z":"s2.safetensors"})", {"'z'", "'s2.safetensors'"});
    expect_refused(R"({"a":"s2.safetensors","b":"s1.safetensors"})", {"'a'", "'s2.safetensors'"});
    expect_refused(R"({"a":"s1.safetensors","a":"s2.safetensors"})", {"'a'", "twice"});
    expect_refused(R"({"a":7})", {"'a'", "not a file name"});
    expect_refused(R"([])", {"weight_map"});
    expect_refused(R"({})", {"weight_map"});
    folder_.write("s2.safetensors", safetensors({{"a", {1}}}));
    expect_refused(R"({"a":"s1.safetensors","b":"s2.safetensors"})", {"'a'", "two shards"});
}

TEST_F(Sharded, StaysInItsFolder) {
    for (const char* shard : {"../s1.safetensors", "/etc/passwd", "x/s1.safetensors", "..", "", "a\\\\b"})
        expect_refused("{\"a\":\"" + std::string(shard) + "\"}", {"not a plain file name"});
}

}  // namespace
}  // namespace sdxl
