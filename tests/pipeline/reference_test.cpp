// Reference images on the micro model: what is shown to the UNet, when, and how much it counts.
#include "pipeline/reference_image.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "micro_model.h"
#include "micro_references.h"
#include "models/clip_vision_model.h"
#include "ops/ops.h"
#include "pipeline/reference_pixels.h"
#include "weights/image_encoder_file.h"
#include "weights/ip_adapter_file.h"

namespace {

using namespace sdxl;
namespace fs = std::filesystem;

Image plain(int width, int height, std::uint8_t value) {
    return {width, height, 3, std::vector<std::uint8_t>(static_cast<std::size_t>(width * height) * 3, value)};
}

std::shared_ptr<const Image> stripes(int period) {
    Image image = plain(40, 30, 20);
    for (std::size_t i = 0; i < image.pixels.size(); ++i)
        if (i / 3 / static_cast<std::size_t>(period) % 2 == 1) image.pixels[i] = 230;
    return std::make_shared<const Image>(std::move(image));
}

TEST(ReferencePixels, AreClips) {
    // (value / 255 - mean) / deviation, by hand.
    const auto grey = reference_pixels(plain(50, 31, 128), 4);
    ASSERT_EQ(grey.size(), 4U * 4U * 3U);
    for (std::size_t i = 0; i < grey.size(); i += 3) {
        EXPECT_NEAR(grey[i], 0.0763361, 1e-6);
        EXPECT_NEAR(grey[i + 1], 0.1688972, 1e-6);
        EXPECT_NEAR(grey[i + 2], 0.3399486, 1e-6);
    }
    // 9 x 4 stays as it is; columns 2 to 5 are seen. Turned, it is rows 2 to 5.
    Image wide = plain(9, 4, 0), tall = plain(4, 9, 0);
    for (std::size_t y = 0; y < 4; ++y)
        for (std::size_t x = 2; x < 6; ++x)
            for (std::size_t c = 0; c < 3; ++c)
                wide.pixels[(y * 9 + x) * 3 + c] = tall.pixels[(x * 4 + y) * 3 + c] = 255;
    EXPECT_EQ(reference_pixels(wide, 4), reference_pixels(plain(4, 4, 255), 4));
    EXPECT_EQ(reference_pixels(tall, 4), reference_pixels(plain(4, 4, 255), 4));
    // However long, only what is seen is made.
    EXPECT_EQ(reference_pixels(plain(8192, 1, 77), 4), reference_pixels(plain(1, 1, 77), 4));
    // 10 x 7 becomes 5 x 4: 5.71 is cut off.
    EXPECT_EQ(reference_pixels(plain(10, 7, 9), 4), reference_pixels(plain(5, 4, 9), 4));
}

class ReferenceTest : public MicroModelTest {
  protected:
    static void SetUpTestSuite() {
        MicroModelTest::SetUpTestSuite();
        folder_ = fs::temp_directory_path() / ("sdxl_reference_test_" + std::to_string(::getpid()));
        fs::remove_all(folder_);
        write_micro_references(folder_);
        base_ = load("ip-adapter_micro.safetensors");
        plus_ = load("ip-adapter-plus_micro.safetensors");
    }
    static void TearDownTestSuite() {
        base_.reset();
        plus_.reset();
        fs::remove_all(folder_);
        MicroModelTest::TearDownTestSuite();
    }

    static fs::path models() { return folder_ / "sdxl_models"; }
    static std::shared_ptr<const ReferenceAdapter> load(const ReferenceFiles& files,
                                                        const UNetConfig& unet = model().unet->config()) {
        const CancelToken token;
        std::vector<std::string> warnings;
        auto adapter = load_reference_adapter(files, unet, *backend_, DType::kF32, token, warnings);
        EXPECT_TRUE(warnings.empty());
        return adapter;
    }
    static std::shared_ptr<const ReferenceAdapter> load(const char* name) {
        return load({models() / name, {}});
    }

    static std::vector<float> run_with(const GenerationRequest& request,
                                       const std::vector<Reference>& references,
                                       const std::vector<std::uint64_t>& seeds = {7}) {
        Conditioning conditioning = condition(request);
        conditioning.add_references(context(), model(), references);
        std::vector<std::unique_ptr<SdxlGeneration>> pictures;
        std::vector<SdxlGeneration*> group;
        for (const auto seed : seeds) {
            pictures.push_back(std::make_unique<SdxlGeneration>(model(), request, PictureInputs{}, seed));
            EXPECT_TRUE(pictures.back()->prepare(context(), *model().vae));
            group.push_back(pictures.back().get());
        }
        while (!group.front()->done()) EXPECT_TRUE(step_together(context(), model(), conditioning, group));
        return pictures.back()->latents().values;
    }

    static Error refusal(const std::function<void()>& act) {
        try {
            act();
        } catch (const Failure& failure) {
            return failure.error();
        }
        return {ErrorCode::kInternal, "accepted", ""};
    }
    static void expect_refused(const std::function<void()>& act, ErrorCode code,
                               const std::vector<std::string>& named) {
        const Error error = refusal(act);
        EXPECT_EQ(error_code_name(error.code), error_code_name(code));
        for (const std::string& part : named)
            EXPECT_NE(error.message.find(part), std::string::npos) << part << " is not in: " << error.message;
    }

    static inline fs::path folder_;
    static inline std::shared_ptr<const ReferenceAdapter> base_, plus_;
};

TEST_F(ReferenceTest, WeightZeroAndNoPartOfTheCallsAreNone) {
    const auto alone = run_with(request(), {});
    EXPECT_EQ(alone, run_latents(request(), 7).values);
    EXPECT_EQ(run_with(request(), {{base_, {stripes(3)}, 0}}), alone);
    EXPECT_EQ(run_with(request(), {{base_, {stripes(3)}, 1, 0, 0.2}}), alone);
    EXPECT_EQ(run_with(request(), {{base_, {stripes(3)}, 1, 0.9, 1}, {plus_, {stripes(3)}, 0}}), alone);
}

TEST_F(ReferenceTest, PicturesWeightsAndPartsMatter) {
    const auto alone = run_with(request(), {});
    for (const auto& adapter : {base_, plus_}) {
        const auto shown = run_with(request(), {{adapter, {stripes(3)}}});
        EXPECT_GT(difference(shown, alone), 1e-4);
        EXPECT_EQ(run_with(request(), {{adapter, {stripes(3)}}}), shown);
        EXPECT_GT(difference(run_with(request(), {{adapter, {stripes(11)}}}), shown), 1e-5);
        EXPECT_GT(difference(run_with(request(), {{adapter, {stripes(3)}, 0.5}}), shown), 1e-5);
        // Three calls: a third, two thirds.
        const auto begin = run_with(request(), {{adapter, {stripes(3)}, 1, 0, 0.4}});
        const auto end = run_with(request(), {{adapter, {stripes(3)}, 1, 0.3, 1}});
        EXPECT_GT(difference(begin, alone), 1e-5);
        EXPECT_GT(difference(end, alone), 1e-5);
        EXPECT_GT(difference(begin, end), 1e-5);
        EXPECT_EQ(
            run_with(request(), {{adapter, {stripes(3)}, 1, 0, 0.4}, {adapter, {stripes(3)}, 1, 0.3, 1}}),
            shown);
    }
}

// A softmax over the same twice is the same; weights of uses add up.
TEST_F(ReferenceTest, SeveralPicturesAndSeveralUses) {
    const auto one = run_with(request(), {{plus_, {stripes(3)}}});
    EXPECT_LT(difference(run_with(request(), {{plus_, {stripes(3), stripes(3)}}}), one), 1e-5);
    EXPECT_LT(difference(run_with(request(), {{plus_, {stripes(3)}, 0.7}, {plus_, {stripes(3)}, 0.3}}), one),
              1e-5);
    const auto two = run_with(request(), {{plus_, {stripes(3), stripes(11)}}});
    EXPECT_GT(difference(two, one), 1e-5);
    EXPECT_LT(difference(run_with(request(), {{plus_, {stripes(11), stripes(3)}}}), two), 1e-5);
    EXPECT_GT(difference(run_with(request(), {{plus_, {stripes(3)}}, {base_, {stripes(3)}}}), one), 1e-5);
}

TEST_F(ReferenceTest, PicturesMadeTogetherAreThoseMadeAlone) {
    auto perturbed = request();
    perturbed.pag_scale = 2;
    for (const auto& asked : {request(), perturbed}) {
        const auto alone = run_with(asked, {{plus_, {stripes(3)}}});
        EXPECT_LT(difference(run_with(asked, {{plus_, {stripes(3)}}}, {99, 7}), alone), 1e-4);
    }
}

// The negative prompt's part sees no picture, the others do.
TEST_F(ReferenceTest, EveryPartSeesItsOwn) {
    for (const auto& adapter : {base_, plus_}) {
        Conditioning conditioning = condition(request());
        const std::vector<std::shared_ptr<const Image>> images{stripes(3), stripes(11)};
        conditioning.add_references(context(), model(), std::vector<Reference>{{adapter, images}});
        const UNetConditioning& made = conditioning.for_batch(context(), model(), {true, true}, 2);
        ASSERT_EQ(made.images.size(), 1U);
        ASSERT_EQ(made.images[0].size(), made.kv.size());
        const auto nothing = adapter->project(context(), adapter->negative_tokens(2), 1);
        const auto shown = adapter->project(context(), adapter->tokens(context(), images), 1);
        for (std::size_t i = 0; i < made.kv.size(); ++i)
            for (std::int64_t entry = 0; entry < 6; ++entry) {
                const auto found = ops::download(context(), made.images[0][i].slice(entry, 1));
                const auto expected = ops::download(context(), entry < 2 ? nothing[i] : shown[i]);
                ASSERT_LT(difference(found, expected), 1e-5) << i << " " << entry;
            }
    }
}

TEST_F(ReferenceTest, NoPictureIsZeros) {
    // The vector: what is left of proj and norm is the bias.
    const auto w = micro_ip_adapter(MicroAdapter::kBase);
    const auto found = base_->negative_tokens(1);
    ASSERT_EQ(found.size(), 4U * 192U);
    for (std::size_t token = 0; token < 4; ++token) {
        const auto bias = [&](std::size_t c) {
            return static_cast<double>(w.at("image_proj.proj.bias").values[token * 192 + c]);
        };
        double mean = 0, variance = 0;
        for (std::size_t c = 0; c < 192; ++c) mean += bias(c) / 192;
        for (std::size_t c = 0; c < 192; ++c) variance += (bias(c) - mean) * (bias(c) - mean) / 192;
        for (std::size_t c = 0; c < 192; ++c)
            EXPECT_NEAR(found[token * 192 + c],
                        (bias(c) - mean) / std::sqrt(variance + 1e-5) *
                                static_cast<double>(w.at("image_proj.norm.weight").values[c]) +
                            static_cast<double>(w.at("image_proj.norm.bias").values[c]),
                        1e-4);
    }
    // The states: those of pixels that are zero after CLIP's mean and deviation.
    const ImageEncoderCheckpoint file = open_image_encoder(models() / "image_encoder");
    const LoadContext load{*backend_, DType::kF32};
    const ClipVisionModel encoder(load, file.weights,
                                  check_against_json(detect_clip_vision_config(file.weights), file.config));
    const IpAdapterCheckpoint adapter = open_ip_adapter(models() / "ip-adapter-plus_micro.safetensors");
    const IpAdapter plus(load, adapter.weights, model().unet->config());
    const Tensor states = encoder.hidden_states(
        context(), ops::upload(context(), std::vector<float>(std::size_t{12} * 12 * 3), {1, 12, 12, 3}));
    EXPECT_EQ(plus_->negative_tokens(1), ops::download(context(), plus.project_image(context(), states)));
}

// An adapter that has the UNet's own projections, under the numbers of diffusers' attn_processors, makes of
// the prompt's states what the UNet makes of them.
TEST_F(ReferenceTest, NumbersAreThoseOfTheUNetsAttentions) {
    const PlainTensors unet = micro_unet();
    PlainTensors adapter = micro_ip_adapter(MicroAdapter::kBase);
    int number = 1;
    const auto take = [&](const std::string& block, int attentions, int depth) {
        for (int i = 0; i < attentions; ++i)
            for (int j = 0; j < depth; ++j, number += 2) {
                const std::string from = block + ".attentions." + std::to_string(i) + ".transformer_blocks." +
                                         std::to_string(j) + ".attn2.";
                const std::string to = "ip_adapter." + std::to_string(number);
                adapter.at(to + ".to_k_ip.weight") = unet.at(from + "to_k.weight");
                adapter.at(to + ".to_v_ip.weight") = unet.at(from + "to_v.weight");
            }
    };
    take("down_blocks.1", 2, 1);
    take("down_blocks.2", 2, 2);
    take("up_blocks.0", 3, 2);
    take("up_blocks.1", 3, 1);
    take("mid_block", 1, 2);
    write_tensors(models() / "own.safetensors", adapter);
    const auto own = load("own.safetensors");
    std::vector<float> states(std::size_t{3} * 192);
    for (std::size_t i = 0; i < states.size(); ++i) states[i] = std::sin(static_cast<float>(i));
    const auto found = own->project(context(), states, 1);
    const auto expected = model().unet->prepare_conditioning(
        context(), ops::upload(context(), states, {1, 3, 192}),
        ops::upload(context(), std::vector<float>(128), {1, 128}), std::vector<float>(6));
    ASSERT_EQ(found.size(), expected.kv.size());
    for (std::size_t i = 0; i < found.size(); ++i)
        EXPECT_EQ(ops::download(context(), found[i]), ops::download(context(), expected.kv[i])) << i;
}

// To see the prompt once more by half is a UNet whose cross-attentions' values are larger by half.
TEST_F(ReferenceTest, WhatIsSeenIsAddedInEveryCrossAttention) {
    PlainTensors merged = micro_unet();
    for (auto& [name, tensor] : merged)
        if (name.find(".attn2.to_v.") != std::string::npos)
            for (float& value : tensor.values) value *= 1.5F;
    write_micro_variant(folder_ / "merged", merged);
    const CancelToken token;
    const auto larger = load_sdxl_model(folder_ / "merged", *backend_, {DType::kF32}, token, nullptr);

    std::vector<float> states(std::size_t{2} * 5 * 192), input(std::size_t{2} * 8 * 6 * 4);
    for (std::size_t i = 0; i < states.size(); ++i) states[i] = std::sin(static_cast<float>(i));
    for (std::size_t i = 0; i < input.size(); ++i) input[i] = std::cos(static_cast<float>(3 * i));
    const auto predict = [&](const UNet2DConditionModel& unet, bool again) {
        UNetConditioning conditioning = unet.prepare_conditioning(
            context(), ops::upload(context(), states, {2, 5, 192}),
            ops::upload(context(), std::vector<float>(256, 0.1F), {2, 128}), std::vector<float>(12, 100.F));
        UNetOptions options;
        if (again) {
            conditioning.images = {conditioning.kv, conditioning.kv};
            options.image_scales = {0.75F, -0.25F};
        }
        return ops::download(context(), unet.forward(context(), ops::upload(context(), input, {2, 8, 6, 4}),
                                                     std::vector<float>{400, 400}, conditioning, options));
    };
    const auto expected = predict(*larger->unet, false);
    EXPECT_LT(difference(predict(*model().unet, true), expected), 1e-5);
    EXPECT_GT(difference(predict(*model().unet, false), expected), 1e-4);
}

TEST_F(ReferenceTest, TheEncoderIsFoundWhereTheAuthorsHaveIt) {
    // The one beside the adapter projects to other widths: the SD 1.5 folder's fits, as with *_vit-h.
    PlainTensors other = micro_image_encoder();
    PlainTensor& projection = other.at("visual_projection.weight");
    projection.values.resize(std::size_t{16} * 32);
    projection.shape = {16, 32};
    std::string config = micro_image_encoder_config();
    config.replace(config.find("\"projection_dim\": 24"), 20, "\"projection_dim\": 16");
    const fs::path root = folder_ / "found";
    const fs::path file = root / "sdxl_models" / "ip-adapter_micro.safetensors";
    write_tensors(file, micro_ip_adapter(MicroAdapter::kBase));
    expect_refused(
        [&] {
            load({file, {}});
        },
        ErrorCode::kNotFound,
        {"24 channels of a projection", "found/sdxl_models/image_encoder", "found/models/image_encoder"});
    write_tensors(root / "sdxl_models" / "image_encoder" / "model.safetensors", other);
    std::ofstream(root / "sdxl_models" / "image_encoder" / "config.json") << config;
    expect_refused([&] { load({file, {}}); }, ErrorCode::kNotFound, {"(does not fit)"});
    expect_refused(
        [&] {
            load({file, root / "sdxl_models" / "image_encoder"});
        },
        ErrorCode::kInvalidModel, {"gives 16 channels", "24 channels of a projection"});
    write_tensors(root / "models" / "image_encoder" / "model.safetensors", micro_image_encoder());
    std::ofstream(root / "models" / "image_encoder" / "config.json") << micro_image_encoder_config();
    const auto found = load({file, {}});
    EXPECT_EQ(found->encoder()->path, root / "models" / "image_encoder" / "model.safetensors");
    EXPECT_EQ(load({file, found->encoder()->path})->encoder()->path, found->encoder()->path);

    // Shared with what is loaded already, if it is the same file.
    const CancelToken token;
    std::vector<std::string> warnings;
    const std::vector<std::shared_ptr<const ReferenceAdapter>> loaded{base_, found};
    const auto shared = load_reference_adapter({file, {}}, model().unet->config(), *backend_, DType::kF32,
                                               token, warnings, loaded);
    EXPECT_EQ(shared->encoder(), found->encoder());
    EXPECT_NE(shared->encoder(), base_->encoder());
}

TEST_F(ReferenceTest, AdaptersOfOtherModelsAndDamagedOnesAreRefused) {
    const auto write = [&](const PlainTensors& tensors) {
        write_tensors(models() / "bad.safetensors", tensors);
        return ReferenceFiles{models() / "bad.safetensors", {}};
    };
    PlainTensors other = micro_ip_adapter(MicroAdapter::kBase);
    for (auto& [name, tensor] : other)
        if (name.starts_with("ip_adapter.")) {
            tensor.shape[1] = 768;
            tensor.values.resize(static_cast<std::size_t>(tensor.shape[0]) * 768);
        }
    expect_refused([&] { load(write(other)); }, ErrorCode::kInvalidModel,
                   {"bad.safetensors", "for Stable Diffusion 1.5", "768", "expected 17 to 192"});
    other = micro_ip_adapter(MicroAdapter::kBase);
    other.erase("ip_adapter.33.to_k_ip.weight");
    expect_refused([&] { load(write(other)); }, ErrorCode::kInvalidModel, {"16 attentions", "expected 17"});
    other = micro_ip_adapter(MicroAdapter::kBase);
    other.erase("ip_adapter.33.to_v_ip.weight");
    expect_refused([&] { load(write(other)); }, ErrorCode::kInvalidModel, {"ip_adapter.33.to_v_ip.weight"});
    other = micro_ip_adapter(MicroAdapter::kPlus);
    other.at("image_proj.layers.1.0.to_q.weight").values[5] = NAN;
    expect_refused([&] { load(write(other)); }, ErrorCode::kInvalidModel,
                   {"image_proj.layers.1.0.to_q.weight", "not numbers"});
    other = micro_ip_adapter(MicroAdapter::kPlus);
    other["image_proj.layers.1.0.to_q.bias"] = {{128}, std::vector<float>(128)};
    const CancelToken token;
    std::vector<std::string> warnings;
    load_reference_adapter(write(other), model().unet->config(), *backend_, DType::kF32, token, warnings);
    ASSERT_EQ(warnings.size(), 1U);
    EXPECT_NE(warnings[0].find("image_proj.layers.1.0.to_q.bias"), std::string::npos) << warnings[0];
    CancelToken stopped;
    stopped.cancel();
    expect_refused(
        [&] {
            load_reference_adapter({models() / "ip-adapter_micro.safetensors", {}}, model().unet->config(),
                                   *backend_, DType::kF32, stopped, warnings);
        },
        ErrorCode::kCancelled, {});
}

TEST_F(ReferenceTest, UsesThatCannotBeAreRefused) {
    Conditioning conditioning = condition(request());
    expect_refused(
        [&] {
            conditioning.add_references(context(), model(), std::vector<Reference>{{base_, {}}});
        },
        ErrorCode::kInvalidRequest, {"no image"});
    PlainTensors other = micro_ip_adapter(MicroAdapter::kBase);
    other.erase("ip_adapter.33.to_k_ip.weight");
    other.erase("ip_adapter.33.to_v_ip.weight");
    write_tensors(models() / "other.safetensors", other);
    UNetConfig unet = model().unet->config();
    unet.mid_depth = 1;
    const auto adapter = load({models() / "other.safetensors", {}}, unet);
    expect_refused(
        [&] {
            conditioning.add_references(context(), model(), std::vector<Reference>{{adapter, {stripes(3)}}});
        },
        ErrorCode::kInvalidRequest, {"other.safetensors", "micro"});
}

}  // namespace
