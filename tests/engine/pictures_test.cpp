// What a picture can be made of: initial images, masks, refiners, VAEs of its own, stages, variants.
#include "engine_fixture.h"
#include "image/png.h"
#include "image/read_image.h"
#include "image/resize.h"
#include "micro_variants.h"

namespace {

using namespace sdxl;

class PicturesTest : public EngineTest {
  protected:
    // A gradient, so that no two places are the same.
    static Image gradient(int width, int height) {
        Image image{width, height, 3, {}};
        for (int y = 0; y < height; ++y)
            for (int x = 0; x < width; ++x)
                for (const int value : {x * 255 / width, y * 255 / height, (x + y) % 256})
                    image.pixels.push_back(static_cast<std::uint8_t>(value));
        return image;
    }
    // White right of the middle.
    static Image right_half(int width, int height) {
        Image image{width, height, 3, {}};
        for (int y = 0; y < height; ++y)
            for (int x = 0; x < width; ++x)
                image.pixels.insert(image.pixels.end(), 3, x * 2 >= width ? 255 : 0);
        return image;
    }
    static ImageSource source(const Image& image) {
        return {"", std::make_shared<const std::vector<std::uint8_t>>(encode_png(image)), "/data/init_image"};
    }
    Image made(const Result<GenerationResult>& result) {
        EXPECT_TRUE(result.ok()) << result.error().message;
        return result.ok() ? decode_png(read(result.value().images.at(0).path)) : Image{};
    }
    std::string variant(const std::string& name, const PlainTensors& unet,
                        MicroKind kind = MicroKind::kBase) {
        write_micro_variant(folder_ / "models" / name, unet, kind);
        return (folder_ / "models" / name).string();
    }
};

TEST_F(PicturesTest, ImageToImageOfAnySize) {
    auto img2img = request();
    img2img.init_image = source(gradient(100, 50));
    img2img.size_of_image = true;
    img2img.strength = 0.5;
    img2img.steps = 4;
    auto result = generate(img2img);
    Image image = made(result);
    EXPECT_EQ(image.width, 96);
    EXPECT_EQ(image.height, 64);  // the least there is
    EXPECT_EQ(result->steps, 2);
    EXPECT_EQ(result->strength, 0.5);
    img2img.size_of_image = false;
    for (const auto mode : {ResizeMode::kStretch, ResizeMode::kCrop, ResizeMode::kPad}) {
        img2img.resize_mode = mode;
        EXPECT_EQ(made(generate(img2img)).width, 64);
    }
}

TEST_F(PicturesTest, OutsideTheMaskEveryBitIsTheImages) {
    const Image image = gradient(64, 64);
    for (const double strength : {0.5, 1.0}) {
        auto inpaint = request();
        inpaint.init_image = source(image);
        inpaint.mask_image = source(right_half(64, 64));
        inpaint.strength = strength;
        inpaint.steps = 4;
        const auto result = generate(inpaint);
        const Image found = made(result);
        ASSERT_EQ(found.pixels.size(), image.pixels.size());
        int changed = 0;
        for (std::size_t i = 0; i < image.pixels.size(); ++i) {
            if (i / 3 % 64 < 32)
                ASSERT_EQ(found.pixels[i], image.pixels[i]) << i;
            else
                changed += found.pixels[i] != image.pixels[i] ? 1 : 0;
        }
        EXPECT_GT(changed, 1000);
        EXPECT_TRUE(result.value().inpainted);
        // A blur lets the edge change, and nothing far from it.
        inpaint.mask_blur = 2;
        const Image blurred = made(generate(inpaint));
        EXPECT_EQ(blurred.pixels[0], image.pixels[0]);
        EXPECT_NE(blurred.pixels, found.pixels);
    }
}

TEST_F(PicturesTest, WhatIsNoPictureIsNamedByItsField) {
    auto img2img = request();
    img2img.init_image = {"", std::make_shared<const std::vector<std::uint8_t>>(20, 7), "/data/init_image"};
    auto result = generate(img2img);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().pointer, "/data/init_image");
    EXPECT_EQ(result.error().code, ErrorCode::kInvalidRequest);
    img2img.init_image = {"nowhere.png", nullptr, "/data/init_image"};
    result = generate(img2img);
    EXPECT_EQ(result.error().code, ErrorCode::kNotFound);
    EXPECT_EQ(engine_->check(img2img).size(), 1U);
    img2img.init_image.path = folder_.string();
    EXPECT_EQ(generate(img2img).error().code, ErrorCode::kInvalidRequest);
    EXPECT_EQ(files_in_output(), 0U);
}

TEST_F(PicturesTest, AConfinedWorkerReadsPicturesFromItsOutputFolderAlone) {
    EngineConfig config;
    config.models_dir = SDXL_FIXTURES;
    config.output_dir = (folder_ / "out").string();
    config.confine = true;
    engine_ = make_engine(config);
    fs::create_directories(folder_ / "out");
    for (const auto& place : {folder_ / "out" / "in.png", folder_ / "secret.png"}) {
        const auto bytes = encode_png(gradient(64, 64));
        std::ofstream(place, std::ios::binary)
            .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    }
    auto img2img = request();
    img2img.model = "micro";
    img2img.init_image.path = "in.png";
    EXPECT_TRUE(generate(img2img).ok());
    for (const auto& name : {std::string("../secret.png"), (folder_ / "secret.png").string()}) {
        img2img.init_image.path = name;
        EXPECT_EQ(generate(img2img).error().code, ErrorCode::kInvalidRequest) << name;
    }
}

TEST_F(PicturesTest, ARefinerTakesOverOrRedraws) {
    const std::string refiner = variant("refiner", micro_refiner(), MicroKind::kRefiner);
    auto asked = request();
    asked.steps = 10;
    const Image alone = made(generate(asked));
    asked.refiner = RefinerRequest{refiner, 0.8, std::nullopt};
    auto result = generate(asked);
    EXPECT_NE(made(result).pixels, alone.pixels);
    EXPECT_EQ(result->steps, 10);
    EXPECT_EQ(result->refiner_steps, 2);
    EXPECT_EQ(result->refiner_model, refiner);
    EXPECT_EQ(engine_->status().models.size(), 2U) << "both fit";
    ImageText text;
    decode_png(read(result->images[0].path), &text);
    ASSERT_FALSE(text.empty());
    EXPECT_NE(text[0].second.find("Refiner: refiner, Refiner switch at: 0.8"), std::string::npos)
        << text[0].second;
    // At the end there is nothing left for it.
    asked.refiner->switch_at = 1;
    result = generate(asked);
    EXPECT_EQ(made(result).pixels, alone.pixels);
    EXPECT_EQ(result->refiner_model, "");
    ASSERT_EQ(result->warnings.size(), 1U);
    EXPECT_NE(result->warnings[0].find("took no part"), std::string::npos);
    asked.refiner = RefinerRequest{refiner, 0.8, 0.3};
    asked.batch_size = 2;
    result = generate(asked);
    EXPECT_NE(made(result).pixels, alone.pixels);
    EXPECT_EQ(result->steps, 10);
    EXPECT_EQ(result->refiner_steps, 3);
    ASSERT_EQ(result->images.size(), 2U);
    // Without a name the model is the one that is no refiner.
    auto unnamed = request();
    unnamed.model = "";
    EXPECT_EQ(generate(unnamed)->base_model, SDXL_FIXTURES "/micro");
}

TEST_F(PicturesTest, AVaeOfItsOwn) {
    const Image own = made(generate(request()));
    auto asked = request();
    asked.vae = SDXL_FIXTURES "/micro/vae";
    auto result = generate(asked);
    EXPECT_EQ(made(result).pixels, own.pixels);
    EXPECT_EQ(result->vae_model, asked.vae);
    asked.vae = SDXL_TEST_DATA "/tiny/decoder.safetensors";
    EXPECT_NE(made(generate(asked)).pixels, own.pixels);
    asked.init_image = source(gradient(64, 64));
    asked.strength = 0.5;
    EXPECT_EQ(generate(asked).error().code, ErrorCode::kUnsupported) << "it has no encoder";
    asked.vae = "nowhere";
    EXPECT_EQ(generate(asked).error().code, ErrorCode::kNotFound);
}

TEST_F(PicturesTest, PreviewsByTheTinyAutoencoder) {
    std::vector<ProgressEvent> told;
    JobContext context;
    context.wish = {1, true, SDXL_TEST_DATA "/tiny/decoder.safetensors"};
    context.progress = [&](const ProgressEvent& event) { told.push_back(event); };
    ASSERT_TRUE(run<GenerationResult>(request(), context).ok());
    int previews = 0;
    for (const auto& event : told) {
        if (!event.preview) continue;
        ++previews;
        EXPECT_EQ(event.preview->width, 64);
    }
    EXPECT_EQ(previews, 3);
}

TEST_F(PicturesTest, TilesAreNearlyTheWhole) {
    auto asked = request();
    asked.width = asked.height = 64;
    const Image whole = made(generate(asked));
    asked.memory.vae_tiling = MemoryWish::kOn;
    EXPECT_EQ(made(generate(asked)).pixels, whole.pixels) << "one tile";
}

// 3.4e38 is a number in float32 and beyond the largest of bfloat16.
TEST_F(PicturesTest, AVaeThatOverflowsIsRunAgainInFloat32) {
    const std::string model = variant("bright", micro_unet());
    PlainTensors vae = micro_component("vae");
    for (float& value : vae.at("decoder.conv_out.bias").values) value = 3.4e38F;
    replace_component(model, "vae", vae);
    auto asked = request();
    asked.model = model;
    const auto result = generate(asked);
    ASSERT_TRUE(result.ok()) << result.error().message;
    if (result.value().dtype != "bfloat16") GTEST_SKIP() << "NOT TESTED: no 16-bit type on this machine";
    ASSERT_EQ(result.value().warnings.size(), 1U);
    EXPECT_NE(result.value().warnings[0].find("run again in float32"), std::string::npos);
    EXPECT_EQ(made(result).pixels[0], 255);
}

TEST_F(PicturesTest, AUNetThatFailsInFloat32TooIsAnError) {
    PlainTensors unet = micro_unet();
    for (float& value : unet.at("conv_out.bias").values) value = std::numeric_limits<float>::quiet_NaN();
    auto asked = request();
    asked.model = variant("broken", unet);
    const auto result = generate(asked);
    ASSERT_FALSE(result.ok());
    EXPECT_NE(result.error().message.find("the weights are broken"), std::string::npos)
        << result.error().message;
    EXPECT_TRUE(generate(request()).ok()) << "it costs nothing else";
}

TEST_F(PicturesTest, DistilledModelsBringTheirSettings) {
    auto asked = request();
    asked.model = variant("my_lightning_2step", micro_unet());
    asked.steps.reset();
    asked.guidance_scale.reset();
    const auto result = generate(asked);
    ASSERT_TRUE(result.ok());
    EXPECT_EQ(result.value().steps, 2);
    EXPECT_EQ(result.value().guidance_scale, 0);
    EXPECT_EQ(result.value().model_variant, "lightning");
    EXPECT_EQ(result.value().variant_reason, "its name");
}

TEST_F(PicturesTest, ARefinerGoesByTheBaseModelsSteps) {
    auto asked = request();
    asked.model = variant("my_lightning_8step", micro_unet());
    asked.refiner =
        RefinerRequest{variant("refiner", micro_refiner(), MicroKind::kRefiner), 0.5, std::nullopt};
    asked.steps.reset();
    const auto result = generate(asked);
    ASSERT_TRUE(result.ok()) << result.error().message;
    EXPECT_EQ(result->steps, 8) << "not some of 8 and some of 30";
    EXPECT_EQ(result->refiner_steps, 4);
}

TEST_F(PicturesTest, ARefinerPredictsWhatItWasTrainedFor) {
    auto asked = request();
    asked.refiner = RefinerRequest{variant("refiner", micro_refiner(), MicroKind::kRefiner), 0, std::nullopt};
    const Image all_by_refiner = made(generate(asked));
    asked.scheduler_options = {{"prediction_type", std::string("v_prediction"), ""}};
    EXPECT_EQ(made(generate(asked)).pixels, all_by_refiner.pixels);
    asked.refiner->switch_at = 0.5;
    const Image half = made(generate(asked));
    asked.scheduler_options.clear();
    EXPECT_NE(made(generate(asked)).pixels, half.pixels) << "the base model's own part is another one";
}

TEST_F(PicturesTest, AStrengthOfLessThanAStepIsSaid) {
    auto asked = request();
    asked.init_image = source(gradient(64, 64));
    asked.strength = 0.3;
    auto result = generate(asked);
    ASSERT_TRUE(result.ok());
    EXPECT_EQ(result->steps, 0);
    ASSERT_EQ(result->warnings.size(), 1U);
    EXPECT_NE(result->warnings[0].find("nothing was redrawn"), std::string::npos) << result->warnings[0];
    asked.strength = 0;
    EXPECT_TRUE(generate(asked)->warnings.empty()) << "that is what was asked for";
}

TEST_F(PicturesTest, OptionsThatTheSchedulerDoesNotReadAreSaid) {
    auto asked = request();
    asked.scheduler = SchedulerType::kEuler;
    asked.scheduler_options = {{"solver_order", 3.0, "/data/scheduler_config/solver_order"},
                               {"prediction_type", std::string("v_prediction"), ""}};
    const auto result = generate(asked);
    ASSERT_TRUE(result.ok());
    EXPECT_EQ(result->prediction_type, PredictionType::kVPrediction);
    ASSERT_EQ(result->warnings.size(), 1U);
    EXPECT_EQ(result->warnings[0].find("/data/scheduler_config/solver_order has no effect"), 0U)
        << result->warnings[0];
}

TEST_F(PicturesTest, WhatChangesNothingIsSaid) {
    const auto only_warning = [&](const GenerationRequest& asked) {
        const auto result = generate(asked);
        EXPECT_TRUE(result.ok());
        return result.ok() && result->warnings.size() == 1 ? result->warnings[0] : "not one";
    };
    auto asked = request();
    asked.negative_prompt = "blurry";
    asked.guidance_scale = 1;
    EXPECT_EQ(only_warning(asked).find("negative_prompt has no effect"), 0U);
    asked = request();
    asked.aesthetic_score = 9;
    EXPECT_EQ(only_warning(asked).find("aesthetic_score has no effect"), 0U);
    asked.refiner =
        RefinerRequest{variant("refiner", micro_refiner(), MicroKind::kRefiner), 0.5, std::nullopt};
    EXPECT_EQ(only_warning(asked), "not one") << "a refiner takes it";
    asked = request();
    asked.init_image = source(gradient(64, 64));
    asked.mask_image = source(Image{1, 1, 3, {90, 90, 90}});
    EXPECT_EQ(only_warning(asked).find("the mask is black"), 0U);
}

// With one step towards a picture that the UNet says itself, what overflows bfloat16 is a number in float32.
TEST_F(PicturesTest, AUNetThatOverflowsIsRunAgainInFloat32) {
    PlainTensors unet = micro_unet();
    for (float& value : unet.at("conv_out.bias").values) value = 3.4e38F;
    auto asked = request();
    asked.model = variant("loud", unet);
    asked.steps = 1;
    asked.guidance_scale = 1;
    asked.negative_prompt.clear();
    asked.scheduler = SchedulerType::kEuler;
    asked.scheduler_options = {{"prediction_type", std::string("sample"), ""}};
    asked.keep_latents = true;
    asked.precision = Precision::kF32;
    const auto full = generate(asked);
    ASSERT_TRUE(full.ok()) << full.error().message;
    asked.precision = Precision::kAuto;
    const auto result = generate(asked);
    ASSERT_TRUE(result.ok()) << result.error().message;
    if (result->warnings.empty()) GTEST_SKIP() << "NOT TESTED: no 16-bit type on this machine";
    EXPECT_NE(result->warnings[0].find("from there on the model was run in float32"), std::string::npos)
        << result->warnings[0];
    EXPECT_EQ(result->dtype, "float32");
    EXPECT_EQ(result->images[0].latents->values, full->images[0].latents->values);
}

TEST_F(PicturesTest, LoadingIsToldInTwentyParts) {
    int told = 0;
    ASSERT_TRUE(generate(request(), std::make_shared<CancelToken>(), [&](const ProgressEvent& event) {
                    told += event.stage == Stage::kLoad ? 1 : 0;
                }).ok());
    EXPECT_GT(told, 1);
    EXPECT_LE(told, 21);
}

TEST_F(PicturesTest, StagesHandOnLatentsAndPicturesOfAnySize) {
    auto first = request();
    first.keep_latents = true;
    const auto base = generate(first);
    ASSERT_TRUE(base.ok());
    ASSERT_NE(base.value().images[0].latents, nullptr);
    EXPECT_EQ(files_in_output(), 0U);
    auto second = request();
    second.steps = 4;
    second.strength = 0.5;
    second.init_latents = base.value().images[0].latents;
    second.size_of_image = true;
    second.size_scale = 1.5;
    const auto result = generate(second);
    EXPECT_EQ(made(result).width, 96);
    EXPECT_EQ(result.value().steps, 2);
    EXPECT_TRUE(result->warnings.empty());
    second.denoising_start = 0.5;
    const auto noisy = generate(second);
    ASSERT_EQ(noisy->warnings.size(), 1U);
    EXPECT_NE(noisy->warnings[0].find("noise in them"), std::string::npos) << noisy->warnings[0];
}

TEST_F(PicturesTest, OtherFileFormats) {
    const Image plain = made(generate(request()));
    auto asked = request();
    asked.format = ImageFormat::kWebp;
    asked.quality = 100;
    auto result = generate(asked);
    ASSERT_TRUE(result.ok());
    EXPECT_EQ(fs::path(result->images[0].path).extension(), ".webp");
    EXPECT_EQ(decode_image(read(result->images[0].path)).pixels, plain.pixels);
    asked.format = ImageFormat::kJpeg;
    asked.quality = 80;
    asked.save_path = (folder_ / "out" / "mine").string();
    result = generate(asked);
    ASSERT_TRUE(result.ok());
    EXPECT_EQ(fs::path(result->images[0].path).filename(), "mine.jpg");
    EXPECT_EQ(decode_image(read(result->images[0].path)).width, 64);
}

TEST_F(PicturesTest, AnInpaintingModel) {
    const std::string model = variant("inpaint", micro_inpaint(0.02F));
    auto asked = request();
    asked.model = model;
    EXPECT_TRUE(generate(asked).ok()) << "without a picture all is redrawn";
    asked.init_image = source(gradient(64, 64));
    asked.mask_image = source(right_half(64, 64));
    const Image image = made(generate(asked));
    EXPECT_EQ(image.pixels[0], gradient(64, 64).pixels[0]);
}

}  // namespace
