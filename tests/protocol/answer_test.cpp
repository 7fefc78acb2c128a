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
    result.images.push_back({"/out/a.png", {'M', 'a', 'n', '!'}, nullptr, nullptr, 5, 512, 256});
    result.images.push_back({"/out/b.png", {}, nullptr, nullptr, 6, 512, 256});
    result.warnings = {"from the engine"};
    result.steps = 20;
    result.guidance_scale = 7;
    result.scheduler = SchedulerType::kEulerAncestral;
    result.base_model = "/models/m";
    result.dtype = "bfloat16";
    result.device = "cuda:1";
    result.device_name = "CPU: x";
    result.total_seconds = 10;
    result.load_seconds = 1;
    result.encode_seconds = 2;
    result.denoise_seconds = 3;
    result.decode_seconds = 4;
    result.peak_memory_bytes = 3 * 1024 * 1024;
    return result;
}

WorkerStatus some_status() {
    WorkerStatus status;
    status.engine.device = "cpu";
    status.engine.device_name = "CPU: x";
    status.engine.backend = "onednn";
    status.engine.devices.push_back({"cpu", "CPU: x", "cpu", "onednn", "avx2", 10, 4, 1, ""});
    status.engine.devices.push_back({"cuda:0", "GPU", "cuda", "torch", "9.0", 20, 19, 7.5, "broken"});
    status.engine.memory_total_bytes = 10;
    status.engine.models.push_back({"m", "/models/m", "sdxl-base", true, "bfloat16", 99, 98, {}, 1.5, {}});
    JobStatus running;
    running.id = "r1";
    running.what = "generate";
    running.state = JobStatus::State::kRunning;
    running.progress.emplace();
    running.progress->stage = Stage::kDenoise;
    running.progress->done = 3;
    running.progress->total = 20;
    status.engine.jobs.push_back(running);
    status.engine.waiting_by_priority = {0, 1, 1, 0};
    status.queue_limit = 256;
    status.requests.received = 7;
    return status;
}

AnswerContext to(const std::string& line, std::vector<std::string> warnings = {}, double seconds = 0) {
    return {parse_message(line).reply, std::move(warnings), seconds};
}

AnswerContext action(const std::string& name) {
    return to(R"({"action":")" + name + R"(","session_id":"s"})");
}

AnswerContext message_reply(std::vector<std::string> warnings = {}, double seconds = 0) {
    return to(R"({"message_type":"status_request","request_id":"r"})", std::move(warnings), seconds);
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
        answer_error({{}, {"w"}, 0.5}, {ErrorCode::kInvalidRequest, "bad \xff bytes\nhere", "/data/width"}));
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
    AnswerContext reply = message_reply({"from the request"}, 11);
    Json line = parse_line(answer(reply, some_result()));
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

    reply.to.image_data = true;
    line = parse_line(answer(reply, some_result()));
    EXPECT_EQ(line["data"]["generated_images"][0]["image_data"], "TWFuIQ==");
}

TEST(MessageAnswer, StateAndModels) {
    const Json status = parse_line(answer(message_reply(), some_status()));
    expect_seven_members(status);
    EXPECT_EQ(status["data"]["status"], "busy");
    EXPECT_EQ(status["data"]["waiting"], 2);
    EXPECT_EQ(status["data"]["models"][0]["model_id"], "m");
    EXPECT_EQ(status["data"]["memory"]["total_bytes"], 10);
    EXPECT_EQ(status["data"]["requests"][0]["step"], 3);
    EXPECT_EQ(status["data"]["requests"][0]["state"], "running");
    EXPECT_EQ(status["data"]["queue"]["high"], 1);
    EXPECT_EQ(status["data"]["counters"]["requests"]["received"], 7);
    EXPECT_EQ(status["data"]["devices"][0]["performance_score"], 1);
    EXPECT_EQ(status["data"]["devices"][0]["healthy"], true);
    EXPECT_EQ(status["data"]["devices"][1]["total_memory"], 20);
    EXPECT_EQ(status["data"]["devices"][1]["fault"], "broken");
    const Json able = parse_line(answer_capabilities(message_reply(), some_status().engine));
    EXPECT_EQ(able["data"]["features"]["text_to_image"], true);
    EXPECT_EQ(able["data"]["features"]["upscaling"], false);
    EXPECT_EQ(able["data"]["supported_formats"], Json::array({"png", "jpeg", "webp"}));
    const Json model = parse_line(answer(message_reply(), some_status().engine.models[0]));
    EXPECT_EQ(model["data"]["size_bytes"], 99);
}

TEST(MessageAnswer, IdKeepsItsType) {
    const AnswerContext number = to(R"({"message_type":"status_request","request_id":18446744073709551615})");
    EXPECT_EQ(parse_line(answer_done(number))["request_id"], 18446744073709551615U);
    const AnswerContext text = to(R"({"message_type":"status_request","request_id":"42"})");
    EXPECT_EQ(parse_line(answer_done(text))["request_id"], "42");
}

TEST(ActionAnswer, Error) {
    const Json line = parse_line(answer_error(action("stop"), {ErrorCode::kQueueFull, "full", ""}));
    EXPECT_EQ(line["success"], false);
    EXPECT_EQ(line["error"], "full");
    EXPECT_TRUE(line["data"].is_null());
    EXPECT_EQ(line["session_id"], "s");
    EXPECT_EQ(line["error_code"], "queue_full");
    EXPECT_FALSE(line.contains("error_pointer"));
    EXPECT_FALSE(line.contains("request_id"));
}

TEST(ActionAnswer, Generations) {
    const Json enhanced = parse_line(answer(action("generate_sdxl_enhanced"), some_result()))["data"];
    EXPECT_EQ(enhanced["images"], Json::array({"/out/a.png", "/out/b.png"}));
    EXPECT_EQ(enhanced["generationTimeSeconds"], 10.0);
    EXPECT_EQ(enhanced["preprocessingTimeSeconds"], 3.0);
    EXPECT_EQ(enhanced["postprocessingTimeSeconds"], 4.0);
    EXPECT_EQ(enhanced["memoryUsedMB"], 3.0);
    EXPECT_EQ(enhanced["seedUsed"], 5);
    EXPECT_EQ(enhanced["featuresUsed"]["textToImage"], true);
    EXPECT_EQ(enhanced["featuresUsed"]["lora"], false);
    EXPECT_EQ(enhanced["gpuId"], "cuda:1");
    const Json image = parse_line(answer(action("generate_image"), some_result()))["data"];
    EXPECT_EQ(image["outputPath"], "/out/a.png");
    EXPECT_EQ(image["seed"], 5);
    EXPECT_EQ(image["width"], 512);
    EXPECT_EQ(image["height"], 256);
}

TEST(ActionAnswer, StateAndModels) {
    const Json able =
        parse_line(answer_capabilities(action("get_capabilities"), some_status().engine))["data"];
    for (const char* name : {"features", "supportedSchedulers", "supportedFormats", "maxResolution",
                             "maxBatchSize", "memoryOptimizations", "postprocessingOptions"})
        EXPECT_TRUE(able.contains(name)) << name;
    EXPECT_EQ(able["maxResolution"], 4096);
    EXPECT_EQ(able["supportedSchedulers"].size(), known_schedulers().size());
    const Json model = parse_line(answer(action("load_model"), some_status().engine.models[0]))["data"];
    EXPECT_EQ(model["modelId"], "m");
    EXPECT_EQ(model["loadTimeSeconds"], 1.5);
    EXPECT_EQ(model["modelSizeBytes"], 99);
    EXPECT_EQ(parse_line(answer(action("get_status"), some_status()))["data"]["busyWith"], "denoise");
    EXPECT_EQ(parse_line(answer_done(action("stop")))["success"], true);
}

BatchResult some_batch(bool any) {
    BatchResult batch;
    batch.items.push_back({Error{ErrorCode::kInvalidRequest, "bad width", "/data/requests/0/width"}, {}});
    if (any) batch.items.push_back({some_result(), {"about a field"}});
    return batch;
}

TEST(BatchAnswer, FailuresDoNotSinkTheOthers) {
    const Json line = parse_line(answer(message_reply(), some_batch(true)));
    expect_seven_members(line);
    EXPECT_EQ(line["success"], true);
    EXPECT_EQ(line["data"]["succeeded"], 1);
    EXPECT_EQ(line["data"]["failed"], 1);
    EXPECT_EQ(line["data"]["results"][0]["error_pointer"], "/data/requests/0/width");
    EXPECT_EQ(line["data"]["results"][1]["data"]["generated_images"][0]["image_path"], "/out/a.png");
    EXPECT_EQ(line["data"]["generated_images"].size(), 2U);
    EXPECT_EQ(line["warnings"], Json::array({"item 0: /data/requests/0/width: bad width",
                                             "item 1: about a field", "item 1: from the engine"}));
    const Json camel = parse_line(answer(action("generate_image"), some_batch(true)));
    EXPECT_EQ(camel["data"]["images"], Json::array({"/out/a.png", "/out/b.png"}));
    const Json none = parse_line(answer(message_reply(), some_batch(false)));
    EXPECT_EQ(none["success"], false);
    EXPECT_EQ(none["error_code"], "invalid_request");
    EXPECT_NE(none["error"].get<std::string>().find("bad width"), std::string::npos);
}

TEST(StagesAnswer, HoldsTheLastPictureAndAllStages) {
    StagesResult stages;
    stages.stages = {{"base", some_result()}, {"detail", some_result()}};
    const Json data = parse_line(answer(message_reply(), stages))["data"];
    EXPECT_EQ(data["generated_images"].size(), 2U);
    EXPECT_EQ(data["stages"][0]["name"], "base");
    EXPECT_EQ(data["stages"][1]["steps"], 20);
    EXPECT_EQ(data["processing_metrics"]["total_time"], 20.0);
}

TEST(ValidationAnswer, ListsEveryFinding) {
    ValidateRequest validated;
    validated.findings.push_back({{ErrorCode::kInvalidRequest, "one", "/request/width"}, {"64", "72"}, "64"});
    const std::vector<Error> more = {{ErrorCode::kNotFound, "two", ""}};
    const Json camel = parse_line(answer_validation(action("validate_request"), validated, more));
    EXPECT_EQ(camel["success"], true);
    EXPECT_EQ(camel["data"]["valid"], false);
    EXPECT_EQ(camel["data"]["error"], "/request/width: one");
    EXPECT_EQ(camel["data"]["validationDetails"]["findings"].size(), 2U);
    EXPECT_EQ(camel["data"]["validationDetails"]["findings"][0]["nearest"], "64");
    validated.findings.clear();
    const Json snake = parse_line(answer_validation(message_reply(), validated, {}));
    EXPECT_EQ(snake["data"]["valid"], true);
    EXPECT_TRUE(snake["data"]["error"].is_null());
    EXPECT_TRUE(snake["data"].contains("validation_details"));
}

TEST(Progress, IsNoAnswerAndTellsTheStep) {
    ProgressEvent event;
    event.stage = Stage::kDenoise;
    event.done = 3;
    event.total = 20;
    event.percent = 12.5;
    event.preview = std::make_shared<Image>(Image{1, 1, 3, {1, 2, 3}});
    const Json line = parse_line(progress_line(message_reply().to, event));
    EXPECT_FALSE(line.contains("success"));
    EXPECT_EQ(line["message_type"], "progress_update");
    EXPECT_EQ(line["request_id"], "r");
    EXPECT_EQ(line["data"]["step"], 3);
    EXPECT_EQ(line["data"]["total_steps"], 20);
    EXPECT_EQ(line["data"]["preview"].get<std::string>().rfind("iVBOR", 0), 0U);
    const Json camel = parse_line(progress_line(action("generate_image").to, event));
    EXPECT_EQ(camel["progress"]["totalSteps"], 20);
    EXPECT_EQ(camel["session_id"], "s");
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
