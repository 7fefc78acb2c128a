// A generation on the micro model: what the golden run does not say.
#include "pipeline/generation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "backend/onednn/onednn_backend.h"
#include "pipeline/latent_preview.h"

namespace {

using namespace sdxl;

class GenerationTest : public testing::Test {
  protected:
    static void SetUpTestSuite() {
        backend_ = make_onednn_backend().release();
        const CancelToken token;
        model_ = new std::shared_ptr(
            load_sdxl_model(SDXL_FIXTURES "/micro", *backend_, DType::kF32, token, nullptr));
    }
    static void TearDownTestSuite() {
        delete model_;
        delete backend_;
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

    static std::vector<float> run(const GenerationRequest& request, std::uint64_t seed) {
        const Context ctx{*backend_, DType::kF32, nullptr, nullptr};
        const Conditioning conditioning = make_conditioning(ctx, **model_, request);
        SdxlGeneration generation(**model_, request, seed);
        generation.prepare(ctx, **model_);
        while (!generation.done()) generation.step(ctx, **model_, conditioning);
        return generation.finish(ctx, **model_);
    }

    static double difference(const std::vector<float>& a, const std::vector<float>& b) {
        double sum = 0;
        for (std::size_t i = 0; i < a.size(); ++i)
            sum += std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
        return sum / static_cast<double>(a.size());
    }

    static inline Backend* backend_ = nullptr;
    static inline std::shared_ptr<const SdxlModel>* model_ = nullptr;
};

TEST_F(GenerationTest, SameSeedSamePictureToTheBit) {
    EXPECT_EQ(run(request(), 7), run(request(), 7));
}

TEST_F(GenerationTest, OtherSeedOtherPicture) {
    EXPECT_GT(difference(run(request(), 7), run(request(), 8)), 1e-3);
}

TEST_F(GenerationTest, PromptsAndGuidanceMatter) {
    const auto base = run(request(), 7);
    auto other = request();
    other.prompt = "xyz";
    EXPECT_GT(difference(base, run(other, 7)), 1e-6);
    other = request();
    other.negative_prompt = "";
    EXPECT_GT(difference(base, run(other, 7)), 1e-6);
    other = request();
    other.guidance_scale = 1;
    EXPECT_GT(difference(base, run(other, 7)), 1e-6);
}

TEST_F(GenerationTest, RandomStreamsDiffer) {
    auto other = request();
    other.rng = RngKind::kPhilox;
    EXPECT_GT(difference(run(request(), 7), run(other, 7)), 1e-3);
}

TEST_F(GenerationTest, EverySchedulerAndSpacingRuns) {
    for (const auto type :
         {SchedulerType::kEuler, SchedulerType::kHeun, SchedulerType::kDpmSolverMultistep}) {
        for (const auto spacing :
             {TimestepSpacing::kLeading, TimestepSpacing::kTrailing, TimestepSpacing::kLinspace}) {
            for (const auto sigmas : {SigmaSchedule::kPlain, SigmaSchedule::kKarras, SigmaSchedule::kBeta}) {
                auto other = request();
                other.scheduler = type;
                other.timestep_spacing = spacing;
                other.sigma_schedule = sigmas;
                EXPECT_EQ(run(other, 7).size(), 128U * 96U * 3U);
            }
        }
    }
}

TEST_F(GenerationTest, ListsOfStepsAreFollowed) {
    auto named = request();
    named.scheduler = SchedulerType::kEuler;
    named.timestep_spacing = TimestepSpacing::kTrailing;
    named.steps = 4;
    auto listed = named;
    listed.timesteps = {999, 749, 499, 249};
    EXPECT_LT(difference(run(named, 7), run(listed, 7)), 1e-4);
    listed.timesteps = {999, 600, 300, 100};
    EXPECT_GT(difference(run(named, 7), run(listed, 7)), 1e-6);
    listed.timesteps.clear();
    listed.sigmas = {14.0, 4.0, 1.0, 0.3};
    EXPECT_GT(difference(run(named, 7), run(listed, 7)), 1e-6);
}

TEST_F(GenerationTest, GuidanceAppliesInItsPart) {
    auto part = request();
    auto without = request();
    without.guidance_scale = 1;
    const auto alone = run(without, 7);
    part.guidance_end = 0;
    EXPECT_LT(difference(run(part, 7), alone), 1e-5);
    part.guidance_end = 0.5;
    const auto half = run(part, 7);
    EXPECT_GT(difference(half, alone), 1e-6);
    EXPECT_GT(difference(half, run(request(), 7)), 1e-6);
}

TEST_F(GenerationTest, GuidanceRescaleAndSizesMatter) {
    const auto base = run(request(), 7);
    auto other = request();
    other.guidance_rescale = 0.7;
    EXPECT_GT(difference(run(other, 7), base), 1e-6);
    other = request();
    other.sizes = {{other.height, other.width}, {0, 0}, {other.height, other.width}};
    other.negative_sizes = other.sizes;
    EXPECT_EQ(run(other, 7), base);
    other.sizes.crop = {64, 0};
    EXPECT_GT(difference(run(other, 7), base), 1e-7);
    other = request();
    other.negative_sizes = {{32, 32}, {0, 0}, {0, 0}};
    EXPECT_GT(difference(run(other, 7), base), 1e-7);
}

TEST_F(GenerationTest, WeightsInThePrompt) {
    auto plain = request();
    plain.prompt = "a b c";
    const auto base = run(plain, 7);
    auto other = plain;
    other.prompt = "a (b:1.0) c";
    EXPECT_EQ(run(other, 7), base);
    other.prompt = "a (b:1.4) c";
    const auto weighted = run(other, 7);
    EXPECT_GT(difference(weighted, base), 1e-7);
    other.prompt_weighting = false;
    EXPECT_GT(difference(run(other, 7), weighted), 1e-7);
}

TEST_F(GenerationTest, LongPromptsGoOnInChunks) {
    auto plain = request();
    plain.prompt = "";
    for (int i = 0; i < 75; ++i) plain.prompt += "a ";
    auto longer = plain;
    longer.prompt += "b c d";
    EXPECT_GT(difference(run(longer, 7), run(plain, 7)), 1e-7);
}

TEST_F(GenerationTest, TheSecondEncoderMayHaveItsOwnPrompt) {
    auto other = request();
    other.prompt_2 = other.prompt;
    other.negative_prompt_2 = other.negative_prompt;
    const auto base = run(request(), 7);
    EXPECT_EQ(run(other, 7), base);
    other.prompt_2 = "x y z";
    EXPECT_GT(difference(run(other, 7), base), 1e-7);
}

TEST_F(GenerationTest, ClipSkipLeavesOutLayers) {
    auto other = request();
    other.clip_skip = 1;
    EXPECT_GT(difference(run(other, 7), run(request(), 7)), 1e-7);
    other.clip_skip = 11;
    EXPECT_THROW(run(other, 7), Failure);
}

TEST_F(GenerationTest, AnotherGenerationInBetweenChangesNothing) {
    const Context ctx{*backend_, DType::kF32, nullptr, nullptr};
    const auto alone = run(request(), 7);
    const Conditioning conditioning = make_conditioning(ctx, **model_, request());
    SdxlGeneration first(**model_, request(), 7);
    SdxlGeneration second(**model_, request(), 99);
    first.prepare(ctx, **model_);
    second.prepare(ctx, **model_);
    while (!first.done()) {
        first.step(ctx, **model_, conditioning);
        second.step(ctx, **model_, conditioning);
    }
    second.finish(ctx, **model_);
    EXPECT_EQ(first.finish(ctx, **model_), alone);
}

TEST_F(GenerationTest, OddLatentSizes) {
    auto other = request();
    other.width = 72;
    other.height = 104;
    EXPECT_EQ(run(other, 7).size(), 72U * 104U * 3U);
}

TEST_F(GenerationTest, TooLongPromptSaysSo) {
    const Context ctx{*backend_, DType::kF32, nullptr, nullptr};
    auto other = request();
    for (int i = 0; i < 2000; ++i) other.prompt += " word";
    const Conditioning conditioning = make_conditioning(ctx, **model_, other);
    ASSERT_EQ(conditioning.warnings.size(), 1U);
    EXPECT_EQ(conditioning.warnings[0].rfind("prompt: the last ", 0), 0U) << conditioning.warnings[0];
}

TEST_F(GenerationTest, CancelStopsInsideAStep) {
    CancelToken token;
    const Context ctx{*backend_, DType::kF32, &token, nullptr};
    const Conditioning conditioning = make_conditioning(ctx, **model_, request());
    SdxlGeneration generation(**model_, request(), 7);
    generation.prepare(ctx, **model_);
    token.cancel();
    try {
        generation.step(ctx, **model_, conditioning);
        FAIL() << "went on";
    } catch (const Failure& failure) {
        EXPECT_EQ(failure.error().code, ErrorCode::kCancelled);
    }
}

// A picture whose latents are decoded again is nearly itself.
std::shared_ptr<const Image> some_image(const std::vector<float>& values, const GenerationRequest& request) {
    return std::make_shared<Image>(to_image(values, request.width, request.height));
}

TEST_F(GenerationTest, StrengthZeroIsTheImageThroughTheVaeWhateverTheSteps) {
    auto other = request();
    other.init_image = some_image(run(request(), 7), request());
    other.strength = 0;
    const auto once = run(other, 1);
    other.steps = 9;
    EXPECT_EQ(run(other, 1), once);
    other.prompt = "other";
    EXPECT_EQ(run(other, 1), once);
    // A strength makes steps, and those follow the prompt.
    other.strength = 0.5;
    EXPECT_GT(difference(run(other, 1), once), 1e-4);
}

TEST_F(GenerationTest, StrengthIsThePartOfTheStepsThatIsMade) {
    auto other = request();
    other.steps = 10;
    other.init_image = some_image(run(request(), 7), request());
    for (const auto& [strength, steps] : {std::pair{0.0, 0}, {0.3, 3}, {0.55, 5}, {1.0, 10}}) {
        other.strength = strength;
        EXPECT_EQ(SdxlGeneration(**model_, other, 1).calls(), steps) << strength;
    }
    other.width += 8;
    EXPECT_THROW(SdxlGeneration(**model_, other, 1), Failure);
}

TEST(LatentPreview, IsThePictureOfTheFitAndNeverFailsOnBadNumbers) {
    std::vector<float> latents(4 * 6, 0.F);
    latents[0] = std::numeric_limits<float>::quiet_NaN();
    latents[1] = 1e30F;
    const Image preview = latent_preview(latents, 2, 3);
    EXPECT_EQ(preview.width, 3);
    EXPECT_EQ(preview.height, 2);
    EXPECT_EQ(preview.pixels.size(), 18U);
    // Zero latents are nearly mid-grey: the bias is all there is.
    EXPECT_NEAR(preview.pixels[17], 127, 3);
    EXPECT_EQ(preview.pixels[0], 0);
    EXPECT_EQ(preview.pixels[3], 255);
}

TEST(ToImage, RoundsToNearest) {
    const Image image = to_image({0.F, 0.5F, 1.F, 0.25F, 0.75F, 0.999F}, 2, 1);
    EXPECT_EQ(image.pixels, (std::vector<std::uint8_t>{0, 128, 255, 64, 191, 255}));
}

}  // namespace
