#include "expect_message.h"

namespace sdxl {
namespace {

TEST(FlatBody, EveryField) {
    const Message message =
        parse_message(inference(R"({"prompt":"p","negative_prompt":"n","model_name":"m","width":512,
        "height":768,"num_inference_steps":12,"guidance_scale":4.5,"seed":9223372036854775807,"scheduler":"Euler a",
        "batch_size":3,"karras":true,"timestep_spacing":"trailing","rng":"philox","dtype":"fp32","save_path":"o.png",
        "output_format":"PNG","return_image_data":true,"device":"cpu","strength":1.0,"clip_skip":0})"));
    const GenerationRequest request = generation_of(message);
    EXPECT_TRUE(message.warnings.empty()) << message.warnings[0];
    EXPECT_TRUE(message.reply.image_data);
    EXPECT_EQ(request.prompt, "p");
    EXPECT_EQ(request.negative_prompt, "n");
    EXPECT_EQ(request.model, "m");
    EXPECT_EQ(request.width, 512);
    EXPECT_EQ(request.height, 768);
    EXPECT_EQ(request.steps, 12);
    EXPECT_EQ(request.guidance_scale, 4.5);
    EXPECT_EQ(request.seed, 9223372036854775807U);
    EXPECT_EQ(request.scheduler, SchedulerType::kEulerAncestral);
    EXPECT_EQ(request.batch_size, 3);
    EXPECT_EQ(request.sigma_schedule, SigmaSchedule::kKarras);
    EXPECT_EQ(request.timestep_spacing, TimestepSpacing::kTrailing);
    EXPECT_EQ(request.rng, RngKind::kPhilox);
    EXPECT_EQ(request.precision, Precision::kF32);
    EXPECT_EQ(request.save_path, "o.png");
    EXPECT_TRUE(request.return_image_data);
    EXPECT_EQ(request.id, "r1");
}

TEST(FlatBody, TheSchedulersConfiguration) {
    const auto request = generation_from(
        R"({"prompt":"p","SchedulerConfig":{"PredictionType":"v_prediction","rescale_betas_zero_snr":true,"solver_order":3,"use_karras_sigmas":true,"timestep_spacing":"trailing","sigma_min":null}})");
    ASSERT_EQ(request.scheduler_options.size(), 3U);
    EXPECT_EQ(request.scheduler_options[0].name, "rescale_betas_zero_snr");
    EXPECT_EQ(std::get<bool>(request.scheduler_options[0].value), true);
    EXPECT_EQ(std::get<std::string>(request.scheduler_options[1].value), "v_prediction");
    EXPECT_EQ(request.scheduler_options[1].pointer, "/data/SchedulerConfig/PredictionType");
    EXPECT_EQ(std::get<double>(request.scheduler_options[2].value), 3);
    EXPECT_EQ(request.sigma_schedule, SigmaSchedule::kKarras);
    EXPECT_EQ(request.timestep_spacing, TimestepSpacing::kTrailing);
    expect_error(inference(R"({"prompt":"p","scheduler_config":{"solver_order":4}})"),
                 ErrorCode::kInvalidRequest, "/data/scheduler_config/solver_order");
    expect_error(inference(R"({"prompt":"p","scheduler_config":{"thresholding":true}})"),
                 ErrorCode::kUnsupported, "/data/scheduler_config/thresholding");
    EXPECT_TRUE(warns(parse_message(inference(R"({"prompt":"p","scheduler_config":{"solver_odor":2}})")),
                      "/data/scheduler_config/solver_odor", "did you mean 'solver_order'"));
}

TEST(FlatBody, Defaults) {
    const GenerationRequest request = generation_from(R"({"prompt":"p"})");
    EXPECT_TRUE(request.width_of_model && request.height_of_model);
    EXPECT_EQ(request.steps, std::nullopt);
    EXPECT_EQ(request.guidance_scale, std::nullopt);
    EXPECT_EQ(request.batch_size, 1);
    EXPECT_EQ(request.rng, RngKind::kCpu);
    EXPECT_FALSE(request.scheduler || request.sigma_schedule || request.timestep_spacing);
    EXPECT_EQ(request.model, "");
    EXPECT_LE(request.seed, static_cast<std::uint64_t>(INT32_MAX));
}

TEST(FlatBody, SizesAreLeftToTheModelEachForItself) {
    const GenerationRequest wide = generation_from(R"({"prompt":"p","width":512})");
    EXPECT_EQ(wide.width, 512);
    EXPECT_FALSE(wide.width_of_model || wide.size_of_image);
    EXPECT_TRUE(wide.height_of_model);
    const GenerationRequest from_picture = generation_from(R"({"prompt":"p","init_image":"a.png"})");
    EXPECT_TRUE(from_picture.size_of_image);
    EXPECT_FALSE(from_picture.width_of_model || from_picture.height_of_model);
    const GenerationRequest both = generation_from(R"({"prompt":"p","init_image":"a.png","height":256})");
    EXPECT_TRUE(both.width_of_model);
    EXPECT_FALSE(both.size_of_image || both.height_of_model);
}

TEST(FlatBody, NamesIgnoreCaseAndUnderscores) {
    const GenerationRequest request = generation_from(
        R"({"Prompt":"p","NegativePrompt":"n","numInferenceSteps":5,"GUIDANCE_SCALE":2,"ModelId":"m"})");
    EXPECT_EQ(request.negative_prompt, "n");
    EXPECT_EQ(request.steps, 5);
    EXPECT_EQ(request.guidance_scale, 2);
    EXPECT_EQ(request.model, "m");
}

TEST(FlatBody, NotSetIsTheDefault) {
    const Message message = parse_message(inference(
        R"({"prompt":"p","negative_prompt":"none","width":null,"steps":"","scheduler":"None","loras":[],"vae_model":""})"));
    const GenerationRequest request = generation_of(message);
    EXPECT_TRUE(message.warnings.empty());
    EXPECT_EQ(request.negative_prompt, "");
    EXPECT_TRUE(request.width_of_model);
    EXPECT_EQ(request.steps, std::nullopt);
    EXPECT_FALSE(request.scheduler);
}

TEST(FlatBody, SeedsAreDrawnWhereNoneIsGiven) {
    std::uint64_t different = 0;
    for (int i = 0; i < 20; ++i) {
        const auto seed = generation_from(R"({"prompt":"p","seed":-1})").seed;
        EXPECT_LE(seed + 63, static_cast<std::uint64_t>(INT32_MAX));
        different |= seed ^ generation_from(R"({"prompt":"p"})").seed;
    }
    EXPECT_NE(different, 0U);
    EXPECT_EQ(generation_from(R"({"prompt":"p","seed":0})").seed, 0U);
    EXPECT_EQ(generation_from(R"({"prompt":"p","seed":7.0,"width":512.0})").seed, 7U);
}

TEST(NestedBody, EveryField) {
    const Message message =
        parse_message(inference(R"({"prompt":"p","negative_prompt":"n","models":{"base":"m"},
        "hyperparameters":{"num_inference_steps":8,"guidance_scale":3,"seed":5,"strength":1.0},
        "dimensions":{"width":640,"height":384},"scheduler":"DPM++ 2M Karras","lora":{"enabled":false,"models":[{"name":"x"}]},
        "controlnet":{"enabled":false,"type":"canny","conditioning_scale":1.0},
        "output":{"format":"png","save_path":"s.png","upscale":{"enabled":false,"factor":2.0}},"batch":{"size":2,"parallel":false},
        "precision":{"dtype":"bf16","cpu_offload":false},"metadata":{"request_id":"z","priority":"low","timeout":60,"tags":[]},
        "textual_inversions":[]})"));
    const GenerationRequest request = generation_of(message);
    for (const std::string& warning : message.warnings) ADD_FAILURE() << warning;
    EXPECT_EQ(request.prompt, "p");
    EXPECT_EQ(request.model, "m");
    EXPECT_EQ(request.steps, 8);
    EXPECT_EQ(request.guidance_scale, 3);
    EXPECT_EQ(request.seed, 5U);
    EXPECT_EQ(request.width, 640);
    EXPECT_EQ(request.height, 384);
    EXPECT_EQ(request.scheduler, SchedulerType::kDpmSolverMultistep);
    EXPECT_EQ(request.sigma_schedule, SigmaSchedule::kKarras);
    EXPECT_EQ(request.batch_size, 2);
    EXPECT_EQ(request.precision, Precision::kBF16);
    EXPECT_EQ(request.save_path, "s.png");
    EXPECT_EQ(message.priority, Priority::kLow);
    EXPECT_EQ(message.timeout_seconds, 60);
    EXPECT_EQ(message.reply.id, "r1");
}

constexpr const char* kEnhanced = R"({"Model":{"Base":"m","Refiner":"","Vae":null,"Tokenizer":"none"},
    "Scheduler":{"Type":"EulerAncestral","Steps":20,"GuidanceScale":9,"SnrWeighting":false,"UseKarrasSigmas":true,"TimestepSpacing":"linspace"},
    "Hyperparameters":{"NegativePrompt":"h","Width":256,"Height":128,"GuidanceScale":5,"Seed":3,"BatchSize":2,"Strength":1.0,"PromptWeighting":null},
    "Conditioning":{"Prompt":"p","NegativePrompt":"c","LoRAs":[],"ControlNets":[],"InitImage":null,"MaskBlur":0},
    "Performance":{"Dtype":"fp16","Xformers":false,"Device":"cpu","DeviceIds":[]},
    "Output":{"Format":"png","SavePath":"o"},"PostProcessing":[]})";

void expect_enhanced(const GenerationRequest& request) {
    EXPECT_EQ(request.model, "m");
    EXPECT_EQ(request.scheduler, SchedulerType::kEulerAncestral);
    EXPECT_EQ(request.steps, 20);
    EXPECT_EQ(request.guidance_scale, 5);
    EXPECT_EQ(request.sigma_schedule, SigmaSchedule::kKarras);
    EXPECT_EQ(request.timestep_spacing, TimestepSpacing::kLinspace);
    EXPECT_EQ(request.prompt, "p");
    EXPECT_EQ(request.negative_prompt, "h");
    EXPECT_EQ(request.width, 256);
    EXPECT_EQ(request.height, 128);
    EXPECT_EQ(request.seed, 3U);
    EXPECT_EQ(request.batch_size, 2);
    EXPECT_EQ(request.precision, Precision::kHalf);
    EXPECT_EQ(request.save_path, "o");
}

TEST(EnhancedBody, EveryField) {
    const Message message = parse_message(inference(kEnhanced));
    expect_enhanced(generation_of(message));
    // Hyperparameters wins over the other two places, and says so.
    EXPECT_EQ(message.warnings.size(), 2U);
    EXPECT_TRUE(warns(message, "/data/Scheduler/GuidanceScale", "/data/Hyperparameters/GuidanceScale"));
    EXPECT_TRUE(warns(message, "/data/Conditioning/NegativePrompt", "/data/Hyperparameters/NegativePrompt"));
}

TEST(EnhancedBody, CamelCase) {
    std::string camel = kEnhanced;
    for (std::size_t i = 1; i < camel.size(); ++i)
        if (camel[i - 1] == '"' && camel[i] >= 'A' && camel[i] <= 'Z' &&
            camel.compare(i, 14, "EulerAncestral") != 0)
            camel[i] = static_cast<char>(camel[i] - 'A' + 'a');
    expect_enhanced(generation_from(camel));
}

TEST(NestedBody, FlatMembersCountWhereNoObjectSaysOtherwise) {
    const Message message = parse_message(inference(
        R"({"prompt":"p","model_name":"a","models":{"base":"b"},"dimensions":{"width":64},"height":128,"steps":3,
        "hyperparameters":{"num_inference_steps":4}})"));
    const GenerationRequest request = generation_of(message);
    EXPECT_EQ(request.model, "b");
    EXPECT_EQ(request.width, 64);
    EXPECT_EQ(request.height, 128);
    EXPECT_EQ(request.steps, 4);
    EXPECT_EQ(message.warnings.size(), 2U);
    EXPECT_TRUE(warns(message, "/data/model_name", "/data/models/base"));
    EXPECT_TRUE(warns(message, "/data/steps", "/data/hyperparameters/num_inference_steps"));
}

TEST(EnhancedBody, NamesInThePlaceOfObjects) {
    const GenerationRequest request =
        generation_from(R"({"Model":"m","Scheduler":"Euler a","Hyperparameters":{"Prompt":"p"}})");
    EXPECT_EQ(request.model, "m");
    EXPECT_EQ(request.scheduler, SchedulerType::kEulerAncestral);
}

TEST(EnhancedBody, HyperparametersAloneAreEnough) {
    EXPECT_EQ(generation_from(R"({"Hyperparameters":{"Prompt":"p","Steps":4}})").steps, 4);
    EXPECT_EQ(
        generation_from(
            R"({"Postprocessing":{"SafetyChecker":false,"UpscaleFactor":1},"Hyperparameters":{"Prompt":"p"}})")
            .prompt,
        "p");
}

}  // namespace
}  // namespace sdxl
