// Every type and range error, with the pointer into what was sent.
#include "expect_message.h"

namespace sdxl {
namespace {

struct BadField {
    const char* member;
    const char* value;
    const char* said;
};

TEST(FieldErrors, Flat) {
    const BadField cases[] = {
        {"width", "63", "64"},
        {"width", "4104", "4096"},
        {"width", "100", "nearest is 104"},
        {"width", "\"512\"", "without quotes"},
        {"width", "true", "integer"},
        {"width", "512.5", "integer"},
        {"width", "[512]", "an array"},
        {"width", "1e30", "integer"},
        {"height", "0", "64"},
        {"height", "-8", "64"},
        {"height", "{\"a\":1}", "an object"},
        {"steps", "0", "1 to 500"},
        {"steps", "501", "1 to 500"},
        {"num_inference_steps", "\"30\"", "without quotes"},
        {"timesteps", "[1, 999]", "place 1 that is not below"},
        {"sigmas", "[14, 3, 3, 0]", "place 2 that is not below"},
        {"guidance_scale", "-0.1", "0 to 50"},
        {"guidance_scale", "50.5", "0 to 50"},
        {"guidance_scale", "\"7\"", "without quotes"},
        {"guidance_scale", "false", "0 to 50"},
        {"batch_size", "0", "1 to 64"},
        {"batch_size", "65", "1 to 64"},
        {"seed", "-2", "-1"},
        {"seed", "9223372036854775808", "integer"},
        {"seed", "1.5", "integer"},
        {"seed", "\"1\"", "without quotes"},
        {"seed", "9.3e18", "integer"},
        {"scheduler", "7", "a string"},
        {"scheduler", "\"Eulerr\"", "EulerDiscreteScheduler"},
        {"timestep_spacing", "\"x\"", "leading"},
        {"rng", "\"gpu\"", "philox"},
        {"dtype", "\"x\"", "bf16"},
        {"device", "\"toaster\"", "cpu"},
        {"format", "\"x\"", "png"},
        {"karras", "1", "true or false"},
        {"return_image_data", "\"yes\"", "true or false"},
        {"strength", "1.5", "0 to 1"},
        {"clip_skip", "-1", "0 to 11"},
        {"negative_prompt", "5", "a string"},
        {"model_name", "{\"a\":1}", "a string"},
        {"save_path", "\"a\\u0000b\"", "NUL"},
        {"timeout", "0", "86400"},
        {"timeout", "-1", "more than 0"},
        {"timeout", "86401", "at most 86400"},
        {"timeout", "\"5\"", "without quotes"},
        {"priority", "\"urgent\"", "critical"},
        {"progress", "\"yes\"", "true or false"},
        {"progress", "7", "an object"},
        {"tags", "5", "an array"},
    };
    for (const BadField& bad : cases)
        expect_error(inference(std::string(R"({"prompt":"p",")") + bad.member + "\":" + bad.value + "}"),
                     ErrorCode::kInvalidRequest, std::string("/data/") + bad.member, bad.said);
}

TEST(FieldErrors, Prompt) {
    expect_error(inference("{}"), ErrorCode::kInvalidRequest, "/data", "prompt");
    expect_error(inference(R"({"prompt":""})"), ErrorCode::kInvalidRequest, "/data", "prompt");
    expect_error(inference(R"({"prompt":5})"), ErrorCode::kInvalidRequest, "/data/prompt", "a string");
    expect_error(inference(R"({"prompt":")" + std::string(32 * 1024 + 1, 'x') + "\"}"),
                 ErrorCode::kInvalidRequest, "/data/prompt", "32768");
    EXPECT_EQ(generation_from(R"({"prompt":")" + std::string(32 * 1024, 'x') + "\"}").prompt.size(), 32768U);
    expect_error(inference(R"({"Conditioning":{}})"), ErrorCode::kInvalidRequest, "/data", "prompt");
    expect_error(inference(R"({"prompt":"a","Prompt":"b"})"), ErrorCode::kInvalidRequest, "/data/prompt",
                 "two values");
}

TEST(FieldErrors, Limits) {
    const auto request = generation_from(
        R"({"prompt":"p","width":64,"height":4096,"steps":500,"guidance_scale":50,"batch_size":64,"timeout":86400})");
    EXPECT_EQ(request.height, 4096);
    EXPECT_EQ(generation_from(R"({"prompt":"p","steps":1,"guidance_scale":0})").guidance_scale, 0);
}

TEST(FieldErrors, PointersFollowTheSentSpelling) {
    expect_error(inference(R"({"hyperParameters":{"prompt":"p","WIDTH":65}})"), ErrorCode::kInvalidRequest,
                 "/data/hyperParameters/WIDTH");
    expect_error(inference(R"({"prompt":"p","dimensions":{"Height":65}})"), ErrorCode::kInvalidRequest,
                 "/data/dimensions/Height");
    expect_error(R"({"action":"generate_image","parameters":{"prompt":"p","steps":0}})",
                 ErrorCode::kInvalidRequest, "/parameters/steps");
    expect_error(
        inference(R"({"Model":{"Base":"m"},"Scheduler":{"Type":"Eulr"},"Hyperparameters":{"Prompt":"p"}})"),
        ErrorCode::kInvalidRequest, "/data/Scheduler/Type", "Euler");
    expect_error(inference(R"({"Model":{"Base":"m"},"Hyperparameters":[1]})"), ErrorCode::kInvalidRequest,
                 "/data/Hyperparameters", "an object");
}

TEST(FieldErrors, EnhancedRanges) {
    const auto expect = [](const char* object, const char* member, const char* value) {
        expect_error(inference(std::string(R"({"Conditioning":{"Prompt":"p"},")") + object + "\":{\"" +
                               member + "\":" + value + "}}"),
                     ErrorCode::kInvalidRequest, std::string("/data/") + object + "/" + member);
    };
    expect("Scheduler", "Steps", "0");
    expect("Scheduler", "GuidanceScale", "51");
    expect("Scheduler", "UseKarrasSigmas", "\"true\"");
    expect("Scheduler", "TimestepSpacing", "\"wide\"");
    expect("Hyperparameters", "Width", "10");
    expect("Hyperparameters", "Seed", "-5");
    expect("Hyperparameters", "BatchSize", "1.5");
    expect("Performance", "Dtype", "\"fp99\"");
    expect("Output", "Format", "\"docx\"");
}

TEST(FieldErrors, TheFirstInTheLineIsTold) {
    expect_error(inference(R"({"width":1,"steps":0,"prompt":"p"})"), ErrorCode::kInvalidRequest,
                 "/data/width", "and 1 more error;");
    expect_error(inference(R"({"steps":0,"scheduler":"Eulr","width":1})"), ErrorCode::kInvalidRequest,
                 "/data/steps", "and 3 more errors;");
    // What is missing comes after what is there.
    expect_error(inference(R"({"width":1})"), ErrorCode::kInvalidRequest, "/data/width");
}

TEST(FieldErrors, AllowedValuesAndTheNearestAreListed) {
    const Message message = parse_message(
        R"({"action":"validate_request","request":{"prompt":"p","timestep_spacing":"trailling","width":100,"scheduler":"Eulr"}})");
    ASSERT_TRUE(message.command.ok());
    const auto& findings = std::get<ValidateRequest>(*message.command).findings;
    ASSERT_EQ(findings.size(), 3U);
    EXPECT_EQ(findings[0].nearest, "trailing");
    EXPECT_EQ(findings[0].allowed, (std::vector<std::string>{"leading", "trailing", "linspace"}));
    EXPECT_EQ(findings[1].nearest, "104");
    EXPECT_EQ(findings[2].nearest, "Euler");
    EXPECT_EQ(findings[2].allowed, known_schedulers());
}

TEST(FieldErrors, BytesCountNotCharacters) {
    std::string umlauts;
    for (int i = 0; i < 16385; ++i) umlauts += "\u00e4";
    expect_error(inference(R"({"prompt":")" + umlauts + "\"}"), ErrorCode::kInvalidRequest, "/data/prompt",
                 "found 32770");
}

TEST(Warnings, AreBounded) {
    std::string data = R"({"prompt":"p")";
    for (int i = 0; i < 1000; ++i) data += ",\"unknown" + std::to_string(i) + "\":0";
    const Message message = parse_message(inference(data + "}"));
    generation_of(message);
    ASSERT_LE(message.warnings.size(), 65U);
    EXPECT_NE(message.warnings.back().find("936 more"), std::string::npos) << message.warnings.back();
}

TEST(Warnings, UnknownFieldsGetASuggestion) {
    const Message message = parse_message(
        R"({"message_type":"inference_request","reqest_id":"x","data":{"prompt":"p","negativ_prompt":"n","a/b~c":1}})");
    EXPECT_EQ(generation_of(message).negative_prompt, "");
    EXPECT_TRUE(warns(message, "/reqest_id", "'request_id'"));
    EXPECT_TRUE(warns(message, "/data/negativ_prompt", "'negative_prompt'"));
    EXPECT_TRUE(warns(message, "/data/a~1b~0c", "ignored"));
    EXPECT_EQ(message.warnings.size(), 3U);
    EXPECT_TRUE(warns(parse_message(inference(R"({"Hyperparameters":{"Prompt":"p","GuidanceScael":3}})")),
                      "/data/Hyperparameters/GuidanceScael", "'GuidanceScale'"));
}

TEST(Warnings, LosingNameIsReported) {
    const Message message = parse_message(
        inference(R"({"prompt":"p","model_name":"a","model_id":"b","steps":5,"num_inference_steps":5})"));
    EXPECT_EQ(generation_of(message).model, "a");
    EXPECT_TRUE(warns(message, "/data/model_id", "/data/model_name"));
    EXPECT_EQ(message.warnings.size(), 1U);
}

}  // namespace
}  // namespace sdxl
