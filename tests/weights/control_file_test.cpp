// Files of control models: every published form, and what is refused with which words.
#include "weights/control_file.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>

#include "control_variants.h"
#include "expect_failure.h"
#include "model_builder.h"
#include "weights/checkpoint.h"
#include "weights/control_lora.h"
#include "weights/finite_check.h"

namespace sdxl {
namespace {

using testing::expect_failure;
using testing::TemporaryFolder;

const std::filesystem::path kMicro = std::filesystem::path(SDXL_FIXTURES) / "micro";
const std::string kStem = "diffusion_pytorch_model";

void expect_same(const WeightMap& found, const WeightMap& expected) {
    ASSERT_EQ(found.entries().size(), expected.entries().size());
    for (const auto& [name, entry] : expected.entries()) {
        const auto* other = found.find(name);
        ASSERT_NE(other, nullptr) << name;
        EXPECT_EQ(other->view.shape, entry.view.shape) << name;
        EXPECT_EQ(to_f32(other->view), to_f32(entry.view)) << name;
    }
}

PlainTensors with_prefix(const PlainTensors& tensors, const std::string& prefix) {
    PlainTensors named;
    for (const auto& [name, tensor] : tensors) named[prefix + name] = tensor;
    return named;
}

class ControlFileTest : public ::testing::Test {
  protected:
    std::filesystem::path write(const std::string& name, const PlainTensors& tensors) const {
        write_tensors(folder_.path() / name, tensors);
        return folder_.path() / name;
    }
    void refuse(const PlainTensors& tensors, std::initializer_list<std::string> named) const {
        const auto path = write("refused.safetensors", tensors);
        expect_failure([&] { open_control(path); }, ErrorCode::kInvalidModel, named);
    }

    TemporaryFolder folder_;
};

TEST_F(ControlFileTest, EveryLayoutIsTheSameControlNet) {
    const ControlCheckpoint folder = open_control(kMicro / "controlnet");
    EXPECT_EQ(folder.kind, ControlKind::kControlNet);
    EXPECT_NE(folder.config.find("ControlNetModel"), std::string::npos);
    EXPECT_TRUE(folder.warnings.empty());
    EXPECT_EQ(folder.weights.entries().size(), micro_controlnet().size());
    const PlainTensors original = in_original_layout(micro_controlnet());
    ASSERT_TRUE(original.contains("input_hint_block.14.weight"));
    ASSERT_TRUE(original.contains("zero_convs.8.0.bias"));
    ASSERT_TRUE(original.contains("input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight"));
    for (const auto& path :
         {write("diffusers.safetensors", micro_controlnet()), write("original.safetensors", original),
          write("prefixed.safetensors", with_prefix(original, "control_model."))}) {
        const ControlCheckpoint file = open_control(path);
        EXPECT_EQ(file.kind, ControlKind::kControlNet);
        EXPECT_TRUE(file.warnings.empty());
        expect_same(file.weights, folder.weights);
    }
    std::filesystem::create_directories(folder_.path() / "half");
    std::filesystem::copy(kMicro / "controlnet" / (kStem + ".safetensors"),
                          folder_.path() / "half" / (kStem + ".fp16.safetensors"));
    expect_same(open_control(folder_.path() / "half").weights, folder.weights);
}

TEST_F(ControlFileTest, KindsAreToldByTheirTensors) {
    EXPECT_EQ(open_control(write("union.safetensors", micro_union(6))).kind, ControlKind::kUnion);
    EXPECT_EQ(open_control(write("lora.safetensors", micro_control_lora(4).file)).kind,
              ControlKind::kControlLora);
    const auto adapter = open_control(write("adapter.safetensors", micro_t2i_adapter()));
    EXPECT_EQ(adapter.kind, ControlKind::kT2IAdapter);
    EXPECT_NE(adapter.weights.find("body.2.in_conv.weight"), nullptr);
    const auto flat = open_control(write("flat.safetensors", in_original_t2i_layout(micro_t2i_adapter())));
    expect_same(flat.weights, adapter.weights);
}

TEST_F(ControlFileTest, WhatIsLeftOverIsCountedAndNamed) {
    PlainTensors original = with_prefix(in_original_layout(micro_controlnet()), "control_model.");
    original["control_model.output_blocks.0.0.what"] = {{1}, {0}};
    original["logits"] = {{1}, {0}};
    const auto file = open_control(write("more.safetensors", original));
    ASSERT_EQ(file.warnings.size(), 1U);
    EXPECT_NE(file.warnings[0].find("2 tensors"), std::string::npos) << file.warnings[0];
    EXPECT_NE(file.warnings[0].find("'logits'"), std::string::npos) << file.warnings[0];
}

TEST_F(ControlFileTest, OtherFilesAreNamed) {
    refuse({{"lora_unet_down_blocks_0.lora_up.weight", {{1}, {0}}}}, {"a LoRA", "not a ControlNet"});
    refuse({{"controlnet_x_embedder.weight", {{1}, {0}}}}, {"a ControlNet for Flux"});
    refuse({{"lllite_unet_input_blocks_4.conditioning1.0.weight", {{1}, {0}}}}, {"ControlNet-LLLite"});
    refuse(micro_unet(), {"an SDXL UNet alone"});
    refuse({{"something", {{1}, {0}}}}, {"no model that this worker knows"});
    expect_failure([] { open_control(kMicro); }, ErrorCode::kInvalidModel, {"a whole model"});
    expect_failure([] { open_control(std::filesystem::path(SDXL_FIXTURES) / "micro.safetensors"); },
                   ErrorCode::kInvalidModel, {"an SDXL checkpoint"});
    expect_failure([] { open_control("/nowhere.safetensors"); }, ErrorCode::kNotFound, {"/nowhere"});
    const auto pickle = folder_.write("control.pth", "x");
    expect_failure([&] { open_control(pickle); }, ErrorCode::kInvalidModel, {".safetensors", "control.pth"});
    expect_failure([&] { open_control(folder_.path()); }, ErrorCode::kInvalidModel, {kStem});
}

TEST_F(ControlFileTest, ControlForAnotherBaseModelIsNamed) {
    for (const auto& [width, name] :
         {std::pair<std::int64_t, std::string>{768, "Stable Diffusion 1.5"}, {1024, "Stable Diffusion 2"}}) {
        PlainTensors older = micro_controlnet();
        std::erase_if(older, [](const auto& tensor) { return tensor.first.rfind("add_embedding.", 0) == 0; });
        for (auto& [tensor, plain] : older)
            if (tensor.find("attn2.to_k.weight") != std::string::npos)
                plain = {{2, width}, std::vector<float>(static_cast<std::size_t>(2 * width))};
        refuse(older, {"a ControlNet for " + name});
    }
    PlainTensors adapter = micro_t2i_adapter();
    adapter["adapter.conv_in.weight"] = {{1, 192, 1, 1}, std::vector<float>(192)};
    refuse(adapter, {"a T2I-Adapter for Stable Diffusion 1.5"});
}

TEST_F(ControlFileTest, BrokenFilesAreRefused) {
    const auto whole = write("whole.safetensors", micro_controlnet());
    std::filesystem::resize_file(whole, std::filesystem::file_size(whole) - 100);
    expect_failure([&] { open_control(whole); }, ErrorCode::kInvalidModel, {"whole.safetensors"});
    PlainTensors half = micro_control_lora(4).file;
    half.erase("input_blocks.1.0.in_layers.2.down");
    refuse(half, {"down_blocks.0.resnets.0.conv1.weight", "'up' and 'down'"});
    PlainTensors row = in_original_layout(micro_controlnet());
    std::erase_if(row, [](const auto& tensor) { return tensor.first.rfind("input_blocks.2.", 0) == 0; });
    refuse(row, {"input_blocks.2", "incomplete"});
    PlainTensors stacked = micro_union(6);
    stacked["transformer_layes.0.attn.in_proj_bias"] = {{2}, {0, 0}};
    refuse(stacked, {"in_proj_bias", "query, key and value"});
}

TEST_F(ControlFileTest, AControlLoraIsMergedWithItsBase) {
    const auto lora = micro_control_lora(4);
    ControlCheckpoint file = open_control(write("lora.safetensors", lora.file));
    const Checkpoint base = open_checkpoint(kMicro);
    const CancelToken token;
    merge_control_lora(file, base.unet, plain_product, DType::kF32, token);
    EXPECT_TRUE(file.differences.empty());
    ASSERT_EQ(file.weights.entries().size(), lora.merged.size());
    for (const auto& [name, tensor] : lora.merged) {
        const auto* entry = file.weights.find(name);
        ASSERT_NE(entry, nullptr) << name;
        const auto values = to_f32(entry->view);
        ASSERT_EQ(values.size(), tensor.values.size()) << name;
        for (std::size_t i = 0; i < values.size(); ++i)
            ASSERT_NEAR(values[i], tensor.values[i], 1e-6) << name;
    }
}

// An inpainting base takes nine channels; a ControlNet the latents' four.
TEST_F(ControlFileTest, AnInpaintingBaseGivesTheLatentsChannels) {
    const auto lora = micro_control_lora(4);
    ControlCheckpoint file = open_control(write("lora.safetensors", lora.file));
    write_micro_variant(folder_.path() / "inpaint", micro_inpaint(0.5F));
    const Checkpoint base = open_checkpoint(folder_.path() / "inpaint");
    const CancelToken token;
    merge_control_lora(file, base.unet, plain_product, DType::kF32, token);
    const auto values = to_f32(file.weights.find("conv_in.weight")->view);
    const auto& expected = lora.merged.at("conv_in.weight").values;
    ASSERT_EQ(values.size(), expected.size());
    for (std::size_t i = 0; i < values.size(); ++i) ASSERT_NEAR(values[i], expected[i], 1e-6);
}

TEST_F(ControlFileTest, AControlLoraForAnotherBaseIsRefused) {
    const Checkpoint base = open_checkpoint(kMicro);
    const CancelToken token;
    const auto merge = [&](const PlainTensors& tensors, const WeightMap& unet) {
        ControlCheckpoint file = open_control(write("lora.safetensors", tensors));
        merge_control_lora(file, unet, plain_product, DType::kF32, token);
    };
    PlainTensors wide = micro_control_lora(4).file;
    wide["time_embed.0.down"] = {{4, 33}, std::vector<float>(132)};
    expect_failure([&] { merge(wide, base.unet); }, ErrorCode::kInvalidModel,
                   {"time_embed.0.down", "[4, 33]", "[128, 32]"});
    const WeightMap empty("unet");
    expect_failure([&] { merge(micro_control_lora(4).file, empty); }, ErrorCode::kInvalidModel,
                   {"does not have"});
}

TEST(FiniteCheck, FindsWhatIsNoNumberInEveryType) {
    const float inf = std::numeric_limits<float>::infinity();
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const std::uint16_t half_inf = 0xfc00, bf16_nan = 0x7fc0, large = 0x7bff;
    const auto view = [](const auto& value, DType dtype) {
        return HostView{reinterpret_cast<const std::byte*>(&value), dtype, Shape{1}, "x"};
    };
    EXPECT_FALSE(is_finite(view(inf, DType::kF32)));
    EXPECT_FALSE(is_finite(view(nan, DType::kF64)));
    EXPECT_FALSE(is_finite(view(half_inf, DType::kF16)));
    EXPECT_FALSE(is_finite(view(bf16_nan, DType::kBF16)));
    EXPECT_TRUE(is_finite(view(large, DType::kF16)));
    EXPECT_TRUE(is_finite(view(std::numeric_limits<float>::max(), DType::kF32)));
    EXPECT_TRUE(is_finite({nullptr, DType::kF32, Shape{0}, "none"}));
}

}  // namespace
}  // namespace sdxl
