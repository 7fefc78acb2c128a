// What an adapter's file is said to be, what is counted, and what is refused.
#include "weights/adapter_file.h"

#include <gtest/gtest.h>

#include <fstream>
#include <limits>

#include "adapter_builder.h"
#include "expect_failure.h"

namespace sdxl {
namespace {

using testing::AdapterBuilder;
using testing::expect_failure;
using testing::match_with;
using testing::TemporaryFolder;

const std::string kQuery = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q";  // [128, 128]
const std::string kKey = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k";    // [128, 192]

TEST(AdapterFile, SaysWhatItHolds) {
    AdapterBuilder adapter;
    adapter.lora(kQuery, {128, 128}, 4);
    adapter.lora(kKey, {128, 192}, 8);
    const AdapterFile file = adapter.open(R"({"ss_output_name":"x"})");
    EXPECT_EQ(file.family(), "LoRA");
    EXPECT_EQ(file.layout(), "kohya");
    EXPECT_EQ(file.rank(), 8);
    EXPECT_EQ(file.tensor_count(), 4U);
    EXPECT_EQ(file.bytes(), 4U * (4 * 256 + 8 * 320));
    EXPECT_EQ(file.context_width(), 192);
    EXPECT_EQ(file.metadata().at("ss_output_name"), "x");
    EXPECT_EQ(file.modules().size(), 2U);
}

TEST(AdapterFile, NamesFamilies) {
    const auto family = [](const std::vector<std::string>& leaves) {
        AdapterBuilder adapter;
        for (const auto& leaf : leaves) adapter.add("lora_unet_" + leaf, {2, 2});
        return adapter.open().family();
    };
    const std::vector<std::string> lora{"a.lora_up.weight", "a.lora_down.weight"};
    EXPECT_EQ(family({lora[0], lora[1], "a.dora_scale"}), "LoRA + DoRA");
    EXPECT_EQ(family({lora[0], lora[1], "b.w_norm", "b.b_norm"}), "LoRA + norms");
    EXPECT_EQ(family({lora[0], lora[1], "a.diff_b"}), "LoRA + full difference");
    EXPECT_EQ(family({"a.hada_w1_a", "a.hada_w1_b", "a.hada_w2_a", "a.hada_w2_b"}), "LoHa");
    EXPECT_EQ(family({"a.lokr_w1", "a.lokr_w2_a", "a.lokr_w2_b"}), "LoKr");
    EXPECT_EQ(family({"a.diff"}), "full difference");
    EXPECT_EQ(family({"a.oft_blocks"}), "unknown");
}

TEST(AdapterFile, HashIsOfTheBytes) {
    AdapterBuilder adapter;
    adapter.lora(kQuery, {128, 128});
    const AdapterFile first = adapter.open();
    EXPECT_EQ(first.content_hash().size(), 32U);
    const AdapterFile again = AdapterFile::open(adapter.write("copy.safetensors"));
    EXPECT_EQ(again.content_hash(), first.content_hash());
    adapter.tensors()[0].values[0] += 0.001F;
    const AdapterFile other = AdapterFile::open(adapter.write("other.safetensors"));
    EXPECT_NE(other.content_hash(), first.content_hash());
}

TEST(AdapterFile, OpensFolders) {
    AdapterBuilder adapter;
    adapter.lora(kQuery, {128, 128});
    const auto path = adapter.write("hub/pytorch_lora_weights.safetensors");
    adapter.write("hub/other.safetensors");
    EXPECT_EQ(AdapterFile::open(path.parent_path()).path(), path);
    EXPECT_EQ(AdapterFile::open(adapter.write("alone/x.safetensors").parent_path()).family(), "LoRA");
    adapter.write("two/a.safetensors");
    const auto two = adapter.write("two/b.safetensors").parent_path();
    expect_failure([&] { AdapterFile::open(two); }, ErrorCode::kInvalidModel, {"2 .safetensors files"});
    expect_failure([&] { AdapterFile::open(two / "c.safetensors"); }, ErrorCode::kNotFound,
                   {"c.safetensors", "no adapter"});
    const TemporaryFolder folder;
    expect_failure([&] { AdapterFile::open(folder.write("x.gguf", "y")); }, ErrorCode::kUnsupported,
                   {".gguf", "safetensors"});
}

TEST(AdapterFile, PeftsScalesStandInItsConfiguration) {
    const auto scale = [](const AdapterFile& file, const std::string& tensor) {
        const Checkpoint model = testing::micro_folder();
        return match_with(file, model).of(AdapterPart::kUnet).at(tensor).factors().scale;
    };
    const std::string block = "mid_block.attentions.0.transformer_blocks.0.";
    AdapterBuilder adapter;
    for (const std::string module : {"attn1.to_q", "attn1.to_k"}) {
        adapter.add("unet." + block + module + ".lora_A.weight", {4, 128});
        adapter.add("unet." + block + module + ".lora_B.weight", {128, 4});
    }
    const std::string metadata =
        R"({"lora_adapter_metadata":"{\"unet.lora_alpha\":8,\"unet.alpha_pattern\":{\"attn1.to_k\":2}}"})";
    EXPECT_FLOAT_EQ(scale(adapter.open(metadata), block + "attn1.to_q.weight"), 2);
    EXPECT_FLOAT_EQ(scale(adapter.open(metadata), block + "attn1.to_k.weight"), 0.5);
    EXPECT_FLOAT_EQ(scale(adapter.open(), block + "attn1.to_q.weight"), 1);
    const std::string rooted =
        R"({"lora_adapter_metadata":"{\"unet.lora_alpha\":8,\"unet.use_rslora\":true}"})";
    EXPECT_FLOAT_EQ(scale(adapter.open(rooted), block + "attn1.to_q.weight"), 4);
    // PEFT's own: a configuration beside the file.
    const auto peft = adapter.write("peft/adapter_model.safetensors");
    std::ofstream(peft.parent_path() / "adapter_config.json") << R"({"lora_alpha":6,"r":4})";
    EXPECT_FLOAT_EQ(scale(AdapterFile::open(peft), block + "attn1.to_q.weight"), 1.5);
    for (const char* broken : {R"({"lora_alpha":"x"})", R"({"alpha_pattern":{"a.*":1}})", "[]"}) {
        std::ofstream(peft.parent_path() / "adapter_config.json") << broken;
        expect_failure([&] { AdapterFile::open(peft); }, ErrorCode::kInvalidModel, {"adapter"});
    }
}

TEST(AdapterFile, AnAlphaOfZeroIsTheRank) {
    AdapterBuilder adapter;
    adapter.lora(kQuery, {128, 128}, 4);
    adapter.number(kQuery + ".alpha", 0);
    const AdapterMatch match = match_with(adapter.open(), testing::micro_folder());
    EXPECT_FLOAT_EQ(match.of(AdapterPart::kUnet).begin()->second.factors().scale, 1);
}

TEST(AdapterFile, CountsWhatItLeaves) {
    AdapterBuilder adapter;
    adapter.lora(kQuery, {128, 128});
    adapter.number(kQuery + ".alpha", 1);
    adapter.lora("lora_te1_text_model_encoder_layers_0_mlp_fc1", {256, 64});
    adapter.lora("lora_unet_down_blocks_9_resnets_0_conv1", {8, 8, 3, 3});
    adapter.number("lora_unet_mid_block_attentions_0_proj_in.alpha", 1);
    adapter.add("lora_unet_mid_block_attentions_0_proj_out.oft_blocks", {2, 2});
    adapter.add("bundle_emb.style.clip_l", {1, 64});
    adapter.add("something.else", {1});
    const Checkpoint model = testing::micro_folder();
    const AdapterFile file = adapter.open();
    const AdapterMatch match = match_with(file, model);
    EXPECT_EQ(match.matched, 5U);
    EXPECT_EQ(match.skipped, 0U);
    std::map<std::string, std::string> reasons;
    for (const auto& [name, reason] : match.unknown) reasons[name] = reason;
    const std::map<std::string, std::string> expected{
        {"bundle_emb.style.clip_l", "a bundled embedding"},
        {"lora_unet_down_blocks_9_resnets_0_conv1.lora_down.weight", "the unet has no such module"},
        {"lora_unet_down_blocks_9_resnets_0_conv1.lora_up.weight", "the unet has no such module"},
        {"lora_unet_mid_block_attentions_0_proj_in.alpha", "nothing to apply beside it"},
        {"lora_unet_mid_block_attentions_0_proj_out.oft_blocks", "OFT"},
        {"something.else", ""}};
    EXPECT_EQ(reasons, expected);
    EXPECT_EQ(match.matched + match.unknown.size(), file.tensor_count());

    const AdapterMatch refiner = match_adapter(file, model.unet, nullptr, model.text_encoder_2);
    EXPECT_EQ(refiner.matched, 3U);
    EXPECT_EQ(refiner.skipped, 2U);
}

TEST(AdapterFile, RefusesWhatIsNoAdapter) {
    const TemporaryFolder folder;
    const auto open = [&](const std::string& bytes) {
        return AdapterFile::open(folder.write("x.safetensors", bytes));
    };
    expect_failure([&] { open(testing::safetensors(testing::tiny_base())); }, ErrorCode::kInvalidModel,
                   {"x.safetensors", "an SDXL checkpoint", "not a LoRA"});
    expect_failure(
        [&] {
            open(testing::safetensors({{"clip_g", {1, 4}}, {"clip_l", {1, 4}}}));
        },
        ErrorCode::kInvalidModel, {"textual inversion"});
    expect_failure(
        [&] {
            open(testing::safetensors({{"control_model.a", {1}}}));
        },
        ErrorCode::kInvalidModel, {"a ControlNet"});
    expect_failure([&] { open("<html>"); }, ErrorCode::kInvalidModel, {"web page"});
    AdapterBuilder adapter;
    adapter.lora(kQuery, {128, 128});
    const std::string whole = testing::safetensors_of(adapter.tensors());
    expect_failure([&] { open(whole.substr(0, whole.size() - 5)); }, ErrorCode::kInvalidModel,
                   {"truncated", "lora_up"});
}

TEST(AdapterFile, NamesTheModelItIsFor) {
    const auto fails = [](const std::string& module, const std::string& base) {
        AdapterBuilder adapter;
        adapter.lora(module, {8, 8});
        expect_failure([&] { adapter.open(); }, ErrorCode::kInvalidModel, {"adapter.safetensors", base});
    };
    fails("lora_unet_double_blocks_0_img_attn_qkv", "Flux");
    fails("transformer.single_transformer_blocks.0.attn.to_q", "Flux");
    fails("lora_unet_joint_blocks_0_x_block_attn_qkv", "Stable Diffusion 3");
    fails("transformer.transformer_blocks.0.attn.add_k_proj", "Stable Diffusion 3");
    fails("lora_te_text_model_encoder_layers_0_mlp_fc1", "Stable Diffusion 1.x or 2.x");
    fails("lora_prior_unet_down_blocks_0_1", "Stable Cascade");
    for (const auto& [width, base] : {std::pair(768, "1.x"), std::pair(1024, "2.x")}) {
        AdapterBuilder adapter;
        adapter.lora("lora_te_text_model_encoder_layers_0_mlp_fc1", {8, 8});
        adapter.lora(kKey, {128, width});
        expect_failure([&] { adapter.open(); }, ErrorCode::kInvalidModel,
                       {std::string("Stable Diffusion ") + base + ","});
    }
    for (const auto& [width, base] :
         {std::pair(768, "Stable Diffusion 1.x"), std::pair(1024, "Stable Diffusion 2.x"),
          std::pair(1280, "the SDXL refiner")}) {
        AdapterBuilder adapter;
        adapter.lora(kKey, {128, width});
        expect_failure([&] { match_with(adapter.open(), testing::micro_folder()); }, ErrorCode::kInvalidModel,
                       {base, std::to_string(width), "expected 192"});
    }
}

TEST(AdapterFile, NothingThatFitsIsAnError) {
    AdapterBuilder adapter;
    adapter.lora("lora_unet_down_blocks_9_resnets_0_conv1", {8, 8, 3, 3});
    expect_failure(
        [&] { match_with(adapter.open(R"({"ss_base_model_version":"sd_v1"})"), testing::micro_folder()); },
        ErrorCode::kInvalidModel, {"none of its 2 tensors", "down_blocks_9", "no such module", "'sd_v1'"});
    AdapterBuilder oft;
    oft.add("lora_unet_mid_block_attentions_0_proj_in.oft_blocks", {2, 2});
    expect_failure([&] { match_with(oft.open(), testing::micro_folder()); }, ErrorCode::kInvalidModel,
                   {"none of its 1 tensors", "(OFT)"});
}

struct BadShape {
    std::vector<std::pair<std::string, std::vector<std::int64_t>>> tensors;
    std::vector<std::string> named;
};

class BadShapes : public ::testing::TestWithParam<BadShape> {};

TEST_P(BadShapes, NameTheTensor) {
    AdapterBuilder adapter;
    for (const auto& [leaf, shape] : GetParam().tensors) adapter.add(kQuery + leaf, shape);
    try {
        match_with(adapter.open(), testing::micro_folder());
        FAIL() << "expected a failure";
    } catch (const Failure& failure) {
        EXPECT_EQ(failure.error().code, ErrorCode::kInvalidModel);
        for (const auto& text : GetParam().named)
            EXPECT_NE(failure.error().message.find(text), std::string::npos)
                << text << " is not in: " << failure.error().message;
    }
}

INSTANTIATE_TEST_SUITE_P(
    Adapters, BadShapes,
    ::testing::Values(
        BadShape{{{".lora_down.weight", {2, 100}}, {".lora_up.weight", {128, 2}}},
                 {"lora_down", "[2, 100]", "expected [2, 128]", "attn1.to_q.weight", "[128, 128]"}},
        BadShape{{{".lora_down.weight", {2, 128}}, {".lora_up.weight", {128, 3}}},
                 {"lora_up", "[128, 3]", "expected [128, 2]"}},
        BadShape{{{".lora_down.weight", {0, 128}}, {".lora_up.weight", {128, 0}}},
                 {"lora_down", "rank of 0"}},
        BadShape{{{".lora_down.weight", {}}, {".lora_up.weight", {128, 1}}}, {"lora_down", "a matrix"}},
        BadShape{{{".lora_down.weight", {2, 128}}}, {"lora_down", "stands alone", "up (lora_B)"}},
        BadShape{{{".lora_up.weight", {128, 2}}}, {"lora_up", "stands alone", "down (lora_A)"}},
        BadShape{{{".hada_w1_a", {128, 2}}, {".hada_w1_b", {2, 128}}, {".hada_w2_a", {128, 2}}},
                 {"hada_w2_a", "hada_w2_b"}},
        BadShape{{{".hada_w1_a", {128, 2}},
                  {".hada_w1_b", {2, 128}},
                  {".hada_w2_a", {127, 2}},
                  {".hada_w2_b", {2, 128}}},
                 {"hada_w2_a", "[127, 2]"}},
        BadShape{{{".lokr_w1", {3, 3}}, {".lokr_w2", {42, 42}}}, {"lokr_w1", "divide"}},
        BadShape{{{".lokr_w1", {4, 4}}, {".lokr_w2", {32, 16}}}, {"lokr_w2", "expected [32, 32]"}},
        BadShape{{{".lokr_w1", {4, 4}}}, {"lokr_w1", "stands alone", "lokr_w2"}},
        BadShape{{{".lokr_w2_a", {4, 4}}, {".lokr_w2_b", {4, 4}}}, {"lokr_w2_a", "stands alone", "lokr_w1"}},
        BadShape{{{".diff", {128, 64}}}, {".diff", "[128, 64]", "expected [128, 128]"}},
        BadShape{{{".diff", {128, 128}}, {".diff_b", {128}}}, {".diff", "to_q.bias", "does not have"}},
        BadShape{{{".diff", {128, 128}}, {".lora_down.weight", {2, 128}}, {".lora_up.weight", {128, 2}}},
                 {"lora_up", ".diff", "two ways"}},
        BadShape{{{".lora_down.weight", {2, 128}}, {".lora_up.weight", {128, 2}}, {".dora_scale", {1, 64}}},
                 {"dora_scale", "[1, 64]", "expected [128, 1] or [1, 128]"}}));

TEST(AdapterFile, OneTensorUnderTwoNamesIsAnError) {
    AdapterBuilder adapter;
    adapter.lora(kQuery, {128, 128});
    adapter.lora("lora_unet_middle_block_1_transformer_blocks_0_attn1_to_q", {128, 128});
    expect_failure([&] { match_with(adapter.open(), testing::micro_folder()); }, ErrorCode::kInvalidModel,
                   {"mid_block_attentions_0", "middle_block_1", "two names"});
}

TEST(AdapterFile, ValuesMustBeFinite) {
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                            -std::numeric_limits<float>::infinity()})
        for (const char* dtype : {"F32", "F16", "BF16"}) {
            AdapterBuilder adapter;
            adapter.lora(kQuery, {128, 128});
            adapter.tensors()[1].dtype = dtype;
            adapter.tensors()[1].values[100] = bad;
            expect_failure([&] { match_with(adapter.open(), testing::micro_folder()); },
                           ErrorCode::kInvalidModel, {"to_q.lora_up.weight", "not finite"});
        }
    AdapterBuilder adapter;
    adapter.lora(kQuery, {128, 128});
    adapter.number(kQuery + ".alpha", std::numeric_limits<float>::quiet_NaN());
    expect_failure([&] { adapter.open(); }, ErrorCode::kInvalidModel, {"to_q.alpha", "not a finite number"});
    adapter.tensors().back() = {kQuery + ".alpha", {2}, {1, 1}};
    expect_failure([&] { adapter.open(); }, ErrorCode::kInvalidModel, {"to_q.alpha", "[2]", "one number"});
    adapter.tensors().back() = {kQuery + ".dora_scale", {1, 128}, std::vector<float>(128, 1), "I64"};
    expect_failure([&] { match_with(adapter.open(), testing::micro_folder()); }, ErrorCode::kInvalidModel,
                   {"dora_scale", "int64", "floating-point"});
}

}  // namespace
}  // namespace sdxl
