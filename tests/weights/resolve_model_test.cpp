#include "weights/resolve_model.h"

#include <gtest/gtest.h>

#include <chrono>

#include "expect_failure.h"
#include "model_builder.h"

namespace sdxl {
namespace {

using testing::expect_failure;
using testing::TemporaryFolder;

TEST(ResolveModel, FindsEveryWayOfNaming) {
    const TemporaryFolder folder;
    const auto& root = folder.path();
    const auto file = folder.write("dream.safetensors", "x");
    folder.write("org/deep/model_index.json", "{}");
    folder.write("plain/model_index.json", "{}");
    folder.write("models--org--hub/snapshots/old/model_index.json", "{}");
    folder.write("models--org--hub/snapshots/aaa/model_index.json", "{}");
    const auto now = std::filesystem::file_time_type::clock::now();
    std::filesystem::last_write_time(root / "models--org--hub/snapshots/old", now - std::chrono::hours(2));
    EXPECT_EQ(resolve_model(file.string(), "/elsewhere"), file);
    EXPECT_EQ(resolve_model("dream.safetensors", root), file);
    EXPECT_EQ(resolve_model("dream", root), file);
    EXPECT_EQ(resolve_model("org/dream", root), file);
    EXPECT_EQ(resolve_model("org/deep", root), root / "org/deep");
    EXPECT_EQ(resolve_model("org/plain", root), root / "plain");
    EXPECT_EQ(resolve_model("org/hub", root), root / "models--org--hub/snapshots/aaa");
}

TEST(ResolveModel, SaysWhereItLookedAndWhatIsThere) {
    const TemporaryFolder folder;
    expect_failure([&] { resolve_model("x", folder.path()); }, ErrorCode::kNotFound,
                   {"'x'", "holds no models"});
    for (int i = 10; i < 22; ++i) folder.write("model" + std::to_string(i) + ".safetensors", "x");
    folder.write("models--org--hub/snapshots/a/f", "x");
    expect_failure([&] { resolve_model("Modell12", folder.path()); }, ErrorCode::kNotFound,
                   {(folder.path() / "Modell12.safetensors").string(), "'model10'", "and 3 more",
                    "did you mean 'model12'?"});
}

TEST(ResolveModel, RefusesToLeaveTheModelsFolder) {
    const TemporaryFolder folder;
    folder.write("secret", "x");
    for (const char* name : {"../secret", "a/../../secret", ".."})
        expect_failure([&] { resolve_model(name, folder.path() / "models"); }, ErrorCode::kInvalidRequest,
                       {".."});
    expect_failure([&] { resolve_model("", folder.path()); }, ErrorCode::kInvalidRequest, {"empty"});
    expect_failure([&] { resolve_model(std::string("a\0b", 3), folder.path()); }, ErrorCode::kInvalidRequest,
                   {"zero"});
}

}  // namespace
}  // namespace sdxl
