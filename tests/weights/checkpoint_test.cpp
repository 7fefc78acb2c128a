#include "weights/checkpoint.h"

#include <gtest/gtest.h>

#include <cstring>

#include "expect_failure.h"
#include "model_builder.h"

namespace sdxl {
namespace {

using testing::expect_failure;
using testing::safetensors;
using testing::TemporaryFolder;
using testing::TensorSpec;
using testing::tiny_base;
using testing::tiny_refiner;

const std::filesystem::path kFixtures = SDXL_FIXTURES;

void expect_same(const WeightMap& left, const WeightMap& right) {
    EXPECT_EQ(left.entries().size(), right.entries().size()) << left.component();
    for (const auto& [name, entry] : right.entries()) {
        const auto* other = left.find(name);
        ASSERT_NE(other, nullptr) << left.component() << ' ' << name;
        EXPECT_EQ(other->view.shape, entry.view.shape) << name;
        EXPECT_EQ(other->view.dtype, entry.view.dtype) << name;
        ASSERT_EQ(other->view.bytes(), entry.view.bytes()) << name;
        EXPECT_EQ(std::memcmp(other->view.data, entry.view.data, entry.view.bytes()), 0) << name;
    }
}

// The strongest oracle for the name tables: one set of weights in both layouts.
TEST(Checkpoint, BothLayoutsGiveTheSameWeights) {
    ASSERT_TRUE(std::filesystem::exists(kFixtures / "micro.safetensors"))
        << "set SDXL_FIXTURES; no " << kFixtures;
    const Checkpoint single = open_checkpoint(kFixtures / "micro.safetensors");
    const Checkpoint folder = open_checkpoint(kFixtures / "micro");
    EXPECT_EQ(folder.unet.entries().size(), 620U);
    EXPECT_EQ(folder.vae.entries().size(), 244U);
    EXPECT_EQ(folder.text_encoder.entries().size(), 52U);
    EXPECT_EQ(folder.text_encoder_2.entries().size(), 69U);
    expect_same(single.unet, folder.unet);
    expect_same(single.vae, folder.vae);
    expect_same(single.text_encoder, folder.text_encoder);
    expect_same(single.text_encoder_2, folder.text_encoder_2);
    EXPECT_EQ(single.kind, ModelKind::kBase);
    EXPECT_EQ(folder.kind, ModelKind::kBase);
    EXPECT_TRUE(single.warnings.empty());
    EXPECT_TRUE(folder.warnings.empty());
}

TEST(Checkpoint, FolderBringsItsTokenizersAndConfigurations) {
    const Checkpoint folder = open_checkpoint(kFixtures / "micro");
    EXPECT_EQ(folder.layout, CheckpointLayout::kDiffusersFolder);
    EXPECT_EQ(folder.tokenizer_dir, kFixtures / "micro" / "tokenizer");
    EXPECT_EQ(folder.tokenizer_2_dir, kFixtures / "micro" / "tokenizer_2");
    EXPECT_TRUE(folder.force_zeros_for_empty_prompt);
    EXPECT_FALSE(folder.v_prediction);
    for (const auto* config : {&folder.configs.unet, &folder.configs.vae, &folder.configs.text_encoder,
                               &folder.configs.text_encoder_2, &folder.configs.scheduler})
        EXPECT_TRUE(config->starts_with("{"));
}

Checkpoint open_tensors(const std::vector<TensorSpec>& tensors, const std::string& metadata = "") {
    const TemporaryFolder folder;
    return open_checkpoint(folder.write("m.safetensors", safetensors(tensors, metadata)));
}

TEST(Checkpoint, MapsEveryRuleOfATinyModel) {
    const Checkpoint model = open_tensors(tiny_base());
    EXPECT_EQ(model.kind, ModelKind::kBase);
    for (const char* name :
         {"conv_in.weight", "down_blocks.0.resnets.0.conv1.weight",
          "down_blocks.0.attentions.0.proj_in.weight", "down_blocks.0.downsamplers.0.conv.weight",
          "mid_block.resnets.0.norm1.weight", "mid_block.attentions.0.norm.weight",
          "mid_block.resnets.1.conv2.bias", "up_blocks.0.resnets.0.conv_shortcut.weight",
          "up_blocks.0.upsamplers.0.conv.weight", "add_embedding.linear_1.weight", "conv_out.weight"})
        EXPECT_NE(model.unet.find(name), nullptr) << name;
    for (const char* name :
         {"decoder.up_blocks.1.resnets.0.conv1.weight", "decoder.up_blocks.0.upsamplers.0.conv.weight",
          "decoder.mid_block.resnets.1.norm1.bias", "post_quant_conv.bias"})
        EXPECT_NE(model.vae.find(name), nullptr) << name;
    const auto* query = model.vae.find("decoder.mid_block.attentions.0.to_q.weight");
    ASSERT_NE(query, nullptr);
    EXPECT_EQ(query->view.shape, (Shape{2, 2}));
    ASSERT_EQ(model.warnings.size(), 2U);
    EXPECT_NE(model.warnings[0].find("1 tensor ignored"), std::string::npos);
    EXPECT_NE(model.warnings[1].find("position_ids"), std::string::npos) << model.warnings[1];
}

TEST(Checkpoint, SplitsAndTransposesOpenClip) {
    const Checkpoint model = open_tensors(tiny_base());
    const auto* q = model.text_encoder_2.find("text_model.encoder.layers.0.self_attn.q_proj.weight");
    const auto* v = model.text_encoder_2.find("text_model.encoder.layers.0.self_attn.v_proj.weight");
    ASSERT_TRUE(q != nullptr && v != nullptr);
    EXPECT_EQ(v->view.shape, (Shape{2, 2}));
    EXPECT_EQ(v->view.data - q->view.data, 2 * 8);
    const auto* projection = model.text_encoder_2.find("text_projection.weight");
    ASSERT_NE(projection, nullptr);
    EXPECT_EQ(projection->view.shape, (Shape{3, 2}));
    // Stored rows are 0..2 and 3..5 (in elements of two counting bytes); transposed they alternate.
    std::uint8_t bytes[12];
    std::memcpy(bytes, projection->view.data, 12);
    EXPECT_EQ((bytes[2] + 251 - bytes[0]) % 251, 6);
    EXPECT_EQ((bytes[4] + 251 - bytes[0]) % 251, 2);
}

TEST(Checkpoint, TellsTheKindsOfSdxlApart) {
    EXPECT_EQ(open_tensors(tiny_refiner()).kind, ModelKind::kRefiner);
    for (const auto& [channels, kind] : {std::pair{9, ModelKind::kInpaint}, std::pair{8, ModelKind::kEdit}}) {
        auto tensors = tiny_base();
        tensors[0].shape[1] = channels;
        EXPECT_EQ(open_tensors(tensors).kind, kind);
    }
}

TEST(Checkpoint, ReadsHowTheUnetWasTrained) {
    auto tensors = tiny_base();
    EXPECT_FALSE(open_tensors(tensors).v_prediction);
    EXPECT_TRUE(open_tensors(tensors, R"({"modelspec.prediction_type":"v"})").v_prediction);
    tensors.push_back({"v_pred", {0}});
    tensors.push_back({"ztsnr", {0}});
    const Checkpoint model = open_tensors(tensors);
    EXPECT_TRUE(model.v_prediction);
    EXPECT_TRUE(model.zero_terminal_snr);
    EXPECT_FALSE(model.edm_v_prediction);
}

TEST(Checkpoint, CountsWhatItIgnores) {
    auto tensors = tiny_base();
    for (int i = 0; i < 5; ++i) tensors.push_back({"model_ema.t" + std::to_string(i), {1}});
    tensors.push_back({"denoiser.sigmas", {4}});
    std::string all;
    for (const auto& line : open_tensors(tensors).warnings) all += line + "\n";
    EXPECT_NE(all.find("5 tensors ignored (EMA copies): 'model_ema.t0', 'model_ema.t1', 'model_ema.t2', …"),
              std::string::npos)
        << all;
    EXPECT_NE(all.find("'denoiser.sigmas'"), std::string::npos) << all;
}

TEST(Checkpoint, NamesTheMissingComponent) {
    const auto without = [](const std::string& prefix) {
        auto tensors = tiny_base();
        std::erase_if(tensors, [&](const TensorSpec& tensor) { return tensor.name.starts_with(prefix); });
        return [tensors] { open_tensors(tensors); };
    };
    expect_failure(without("first_stage_model."), ErrorCode::kInvalidModel, {"no VAE", "(vae)"});
    expect_failure(without("conditioner.embedders.0"), ErrorCode::kInvalidModel, {"first text encoder"});
    expect_failure(without("conditioner.embedders.1"), ErrorCode::kInvalidModel, {"second text encoder"});
    expect_failure(without("model.diffusion_model.input_blocks.1."), ErrorCode::kInvalidModel,
                   {"'input_blocks.1'", "incomplete"});
    expect_failure(without("model.diffusion_model.input_blocks.0."), ErrorCode::kInvalidModel,
                   {"input_blocks.0"});
}

TEST(Checkpoint, NamesModelsThatAreNotSdxl) {
    const auto file = [](std::vector<TensorSpec> tensors) { return [tensors] { open_tensors(tensors); }; };
    const std::string key = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight";
    const std::pair<std::vector<TensorSpec>, const char*> cases[] = {
        {{{key, {1, 768}}, {"cond_stage_model.transformer.text_model.x", {1}}}, "Stable Diffusion 1.5"},
        {{{key, {1, 1024}}, {"cond_stage_model.model.x", {1}}}, "Stable Diffusion 2.x"},
        {{{key, {1, 768}}}, "Stable Diffusion 1.5"},
        {{{key, {1, 1024}}}, "Stable Diffusion 2.x"},
        {{{"model.diffusion_model.double_blocks.0.img_attn.qkv.weight", {1}}}, "Flux"},
        {{{"model.diffusion_model.joint_blocks.0.x", {1}}}, "Stable Diffusion 3"},
        {{{"lora_unet_x.lora_up.weight", {1}}}, "LoRA"},
        {{{"unet.x.lora_A.weight", {1}}}, "LoRA"},
        {{{"controlnet_cond_embedding.conv_in.weight", {1}}}, "ControlNet"},
        {{{"decoder.conv_in.weight", {1}}}, "VAE alone"},
        {{{"first_stage_model.decoder.conv_in.weight", {1}}}, "VAE alone"},
        {{{"add_embedding.linear_1.weight", {1}}}, "SDXL UNet alone"},
        {{{"text_model.embeddings.token_embedding.weight", {1}}}, "text encoder alone"},
        {{{"clip_g", {1}}, {"clip_l", {1}}}, "textual inversion"},
        {{{"something", {1}}}, "no model that this worker knows"},
    };
    for (const auto& [tensors, what] : cases)
        expect_failure(file(tensors), ErrorCode::kInvalidModel,
                       {what, "not an SDXL checkpoint", "m.safetensors"});
}

TEST(Checkpoint, RefusesOtherFormatsWithARemedy) {
    const TemporaryFolder folder;
    for (const char* name : {"m.onnx", "m.gguf"})
        expect_failure([&] { open_checkpoint(folder.write(name, "x")); }, ErrorCode::kUnsupported,
                       {name, "convert"});
    expect_failure([&] { open_checkpoint(folder.path() / "none"); }, ErrorCode::kNotFound, {"none"});
}

TEST(Checkpoint, OpensAFolderWithOneFile) {
    const TemporaryFolder folder;
    expect_failure([&] { open_checkpoint(folder.path()); }, ErrorCode::kInvalidModel, {"neither"});
    folder.write("a.safetensors", safetensors(tiny_base()));
    EXPECT_EQ(open_checkpoint(folder.path()).path, folder.path() / "a.safetensors");
    folder.write("b.safetensors", safetensors(tiny_base()));
    expect_failure([&] { open_checkpoint(folder.path()); }, ErrorCode::kInvalidModel,
                   {"2 files of weights", "a.safetensors"});
}

// A diffusers folder of the fewest tensors, to be spoiled.
void write_folder(const TemporaryFolder& folder, const std::string& unet_file) {
    folder.write(
        "model_index.json",
        R"({"_class_name":"StableDiffusionXLPipeline","unet":["d","U"],"vae":["d","A"],)"
        R"("text_encoder":["t","C"],"text_encoder_2":["t","C"],"force_zeros_for_empty_prompt":false})");
    folder.write("scheduler/scheduler_config.json",
                 R"({"prediction_type":"v_prediction","rescale_betas_zero_snr":true})");
    folder.write("unet/" + unet_file, safetensors({{"conv_in.weight", {1, 4, 1, 1}},
                                                   {"add_embedding.linear_1.weight", {1, 1}},
                                                   {"mid_block.attentions.0.x.attn2.to_k.weight", {1, 1}}}));
    folder.write("vae/diffusion_pytorch_model.safetensors",
                 safetensors({{"decoder.mid_block.attentions.0.query.weight", {1, 1}}}));
    folder.write("text_encoder/model.safetensors",
                 safetensors({{"text_model.x", {1}}, {"text_model.embeddings.position_ids", {1}, "I64"}}));
    folder.write("text_encoder_2/model.safetensors", safetensors({{"text_projection.weight", {1, 1}}}));
}

TEST(Checkpoint, ReadsVariantsOldVaeNamesAndSchedulers) {
    const TemporaryFolder folder;
    write_folder(folder, "diffusion_pytorch_model.fp16.safetensors");
    const Checkpoint model = open_checkpoint(folder.path());
    EXPECT_NE(model.vae.find("decoder.mid_block.attentions.0.to_q.weight"), nullptr);
    EXPECT_TRUE(model.v_prediction && model.zero_terminal_snr);
    EXPECT_FALSE(model.force_zeros_for_empty_prompt);
    EXPECT_FALSE(model.tokenizer_dir.has_value());
    EXPECT_EQ(model.warnings.size(), 1U);
}

TEST(Checkpoint, NamesWhatIsWrongWithAFolder) {
    const TemporaryFolder folder;
    write_folder(folder, "diffusion_pytorch_model.msgpack");
    expect_failure([&] { open_checkpoint(folder.path()); }, ErrorCode::kUnsupported,
                   {"diffusion_pytorch_model.msgpack", "convert"});
    std::filesystem::remove_all(folder.path() / "unet");
    expect_failure([&] { open_checkpoint(folder.path()); }, ErrorCode::kInvalidModel, {"unet", "incomplete"});
    folder.write("model_index.json", R"({"_class_name":"StableDiffusionPipeline"})");
    expect_failure([&] { open_checkpoint(folder.path()); }, ErrorCode::kInvalidModel,
                   {"'StableDiffusionPipeline'", "not an SDXL"});
    folder.write("model_index.json", R"({"a":1,"a":2})");
    expect_failure([&] { open_checkpoint(folder.path()); }, ErrorCode::kInvalidModel,
                   {"model_index.json", "'a'", "twice"});
    folder.write("model_index.json", "{");
    expect_failure([&] { open_checkpoint(folder.path()); }, ErrorCode::kInvalidModel, {"not valid JSON"});
}

}  // namespace
}  // namespace sdxl
