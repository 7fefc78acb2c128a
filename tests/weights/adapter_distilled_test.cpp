#include "weights/adapter_distilled.h"

#include <gtest/gtest.h>

#include "adapter_builder.h"

namespace sdxl {
namespace {

using testing::AdapterBuilder;

std::optional<DistilledAdapter> of_name(const std::string& name, const std::string& metadata = "") {
    AdapterBuilder adapter;
    adapter.lora("lora_unet_mid_block_attentions_0_proj_in", {128, 128});
    return detect_distilled(AdapterFile::open(adapter.write(name, metadata)));
}

// Names and settings as the authors publish them.
TEST(AdapterDistilled, KnowsPublishedFiles) {
    struct Case {
        const char* file;
        const char* name;
        const char* scheduler;
        bool trailing;
        int steps;
        double guidance_scale;
    };
    for (const Case& each : std::initializer_list<Case>{
             {"lcm-lora-sdxl/pytorch_lora_weights.safetensors", "lcm", "LCMScheduler", false, 4, 1},
             {"models--latent-consistency--lcm-lora-sdxl/snapshots/a18/pytorch_lora_weights.safetensors",
              "lcm", "LCMScheduler", false, 4, 1},
             {"sdxl_lightning_8step_lora.safetensors", "lightning", "EulerDiscreteScheduler", true, 8, 0},
             {"SDXL-Lightning.safetensors", "lightning", "EulerDiscreteScheduler", true, 4, 0},
             {"Hyper-SDXL-2steps-lora.safetensors", "hyper", "DDIMScheduler", true, 2, 0},
             {"Hyper-SDXL-1step-lora.safetensors", "hyper", "TCDScheduler", true, 1, 0},
             {"Hyper-SDXL-12steps-CFG-lora.safetensors", "hyper", "DDIMScheduler", true, 12, 5},
             {"sd_xl_turbo_lora_v1.safetensors", "turbo", "EulerAncestralDiscreteScheduler", true, 4, 0},
             {"TCD-SDXL-LoRA/pytorch_lora_weights.safetensors", "tcd", "TCDScheduler", false, 4, 0},
             {"dmd2_sdxl_4step_lora_fp16.safetensors", "dmd2", "LCMScheduler", false, 4, 0},
         }) {
        const auto found = of_name(each.file);
        ASSERT_TRUE(found) << each.file;
        EXPECT_EQ(found->name, each.name) << each.file;
        EXPECT_EQ(found->scheduler, each.scheduler) << each.file;
        EXPECT_EQ(found->trailing, each.trailing) << each.file;
        EXPECT_EQ(found->steps, each.steps) << each.file;
        EXPECT_EQ(found->guidance_scale, each.guidance_scale) << each.file;
    }
}

TEST(AdapterDistilled, MetadataComesFirst) {
    const auto found = of_name("lcm.safetensors", R"({"modelspec.title":"SDXL Lightning 2 steps"})");
    ASSERT_TRUE(found);
    EXPECT_EQ(found->name, "lightning");
    EXPECT_EQ(found->steps, 2);
    EXPECT_EQ(found->reason, "its metadata, modelspec.title");
    EXPECT_EQ(of_name("lcm.safetensors", R"({"modelspec.title":"x"})")->reason, "its name");
}

TEST(AdapterDistilled, StylesAreNotDistilled) {
    for (const char* name :
         {"lightning magic.safetensors", "hyperrealism.safetensors", "turbo car v2.safetensors",
          "hyper detailed.safetensors", "style.safetensors", "lcm/style.safetensors"})
        EXPECT_FALSE(of_name(name)) << name;
}

}  // namespace
}  // namespace sdxl
