// What a request adds to its model: LoRAs, embeddings, ControlNets, reference images, in every body.
#include "expect_message.h"

namespace sdxl {
namespace {

TEST(Adapters, LorasInEveryBody) {
    for (
        const char* data :
        {R"({"prompt":"p","loras":[{"name":"ink","weight":0.5}]})",
         R"({"prompt":"p","loras":{"models":[{"name":"ink"}],"weight":0.5}})",
         R"({"prompt":"p","lora":{"enabled":true,"models":[{"name":"ink","weight":0.5}]}})",
         R"({"prompt":"p","models":{"base":"b"},"lora":{"enabled":true,"models":[{"name":"ink","weight":0.5}]}})",
         R"({"Hyperparameters":{"Prompt":"p"},"Conditioning":{"LoRAs":[{"ModelPath":"ink","Scale":0.5}]}})",
         R"({"prompt":"p <lora:ink:0.5>"})", R"({"prompt":"<lora:ink:0.5> p"})"}) {
        const auto request = generation_from(data);
        ASSERT_EQ(request.loras.size(), 1U) << data;
        EXPECT_EQ(request.loras[0].file, "ink") << data;
        EXPECT_EQ(request.loras[0].unet_weight, 0.5) << data;
        EXPECT_EQ(request.loras[0].text_encoder_weight, 0.5) << data;
        EXPECT_EQ(request.loras[0].text_encoder_2_weight, 0.5) << data;
        EXPECT_EQ(request.prompt.find('<'), std::string::npos);
    }
    EXPECT_EQ(generation_from(R"({"prompt":"p","loras":["a","b"]})").loras.size(), 2U);
    EXPECT_EQ(generation_from(R"({"prompt":"p","lora":"a"})").loras.size(), 1U);
}

TEST(Adapters, LoraWeights) {
    const auto lora =
        generation_from(
            R"({"prompt":"p","loras":[{"name":"a","weight":2,"text_encoder_weight":0.5,"block_weights":{"down":0.1,"IN04":0.2,"OUT08":0.3,"mid_block.attentions.0":0}}]})")
            .loras.at(0);
    EXPECT_EQ(lora.unet_weight, 2);
    EXPECT_EQ(lora.text_encoder_weight, 0.5);
    EXPECT_EQ(lora.text_encoder_2_weight, 0.5);
    using Blocks = std::vector<std::pair<std::string, double>>;
    Blocks blocks = lora.block_weights;
    std::sort(blocks.begin(), blocks.end());
    EXPECT_EQ(blocks, (Blocks{{"down_blocks", 0.1},
                              {"down_blocks.1.attentions.0", 0.2},
                              {"down_blocks.1.resnets.0", 0.2},
                              {"mid_block.attentions.0", 0},
                              {"up_blocks.2.attentions.2", 0.3},
                              {"up_blocks.2.resnets.2", 0.3},
                              {"up_blocks.2.upsamplers", 0.3}}));
    expect_error(inference(R"({"prompt":"p","loras":[{"name":"a","block_weights":{"IN09":1}}]})"),
                 ErrorCode::kInvalidRequest, "/data/loras/0/block_weights", "IN09");
    expect_error(inference(R"({"prompt":"p","loras":[{"name":"a","block_weights":{"down":"x"}}]})"),
                 ErrorCode::kInvalidRequest, "/data/loras/0/block_weights/down");
}

TEST(Adapters, LoraTags) {
    const auto tags = [](const std::string& prompt) {
        return generation_from(R"({"prompt":")" + prompt + "\"}");
    };
    EXPECT_EQ(tags("a <lora:x> b").prompt, "a  b");
    EXPECT_EQ(tags("<lora:x>").loras.at(0).unet_weight, 1);
    EXPECT_EQ(tags("<lora:x:0.2:0.8>").loras.at(0).text_encoder_weight, 0.2);
    EXPECT_EQ(tags("<lora:x:0.2:0.8>").loras.at(0).unet_weight, 0.8);
    EXPECT_EQ(tags("<lyco:x:unet=0.3>").loras.at(0).unet_weight, 0.3);
    EXPECT_EQ(tags("<lyco:x:unet=0.3>").loras.at(0).text_encoder_weight, 1);
    EXPECT_EQ(tags("<LORA:x:te=0:unet=-1>").loras.at(0).unet_weight, -1);
    EXPECT_EQ(tags("<LORA:x:unet=-1:te=0>").loras.at(0).unet_weight, -1);
    EXPECT_EQ(tags("<lora:x:te=0.5>").loras.at(0).unet_weight, 0.5) << "follows the text encoders";
    EXPECT_EQ(tags("<lora:x:+0.5>").loras.at(0).unet_weight, 0.5);
    EXPECT_EQ(tags("<lora:x:1><lora:y:1>").loras.size(), 2U);
    // Other brackets are text.
    EXPECT_EQ(tags("a < b <c> <d:e> <").prompt, "a < b <c> <d:e> <");
    for (const char* bad :
         {"<lora:>", "<lora:x:high>", "<lora:x:9>", "<lora:x:1:1:8>", "<lora:x:nan>", "<lora:x:dyn=4>"})
        expect_error(inference(std::string(R"({"prompt":")") + bad + "\"}"), ErrorCode::kInvalidRequest,
                     "/data/prompt", "<lora:name:weight>");
    const Message negative = parse_message(inference(R"({"prompt":"p","negative_prompt":"<lora:x:1>bad"})"));
    EXPECT_EQ(generation_of(negative).negative_prompt, "bad");
    EXPECT_TRUE(warns(negative, "/data/negative_prompt", "no effect"));
}

TEST(Adapters, ControlsInEveryBody) {
    for (
        const char* data :
        {R"({"prompt":"p","controlnets":[{"type":"canny","model_path":"m","conditioning_image":"e.png","weight":0.5}]})",
         R"({"prompt":"p","controlnet":{"enabled":true,"type":"canny","model_path":"m","control_image":"e.png","conditioning_scale":0.5}})",
         R"({"Hyperparameters":{"Prompt":"p"},"Conditioning":{"ControlNets":[{"Type":"canny","ModelPath":"m","Image":"e.png","Weight":0.5}]}})"}) {
        const auto request = generation_from(data);
        ASSERT_EQ(request.controls.size(), 1U) << data;
        const ControlRequest& control = request.controls[0];
        EXPECT_EQ(control.type, "canny");
        EXPECT_EQ(control.model, "m");
        EXPECT_EQ(control.image.path, "e.png");
        EXPECT_EQ(control.weight, 0.5);
        EXPECT_EQ(control.preprocessor, "") << "a control picture is taken as it is";
    }
}

TEST(Adapters, Preprocessors) {
    const auto control = [](const std::string& preprocessor) {
        return generation_from(
                   R"({"prompt":"p","controlnets":[{"type":"canny","image":"e.png","preprocessor":)" +
                   preprocessor + "}]}")
            .controls.at(0);
    };
    EXPECT_EQ(control("\"tile\"").preprocessor, "tile");
    EXPECT_EQ(control(R"({"enabled":true,"resolution":512})").preprocessor, "canny");
    EXPECT_EQ(control(R"({"enabled":true,"resolution":512})").resolution, 512);
    EXPECT_EQ(control(R"({"enabled":true,"type":"scribble"})").preprocessor, "scribble");
    EXPECT_EQ(control(R"({"enabled":false,"type":"scribble","resolution":512})").preprocessor, "");
    EXPECT_EQ(control(R"({"type":"canny","low_threshold":10})").low_threshold, 10);
}

TEST(Adapters, EmbeddingsAndReferences) {
    const auto request = generation_from(
        R"({"prompt":"p","textual_inversions":["a",{"path":"b.safetensors","token":"bb"}],"reference_images":["x.png","y.png",{"image":"z.png","weight":0.5}]})");
    ASSERT_EQ(request.embeddings.size(), 2U);
    EXPECT_EQ(request.embeddings[0].file, "a");
    EXPECT_EQ(request.embeddings[1].trigger, "bb");
    ASSERT_EQ(request.references.size(), 2U) << "alike pictures are one reference";
    EXPECT_EQ(request.references[0].images.size(), 2U);
    EXPECT_EQ(request.references[1].weight, 0.5);
}

TEST(Adapters, WhatIsSwitchedOffIsNotThere) {
    for (const char* data :
         {R"({"prompt":"p","lora":{"enabled":false,"models":[{"name":"x"}]}})",
          R"({"prompt":"p","lora":{"enabled":true,"models":[]}})", R"({"prompt":"p","loras":[]})",
          R"({"prompt":"p","loras":[{"name":"x","enabled":false}]})",
          R"({"prompt":"p","controlnet":{"enabled":false,"type":"canny","control_image":""}})",
          R"({"prompt":"p","reference_images":[],"textual_inversions":null})"}) {
        const auto request = generation_from(data);
        EXPECT_TRUE(request.loras.empty()) << data;
        EXPECT_TRUE(request.controls.empty()) << data;
    }
}

TEST(Adapters, WhatStandsBesideAListIsSaid) {
    const Message control = parse_message(inference(
        R"({"prompt":"p","controlnets":{"models":[{"type":"canny","image":"e.png"}],"weight":0.1}})"));
    EXPECT_EQ(generation_of(control).controls.at(0).weight, 1);
    EXPECT_TRUE(warns(control, "/data/controlnets/weight", "no effect"));
    const Message lora = parse_message(
        inference(R"({"prompt":"p","loras":{"models":[{"name":"a"}],"name":"b","weight":0.5}})"));
    EXPECT_EQ(generation_of(lora).loras.at(0).unet_weight, 0.5);
    EXPECT_TRUE(warns(lora, "/data/loras/name", "no effect"));
}

TEST(Adapters, WhatIsMissingIsNamed) {
    expect_error(inference(R"({"prompt":"p","loras":[{"weight":1}]})"), ErrorCode::kInvalidRequest,
                 "/data/loras/0", "name");
    expect_error(inference(R"({"prompt":"p","controlnets":[{"type":"canny"}]})"), ErrorCode::kInvalidRequest,
                 "/data/controlnets/0", "conditioning_image");
    expect_error(inference(R"({"prompt":"p","controlnets":[{"conditioning_image":"e.png"}]})"),
                 ErrorCode::kInvalidRequest, "/data/controlnets/0", "type");
    expect_error(
        inference(
            R"({"prompt":"p","controlnets":[{"type":"a","image":"e.png","guidance_start":0.6,"guidance_end":0.5}]})"),
        ErrorCode::kInvalidRequest, "/data/controlnets/0", "guidance_start");
    expect_error(inference(R"({"prompt":"p","reference_images":[{"weight":0.5}]})"),
                 ErrorCode::kInvalidRequest, "/data/reference_images/0", "image");
    expect_error(inference(R"({"prompt":"p","loras":[{"name":"x","weight":9}]})"), ErrorCode::kInvalidRequest,
                 "/data/loras/0/weight", "4");
}

}  // namespace
}  // namespace sdxl
