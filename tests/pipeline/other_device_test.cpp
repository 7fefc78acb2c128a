// A picture on a device that is not the host: the torch backend on the tests' own PrivateUse1 device, whose
// memory is counted and limited.
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <vector>

#include "backend/reference/reference_backend.h"
#include "backends_under_test.h"
#include "core/error.h"
#include "pipeline/generation.h"

namespace {

using namespace sdxl;

using ModelPtr = std::shared_ptr<const SdxlModel>;
using Pixels = std::vector<float>;  // [H, W, 3] in -1..1

ModelPtr load(Backend& backend) {
    return load_sdxl_model(SDXL_FIXTURES "/micro", backend, {DType::kF32}, CancelToken(), nullptr);
}

GenerationRequest request_of(int size) {
    GenerationRequest request;
    request.prompt = "ab cd";
    request.negative_prompt = "ef";
    request.width = size;
    request.height = size;
    request.steps = 2;
    request.guidance_scale = 5;
    return request;
}

Pixels run(Backend& backend, const SdxlModel& model, int size) {
    const Context ctx{backend, DType::kF32};
    const GenerationRequest request = request_of(size);
    Conditioning conditioning(ctx, model, request, plan_sampling(request, model).guidance());
    SdxlGeneration generation(model, request, {}, 7);
    EXPECT_TRUE(generation.prepare(ctx, *model.vae));
    SdxlGeneration* one = &generation;
    while (!generation.done()) EXPECT_TRUE(step_together(ctx, model, conditioning, std::span(&one, 1)));
    return model.vae->decode(ctx, generation.latents());
}

// Of pixels' values 0..1; NaN where one is none.
double largest_difference(const Pixels& a, const Pixels& b) {
    if (a.size() != b.size()) return INFINITY;
    double largest = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        const double distance = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])) / 2;
        if (!(distance <= largest)) largest = distance;
    }
    return largest;
}

class OtherDeviceTest : public testing::Test {
  protected:
    static constexpr std::uint64_t kPlenty = std::uint64_t{4} << 30;

    void SetUp() override { limit_heap_device(kPlenty); }
    void TearDown() override { limit_heap_device(kPlenty); }

    std::unique_ptr<Backend> device_ = make_heap_device_backend();
};

TEST_F(OtherDeviceTest, TheSamePictureAndNoMemoryKept) {
    const HeapDeviceCounts before = heap_device_memory();
    Pixels found;
    {
        const ModelPtr model = load(*device_);
        EXPECT_GT(heap_device_memory().bytes, before.bytes + 8'000'000) << "the weights are elsewhere";
        found = run(*device_, *model, 64);
    }
    EXPECT_EQ(heap_device_memory().bytes, before.bytes);
    EXPECT_GT(heap_device_memory().allocations, before.allocations + 1000);
    const auto reference = make_reference_backend();
    EXPECT_LE(largest_difference(found, run(*reference, *load(*reference), 64)), 1.0 / 255);
}

TEST_F(OtherDeviceTest, WhatDoesNotFitFailsAndTheNextGoesOn) {
    const ModelPtr model = load(*device_);
    const std::uint64_t weights = heap_device_memory().bytes;
    const Pixels first = run(*device_, *model, 64);
    limit_heap_device(heap_device_memory().peak_bytes);  // enough for this size, not for more
    try {
        run(*device_, *model, 192);
        ADD_FAILURE() << "more memory than there is";
    } catch (const Failure& failure) {
        EXPECT_EQ(failure.error().code, ErrorCode::kOutOfMemory) << failure.what();
        EXPECT_NE(failure.error().message.find("privateuseone:0"), std::string::npos) << failure.what();
    }
    EXPECT_EQ(heap_device_memory().bytes, weights);
    EXPECT_EQ(run(*device_, *model, 64), first);
    EXPECT_EQ(heap_device_memory().bytes, weights);
}

TEST_F(OtherDeviceTest, AModelThatDoesNotFitLeavesNothing) {
    const std::uint64_t before = heap_device_memory().bytes;
    limit_heap_device(before + 4'000'000);
    try {
        load(*device_);
        ADD_FAILURE() << "more memory than there is";
    } catch (const Failure& failure) {
        EXPECT_EQ(failure.error().code, ErrorCode::kOutOfMemory) << failure.what();
    }
    EXPECT_EQ(heap_device_memory().bytes, before);
}

}  // namespace
