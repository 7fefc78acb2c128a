// What must hold of any model, on the micro model in float32.
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "micro_model.h"
#include "micro_variants.h"
#include "nn/embeddings.h"
#include "ops/ops.h"
#include "rounding.h"
#include "sampling/random.h"

namespace {

using namespace sdxl;

class PropertyTest : public MicroModelTest {
  protected:
    static std::vector<float> mask_of(const GenerationRequest& request, float value) {
        return std::vector<float>(
            static_cast<std::size_t>(request.width) * static_cast<std::size_t>(request.height), value);
    }
    // The right half is redrawn.
    static std::vector<float> half_mask(const GenerationRequest& request) {
        auto mask = mask_of(request, 0);
        for (std::size_t i = 0; i < mask.size(); ++i)
            mask[i] =
                i % static_cast<std::size_t>(request.width) >= static_cast<std::size_t>(request.width) / 2
                    ? 1.F
                    : 0.F;
        return mask;
    }
};

double psnr(const std::vector<float>& a, const std::vector<float>& b) {
    double error = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
        error += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
    constexpr double kRange = 2;  // -1..1
    return 10 * std::log10(kRange * kRange * static_cast<double>(a.size()) / error);
}

TEST_F(PropertyTest, StrengthZeroIsTheImageThroughTheVae) {
    auto img2img = request();
    const auto image = picture(request(), 7);
    img2img.strength = 0;
    const auto noise = make_noise_source(img2img.rng, 1);
    const auto through =
        model().vae->encode(context(), to_values(*image), image->height, image->width, *noise);
    EXPECT_EQ(run_latents(img2img, 1, {image, {}, nullptr}).values, through.values);
    img2img.prompt = "other";
    img2img.steps = 9;
    EXPECT_EQ(run_latents(img2img, 1, {image, {}, nullptr}).values, through.values);
    img2img.strength = 0.5;
    EXPECT_GT(difference(run_latents(img2img, 1, {image, {}, nullptr}).values, through.values), 1e-3);
}

TEST_F(PropertyTest, StrengthOneIsTextToImage) {
    for (const auto scheduler :
         {SchedulerType::kEuler, SchedulerType::kEulerAncestral, SchedulerType::kDpmSolverMultistep,
          SchedulerType::kHeun, SchedulerType::kDdim, SchedulerType::kPndm}) {
        auto img2img = request();
        img2img.scheduler = scheduler;
        img2img.strength = 1;
        EXPECT_EQ(run_latents(img2img, 7, {picture(request(), 3), {}, nullptr}).values,
                  run_latents(img2img, 7).values);
    }
}

TEST_F(PropertyTest, StrengthIsThePartOfTheStepsThatIsMade) {
    auto img2img = request();
    img2img.steps = 10;
    const auto image = picture(request(), 7);
    for (const auto& [strength, steps] : {std::pair{0.0, 0}, {0.3, 3}, {0.55, 5}, {1.0, 10}}) {
        img2img.strength = strength;
        const SdxlGeneration generation(model(), img2img, {image, {}, nullptr}, 1);
        EXPECT_EQ(generation.calls(), steps) << strength;
        EXPECT_EQ(generation.steps(), steps) << strength;
    }
}

TEST_F(PropertyTest, AMaskOfAllOnesIsImageToImage) {
    auto img2img = request();
    img2img.strength = 0.7;
    const auto image = picture(request(), 3);
    EXPECT_EQ(run_latents(img2img, 7, {image, mask_of(img2img, 1), nullptr}).values,
              run_latents(img2img, 7, {image, {}, nullptr}).values);
}

TEST_F(PropertyTest, OutsideTheMaskTheLatentsAreThoseOfTheImage) {
    for (const auto scheduler :
         {SchedulerType::kEuler, SchedulerType::kHeun, SchedulerType::kDpmPlusPlus2MSde}) {
        for (const double strength : {0.4, 1.0}) {
            auto inpaint = request();
            inpaint.scheduler = scheduler;
            inpaint.strength = strength;
            inpaint.steps = 5;
            const auto image = picture(request(), 3);
            const auto noise = make_noise_source(inpaint.rng, 7);
            const auto original =
                model().vae->encode(context(), to_values(*image), image->height, image->width, *noise);
            const auto mask = half_mask(inpaint);
            const auto latents = run_latents(inpaint, 7, {image, mask, nullptr});
            const auto small = latent_mask(mask, inpaint.height, inpaint.width);
            double inside = 0;
            for (std::size_t i = 0; i < latents.values.size(); ++i) {
                if (small[i % small.size()] == 0.F) {
                    ASSERT_EQ(latents.values[i], original.values[i]) << i;
                    continue;
                }
                inside += std::abs(static_cast<double>(latents.values[i]) -
                                   static_cast<double>(original.values[i]));
            }
            EXPECT_GT(inside, 1);
        }
    }
}

TEST_F(PropertyTest, PixelsOutsideTheMaskAreTheImagesOwn) {
    const auto image = picture(request(), 3);
    Image made = *picture(request(), 4);
    const auto mask = half_mask(request());
    paste_outside(made, *image, mask);
    for (std::size_t i = 0; i < made.pixels.size(); ++i)
        if (mask[i / 3] == 0.F) {
            ASSERT_EQ(made.pixels[i], image->pixels[i]);
        }
}

TEST_F(PropertyTest, PicturesMadeTogetherAreThoseMadeAlone) {
    for (const auto scheduler :
         {SchedulerType::kEuler, SchedulerType::kEulerAncestral, SchedulerType::kDpmSolverMultistep}) {
        auto batch = request();
        batch.scheduler = scheduler;
        const auto together = run_together(batch, {}, {7, 8, 9, 10});
        for (std::size_t i = 0; i < together.size(); ++i)
            expect_as_alone(together[i].values, run_latents(batch, 7 + i).values);
    }
}

// The base's part and the refiner's part by the same model are the whole, with a method that has no memory.
TEST_F(PropertyTest, AHandOverToTheSameModelChangesNothing) {
    for (const auto scheduler : {SchedulerType::kEuler, SchedulerType::kDdim, SchedulerType::kHeun}) {
        auto whole = request();
        whole.scheduler = scheduler;
        whole.steps = 10;
        auto first = whole;
        first.denoising_end = 0.7;
        auto second = whole;
        second.denoising_start = 0.7;
        const auto handed = std::make_shared<Latents>(run_latents(first, 7));
        const SdxlGeneration begun(model(), first, {}, 7);
        const SdxlGeneration ended(model(), second, {nullptr, {}, handed}, 7);
        EXPECT_EQ(begun.steps() + ended.steps(), 10);
        EXPECT_GT(begun.steps(), 0);
        EXPECT_GT(ended.steps(), 0);
        EXPECT_EQ(run_latents(second, 7, {nullptr, {}, handed}).values, run_latents(whole, 7).values);
    }
}

// So it is with noise in every step, if the second part draws behind the first.
TEST_F(PropertyTest, AHandOverGoesOnWithTheNoiseOfTheFirstPart) {
    for (const auto scheduler :
         {SchedulerType::kEulerAncestral, SchedulerType::kDpmSolverSde, SchedulerType::kLcm}) {
        auto whole = request();
        whole.scheduler = scheduler;
        whole.steps = 6;
        auto first = whole;
        first.denoising_end = 0.5;
        auto second = whole;
        second.denoising_start = 0.5;
        Conditioning conditioning = condition(first);
        SdxlGeneration begun(model(), first, {}, 7);
        SdxlGeneration* one = &begun;
        ASSERT_TRUE(begun.prepare(context(), *model().vae));
        while (!begun.done())
            ASSERT_TRUE(step_together(context(), model(), conditioning, std::span(&one, 1)));
        const PictureInputs handed{nullptr, {}, std::make_shared<Latents>(begun.latents()), begun.draws()};
        EXPECT_GT(begun.draws(), 1);
        EXPECT_EQ(run_latents(second, 7, handed).values, run_latents(whole, 7).values);
    }
}

// A picture's own noise once more would leave marks in it.
TEST_F(PropertyTest, ARedrawnPictureGetsNoiseOfItsOwn) {
    const auto finished = std::make_shared<Latents>(run_latents(request(), 7));
    auto again = request();
    again.strength = 1;
    const auto noise = make_noise_source(again.rng, 7);
    const auto first = noise->normal(static_cast<std::int64_t>(finished->values.size()));
    const auto second = noise->normal(static_cast<std::int64_t>(finished->values.size()));
    SdxlGeneration generation(model(), again, {nullptr, {}, finished, 1}, 7);
    ASSERT_TRUE(generation.prepare(context(), *model().vae));
    const float scale = generation.latents().values[0] / second[0];
    for (std::size_t i = 0; i < second.size(); ++i)
        ASSERT_NEAR(generation.latents().values[i], second[i] * scale, 1e-4 * scale) << i;
    EXPECT_GT(difference(first, second), 0.5);
}

// Euler moves on a straight line through what was seen, DDIM on an arc.
TEST_F(PropertyTest, APreviewShowsThePictureWithoutItsNoise) {
    for (const auto scheduler : {SchedulerType::kEuler, SchedulerType::kDdim}) {
        auto asked = request();
        asked.scheduler = scheduler;
        Conditioning conditioning = condition(asked);
        SdxlGeneration generation(model(), asked, {}, 7);
        SdxlGeneration* one = &generation;
        ASSERT_TRUE(generation.prepare(context(), *model().vae));
        const auto made = make_scheduler(scheduler, plan_sampling(asked, model()).config);
        made->set_timesteps(3);
        // x0 + sigma * noise, before and after the first step.
        const auto exploded = [&](const std::vector<float>& values, std::size_t call) {
            const double sigma = made->sigmas()[call];
            const double scale = scheduler == SchedulerType::kDdim ? std::sqrt(sigma * sigma + 1) : 1;
            std::vector<double> result;
            for (const float value : values) result.push_back(value * scale);
            return result;
        };
        const auto before = exploded(generation.latents().values, 0);
        ASSERT_TRUE(step_together(context(), model(), conditioning, std::span(&one, 1)));
        const auto after = exploded(generation.latents().values, 1);
        const double part = static_cast<double>(made->sigmas()[1]) / made->sigmas()[0];
        const auto seen = generation.seen().values;
        for (std::size_t i = 0; i < seen.size(); ++i)
            ASSERT_NEAR(seen[i], (after[i] - before[i] * part) / (1 - part), 2e-3) << i;
        while (!generation.done())
            ASSERT_TRUE(step_together(context(), model(), conditioning, std::span(&one, 1)));
        EXPECT_EQ(generation.seen().values, generation.latents().values);
    }
}

TEST_F(PropertyTest, ARequestSaysWhatTheModelPredicts) {
    auto asked = request();
    asked.scheduler_options = {{"prediction_type", std::string("v_prediction"), ""},
                               {"rescale_betas_zero_snr", true, ""}};
    const SamplingPlan plan = plan_sampling(asked, model());
    EXPECT_EQ(plan.config.prediction_type, PredictionType::kVPrediction);
    EXPECT_TRUE(plan.config.rescale_betas_zero_snr);
    EXPECT_EQ(plan.config.beta_start, model().scheduler.config.beta_start);
    EXPECT_GT(difference(run_latents(asked, 7).values, run_latents(request(), 7).values), 1e-2);
    asked.scheduler_options = {{"sigma_min", 20.0, "/data/scheduler_config/sigma_min"},
                               {"sigma_max", 10.0, "/data/scheduler_config/sigma_max"}};
    asked.sigma_schedule = SigmaSchedule::kKarras;
    try {
        const SdxlGeneration generation(model(), asked, {}, 7);
        FAIL();
    } catch (const Failure& failure) {
        EXPECT_EQ(failure.error().code, ErrorCode::kInvalidRequest) << failure.error().message;
        EXPECT_EQ(failure.error().pointer, "/data/scheduler_config/sigma_min");
    }
}

TEST_F(PropertyTest, AHandOverAtTheEndIsNoHandOver) {
    auto first = request();
    first.denoising_end = 1;
    const auto handed = std::make_shared<Latents>(run_latents(first, 7));
    EXPECT_EQ(handed->values, run_latents(request(), 7).values);
    auto second = request();
    second.denoising_start = 1;
    EXPECT_EQ(run_latents(second, 7, {nullptr, {}, handed}).values, handed->values);
}

TEST_F(PropertyTest, FreeUOfOnesIsNoFreeU) {
    auto with = request();
    with.free_u = FreeUFactors{1, 1, 1, 1};
    const auto base = run_latents(request(), 7).values;
    EXPECT_LT(difference(run_latents(with, 7).values, base), 1e-5);
    for (double FreeUFactors::*factor :
         {&FreeUFactors::b1, &FreeUFactors::b2, &FreeUFactors::s1, &FreeUFactors::s2}) {
        with.free_u = FreeUFactors{1, 1, 1, 1};
        *with.free_u.*factor = 1.5;
        EXPECT_GT(difference(run_latents(with, 7).values, base), 1e-5);
    }
}

TEST_F(PropertyTest, PerturbedAttentionGuidance) {
    auto with = request();
    with.pag_scale = 3;
    const auto base = run_latents(request(), 7).values;
    EXPECT_GT(difference(run_latents(with, 7).values, base), 1e-4);
    // Also where there is no other guidance.
    auto alone = request();
    alone.guidance_scale = 0;
    const auto plain = run_latents(alone, 7).values;
    alone.pag_scale = 3;
    EXPECT_GT(difference(run_latents(alone, 7).values, plain), 1e-4);
    alone.guidance_end = 0;
    EXPECT_LT(difference(run_latents(alone, 7).values, plain), 1e-5);
    // Together as alone.
    const auto together = run_together(with, {}, {7, 8});
    expect_as_alone(together[1].values, run_latents(with, 8).values);
}

TEST_F(PropertyTest, OnlyTheLastEntriesArePerturbed) {
    const GenerationRequest one = request();
    Conditioning conditioning = condition(one);
    const auto& kv = conditioning.for_batch(context(), model(), {false, true}, 1);
    const auto noise = make_noise_source(RngKind::kCpu, 1)->normal(2 * 16 * 12 * 4);
    std::vector<float> twice(noise.begin(), noise.begin() + 16 * 12 * 4);
    twice.insert(twice.end(), twice.begin(), twice.end());
    const Tensor latent = ops::upload(context(), twice, {2, 12, 16, 4});
    const std::vector<float> times{500, 500};
    const auto plain = ops::download(context(), model().unet->forward(context(), latent, times, kv));
    UNetOptions options;
    options.perturbed = 1;
    const auto perturbed =
        ops::download(context(), model().unet->forward(context(), latent, times, kv, options));
    const std::size_t half = plain.size() / 2;
    const auto part = [&](const std::vector<float>& values, std::size_t begin) {
        return std::vector<float>(values.begin() + static_cast<std::ptrdiff_t>(begin),
                                  values.begin() + static_cast<std::ptrdiff_t>(begin + half));
    };
    EXPECT_EQ(part(plain, 0), part(plain, half));
    EXPECT_LT(difference(part(perturbed, 0), part(plain, 0)), 1e-6);
    EXPECT_GT(difference(part(perturbed, half), part(plain, half)), 1e-4);
}

TEST_F(PropertyTest, TilesAreTheWhole) {
    auto large = request();
    large.width = 512;
    large.height = 384;
    const auto noise = make_noise_source(RngKind::kCpu, 5);
    Latents latents{large.height / 8, large.width / 8, noise->normal(4 * 48 * 64)};
    for (float& value : latents.values) value *= 0.13025F * 5;
    const auto whole = decode(latents);
    const auto tiled = model().vae->decode(context(), latents, TileSizes{32, 16});
    EXPECT_GE(psnr(tiled, whole), 40) << psnr(tiled, whole);
    const auto again = make_noise_source(RngKind::kCpu, 5);
    const auto pixels = to_values(to_image(whole, large.width, large.height));
    const auto other = make_noise_source(RngKind::kCpu, 5);
    const auto a = model().vae->encode(context(), pixels, large.height, large.width, *again);
    const auto b =
        model().vae->encode(context(), pixels, large.height, large.width, *other, TileSizes{32, 16});
    std::printf("tiles: decode %.1f dB, encode %.1f dB\n", psnr(tiled, whole), psnr(a.values, b.values));
    EXPECT_GE(psnr(a.values, b.values), 40) << psnr(a.values, b.values);
}

TEST_F(PropertyTest, LatentsOfAnotherSizeAreBroughtToSize) {
    const Latents small{1, 2, {0, 1, 0, 1, 0, 1, 0, 1}};
    const Latents wide = resize_latents(small, 1, 4);
    EXPECT_EQ(wide.values, (std::vector<float>{0, 0.25F, 0.75F, 1, 0, 0.25F, 0.75F, 1, 0, 0.25F, 0.75F, 1, 0,
                                               0.25F, 0.75F, 1}));
    auto larger = request();
    larger.strength = 0.5;
    larger.width = 192;
    larger.height = 144;
    const auto first = std::make_shared<Latents>(run_latents(request(), 7));
    EXPECT_EQ(run_latents(larger, 7, {nullptr, {}, first}).values.size(), 4U * 24 * 18);
}

// Models that the fixtures do not have.
class VariantTest : public PropertyTest {
  protected:
    VariantTest() { std::filesystem::create_directories(folder_); }
    ~VariantTest() override { std::filesystem::remove_all(folder_); }

    std::shared_ptr<const SdxlModel> load(const std::string& name, const PlainTensors& unet,
                                          MicroKind kind = MicroKind::kBase) const {
        write_micro_variant(folder_ / name, unet, kind);
        return load(name);
    }
    std::shared_ptr<const SdxlModel> load(const std::string& name) const {
        return load_sdxl_model(folder_ / name, *backend_, {DType::kF32}, CancelToken(), nullptr);
    }
    static std::vector<float> latents_of(const SdxlModel& model, const GenerationRequest& request,
                                         const PictureInputs& inputs = {}) {
        Conditioning conditioning(context(), model, request, true);
        SdxlGeneration generation(model, request, inputs, 7);
        SdxlGeneration* one = &generation;
        EXPECT_TRUE(generation.prepare(context(), *model.vae));
        while (!generation.done())
            EXPECT_TRUE(step_together(context(), model, conditioning, std::span(&one, 1)));
        return generation.latents().values;
    }

    std::filesystem::path folder_ = std::filesystem::temp_directory_path() /
                                    ("sdxl_variant_" + std::to_string(::getpid()) +
                                     ::testing::UnitTest::GetInstance()->current_test_info()->name());
};

TEST_F(VariantTest, ARefinerSeesTheSecondEncoderAndAnAestheticScore) {
    const auto refiner = load("refiner", micro_refiner(), MicroKind::kRefiner);
    EXPECT_EQ(refiner->kind, ModelKind::kRefiner);
    EXPECT_EQ(refiner->variant.name, "refiner");
    EXPECT_FALSE(refiner->force_zeros_for_empty_prompt);
    const auto base = load("base", blind_base());
    auto asked = request();
    asked.aesthetic_score = 6;
    asked.negative_aesthetic_score = 2;
    auto same = asked;
    same.sizes.target = {6, 1};
    same.negative_sizes.target = {2, 1};
    const auto refined = latents_of(*refiner, asked);
    EXPECT_LT(difference(refined, latents_of(*base, same)), 1e-5);
    same.sizes.target = {9, 1};
    EXPECT_GT(difference(refined, latents_of(*base, same)), 1e-5);
}

TEST_F(VariantTest, AnInpaintingModelSeesTheMaskAndThePicture) {
    const auto plain = load("plain", micro_unet());
    const auto blind = load("blind", micro_inpaint(0));
    const auto seeing = load("seeing", micro_inpaint(0.02F));
    EXPECT_EQ(seeing->kind, ModelKind::kInpaint);
    EXPECT_EQ(latents_of(*blind, request()), latents_of(*plain, request()));
    const auto image = picture(request(), 3);
    const auto other = picture(request(), 4);
    const auto mask = half_mask(request());
    const auto result = latents_of(*seeing, request(), {image, mask, nullptr});
    EXPECT_GT(difference(result, latents_of(*seeing, request(), {other, mask, nullptr})), 1e-6);
    EXPECT_GT(difference(result, latents_of(*seeing, request(), {image, mask_of(request(), 1), nullptr})),
              1e-6);
    // What is under the mask is not seen.
    Image changed = *image;
    for (std::size_t i = 0; i < changed.pixels.size(); ++i)
        if (mask[i / 3] == 1.F) changed.pixels[i] = static_cast<std::uint8_t>(255 - changed.pixels[i]);
    EXPECT_EQ(result, latents_of(*seeing, request(), {std::make_shared<Image>(changed), mask, nullptr}));
}

TEST_F(VariantTest, AModelMayTakeTheGuidanceScaleAsAnInput) {
    constexpr std::int64_t kDim = 16;
    PlainTensors unet = micro_unet();
    PlainTensor projection{{32, kDim}, std::vector<float>(32 * kDim, 0.F)};
    unet["time_embedding.cond_proj.weight"] = projection;
    std::filesystem::create_directories(folder_ / "blind");
    const auto blind = load("blind", unet);
    auto asked = request();
    auto plain = asked;
    plain.guidance_scale = 1;
    const auto result = [&](const SdxlModel& with, const GenerationRequest& what) {
        Conditioning conditioning(context(), with, what, plan_sampling(what, with).guidance());
        SdxlGeneration generation(with, what, {}, 7);
        SdxlGeneration* one = &generation;
        EXPECT_TRUE(generation.prepare(context(), *with.vae));
        while (!generation.done())
            EXPECT_TRUE(step_together(context(), with, conditioning, std::span(&one, 1)));
        return generation.latents().values;
    };
    EXPECT_FALSE(plan_sampling(asked, *blind).guidance());
    EXPECT_EQ(result(*blind, asked), result(model(), plain)) << "weights of 0 see nothing";
    for (float& value : projection.values) value = 0.5F;
    unet["time_embedding.cond_proj.weight"] = projection;
    const auto seeing = load("seeing", unet);
    auto stronger = asked;
    stronger.guidance_scale = 6;
    EXPECT_GT(difference(result(*seeing, asked), result(*seeing, stronger)), 1e-5);
    asked.guidance_scale.reset();
    EXPECT_EQ(plan_sampling(asked, *seeing).guidance_scale, 8);
}

// diffusers' get_guidance_scale_embedding(torch.tensor([0.5]), 8), with torch 1.13.
TEST(GuidanceEmbedding, IsThatOfDiffusers) {
    const std::vector<float> expected{-0.467772F, -0.937993F, 0.880643F, 0.049979F,
                                      -0.883849F, -0.346654F, 0.473781F, 0.998750F};
    const auto found = nn::guidance_embedding(0.5F, 8);
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(found[i], expected[i], 2e-5) << i;
}

TEST_F(VariantTest, DistilledModelsAreKnownByTheirNames) {
    struct Case {
        const char* name;
        const char* variant;
        int steps;
        double guidance;
        SchedulerType scheduler;
    };
    for (const Case& c : {Case{"sd_xl_turbo_1.0_fp16", "turbo", 4, 0, SchedulerType::kEulerAncestral},
                          Case{"sdxl_lightning_8step", "lightning", 8, 0, SchedulerType::kEuler},
                          Case{"mine-LCM", "lcm", 4, 1, SchedulerType::kLcm},
                          Case{"Hyper-SDXL-8steps", "hyper", 8, 0, SchedulerType::kDdim},
                          Case{"hyperreal_turbofan", "base", 30, 7, SchedulerType::kEuler}}) {
        const auto with_scheduler = load(c.name, micro_unet());
        EXPECT_EQ(plan_sampling(request(), *with_scheduler).type, SchedulerType::kEuler);
        std::filesystem::remove_all(folder_ / c.name / "scheduler");
        const auto variant = load(c.name);
        EXPECT_EQ(variant->variant.name, c.variant);
        auto silent = request();
        silent.steps.reset();
        silent.guidance_scale.reset();
        const SamplingPlan plan = plan_sampling(silent, *variant);
        EXPECT_EQ(plan.steps, c.steps) << c.name;
        EXPECT_EQ(plan.guidance_scale, c.guidance) << c.name;
        EXPECT_EQ(plan.type, c.scheduler) << c.name;
        EXPECT_EQ(plan_sampling(request(), *variant).steps, 3);
    }
}

}  // namespace
