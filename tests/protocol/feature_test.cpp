// What is known but not built is refused by name; what has no effect is said; what is switched off passes.
#include "expect_message.h"

namespace sdxl {
namespace {

void expect_refused(const std::string& data, const std::string& pointer) {
    expect_error(inference(data), ErrorCode::kUnsupported, pointer);
}

TEST(Features, FlatRefusals) {
    const std::pair<const char*, const char*> cases[] = {
        {"format", "\"bmp\""},      {"output_format", "\"avif\""},
        {"dtype", "\"int4\""},      {"upscale", R"({"enabled":true,"factor":2})"},
        {"safety_checker", "true"}, {"postprocessing", "[\"upscale\"]"}};
    for (const auto& [member, value] : cases)
        expect_refused(std::string(R"({"prompt":"p",")") + member + "\":" + value + "}",
                       std::string("/data/") + member);
}

TEST(Features, EnhancedRefusals) {
    const std::tuple<const char*, const char*, const char*> cases[] = {
        {"Postprocessing", "SafetyChecker", "true"},
        {"Postprocessing", "Upscaler", "\"esrgan\""},
        {"Postprocessing", "Watermark", "true"},
        {"Postprocessing", "AutoContrast", "true"},
        {"Postprocessing", "OutputFormat", "\"tiff\""}};
    for (const auto& [object, member, value] : cases)
        expect_refused(std::string(R"({"prompt":"p",")") + object + "\":{\"" + member + "\":" + value + "}}",
                       std::string("/data/") + object + "/" + member);
    expect_refused(R"({"Hyperparameters":{"Prompt":"p"},"Model":{},"PostProcessing":[{"Type":"upscale"}]})",
                   "/data/PostProcessing/0");
}

TEST(Features, NestedRefusals) {
    expect_refused(R"({"prompt":"p","output":{"upscale":{"enabled":true,"factor":2}}})",
                   "/data/output/upscale");
}

TEST(Features, NoEffectIsSaid) {
    const Message flat = parse_message(inference(
        R"({"prompt":"p","xformers":true,"quality":95,"strength":0.8,"tags":["a"],"cpu_offload":false,"snr_weighting":5.0})"));
    generation_of(flat);
    for (const char* member : {"xformers", "quality", "strength", "tags", "snr_weighting"})
        EXPECT_TRUE(warns(flat, std::string("/data/") + member, "no effect")) << member;
    EXPECT_EQ(flat.warnings.size(), 5U);

    const Message enhanced = parse_message(inference(
        R"({"Conditioning":{"Prompt":"p","MaskBlur":4,"Img2ImgStrength":0.75},"Performance":{"AttentionSlicing":true,"DeviceIds":[0],"Compilation":{"Enabled":true}}})"));
    generation_of(enhanced);
    EXPECT_EQ(enhanced.warnings.size(), 4U);
    EXPECT_TRUE(warns(enhanced, "/data/Performance/Compilation", "no effect"));

    const Message nested = parse_message(inference(R"({"prompt":"p","batch":{"size":2,"parallel":true}})"));
    EXPECT_TRUE(warns(nested, "/data/batch/parallel", "no effect"));
}

TEST(Features, AMistakeInAMissingFeatureIsFoundToo) {
    const Message message = parse_message(
        R"({"action":"validate_request","request":{"prompt":"p","upscale":{"enabled":true,"factor":99}}})");
    ASSERT_TRUE(message.command.ok());
    const auto& findings = std::get<ValidateRequest>(*message.command).findings;
    ASSERT_EQ(findings.size(), 2U);
    EXPECT_EQ(findings[0].error.pointer, "/request/upscale");
    EXPECT_EQ(findings[0].error.code, ErrorCode::kUnsupported);
    EXPECT_EQ(findings[1].error.pointer, "/request/upscale/factor");
    EXPECT_EQ(findings[1].error.code, ErrorCode::kInvalidRequest);
}

TEST(Features, DevicesAreKnownByAllTheirNames) {
    const std::pair<const char*, const char*> cases[] = {{"gpu_0", "gpu:0"},
                                                         {"GPU1", "gpu:1"},
                                                         {"0", "gpu:0"},
                                                         {"cuda", "cuda:0"},
                                                         {"CUDA:3", "cuda:3"},
                                                         {"mps", "mps"},
                                                         {"cpu:0", "cpu"},
                                                         {"privateuseone:0", "privateuseone:0"},
                                                         {"dml:1", "privateuseone:1"},
                                                         {"hip:0", "rocm:0"},
                                                         {"auto", ""},
                                                         {"DirectML", "privateuseone:0"}};
    for (const auto& [sent, name] : cases) {
        const Message message =
            parse_message(inference(std::string(R"({"prompt":"p","device":")") + sent + "\"}"));
        EXPECT_EQ(generation_of(message).device.name, name) << sent;
        EXPECT_EQ(generation_of(message).device.pointer, "/data/device") << sent;
        EXPECT_TRUE(message.warnings.empty()) << sent;
    }
    for (const char* sent : {"vulkan", "cuda:", "cuda:x", "cuda:99999", "cpu1x"})
        expect_error(inference(std::string(R"({"prompt":"p","device":")") + sent + "\"}"),
                     ErrorCode::kInvalidRequest, "/data/device", "privateuseone");
}

TEST(Features, MemorySwitchesAreFlagsOrWords) {
    const std::pair<const char*, MemoryWish> cases[] = {
        {"true", MemoryWish::kOn},         {"false", MemoryWish::kOff},     {"\"never\"", MemoryWish::kNever},
        {"\"Never\"", MemoryWish::kNever}, {"\"auto\"", MemoryWish::kAuto}, {"null", MemoryWish::kAuto}};
    for (const auto& [sent, wish] : cases) {
        const Message flat =
            parse_message(inference(std::string(R"({"prompt":"p","cpu_offload":)") + sent + "}"));
        EXPECT_EQ(generation_of(flat).memory.cpu_offload, wish) << sent;
        const Message enhanced = parse_message(inference(
            std::string(R"({"Conditioning":{"Prompt":"p"},"Performance":{"SequentialCpuOffload":)") + sent +
            "}}"));
        EXPECT_EQ(generation_of(enhanced).memory.sequential_cpu_offload, wish) << sent;
    }
    for (const char* sent : {"\"sometimes\"", "3"})
        expect_error(inference(std::string(R"({"prompt":"p","vae_tiling":)") + sent + "}"),
                     ErrorCode::kInvalidRequest, "/data/vae_tiling", "never");
}

TEST(Features, SwitchedOffPasses) {
    const Message message = parse_message(inference(
        R"({"prompt":"p","loras":[],"lora":{"enabled":false,"models":[{"name":"a"}]},"controlnets":null,"refiner_model":"none","clip_skip":0,"safety_checker":false,"quality":0,"postprocessing":[{"Type":"upscale","Enabled":false}]})"));
    EXPECT_EQ(generation_of(message).prompt, "p");
    EXPECT_TRUE(message.warnings.empty());
}

TEST(Features, KarrasInTheNameBeatsAnUntouchedSwitch) {
    const Message message =
        parse_message(inference(R"({"prompt":"p","scheduler":"DPM++ 2M Karras","use_karras_sigmas":false})"));
    EXPECT_EQ(generation_of(message).sigma_schedule, SigmaSchedule::kKarras);
    EXPECT_TRUE(warns(message, "/data/use_karras_sigmas", "Karras"));
}

}  // namespace
}  // namespace sdxl
