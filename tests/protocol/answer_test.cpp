#include <nlohmann/json.hpp>
#include <regex>

#include "core/base64.h"
#include "expect_message.h"

namespace sdxl {
namespace {

using Json = nlohmann::json;

Json parse_line(const std::string& line) {
    EXPECT_EQ(line.find('\n'), std::string::npos);
    return Json::parse(line);
}

GenerationResult some_result() {
    GenerationResult result;
    result.images.push_back({"/out/a.png", {'M', 'a', 'n', '!'}, 5, 512, 256});
    result.images.push_back({"/out/b.png", {}, 6, 512, 256});
    result.warnings = {"from the engine"};
    result.steps = 20;
    result.guidance_scale = 7;
    result.scheduler = SchedulerType::kEulerAncestral;
    result.base_model = "/models/m";
    result.dtype = "bfloat16";
    result.device_name = "CPU: x";
    result.total_seconds = 10;
    result.load_seconds = 1;
    result.encode_seconds = 2;
    result.denoise_seconds = 3;
    result.decode_seconds = 4;
    result.peak_memory_bytes = 3 * 1024 * 1024;
    return result;
}

EngineStatus some_status() {
    EngineStatus status;
    status.device = "cpu";
    status.device_name = "CPU: x";
    status.backend = "onednn";
    status.memory_total_bytes = 10;
    status.models.push_back({"m", "/models/m", "sdxl-base", "bfloat16", 99, 1.5, {}});
    status.busy_with = "denoise";
    status.waiting = 2;
    return status;
}

ReplyTo action(const std::string& name) {
    return parse_message(R"({"action":")" + name + R"(","session_id":"s"})").reply;
}

ReplyTo message_reply() {
    return parse_message(R"({"message_type":"status_request","request_id":"r"})").reply;
}

void expect_seven_members(const Json& line) {
    for (const char* name :
         {"request_id", "success", "data", "error", "warnings", "execution_time", "timestamp"})
        EXPECT_TRUE(line.contains(name)) << name;
    EXPECT_TRUE(std::regex_match(line["timestamp"].get<std::string>(),
                                 std::regex(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)")));
}

TEST(MessageAnswer, Error) {
    const Json line = parse_line(
        answer_error({}, {ErrorCode::kInvalidRequest, "bad \xff bytes\nhere", "/data/width"}, {"w"}, 0.5));
    expect_seven_members(line);
    EXPECT_EQ(line.size(), 9U);
    EXPECT_TRUE(line["request_id"].is_null());
    EXPECT_EQ(line["success"], false);
    EXPECT_TRUE(line["data"].is_null());
    EXPECT_TRUE(line["error"].is_string());
    EXPECT_EQ(line["error_code"], "invalid_request");
    EXPECT_EQ(line["error_pointer"], "/data/width");
    EXPECT_EQ(line["warnings"], Json::array({"w"}));
    EXPECT_EQ(line["execution_time"], 0.5);
}

TEST(MessageAnswer, Generation) {
    ReplyTo reply = message_reply();
    Json line = parse_line(answer_generation(reply, some_result(), {"from the request"}, 11));
    expect_seven_members(line);
    EXPECT_EQ(line.size(), 7U);
    EXPECT_EQ(line["request_id"], "r");
    EXPECT_EQ(line["success"], true);
    EXPECT_TRUE(line["error"].is_null());
    EXPECT_EQ(line["warnings"], Json::array({"from the request", "from the engine"}));
    const Json& image = line["data"]["generated_images"][1];
    EXPECT_EQ(image["image_path"], "/out/b.png");
    EXPECT_TRUE(image["image_data"].is_null());
    EXPECT_EQ(image["metadata"]["seed"], 6);
    EXPECT_EQ(image["metadata"]["steps"], 20);
    EXPECT_EQ(image["metadata"]["scheduler"], "EulerAncestralDiscreteScheduler");
    EXPECT_EQ(image["metadata"]["width"], 512);
    EXPECT_EQ(image["metadata"]["model_info"]["base_model"], "/models/m");
    EXPECT_TRUE(image["metadata"]["model_info"]["refiner_model"].is_null());
    const Json& metrics = line["data"]["processing_metrics"];
    EXPECT_EQ(metrics["total_time"], 10.0);
    EXPECT_EQ(metrics["inference_time"], 9.0);
    EXPECT_EQ(metrics["device_memory_used"], 3 * 1024 * 1024);
    EXPECT_EQ(metrics["device_name"], "CPU: x");
    EXPECT_EQ(metrics["dtype"], "bfloat16");

    reply.image_data = true;
    line = parse_line(answer_generation(reply, some_result(), {}, 11));
    EXPECT_EQ(line["data"]["generated_images"][0]["image_data"], "TWFuIQ==");
}

TEST(MessageAnswer, StateAndModels) {
    const Json status = parse_line(answer_status(message_reply(), some_status(), {}, 0));
    expect_seven_members(status);
    EXPECT_EQ(status["data"]["status"], "busy");
    EXPECT_EQ(status["data"]["waiting"], 2);
    EXPECT_EQ(status["data"]["models"][0]["model_id"], "m");
    EXPECT_EQ(status["data"]["memory"]["total_bytes"], 10);
    const Json able = parse_line(answer_capabilities(message_reply(), some_status(), {}, 0));
    EXPECT_EQ(able["data"]["features"]["text_to_image"], true);
    EXPECT_EQ(able["data"]["features"]["lora"], false);
    EXPECT_EQ(able["data"]["supported_formats"], Json::array({"png"}));
    const Json model = parse_line(answer_model(message_reply(), some_status().models[0], {}, 0));
    EXPECT_EQ(model["data"]["size_bytes"], 99);
}

TEST(MessageAnswer, IdKeepsItsType) {
    const ReplyTo number =
        parse_message(R"({"message_type":"status_request","request_id":18446744073709551615})").reply;
    EXPECT_EQ(parse_line(answer_done(number, {}, 0))["request_id"], 18446744073709551615U);
    const ReplyTo text = parse_message(R"({"message_type":"status_request","request_id":"42"})").reply;
    EXPECT_EQ(parse_line(answer_done(text, {}, 0))["request_id"], "42");
}

TEST(ActionAnswer, Error) {
    const Json line = parse_line(answer_error(action("stop"), {ErrorCode::kQueueFull, "full", ""}, {}, 0));
    EXPECT_EQ(line["success"], false);
    EXPECT_EQ(line["error"], "full");
    EXPECT_TRUE(line["data"].is_null());
    EXPECT_EQ(line["session_id"], "s");
    EXPECT_EQ(line["error_code"], "queue_full");
    EXPECT_FALSE(line.contains("error_pointer"));
    EXPECT_FALSE(line.contains("request_id"));
}

TEST(ActionAnswer, Generations) {
    const Json enhanced =
        parse_line(answer_generation(action("generate_sdxl_enhanced"), some_result(), {}, 0))["data"];
    EXPECT_EQ(enhanced["images"], Json::array({"/out/a.png", "/out/b.png"}));
    EXPECT_EQ(enhanced["generationTimeSeconds"], 10.0);
    EXPECT_EQ(enhanced["preprocessingTimeSeconds"], 3.0);
    EXPECT_EQ(enhanced["postprocessingTimeSeconds"], 4.0);
    EXPECT_EQ(enhanced["memoryUsedMB"], 3.0);
    EXPECT_EQ(enhanced["seedUsed"], 5);
    EXPECT_EQ(enhanced["featuresUsed"]["textToImage"], true);
    EXPECT_EQ(enhanced["featuresUsed"]["lora"], false);
    EXPECT_EQ(enhanced["gpuId"], "cpu");
    const Json image = parse_line(answer_generation(action("generate_image"), some_result(), {}, 0))["data"];
    EXPECT_EQ(image["outputPath"], "/out/a.png");
    EXPECT_EQ(image["seed"], 5);
    EXPECT_EQ(image["width"], 512);
    EXPECT_EQ(image["height"], 256);
}

TEST(ActionAnswer, StateAndModels) {
    const Json able =
        parse_line(answer_capabilities(action("get_capabilities"), some_status(), {}, 0))["data"];
    for (const char* name : {"features", "supportedSchedulers", "supportedFormats", "maxResolution",
                             "maxBatchSize", "memoryOptimizations", "postprocessingOptions"})
        EXPECT_TRUE(able.contains(name)) << name;
    EXPECT_EQ(able["maxResolution"], 4096);
    EXPECT_EQ(able["supportedSchedulers"].size(), known_schedulers().size());
    const Json model = parse_line(answer_model(action("load_model"), some_status().models[0], {}, 0))["data"];
    EXPECT_EQ(model["modelId"], "m");
    EXPECT_EQ(model["loadTimeSeconds"], 1.5);
    EXPECT_EQ(model["modelSizeBytes"], 99);
    EXPECT_EQ(parse_line(answer_status(action("get_status"), some_status(), {}, 0))["data"]["busyWith"],
              "denoise");
    EXPECT_EQ(parse_line(answer_done(action("stop"), {}, 0))["success"], true);
}

TEST(Base64, Rfc4648Vectors) {
    const std::pair<std::string, const char*> cases[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
    for (const auto& [text, code] : cases) {
        const std::vector<std::uint8_t> bytes(text.begin(), text.end());
        EXPECT_EQ(encode_base64(bytes), code);
    }
    EXPECT_EQ(encode_base64(std::vector<std::uint8_t>{0xfb, 0xff, 0xfe}), "+//+");
}

}  // namespace
}  // namespace sdxl
