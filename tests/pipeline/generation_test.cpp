// A generation on the micro model: what the golden run does not say.
#include <limits>

#include "micro_model.h"
#include "pipeline/latent_preview.h"

namespace {

using namespace sdxl;

using GenerationTest = MicroModelTest;

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
    const auto alone = run_latents(request(), 7).values;
    Conditioning conditioning = condition(request());
    SdxlGeneration first(model(), request(), {}, 7);
    SdxlGeneration second(model(), request(), {}, 99);
    first.prepare(context(), *model().vae);
    second.prepare(context(), *model().vae);
    while (!first.done())
        for (SdxlGeneration* one : {&first, &second})
            EXPECT_TRUE(step_together(context(), model(), conditioning, std::span(&one, 1)));
    EXPECT_EQ(first.latents().values, alone);
}

TEST_F(GenerationTest, OddLatentSizes) {
    auto other = request();
    other.width = 72;
    other.height = 104;
    EXPECT_EQ(run(other, 7).size(), 72U * 104U * 3U);
}

TEST_F(GenerationTest, TooLongPromptSaysSo) {
    auto other = request();
    for (int i = 0; i < 2000; ++i) other.prompt += " word";
    const auto warnings = condition(other).warnings();
    ASSERT_EQ(warnings.size(), 1U);
    EXPECT_EQ(warnings[0].rfind("prompt: the last ", 0), 0U) << warnings[0];
}

TEST_F(GenerationTest, CancelStopsInsideAStep) {
    CancelToken token;
    Conditioning conditioning = condition(request());
    SdxlGeneration generation(model(), request(), {}, 7);
    generation.prepare(context(), *model().vae);
    token.cancel();
    try {
        SdxlGeneration* one = &generation;
        step_together(context(&token), model(), conditioning, std::span(&one, 1));
        FAIL() << "went on";
    } catch (const Failure& failure) {
        EXPECT_EQ(failure.error().code, ErrorCode::kCancelled);
    }
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
    const Image image = to_image(std::vector<float>{-1.F, 0.F, 1.F, -0.5F, 0.5F, 7.F}, 2, 1);
    EXPECT_EQ(image.pixels, (std::vector<std::uint8_t>{0, 128, 255, 64, 191, 255}));
}

}  // namespace
