// Libraries that are not there, are not plugins, or are; and that errors cross their border.
#include "backend/plugin_loader.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "backends_under_test.h"
#include "core/error.h"

namespace sdxl {
namespace {

// The error of a call that must fail.
template <class Call>
Error error_of(const Call& call) {
    try {
        call();
    } catch (const Failure& failure) {
        return failure.error();
    }
    ADD_FAILURE() << "did not fail";
    return {};
}

void expect_words(const std::string& text, const std::set<std::string>& words) {
    for (const std::string& word : words)
        EXPECT_NE(text.find(word), std::string::npos) << word << ": " << text;
}

TEST(PluginLoader, SaysWhereItLooked) {
    const Error error = error_of([] { load_backend_plugin("libsdxl_absent.so"); });
    EXPECT_EQ(error.code, ErrorCode::kNotFound);
    expect_words(error.message,
                 {"/libsdxl_absent.so", "/lib/libsdxl_absent.so", "the system has none", "without it"});
    const Error path = error_of([] { load_backend_plugin("./no/such/library.so"); });
    EXPECT_EQ(path.code, ErrorCode::kNotFound);
    expect_words(path.message, {"./no/such/library.so"});
}

TEST(PluginLoader, RefusesOtherVersionsBeforeCallingThem) {
    const Error error = error_of([] { load_backend_plugin(SDXL_TEST_PLUGINS "/plugin_other_abi.so"); });
    EXPECT_EQ(error.code, ErrorCode::kUnsupported);
    expect_words(error.message, {"version -1", "version " + std::to_string(kPluginAbi)});
}

TEST(PluginLoader, RefusesWhatIsNoPlugin) {
    const Error error = error_of([] { load_backend_plugin(SDXL_TEST_PLUGINS "/plugin_no_entry.so"); });
    EXPECT_EQ(error.code, ErrorCode::kUnsupported);
    expect_words(error.message, {kPluginAbiEntry});
    const Error text = error_of([] { load_backend_plugin(SDXL_TEST_DATA "/rng.json"); });
    EXPECT_EQ(text.code, ErrorCode::kUnsupported);
    expect_words(text.message, {"rng.json", "does not load"});
}

// As a libtorch does that brings another oneDNN than this program's.
TEST(PluginLoader, PluginsCallTheirOwnLibrariesFirst) {
#ifdef __SANITIZE_ADDRESS__
    GTEST_SKIP() << "AddressSanitizer refuses libraries that are loaded so";
#endif
    const Error error = error_of([] { load_backend_plugin(SDXL_TEST_PLUGINS "/plugin_own_symbols.so"); });
    expect_words(error.message, {"version -2"});
}

#ifdef SDXL_TEST_TORCH

TEST(TorchPlugin, PrintsNothingAndIsLoadedOnce) {
    testing::internal::CaptureStdout();
    BackendPlugin& plugin = load_backend_plugin();
    const auto devices = plugin.devices();
    EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
    EXPECT_EQ(&plugin, &load_backend_plugin());
    EXPECT_TRUE(plugin.description().starts_with("torch ")) << plugin.description();
    ASSERT_FALSE(devices.empty());
    EXPECT_EQ(devices.front().id, "cpu");
    EXPECT_EQ(devices.front().backend, "torch");
    EXPECT_GT(devices.front().memory.total_bytes, devices.front().memory.available_bytes);
}

TEST(TorchPlugin, ErrorsKeepTheirType) {
    BackendPlugin& plugin = load_backend_plugin();
    const Error unknown = error_of([&] { plugin.open("cuda:99"); });
    EXPECT_EQ(unknown.code, ErrorCode::kUnsupported);
    expect_words(unknown.message, {"cuda:99"});
    const auto backend = plugin.open("cpu");
    const Error large = error_of([&] { backend->empty({1 << 20, 1 << 20, 1 << 10}, DType::kF32); });
    EXPECT_EQ(large.code, ErrorCode::kOutOfMemory);
    expect_words(large.message, {"cpu", "4503599627370496"});
    EXPECT_EQ(large.message.find('\n'), std::string::npos);
    // Inner extents that do not fit: libtorch's own error.
    const Tensor a = backend->empty({1, 2, 3}, DType::kF32), b = backend->empty({1, 2, 4}, DType::kF32);
    const Error wrong = error_of([&] { backend->add(a, b); });
    EXPECT_EQ(wrong.code, ErrorCode::kInternal);
    expect_words(wrong.message, {"add", "cpu"});
    EXPECT_EQ(wrong.message.find('\n'), std::string::npos);
}

TEST(TorchPlugin, RefusesDeviceLibrariesThatBringNone) {
    BackendPlugin& plugin = load_backend_plugin();
    EXPECT_EQ(error_of([&] { plugin.load_device_library("no_such_device.so"); }).code, ErrorCode::kNotFound);
    if (plugin.devices().back().type == "privateuseone") GTEST_SKIP() << "another test has loaded a device";
    const Error error =
        error_of([&] { plugin.load_device_library(SDXL_TEST_PLUGINS "/plugin_no_entry.so"); });
    EXPECT_EQ(error.code, ErrorCode::kUnsupported);
    expect_words(error.message, {"plugin_no_entry.so", "PrivateUse1"});
}

TEST(TorchPlugin, ListsTheDevicesOfALibrary) {
    const auto backend = make_heap_device_backend();
    BackendPlugin& plugin = load_backend_plugin();
    plugin.load_device_library(SDXL_TEST_DEVICE_LIBRARY);  // again: no matter
    const auto devices = plugin.devices();
    ASSERT_GE(devices.size(), 3U);
    EXPECT_EQ(devices.back().id, "privateuseone:1");
    EXPECT_EQ(devices.back().name, "Heap: second");
    const DeviceInfo& info = devices[devices.size() - 2];
    EXPECT_EQ(info.id, "privateuseone:0");
    EXPECT_EQ(info.type, "privateuseone");
    EXPECT_EQ(info.name, "Heap: first");
    EXPECT_GT(info.memory.total_bytes, 0U);
    EXPECT_EQ(info.float16, backend->supports(DType::kF16));
    EXPECT_EQ(info.bfloat16, backend->supports(DType::kBF16));
    const std::uint64_t before = backend->memory().available_bytes;
    const Tensor x = backend->empty({1, 64, 64, 16}, DType::kF32);
    EXPECT_EQ(before - backend->memory().available_bytes, x.bytes());
    const auto second = plugin.open("privateuseone:1");
    const std::uint64_t free = second->memory().available_bytes;
    const Tensor y = second->upload(std::vector<float>(100, 1.F), {10, 10}, DType::kF32);
    EXPECT_EQ(free - second->memory().available_bytes, y.bytes());
    const Tensor sum = second->add(y, y);
    EXPECT_EQ(free - second->memory().available_bytes, 2 * y.bytes());
    EXPECT_EQ(before - backend->memory().available_bytes, x.bytes());
    const Error another =
        error_of([&] { plugin.load_device_library(SDXL_TEST_PLUGINS "/plugin_no_entry.so"); });
    EXPECT_EQ(another.code, ErrorCode::kUnsupported);
    expect_words(another.message, {"another worker"});
}

// Slices keep the scores within the bound, and what runs over the device's memory says so.
TEST(TorchPlugin, AttentionKeepsToItsBound) {
    const auto backend = make_heap_device_backend();
    const HeapDeviceCounts before = heap_device_memory();
    const std::vector<float> values(256 * 64, 0.5F);
    const Tensor x = backend->upload(values, {1, 256, 64}, DType::kF32);
    constexpr std::uint64_t kAllScores = 256 * 256 * sizeof(float);
    const auto peak = [&](std::uint64_t bound) {
        backend->limit_attention(bound);
        limit_heap_device(std::uint64_t{1} << 30);
        backend->attention(x, x, x, 1, false);
        return heap_device_memory().peak_bytes - heap_device_memory().bytes;
    };
    const std::uint64_t whole = peak(0), sliced = peak(kAllScores / 16);
    EXPECT_GT(whole, kAllScores);
    EXPECT_LT(sliced + kAllScores, whole);
    limit_heap_device(heap_device_memory().bytes + kAllScores);
    backend->limit_attention(0);
    const Error error = error_of([&] { backend->attention(x, x, x, 1, false); });
    EXPECT_EQ(error.code, ErrorCode::kOutOfMemory);
    expect_words(error.message, {"privateuseone:0", "attention", std::to_string(kAllScores)});
    EXPECT_EQ(heap_device_memory().bytes, before.bytes + x.bytes());
    limit_heap_device(std::uint64_t{1} << 30);
}

TEST(TorchPlugin, HandsNoTensorsToOthers) {
    const auto torch = load_backend_plugin().open("cpu");
    const Tensor foreign = make_host_tensor({1, 4}, DType::kF32);
    EXPECT_EQ(error_of([&] { torch->activate(foreign, Activation::kSilu); }).code, ErrorCode::kInternal);
}

#else

TEST(TorchPlugin, NotTested) {
    GTEST_SKIP() << "libsdxl_torch.so was not built: no libtorch here. The torch backend is NOT TESTED";
}

#endif

}  // namespace
}  // namespace sdxl
