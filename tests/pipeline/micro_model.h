// The micro model of the fixtures, run without an engine.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <vector>

#include "backend/onednn/onednn_backend.h"
#include "pipeline/generation.h"
#include "pipeline/latents.h"

namespace sdxl {

class MicroModelTest : public testing::Test {
  protected:
    static void SetUpTestSuite() {
        backend_ = make_onednn_backend().release();
        const CancelToken token;
        model_ = new std::shared_ptr(
            load_sdxl_model(SDXL_FIXTURES "/micro", *backend_, {DType::kF32}, token, nullptr));
    }
    static void TearDownTestSuite() {
        delete model_;
        delete backend_;
    }

    static const SdxlModel& model() { return **model_; }
    static Context context(const CancelToken* token = nullptr) {
        return {*backend_, DType::kF32, token, nullptr};
    }

    static GenerationRequest request() {
        GenerationRequest request;
        request.prompt = "ab cd";
        request.negative_prompt = "ef";
        request.width = 128;
        request.height = 96;
        request.steps = 3;
        request.guidance_scale = 5;
        return request;
    }

    static Conditioning condition(const GenerationRequest& request) {
        return {context(), model(), request, plan_sampling(request, model()).guidance()};
    }

    // The latents of several pictures that are made together.
    static std::vector<Latents> run_together(const GenerationRequest& request, const PictureInputs& inputs,
                                             const std::vector<std::uint64_t>& seeds) {
        Conditioning conditioning = condition(request);
        std::vector<std::unique_ptr<SdxlGeneration>> pictures;
        std::vector<SdxlGeneration*> group;
        for (const auto seed : seeds) {
            pictures.push_back(std::make_unique<SdxlGeneration>(model(), request, inputs, seed));
            EXPECT_TRUE(pictures.back()->prepare(context(), *model().vae));
            group.push_back(pictures.back().get());
        }
        while (!group.front()->done()) EXPECT_TRUE(step_together(context(), model(), conditioning, group));
        std::vector<Latents> latents;
        for (const auto& picture : pictures) latents.push_back(picture->latents());
        return latents;
    }
    static Latents run_latents(const GenerationRequest& request, std::uint64_t seed,
                               const PictureInputs& inputs = {}) {
        return run_together(request, inputs, {seed}).front();
    }
    static std::vector<float> decode(const Latents& latents) {
        return model().vae->decode(context(), latents);
    }
    // Values of -1..1, [H, W, 3].
    static std::vector<float> run(const GenerationRequest& request, std::uint64_t seed,
                                  const PictureInputs& inputs = {}) {
        return decode(run_latents(request, seed, inputs));
    }
    static std::shared_ptr<const Image> picture(const GenerationRequest& request, std::uint64_t seed) {
        return std::make_shared<Image>(to_image(run(request, seed), request.width, request.height));
    }

    // Mean absolute difference.
    static double difference(const std::vector<float>& a, const std::vector<float>& b) {
        if (a.size() != b.size()) return INFINITY;
        double sum = 0;
        for (std::size_t i = 0; i < a.size(); ++i)
            sum += std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
        return sum / static_cast<double>(a.size());
    }

    static inline Backend* backend_ = nullptr;
    static inline std::shared_ptr<const SdxlModel>* model_ = nullptr;
};

}  // namespace sdxl
