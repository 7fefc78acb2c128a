// What a request adds to its model, through the engine: it counts, it is reported, and it is gone afterwards.
#include <cmath>

#include "engine_fixture.h"
#include "micro_references.h"
#include "micro_variants.h"

namespace {

using namespace sdxl;

class EngineAdapterTest : public EngineTest {
  protected:
    void SetUp() override {
        EngineTest::SetUp();
        fs::create_directories(folder_ / "models" / "loras" / "styles");
    }

    // A LoRA for one layer of the UNet and one of a text encoder, and one tensor that means nothing.
    static PlainTensors lora(float size) {
        const auto fill = [&](std::vector<std::int64_t> shape, float step) {
            PlainTensor tensor{std::move(shape), {}};
            for (std::int64_t i = 0; i < tensor.shape[0] * tensor.shape[1]; ++i)
                tensor.values.push_back(size * std::sin(step * static_cast<float>(i + 1)));
            return tensor;
        };
        const std::string unet = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q.";
        const std::string text = "lora_te2_text_model_encoder_layers_0_self_attn_q_proj.";
        return {{unet + "lora_up.weight", fill({64, 2}, 0.7F)},
                {unet + "lora_down.weight", fill({2, 64}, 0.3F)},
                {text + "lora_up.weight", fill({128, 2}, 0.9F)},
                {text + "lora_down.weight", fill({2, 128}, 0.2F)},
                {"lora_unet_no_such_block.lora_up.weight", fill({2, 2}, 1)},
                {"lora_unet_no_such_block.lora_down.weight", fill({2, 2}, 1)}};
    }
    void write_lora(const std::string& name, const PlainTensors& tensors) const {
        write_tensors(folder_ / "models" / "loras" / name, tensors);
    }
    GenerationRequest with(std::vector<LoraRequest> loras) {
        auto asked = request();
        asked.loras = std::move(loras);
        for (auto& each : asked.loras) each.pointer = "/data/loras/0";
        return asked;
    }
};

TEST_F(EngineAdapterTest, ALoraCountsAndIsReported) {
    write_lora("styles/ink.safetensors", lora(1));
    const auto plain = generate(request());
    ASSERT_TRUE(plain.ok());
    EXPECT_TRUE(plain->adapters.empty());
    const auto inked = generate(with({{"ink", "my ink", 0.5, 0.25, 0.25}}));
    ASSERT_TRUE(inked.ok()) << inked.error().message;
    EXPECT_NE(pixels(inked->images[0]), pixels(plain->images[0]));
    ASSERT_EQ(inked->adapters.size(), 1U);
    const AdapterReport& report = inked->adapters[0];
    EXPECT_EQ(report.name, "my ink");
    EXPECT_EQ(fs::path(report.path).filename(), "ink.safetensors");
    EXPECT_EQ(report.family, "LoRA");
    EXPECT_EQ(report.matched, 4U);
    EXPECT_EQ(report.unknown, 2U);
    ASSERT_EQ(inked->warnings.size(), 1U);
    EXPECT_NE(inked->warnings[0].find("no_such_block"), std::string::npos);
    ImageText text;
    decode_png(read(inked->images[0].path), &text);
    EXPECT_NE(text[0].second.find("<lora:ink:0.25:0.5>"), std::string::npos) << text[0].second;
    // Gone with its request, and there again with the next.
    EXPECT_EQ(pixels(generate(request())->images[0]), pixels(plain->images[0]));
    EXPECT_EQ(pixels(generate(with({{"ink", "", 0.5, 0.25, 0.25}}))->images[0]), pixels(inked->images[0]));
    EXPECT_EQ(engine_->status().counters.model_loads, 1U) << "the model was not loaded again";
    EXPECT_EQ(pixels(generate(with({{"ink", "", 0, 0, 0}}))->images[0]), pixels(plain->images[0]));
}

TEST_F(EngineAdapterTest, AChangedFileIsNoticed) {
    write_lora("ink.safetensors", lora(1));
    const auto first = generate(with({{"ink"}}));
    ASSERT_TRUE(first.ok());
    write_lora("new.safetensors", lora(2));
    fs::rename(folder_ / "models" / "loras" / "new.safetensors",
               folder_ / "models" / "loras" / "ink.safetensors");
    const auto second = generate(with({{"ink"}}));
    ASSERT_TRUE(second.ok());
    EXPECT_NE(pixels(first->images[0]), pixels(second->images[0]));
}

// Two files of the same content: one is overwritten, the other still counts.
TEST_F(EngineAdapterTest, AFileOverwrittenInPlaceHarmsNoOther) {
    write_lora("ink.safetensors", lora(1));
    write_lora("copy.safetensors", lora(1));
    const auto inked = generate(with({{"ink"}}));
    ASSERT_TRUE(inked.ok());
    ASSERT_TRUE(generate(with({{"copy"}})).ok());
    const auto path = folder_ / "models" / "loras" / "copy.safetensors";
    fs::resize_file(path, fs::file_size(path) / 2);
    EXPECT_EQ(generate(with({{"copy"}})).error().code, ErrorCode::kInvalidModel);
    const auto half = generate(with({{"ink", "", 0.5, 0.5, 0.5}}));
    ASSERT_TRUE(half.ok()) << half.error().message;
    EXPECT_NE(pixels(half->images[0]), pixels(inked->images[0]));
    EXPECT_EQ(pixels(generate(with({{"ink"}}))->images[0]), pixels(inked->images[0]));
}

TEST_F(EngineAdapterTest, WhatCannotBeChangedIsNotMatched) {
    PlainTensors embedding;
    embedding["lora_te1_text_model_embeddings_token_embedding.diff"] = {{1000, 64},
                                                                        std::vector<float>(64000, 1)};
    write_lora("tokens.safetensors", embedding);
    const auto result = generate(with({{"tokens"}}));
    ASSERT_FALSE(result.ok());
    EXPECT_NE(result.error().message.find("cannot change"), std::string::npos) << result.error().message;
    PlainTensors both = lora(1);
    both.insert(embedding.begin(), embedding.end());
    write_lora("both.safetensors", both);
    EXPECT_EQ(generate(with({{"both"}}))->adapters.at(0).unknown, 3U);
}

TEST_F(EngineAdapterTest, BadFilesAreNamedAndCostNothing) {
    const auto plain = generate(request());
    const auto expect = [&](const std::string& file, ErrorCode code, const std::string& said) {
        const auto result = generate(with({{file}}));
        ASSERT_FALSE(result.ok()) << file;
        EXPECT_EQ(error_code_name(result.error().code), error_code_name(code)) << result.error().message;
        EXPECT_NE(result.error().message.find(said), std::string::npos) << result.error().message;
        EXPECT_EQ(result.error().pointer, "/data/loras/0");
        EXPECT_EQ(pixels(generate(request())->images[0]), pixels(plain->images[0])) << file;
    };
    expect("nowhere", ErrorCode::kNotFound, "LoRA");
    std::ofstream(folder_ / "models" / "loras" / "text.safetensors") << "no adapter at all";
    expect("text", ErrorCode::kInvalidModel, "text.safetensors");
    expect(SDXL_FIXTURES "/micro/unet/diffusion_pytorch_model.safetensors", ErrorCode::kInvalidModel, "UNet");
    PlainTensors nan = lora(1);
    nan.begin()->second.values[0] = NAN;
    write_lora("nan.safetensors", nan);
    expect("nan", ErrorCode::kInvalidModel, nan.begin()->first);
    PlainTensors wrong = lora(1);
    auto& up = wrong.at("lora_te2_text_model_encoder_layers_0_self_attn_q_proj.lora_up.weight");
    up.shape = {64, 2};
    up.values.resize(128);
    write_lora("wrong.safetensors", wrong);
    expect("wrong", ErrorCode::kInvalidModel, "lora_te2_text_model_encoder_layers_0_self_attn_q_proj");
    PlainTensors none;
    none["lora_unet_no_such_block.lora_up.weight"] = {{2, 2}, {1, 2, 3, 4}};
    none["lora_unet_no_such_block.lora_down.weight"] = {{2, 2}, {1, 2, 3, 4}};
    write_lora("none.safetensors", none);
    expect("none", ErrorCode::kInvalidModel, "none.safetensors");
    fs::create_directories(folder_ / "models" / "Lora");
    write_tensors(folder_ / "models" / "Lora" / "twice.safetensors", lora(1));
    write_lora("styles/twice.safetensors", lora(1));
    // The one that lies directly in a folder of LoRAs goes first.
    EXPECT_TRUE(generate(with({{"twice"}})).ok());
}

TEST_F(EngineAdapterTest, ADistilledLoraDecidesWhereTheRequestIsSilent) {
    write_lora("sdxl_lightning_4step_lora.safetensors", lora(0.1F));
    auto silent = with({{"sdxl_lightning_4step_lora"}});
    silent.steps.reset();
    silent.guidance_scale.reset();
    const auto result = generate(silent);
    ASSERT_TRUE(result.ok()) << result.error().message;
    EXPECT_EQ(result->steps, 4);
    EXPECT_LE(result->guidance_scale, 1);
    EXPECT_EQ(result->timestep_spacing, TimestepSpacing::kTrailing);
    bool said = false;
    for (const auto& warning : result->warnings) said = said || warning.find("4 steps") != std::string::npos;
    EXPECT_TRUE(said);
    silent.steps = 2;
    silent.guidance_scale = 3;
    EXPECT_EQ(generate(silent)->steps, 2);
    EXPECT_EQ(generate(silent)->guidance_scale, 3);
}

ImageSource picture_in(const fs::path& folder, int width, int height) {
    Image image{width, height, 3, {}};
    for (int i = 0; i < width * height * 3; ++i)
        image.pixels.push_back(static_cast<std::uint8_t>(i / 3 % width * 4));
    const auto bytes = encode_png(image);
    const auto path = folder / "picture.png";
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    return {path.string(), nullptr, "/data/picture"};
}

TEST_F(EngineAdapterTest, AControlPictureSteers) {
    fs::create_directories(folder_ / "models" / "controlnet");
    fs::copy(fs::path(SDXL_FIXTURES) / "micro" / "controlnet",
             folder_ / "models" / "controlnet" / "micro-canny", fs::copy_options::recursive);
    const auto plain = generate(request());
    auto asked = request();
    ControlRequest control;
    control.type = "canny";
    control.image = picture_in(folder_, 40, 30);
    control.preprocessor = "canny";
    control.return_image = true;
    control.pointer = "/data/controlnets/0";
    asked.controls = {control};
    const auto steered = generate(asked);
    ASSERT_TRUE(steered.ok()) << steered.error().message;
    EXPECT_NE(pixels(steered->images[0]), pixels(plain->images[0]));
    ASSERT_EQ(steered->controls.size(), 1U);
    EXPECT_EQ(fs::path(steered->controls[0].model).filename(), "micro-canny");
    EXPECT_EQ(steered->controls[0].kind, "ControlNet");
    const Image seen = decode_png(steered->controls[0].picture);
    EXPECT_EQ(seen.width, 64);
    EXPECT_EQ(seen.height, 64);
    asked.controls[0].weight = 0;
    EXPECT_EQ(pixels(generate(asked)->images[0]), pixels(plain->images[0]));
    // What cannot be done is named, with its place.
    const auto expect = [&](ControlRequest wrong, ErrorCode code, const std::string& said) {
        asked.controls = {std::move(wrong)};
        const auto result = generate(asked);
        ASSERT_FALSE(result.ok()) << said;
        EXPECT_EQ(error_code_name(result.error().code), error_code_name(code)) << result.error().message;
        EXPECT_NE(result.error().message.find(said), std::string::npos) << result.error().message;
        EXPECT_FALSE(result.error().pointer.empty());
        const auto checked = engine_->check(asked);
        EXPECT_FALSE(checked.empty()) << "validation finds it too";
    };
    ControlRequest wrong = control;
    wrong.preprocessor = "openpose";
    expect(wrong, ErrorCode::kUnsupported, "openpose");
    wrong = control;
    wrong.image.path = (folder_ / "nowhere.png").string();
    expect(wrong, ErrorCode::kNotFound, "nowhere.png");
    wrong = control;
    wrong.type = "depth";
    expect(wrong, ErrorCode::kNotFound, "depth");
    wrong = control;
    wrong.model = SDXL_FIXTURES "/micro/unet";
    expect(wrong, ErrorCode::kInvalidModel, "unet");
    EXPECT_EQ(pixels(generate(request())->images[0]), pixels(plain->images[0]));
}

TEST_F(EngineAdapterTest, AnEmbeddingIsAWord) {
    fs::create_directories(folder_ / "models" / "embeddings");
    const auto fill = [](std::int64_t count, float size) {
        std::vector<float> values;
        for (std::int64_t i = 0; i < count; ++i) values.push_back(size * std::sin(static_cast<float>(i)));
        return values;
    };
    write_tensors(folder_ / "models" / "embeddings" / "my-style.safetensors",
                  {{"clip_l", {{2, 64}, fill(128, 1)}}, {"clip_g", {{2, 128}, fill(256, 1)}}});
    auto asked = request();
    asked.prompt = "a my-style b";
    const auto plain = generate(asked);
    asked.embeddings = {{"my-style", "", "/data/textual_inversions/0"}};
    const auto styled = generate(asked);
    ASSERT_TRUE(styled.ok()) << styled.error().message;
    EXPECT_NE(pixels(styled->images[0]), pixels(plain->images[0]));
    EXPECT_EQ(styled->embeddings, std::vector<std::string>{"my-style"});
    asked.prompt = "a b";
    const auto unused = generate(asked);
    ASSERT_TRUE(unused.ok());
    EXPECT_TRUE(unused->embeddings.empty());
    ASSERT_EQ(unused->warnings.size(), 1U);
    EXPECT_NE(unused->warnings[0].find("no prompt"), std::string::npos) << unused->warnings[0];
    asked.embeddings[0].file = "nowhere";
    EXPECT_EQ(generate(asked).error().code, ErrorCode::kNotFound);
    EXPECT_EQ(generate(asked).error().pointer, "/data/textual_inversions/0");
}

TEST_F(EngineAdapterTest, AReferencePictureIsTakenUp) {
    write_micro_references(folder_ / "models" / "ip_adapter");
    const auto plain = generate(request());
    auto asked = request();
    ReferenceRequest reference;
    reference.model = "ip-adapter_micro";
    reference.images = {picture_in(folder_, 30, 40)};
    reference.pointer = "/data/reference_images/0";
    asked.references = {reference};
    const auto alike = generate(asked);
    ASSERT_TRUE(alike.ok()) << alike.error().message;
    EXPECT_NE(pixels(alike->images[0]), pixels(plain->images[0]));
    ASSERT_EQ(alike->references.size(), 1U);
    EXPECT_EQ(alike->references[0].pictures, 1U);
    asked.references[0].weight = 0;
    EXPECT_EQ(pixels(generate(asked)->images[0]), pixels(plain->images[0]));
    // Two adapters lie there: one has to be named.
    asked.references[0].model.clear();
    EXPECT_EQ(generate(asked).error().code, ErrorCode::kInvalidRequest);
    EXPECT_EQ(generate(asked).error().pointer, "/data/reference_images/0");
}

// A request of higher priority with other LoRAs comes in between.
TEST_F(EngineAdapterTest, InterruptedPicturesKeepTheirLora) {
    write_lora("ink.safetensors", lora(1));
    auto asked = with({{"ink"}});
    asked.steps = 6;
    const auto alone = generate(asked);
    std::promise<Result<GenerationResult>> low, high;
    JobContext context;
    context.wish.every = 1;
    bool sent = false;
    context.progress = [&](const ProgressEvent& event) {
        if (sent || event.stage != Stage::kDenoise || event.done < 2) return;
        sent = true;
        JobContext urgent;
        urgent.priority = Priority::kHigh;
        engine_->submit(request(), urgent,
                        [&](Result<GenerationResult> result) { high.set_value(std::move(result)); });
    };
    engine_->submit(asked, context,
                    [&](Result<GenerationResult> result) { low.set_value(std::move(result)); });
    const auto interrupting = high.get_future().get();
    const auto interrupted = low.get_future().get();
    ASSERT_TRUE(interrupting.ok());
    ASSERT_TRUE(interrupted.ok());
    EXPECT_EQ(engine_->status().counters.preemptions, 1U);
    EXPECT_EQ(pixels(interrupted->images[0]), pixels(alone->images[0]));
    EXPECT_EQ(pixels(interrupting->images[0]), pixels(generate(request())->images[0]));
}

}  // namespace
