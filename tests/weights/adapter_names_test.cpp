// Every module of the micro model under every spelling that trainers use.
#include "weights/adapter_names.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>

#include "adapter_builder.h"
#include "weights/unet_names.h"

namespace sdxl {
namespace {

using testing::AdapterBuilder;
using testing::match_with;

std::string flat(std::string name) {
    std::ranges::replace(name, '.', '_');
    return name;
}

struct Spelling {
    std::string up, down;  // behind the module's name
    std::string norm, norm_b;
};
const Spelling kKohya{".lora_up.weight", ".lora_down.weight", ".w_norm", ".b_norm"};
const Spelling kDiffusers{".lora.up.weight", ".lora.down.weight", ".w_norm", ".b_norm"};
const Spelling kPeft{".lora_B.weight", ".lora_A.weight", ".w_norm", ".b_norm"};
const Spelling kPeftNamed{".lora_B.default.weight", ".lora_A.default.weight", ".w_norm", ".b_norm"};

// The name of a module, from its canonical name and the one in the model's file.
using Naming = std::function<std::string(const std::string& canonical, const std::string& in_file)>;

// An adapter of everything in the component: a LoRA for every matrix and convolution, differences for norms.
std::set<std::string> add_everything(AdapterBuilder& adapter, const WeightMap& component,
                                     const Spelling& spelling, const Naming& naming) {
    std::set<std::string> changed;
    constexpr std::string_view kWeight = ".weight";
    for (const auto& [name, entry] : component.entries()) {
        if (!name.ends_with(kWeight)) continue;
        const std::string canonical = name.substr(0, name.size() - kWeight.size());
        std::string in_file = entry.view.name;
        if (in_file.ends_with(kWeight)) in_file.resize(in_file.size() - kWeight.size());
        const std::string module = naming(canonical, in_file);
        const auto& shape = entry.view.shape.dims();
        changed.insert(name);
        if (shape.size() > 1) {
            auto down = shape;
            down[0] = 1;
            adapter.add(module + spelling.down, down);
            adapter.add(module + spelling.up, {shape[0], 1});
        } else {
            adapter.add(module + spelling.norm, shape);
            adapter.add(module + spelling.norm_b, shape);
            changed.insert(canonical + ".bias");
        }
    }
    return changed;
}

std::set<std::string> names_of(const AdapterDeltas& deltas) {
    std::set<std::string> names;
    for (const auto& [name, delta] : deltas) names.insert(name);
    return names;
}

struct Prefixes {
    std::string unet, te1, te2;
    bool flat;
};

void expect_everything(const Checkpoint& model, const Spelling& spelling, const Prefixes& prefixes,
                       const std::string& layout) {
    AdapterBuilder adapter;
    const auto naming = [&](const std::string& prefix) {
        return [&prefixes, prefix](const std::string& canonical, const std::string&) {
            return prefix + (prefixes.flat ? flat(canonical) : canonical);
        };
    };
    const auto unet = add_everything(adapter, model.unet, spelling, naming(prefixes.unet));
    std::set<std::string> te1;
    std::set<std::string> te2;
    if (!prefixes.te1.empty())
        te1 = add_everything(adapter, model.text_encoder, spelling, naming(prefixes.te1));
    if (!prefixes.te2.empty())
        te2 = add_everything(adapter, model.text_encoder_2, spelling, naming(prefixes.te2));
    const AdapterFile file = adapter.open();
    EXPECT_EQ(file.layout(), layout);
    const AdapterMatch match = match_with(file, model);
    EXPECT_EQ(names_of(match.of(AdapterPart::kUnet)), unet) << prefixes.unet;
    EXPECT_EQ(names_of(match.of(AdapterPart::kTextEncoder)), te1) << prefixes.te1;
    EXPECT_EQ(names_of(match.of(AdapterPart::kTextEncoder2)), te2) << prefixes.te2;
    EXPECT_EQ(match.matched, adapter.tensors().size());
    EXPECT_EQ(match.unknown.size(), 0U);
    EXPECT_EQ(match.skipped, 0U);
    EXPECT_GT(unet.size(), 300U);
}

TEST(AdapterNames, EveryModuleUnderDiffusersNames) {
    for (const Checkpoint& model : {testing::micro_folder(), testing::micro_file()}) {
        expect_everything(model, kKohya, {"lora_unet_", "lora_te1_", "lora_te2_", true}, "kohya");
        expect_everything(model, kKohya, {"lycoris_", "", "", true}, "LyCORIS");
        expect_everything(model, kDiffusers, {"unet.", "text_encoder.", "text_encoder_2.", false},
                          "diffusers");
        expect_everything(model, kPeft, {"unet.", "text_encoder.", "text_encoder_2.", false}, "PEFT");
        expect_everything(model, kPeftNamed,
                          {"unet.base_model.model.", "text_encoder.base_model.model.", "", false}, "PEFT");
        expect_everything(model, kPeft,
                          {"base_model.model.unet.", "base_model.model.text_encoder.", "", false}, "PEFT");
        expect_everything(model, kKohya, {"unet.", "clip_l.", "clip_g.", false}, "generic");
        expect_everything(model, kPeft,
                          {"diffusion_model.", "text_encoders.clip_l.transformer.",
                           "text_encoders.clip_g.transformer.", false},
                          "generic");
    }
}

TEST(AdapterNames, ANetworkAloneNeedsNoPrefix) {
    const Checkpoint model = testing::micro_folder();
    AdapterBuilder adapter;
    const auto changed = add_everything(adapter, model.unet, kPeft, [](const std::string& name, const auto&) {
        return "base_model.model." + name;
    });
    const AdapterMatch match = match_with(adapter.open(), model);
    // Only names that nothing tells apart are left out.
    const auto found = names_of(match.of(AdapterPart::kUnet));
    for (const auto& name : changed)
        EXPECT_TRUE(found.contains(name) || name.starts_with("conv_norm_out")) << name;
}

// The single file's own names are the original ones: what the table derives is held against them.
TEST(AdapterNames, EveryModuleOfTheUnetUnderOriginalNames) {
    const Checkpoint original = testing::micro_file();
    const Checkpoint folder = testing::micro_folder();
    constexpr std::string_view kPrefix = "model.diffusion_model.";
    const auto kohya = [&](const std::string&, const std::string& in_file) {
        return "lora_unet_" + flat(in_file.substr(kPrefix.size()));
    };
    const auto generic = [&](const std::string&, const std::string& in_file) {
        return in_file.substr(std::string_view("model.").size());
    };
    for (const Naming& naming : {Naming(kohya), Naming(generic)}) {
        AdapterBuilder adapter;
        const auto changed = add_everything(adapter, original.unet, kKohya, naming);
        const AdapterFile file = adapter.open();
        EXPECT_TRUE(file.layout().ends_with(" (original block names)")) << file.layout();
        for (const Checkpoint* model : {&original, &folder}) {
            const AdapterMatch match = match_with(file, *model);
            EXPECT_EQ(names_of(match.of(AdapterPart::kUnet)), changed);
            EXPECT_EQ(match.unknown.size(), 0U);
        }
    }
}

// A refiner's blocks: the first of the rising ones has an upsampler and no attention. What is derived is held
// against the table of the other direction.
TEST(AdapterNames, OriginalNamesOfARefiner) {
    std::set<std::string> modules{"conv_in",
                                  "conv_out",
                                  "add_embedding.linear_2",
                                  "mid_block.resnets.1.norm1",
                                  "mid_block.resnets.0.conv2",
                                  "mid_block.attentions.0.norm"};
    for (const std::string block : {"0", "1", "2", "3"})
        for (const std::string layer : {"0", "1", "2"}) {
            modules.insert("up_blocks." + block + ".resnets." + layer + ".conv_shortcut");
            if (layer != "2") modules.insert("down_blocks." + block + ".resnets." + layer + ".time_emb_proj");
            if (block != "1" && block != "2") continue;
            modules.insert("up_blocks." + block + ".attentions." + layer + ".proj_out");
            if (layer != "2") modules.insert("down_blocks." + block + ".attentions." + layer + ".proj_in");
        }
    for (const std::string block : {"0", "1", "2"}) {
        modules.insert("down_blocks." + block + ".downsamplers.0.conv");
        modules.insert("up_blocks." + block + ".upsamplers.0.conv");
    }
    const auto originals = original_unet_modules(modules);
    EXPECT_EQ(originals.size(), modules.size());
    EXPECT_EQ(originals.at("up_blocks.0.upsamplers.0.conv"), "output_blocks.2.1.conv");
    EXPECT_EQ(originals.at("up_blocks.1.upsamplers.0.conv"), "output_blocks.5.2.conv");
    EXPECT_EQ(originals.at("down_blocks.1.attentions.0.proj_in"), "input_blocks.4.1.proj_in");
    EXPECT_EQ(originals.at("mid_block.attentions.0.norm"), "middle_block.1.norm");
    std::vector<std::string_view> names;
    for (const auto& [module, original] : originals) names.push_back(original);
    const UnetNames table(names, "x");
    for (const auto& [module, original] : originals) EXPECT_EQ(table.canonical(original), module);
}

// Spellings as they stand in published files.
TEST(AdapterNames, PublishedSpellings) {
    struct Case {
        const char* name;
        AdapterPart part;
        const char* path;
        AdapterLeaf leaf;
    };
    using enum AdapterLeaf;
    using enum AdapterPart;
    for (const Case& each : std::initializer_list<Case>{
             {"lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q.lora_down.weight", kUnet,
              "input_blocks_4_1_transformer_blocks_0_attn1_to_q", kDown},
             {"lora_te2_text_model_encoder_layers_31_mlp_fc2.alpha", kTextEncoder2,
              "text_model_encoder_layers_31_mlp_fc2", kAlpha},
             {"unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.processor.to_out_lora.up.weight",
              kUnet, "down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_out", kUp},
             {"down_blocks.1.attentions.0.transformer_blocks.0.attn2.processor.to_k_lora.down.weight", kUnet,
              "down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k", kDown},
             {"text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora_linear_layer.down.weight",
              kTextEncoder, "text_model_encoder_layers_0_self_attn_q_proj", kDown},
             {"text_encoder_2.text_model.encoder.layers.3.self_attn.to_out_lora.up.weight", kTextEncoder2,
              "text_model_encoder_layers_3_self_attn_to_out", kUp},
             {"base_model.model.up_blocks.0.resnets.1.conv1.lora_A.weight", kUnet,
              "up_blocks_0_resnets_1_conv1", kDown},
             {"unet.conv_in.lora_magnitude_vector.default", kUnet, "conv_in", kMagnitude},
             {"conv_in.lora_A.weight", kUnet, "conv_in", kDown},
             {"unet.time_embedding.linear_1.lora_magnitude_vector", kUnet, "time_embedding_linear_1",
              kMagnitude},
             {"unet.mid_block.attentions.0.proj_in.lora_B.my_style.weight", kUnet,
              "mid_block_attentions_0_proj_in", kUp},
             {"lora_unet_out_2.lokr_w2_a", kUnet, "out_2", kLokrW2A},
             {"unet.a.attn1.processor.to_q_lora.alpha", kUnet, "a_attn1_to_q", kAlpha},
         }) {
        const auto parsed = parse_adapter_name(each.name);
        ASSERT_TRUE(parsed) << each.name;
        EXPECT_EQ(parsed->part, each.part) << each.name;
        EXPECT_EQ(parsed->path, each.path) << each.name;
        EXPECT_EQ(parsed->leaf, each.leaf) << each.name;
    }
    for (const char* name :
         {"", ".alpha", "lora_unet_.alpha", "lora_te_text_model.alpha", "unet.conv_in.weight",
          "unet.conv_in.lora_A.weight.x", "lora_unet_a.oft_blocks", "vae.a.lora_up.weight"})
        EXPECT_FALSE(parse_adapter_name(name)) << name;
}

// Processors of older diffusers, for UNet and text encoders, meet the modules of today.
TEST(AdapterNames, ProcessorsOfOlderDiffusers) {
    const std::string attention = "down_blocks.1.attentions.0.transformer_blocks.0.attn2";
    const std::string layer = "text_model.encoder.layers.0.self_attn";
    AdapterBuilder adapter;
    for (const std::string projection : {"to_q", "to_k", "to_v", "to_out"}) {
        const std::int64_t inputs = projection == "to_k" || projection == "to_v" ? 192 : 64;
        const std::string module = "unet." + attention + ".processor." + projection + "_lora";
        adapter.add(module + ".down.weight", {1, inputs});
        adapter.add(module + ".up.weight", {64, 1});
        adapter.add("text_encoder." + layer + "." + projection + "_lora.down.weight", {1, 64});
        adapter.add("text_encoder." + layer + "." + projection + "_lora.up.weight", {64, 1});
    }
    const AdapterMatch match = match_with(adapter.open(), testing::micro_folder());
    const std::set<std::string> unet{attention + ".to_q.weight", attention + ".to_k.weight",
                                     attention + ".to_v.weight", attention + ".to_out.0.weight"};
    const std::set<std::string> text{layer + ".q_proj.weight", layer + ".k_proj.weight",
                                     layer + ".v_proj.weight", layer + ".out_proj.weight"};
    EXPECT_EQ(names_of(match.of(AdapterPart::kUnet)), unet);
    EXPECT_EQ(names_of(match.of(AdapterPart::kTextEncoder)), text);
}

}  // namespace
}  // namespace sdxl
