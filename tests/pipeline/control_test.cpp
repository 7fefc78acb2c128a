// Control models in a generation, on the micro model in float32.
#include "pipeline/control.h"

#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <functional>
#include <limits>

#include "control_variants.h"
#include "core/error.h"
#include "micro_model.h"
#include "ops/ops.h"
#include "rounding.h"
#include "weights/checkpoint.h"

namespace sdxl {
namespace {

namespace fs = std::filesystem;

class ControlTest : public MicroModelTest {
  protected:
    ControlTest() { fs::create_directories(folder_); }
    ~ControlTest() override { fs::remove_all(folder_); }

    std::shared_ptr<const ControlModel> load(const PlainTensors& tensors, const WeightMap* base = nullptr) {
        const fs::path path = folder_ / ("control" + std::to_string(files_++) + ".safetensors");
        write_tensors(path, tensors);
        std::vector<std::string> warnings;
        auto model = load_control_model(path, base, *backend_, DType::kF32, CancelToken(), warnings);
        EXPECT_TRUE(warnings.empty()) << warnings.front();
        return model;
    }
    // A picture of the request's size: a ramp that `seed` turns.
    static std::shared_ptr<const Image> hint(int seed = 1) {
        const auto asked = request();
        auto image = std::make_shared<Image>(Image{asked.width, asked.height, 3, {}});
        for (int i = 0; i < asked.width * asked.height * 3; ++i)
            image->pixels.push_back(static_cast<std::uint8_t>((i * (seed + 2) / 7) % 256));
        return image;
    }
    static ControlUse use(std::shared_ptr<const ControlModel> model, double weight = 1, int picture = 1) {
        return {.model = std::move(model), .hints = {{hint(picture), 0}}, .weight = weight};
    }
    static std::vector<Control> controls(const std::vector<ControlUse>& uses) {
        std::vector<Control> made;
        for (const ControlUse& one : uses) made.emplace_back(model(), one, request().width, request().height);
        return made;
    }
    static std::vector<std::vector<float>> run_controlled(const std::vector<ControlUse>& uses,
                                                          const GenerationRequest& asked = request(),
                                                          const std::vector<std::uint64_t>& seeds = {7},
                                                          const PictureInputs& inputs = {}) {
        Conditioning conditioning = condition(asked);
        std::vector<Control> made = controls(uses);
        std::vector<std::unique_ptr<SdxlGeneration>> pictures;
        std::vector<SdxlGeneration*> group;
        for (const auto seed : seeds) {
            pictures.push_back(std::make_unique<SdxlGeneration>(model(), asked, inputs, seed));
            EXPECT_TRUE(pictures.back()->prepare(context(), *model().vae));
            group.push_back(pictures.back().get());
        }
        while (!group.front()->done())
            EXPECT_TRUE(step_together(context(), model(), conditioning, group, made));
        std::vector<std::vector<float>> latents;
        for (const auto& picture : pictures) latents.push_back(picture->latents().values);
        return latents;
    }
    static std::vector<float> run_one(const std::vector<ControlUse>& uses) {
        return run_controlled(uses).front();
    }
    // A call of two halves for one picture, or of as many as are said.
    static ControlledCall call(BatchParts parts = {true, false}, int pictures = 1) {
        const std::int64_t entries = static_cast<std::int64_t>(parts.count()) * pictures;
        std::vector<float> values(static_cast<std::size_t>(entries * 12 * 16 * 4));
        const std::size_t each = values.size() / static_cast<std::size_t>(parts.count());
        for (std::size_t i = 0; i < values.size(); ++i)
            values[i] = static_cast<float>(std::sin(0.37 * static_cast<double>(i % each)));
        return {ops::upload(context(), values, {entries, 12, 16, 4}), 500, parts, pictures};
    }
    static ControlResiduals residuals_of(const std::vector<ControlUse>& uses, const ControlledCall& now) {
        const Conditioning conditioning = condition(request());
        std::vector<Control> made = controls(uses);
        return control_residuals(context(), conditioning, made, 0, 0.1, now);
    }
    // Of every residual one behind the other.
    static std::vector<std::vector<float>> values_of(const ControlResiduals& residuals) {
        std::vector<std::vector<float>> values;
        for (const Tensor& x : residuals.down) values.push_back(ops::download(context(), x));
        if (residuals.mid.defined()) values.push_back(ops::download(context(), residuals.mid));
        for (const Tensor& x : residuals.adapter) values.push_back(ops::download(context(), x));
        return values;
    }
    static double relative(const std::vector<float>& found, const std::vector<float>& expected) {
        if (found.size() != expected.size()) return INFINITY;
        double error = 0, norm = 0;
        for (std::size_t i = 0; i < found.size(); ++i) {
            error += std::pow(static_cast<double>(found[i]) - static_cast<double>(expected[i]), 2);
            norm += std::pow(static_cast<double>(expected[i]), 2);
        }
        return std::sqrt(error / norm);
    }
    static Error refusal(const std::function<void()>& act) {
        try {
            act();
        } catch (const Failure& failure) {
            return failure.error();
        }
        ADD_FAILURE() << "accepted";
        return {};
    }

    fs::path folder_ =
        fs::temp_directory_path() / ("sdxl_control_" + std::to_string(::getpid()) +
                                     ::testing::UnitTest::GetInstance()->current_test_info()->name());
    int files_ = 0;
};

TEST_F(ControlTest, SeveralAreTheSumOfTheirWeighedResiduals) {
    const auto first = load(micro_controlnet()), second = load(micro_controlnet(5));
    const auto a = values_of(residuals_of({use(first, 1, 1)}, call()));
    const auto b = values_of(residuals_of({use(second, 1, 4)}, call()));
    const auto both = values_of(residuals_of({use(first, 0.7, 1), use(second, -0.4, 4)}, call()));
    ASSERT_EQ(both.size(), 10U);
    for (std::size_t i = 0; i < both.size(); ++i) {
        std::vector<float> sum;
        for (std::size_t k = 0; k < a[i].size(); ++k) sum.push_back(0.7F * a[i][k] - 0.4F * b[i][k]);
        EXPECT_LE(relative(both[i], sum), 1e-6) << i;
        EXPECT_GT(relative(a[i], b[i]), 1e-2) << i;
    }
}

TEST_F(ControlTest, WeightZeroIsNoneToTheBit) {
    const auto net = load(micro_controlnet());
    const auto adapter = load(micro_t2i_adapter());
    const auto none = run_latents(request(), 7).values;
    EXPECT_EQ(run_one({}), none);
    EXPECT_EQ(run_one({use(net, 0), use(adapter, 0)}), none);
    EXPECT_GT(relative(run_one({use(net, 1)}), none), 1e-3);
    EXPECT_GT(relative(run_one({use(adapter, 1)}), none), 1e-3);
    EXPECT_GT(relative(run_one({use(net, 1, 1)}), run_one({use(net, 1, 4)})), 1e-4);
}

// diffusers: 1.0 - float(i / n < start or (i + 1) / n > end), i counted from the first call that is made.
TEST_F(ControlTest, StartAndEndAreThePartOfTheCallsThatItTakesPartIn) {
    const auto net = load(micro_controlnet());
    const auto in_calls = [&](double start, double end, int calls) {
        ControlUse part = use(net);
        part.start = start;
        part.end = end;
        const Control control(model(), part, request().width, request().height);
        std::string kept;
        for (int i = 0; i < calls; ++i)
            kept += control.applies(static_cast<double>(i) / calls, (i + 1.0) / calls) ? '1' : '0';
        return kept;
    };
    EXPECT_EQ(in_calls(0, 1, 5), "11111");
    EXPECT_EQ(in_calls(0.2, 0.8, 5), "01110");
    EXPECT_EQ(in_calls(0.3, 0.7, 5), "00100");
    EXPECT_EQ(in_calls(0.5, 1, 4), "0011");
    EXPECT_EQ(in_calls(0, 0, 4), "0000");
    // The same in a generation: nothing in its first call, so that its latents are those without until then.
    auto asked = request();
    asked.steps = 4;
    ControlUse late = use(net);
    late.start = 0.5;
    Conditioning conditioning = condition(asked);
    std::vector<Control> made = controls({late});
    SdxlGeneration with(model(), asked, {}, 7), without(model(), asked, {}, 7);
    SdxlGeneration *a = &with, *b = &without;
    with.prepare(context(), *model().vae);
    without.prepare(context(), *model().vae);
    for (int i = 0; i < 4; ++i) {
        step_together(context(), model(), conditioning, std::span(&a, 1), made);
        step_together(context(), model(), conditioning, std::span(&b, 1));
        EXPECT_EQ(with.latents().values == without.latents().values, i < 2) << i;
    }
}

// With a strength, the parts are those of the calls that are made, as in diffusers' image-to-image pipeline.
TEST_F(ControlTest, WithAnInitialImageThePartsAreThoseOfTheCallsMade) {
    auto asked = request();
    asked.steps = 8;
    asked.strength = 0.5;
    const PictureInputs inputs{picture(request(), 3), {}, nullptr};
    ControlUse early = use(load(micro_controlnet()));
    early.end = 0.5;
    const auto none = run_controlled({}, asked, {7}, inputs);
    EXPECT_NE(run_controlled({early}, asked, {7}, inputs), none);
    early.end = 0.2;  // less than one of the four calls
    EXPECT_EQ(run_controlled({early}, asked, {7}, inputs), none);
}

TEST_F(ControlTest, GuessModeIsForThePromptAndWeakerOutside) {
    const auto net = load(micro_controlnet());
    ControlUse guess = use(net, 0.8);
    guess.guess_mode = true;
    for (const BatchParts parts :
         {BatchParts{true, false}, BatchParts{true, true}, BatchParts{false, false}}) {
        const auto plain = values_of(residuals_of({use(net, 1)}, call(parts, 2)));
        const auto guessed = values_of(residuals_of({guess}, call(parts, 2)));
        for (std::size_t i = 0; i < plain.size(); ++i) {
            const double factor = 0.8 * std::pow(10.0, -1 + static_cast<double>(i) / 9);
            const std::size_t half =
                parts.negative ? plain[i].size() / static_cast<std::size_t>(parts.count()) : 0;
            std::vector<float> expected(half, 0.F);
            for (std::size_t k = half; k < plain[i].size(); ++k)
                expected.push_back(static_cast<float>(factor) * plain[i][k]);
            EXPECT_LE(relative(guessed[i], expected), 1e-5) << i;
            for (std::size_t k = 0; k < half; ++k) ASSERT_EQ(guessed[i][k], 0.F);
        }
    }
}

TEST_F(ControlTest, ThePerturbedPartIsThePromptsOnceMore) {
    const auto net = load(micro_controlnet());
    const auto three = values_of(residuals_of({use(net)}, call({true, true}, 2)));
    const auto two = values_of(residuals_of({use(net)}, call({true, false}, 2)));
    for (std::size_t i = 0; i < three.size(); ++i) {
        std::vector<float> expected = two[i];
        expected.insert(expected.end(), two[i].begin() + static_cast<std::ptrdiff_t>(two[i].size() / 2),
                        two[i].end());
        EXPECT_EQ(three[i], expected) << i;
    }
}

TEST_F(ControlTest, PicturesMadeTogetherAreThoseMadeAlone) {
    ControlUse guess = use(load(micro_controlnet()), 0.6, 2);
    guess.guess_mode = true;
    ControlUse types{.model = load(micro_union(6)), .hints = {{hint(1), 1}, {hint(3), 4}}, .weight = 0.5};
    const std::vector<ControlUse> uses{guess, types, use(load(micro_t2i_adapter()), 0.7)};
    for (const double pag : {0.0, 3.0}) {
        auto asked = request();
        asked.pag_scale = pag;
        const auto together = run_controlled(uses, asked, {7, 8, 9});
        for (std::size_t i = 0; i < together.size(); ++i)
            expect_as_alone(together[i], run_controlled(uses, asked, {7 + i}).front());
    }
}

TEST_F(ControlTest, EveryLayoutGivesTheSamePicture) {
    const auto expected = run_one({use(load(micro_controlnet()))});
    EXPECT_EQ(run_one({use(load(in_original_layout(micro_controlnet())))}), expected);
    std::vector<std::string> warnings;
    const auto folder = load_control_model(fs::path(SDXL_FIXTURES) / "micro" / "controlnet", nullptr,
                                           *backend_, DType::kF32, CancelToken(), warnings);
    EXPECT_EQ(run_one({use(folder)}), expected);
    const auto adapter = run_one({use(load(micro_t2i_adapter()))});
    EXPECT_EQ(run_one({use(load(in_original_t2i_layout(micro_t2i_adapter())))}), adapter);
}

TEST_F(ControlTest, AControlLoraIsTheControlNetThatItMakesOfTheBase) {
    const auto lora = micro_control_lora(4);
    const auto whole = load(lora.merged);
    const auto merged = values_of(residuals_of({use(whole)}, call()));
    for (const char* layout : {"micro", "micro.safetensors"}) {
        const Checkpoint base = open_checkpoint(fs::path(SDXL_FIXTURES) / layout);
        const auto over_base = load(lora.file, &base.unet);
        const auto found = values_of(residuals_of({use(over_base)}, call()));
        ASSERT_EQ(found.size(), merged.size());
        for (std::size_t i = 0; i < found.size(); ++i) EXPECT_LE(relative(found[i], merged[i]), 1e-4) << i;
        EXPECT_LE(relative(run_one({use(over_base)}), run_one({use(whole)})), 1e-4);
    }
    const auto other = values_of(residuals_of({use(load(micro_controlnet()))}, call()));
    EXPECT_GT(relative(merged[5], other[5]), 1e-3);
}

// Beside an inpainting UNet a ControlNet sees the latents' four channels of nine.
TEST_F(ControlTest, BesideAnInpaintingModelItSeesTheLatents) {
    write_micro_variant(folder_ / "inpaint", micro_inpaint(0));
    const auto inpaint =
        load_sdxl_model(folder_ / "inpaint", *backend_, {DType::kF32}, CancelToken(), nullptr);
    const auto asked = request();
    std::vector<Control> made;
    made.emplace_back(*inpaint, use(load(micro_controlnet())), asked.width, asked.height);
    Conditioning conditioning(context(), *inpaint, asked, true);
    SdxlGeneration generation(*inpaint, asked, {}, 7);
    SdxlGeneration* one = &generation;
    ASSERT_TRUE(generation.prepare(context(), *inpaint->vae));
    while (!generation.done())
        ASSERT_TRUE(step_together(context(), *inpaint, conditioning, std::span(&one, 1), made));
    // Its further channels weigh nothing, so it is the base model.
    EXPECT_LE(relative(generation.latents().values, run_one({use(made.front().use().model)})), 1e-5);
}

// Half of such a picture's latents is rounded up, by the UNet and by a T2I-Adapter.
TEST_F(ControlTest, SizesThatAreNoMultipleOfSixteen) {
    auto asked = request();
    asked.width = 136;
    asked.height = 104;
    asked.steps = 1;
    auto image = std::make_shared<Image>(Image{asked.width, asked.height, 3, {}});
    for (int i = 0; i < asked.width * asked.height * 3; ++i)
        image->pixels.push_back(static_cast<std::uint8_t>(i % 251));
    std::vector<Control> made;
    for (const PlainTensors& tensors : {micro_controlnet(), micro_t2i_adapter(1)})
        made.emplace_back(model(), ControlUse{.model = load(tensors), .hints = {{image, 0}}}, asked.width,
                          asked.height);
    Conditioning conditioning = condition(asked);
    SdxlGeneration generation(model(), asked, {}, 7);
    SdxlGeneration* one = &generation;
    ASSERT_TRUE(generation.prepare(context(), *model().vae));
    EXPECT_TRUE(step_together(context(), model(), conditioning, std::span(&one, 1), made));
    EXPECT_NE(generation.latents().values, run_latents(asked, 7).values);
}

// A control model computes in its own element type; what it adds has the UNet's.
TEST_F(ControlTest, ItsElementTypeIsItsOwn) {
    if (!backend_->supports(DType::kBF16)) GTEST_SKIP() << "no bfloat16 on this machine";
    const auto lora = micro_control_lora(4);
    const Checkpoint base = open_checkpoint(fs::path(SDXL_FIXTURES) / "micro");
    for (const PlainTensors& tensors : {micro_controlnet(), lora.file, micro_union(8), micro_t2i_adapter()}) {
        const auto whole = load(tensors, &base.unet);
        std::vector<std::string> warnings;
        const auto half =
            load_control_model(whole->path(), &base.unet, *backend_, DType::kBF16, CancelToken(), warnings);
        const auto residuals = residuals_of({use(half)}, call());
        const auto expected = values_of(residuals_of({use(whole)}, call()));
        const auto found = values_of(residuals);
        for (std::size_t i = 0; i < found.size(); ++i) {
            EXPECT_LE(relative(found[i], expected[i]), 3e-2) << i;
            EXPECT_GT(relative(found[i], expected[i]), 1e-5) << i;
        }
    }
}

TEST_F(ControlTest, WhatMakesNoSenseIsRefused) {
    const auto net = load(micro_controlnet()), types = load(micro_union(6)),
               adapter = load(micro_t2i_adapter());
    ControlUse guess = use(adapter);
    guess.guess_mode = true;
    EXPECT_EQ(refusal([&] { controls({guess}); }).code, ErrorCode::kInvalidRequest);
    ControlUse promax = use(types);
    promax.hints[0].type = 6;
    EXPECT_NE(refusal([&] { controls({promax}); }).message.find("it has 6"), std::string::npos);
    ControlUse two = use(net);
    two.hints.push_back(two.hints.front());
    EXPECT_EQ(refusal([&] { controls({two}); }).code, ErrorCode::kInvalidRequest);
    EXPECT_EQ(refusal([&] { Control(model(), use(net), 64, 64); }).code, ErrorCode::kInternal);
    // A refiner's UNet is another network.
    write_micro_variant(folder_ / "refiner", micro_refiner(), MicroKind::kRefiner);
    const auto refiner =
        load_sdxl_model(folder_ / "refiner", *backend_, {DType::kF32}, CancelToken(), nullptr);
    const auto error = refusal([&] { Control(*refiner, use(net), request().width, request().height); });
    EXPECT_EQ(error.code, ErrorCode::kInvalidModel);
    EXPECT_NE(error.message.find("another kind of network"), std::string::npos) << error.message;
}

TEST_F(ControlTest, BrokenWeightsAreRefused) {
    PlainTensors nan = micro_controlnet();
    nan["conv_in.bias"].values[3] = std::numeric_limits<float>::quiet_NaN();
    const auto broken = refusal([&] { load(nan); });
    EXPECT_EQ(broken.code, ErrorCode::kInvalidModel);
    EXPECT_NE(broken.message.find("conv_in.bias"), std::string::npos) << broken.message;
    PlainTensors wide = micro_controlnet();
    wide["controlnet_mid_block.bias"] = {{64}, std::vector<float>(64)};
    EXPECT_NE(refusal([&] { load(wide); }).message.find("controlnet_mid_block.bias"), std::string::npos);
    PlainTensors fewer = micro_controlnet();
    fewer.erase("controlnet_down_blocks.8.weight");
    EXPECT_NE(refusal([&] { load(fewer); }).message.find("controlnet_down_blocks.8"), std::string::npos);
    EXPECT_EQ(refusal([&] { load(micro_control_lora(2).file); }).code, ErrorCode::kInvalidRequest);
}

TEST(UnionTypes, AreKnownByTheirNames) {
    EXPECT_EQ(union_type_of("openpose"), 0);
    EXPECT_EQ(union_type_of("Soft_Edge"), 2);
    EXPECT_EQ(union_type_of("anime-lineart"), 3);
    EXPECT_EQ(union_type_of("inpaint"), 7);
    EXPECT_EQ(union_type_of("what"), std::nullopt);
    const auto names = union_type_names();
    ASSERT_EQ(names.size(), 8U);
    for (std::size_t i = 0; i < names.size(); ++i) EXPECT_EQ(union_type_of(names[i]), static_cast<int>(i));
}

}  // namespace
}  // namespace sdxl
