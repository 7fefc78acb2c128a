#include <fstream>
#include <iterator>

#include "expect_message.h"

namespace sdxl {
namespace {

template <class T>
T command_of(const std::string& line) {
    const Message message = parse_message(line);
    if (!message.command.ok()) {
        ADD_FAILURE() << line << ": " << message.command.error().message;
        return {};
    }
    EXPECT_TRUE(std::holds_alternative<T>(*message.command)) << line;
    EXPECT_TRUE(message.warnings.empty()) << line << ": " << message.warnings[0];
    return std::get<T>(*message.command);
}

TEST(MessageEnvelope, Commands) {
    command_of<StatusRequest>(R"({"message_type":"status_request"})");
    command_of<StatusRequest>(R"({"messageType":"status_request","requestId":"1","data":null})");
    command_of<CapabilitiesRequest>(R"({"message_type":"capabilities_request","data":{}})");
    const auto load = command_of<ModelLoadRequest>(
        R"({"message_type":"model_load_request","data":{"model_path":"m.safetensors","model_id":"mine","dtype":"fp32","model_type":"sdxl"}})");
    EXPECT_EQ(load.model, "m.safetensors");
    EXPECT_EQ(load.id, "mine");
    EXPECT_EQ(load.precision, Precision::kF32);
    EXPECT_EQ(command_of<ModelLoadRequest>(R"({"message_type":"model_load_request","data":{"model_id":"m"}})")
                  .model,
              "m");
    command_of<GenerationRequest>(inference(R"({"prompt":"a cat"})"));
}

TEST(MessageEnvelope, Delivery) {
    const Message message = parse_message(
        R"({"message_type":"inference_request","request_id":"r","timeout":5,"data":{"worker_type":"sdxl_worker","type":"inference","priority":"High","timeout":7.5,"prompt":"x"}})");
    EXPECT_EQ(generation_of(message).id, "r");
    EXPECT_EQ(message.timeout_seconds, 7.5);
    EXPECT_EQ(message.priority, Priority::kHigh);
    EXPECT_EQ(message.worker, "sdxl_worker");
    EXPECT_TRUE(message.warnings.empty());  // of the two timeouts one loses in peace
    EXPECT_EQ(parse_message(inference(R"({"prompt":"x"})")).timeout_seconds, 300);
    EXPECT_EQ(parse_message(R"({"message_type":"status_request","timeout":12})").timeout_seconds, 12);
    EXPECT_EQ(
        parse_message(inference(R"({"request":{"prompt":"x","metadata":{"timeout":9}}})")).timeout_seconds,
        9);
}

TEST(MessageEnvelope, BodyUnderAnotherName) {
    for (const char* holder : {"request", "request_data", "parameters"}) {
        const Message message =
            parse_message(inference(std::string("{\"") + holder + R"(":{"prompt":"x","widht":64}})"));
        EXPECT_EQ(generation_of(message).prompt, "x");
        EXPECT_TRUE(warns(message, std::string("/data/") + holder + "/widht", "'width'"));
        expect_error(inference(std::string("{\"") + holder + R"(":{"prompt":"x","width":65}})"),
                     ErrorCode::kInvalidRequest, std::string("/data/") + holder + "/width");
    }
}

TEST(MessageEnvelope, Refusals) {
    expect_error(inference(R"({"type":"inferense","prompt":"x"})"), ErrorCode::kInvalidRequest, "/data/type",
                 "did you mean 'inference'");
    expect_error(inference(R"({"worker_type":"sdxl_wroker","prompt":"x"})"), ErrorCode::kInvalidRequest,
                 "/data/worker_type", "did you mean 'sdxl_worker'");
    expect_error(R"({"message_type":"inference_requets"})", ErrorCode::kInvalidRequest, "/message_type",
                 "did you mean 'inference_request'");
    expect_error(R"({"message_type":7})", ErrorCode::kInvalidRequest, "/message_type");
    expect_error(R"({"message_type":"status_request","data":[1]})", ErrorCode::kInvalidRequest, "/data");
    expect_error(R"({"prompt":"x"})", ErrorCode::kInvalidRequest, "", "message_type");
    expect_error(R"({"message_type":"model_load_request","data":{}})", ErrorCode::kInvalidRequest, "/data");
    expect_error(R"({"message_type":"model_load_request","data":{"model_path":"a","model_type":"refiner"}})",
                 ErrorCode::kUnsupported, "/data/model_type");
}

TEST(ActionEnvelope, Commands) {
    EXPECT_EQ(command_of<InitializeRequest>(R"({"action":"initialize","device_index":2})").device_index, 2);
    EXPECT_EQ(command_of<InitializeRequest>(R"({"action":"initialize"})").device_index, 0);
    EXPECT_EQ(command_of<ModelLoadRequest>(
                  R"({"action":"load_model","model_path":"p","model_type":"SDXL","model_id":"i"})")
                  .model,
              "p");
    EXPECT_EQ(
        command_of<GenerationRequest>(R"({"action":"generate_image","parameters":{"prompt":"x"}})").prompt,
        "x");
    for (const char* holder : {"request", "request_data"})
        EXPECT_EQ(command_of<GenerationRequest>(
                      std::string(R"({"action":"generate_sdxl_enhanced","session_id":"s",")") + holder +
                      R"(":{"Conditioning":{"Prompt":"x"}}})")
                      .prompt,
                  "x");
    command_of<StatusRequest>(R"({"action":"get_status"})");
    command_of<CapabilitiesRequest>(R"({"Action":"get_capabilities"})");
    command_of<StopRequest>(R"({"action":"stop"})");
}

// The same commands in every envelope that has them.
TEST(Commands, MeanTheSameInEveryEnvelope) {
    for (const char* line : {R"({"message_type":"model_unload_request","data":{"model_id":"m"}})",
                             R"({"action":"unload_model","model_id":"m"})",
                             R"({"message_type":"unload_model","session_id":"s","model_base":"m"})"})
        EXPECT_EQ(command_of<ModelUnloadRequest>(line).model, "m");
    for (const char* line : {R"({"message_type":"model_info_request","data":{"model_name":"m"}})",
                             R"({"action":"get_model_info","model_id":"m"})",
                             R"({"message_type":"get_model_info","model_path":"m"})"})
        EXPECT_EQ(command_of<ModelInfoRequest>(line).model, "m");
    for (const char* line : {R"({"message_type":"cleanup_request","data":{"unload_models":true}})",
                             R"({"action":"cleanup_memory","unload_models":true})",
                             R"({"message_type":"cleanup","session_id":"s","unload_models":true})"})
        EXPECT_TRUE(command_of<CleanupRequest>(line).unload_models);
    EXPECT_EQ(command_of<ModelLoadRequest>(R"({"message_type":"load_model","model_base":"m"})").model, "m");
    command_of<StatusRequest>(R"({"message_type":"get_status","session_id":"s"})");
    command_of<CapabilitiesRequest>(R"({"message_type":"get_capabilities"})");
    command_of<StopRequest>(R"({"message_type":"shutdown_request"})");
}

TEST(Cancel, TakesTheIdOfTheOtherRequest) {
    const Message message =
        parse_message(R"({"message_type":"cancel_request","request_id":"c","data":{"request_id":"g"}})");
    EXPECT_EQ(message.reply.id, "c");
    EXPECT_EQ(std::get<CancelRequest>(*message.command).target, "g");
    EXPECT_EQ(std::get<CancelRequest>(*message.command).pointer, "/data/request_id");
    EXPECT_EQ(parse_message(R"({"message_type":"cancel_request","data":{"request_id":"g"}})").reply.id, "");
    EXPECT_EQ(command_of<CancelRequest>(R"({"action":"cancel","session_id":"c","target":7})").target, "7");
    // Only the envelope's own id: that one is meant.
    EXPECT_EQ(command_of<CancelRequest>(R"({"action":"cancel","session_id":"g"})").target, "g");
    EXPECT_TRUE(command_of<CancelRequest>(R"({"message_type":"cancel_request","data":{"all":true}})").all);
    expect_error(R"({"message_type":"cancel_request","request_id":"c"})", ErrorCode::kInvalidRequest, "/data",
                 "which one");
}

TEST(FlatEnvelope, HasItsBodyAtTheTop) {
    const Message message = parse_message(
        R"({"message_type":"generate_sdxl_enhanced","session_id":"s","prompt":"x","model_base":"m","width":128,"priority":"high","timeout":9})");
    EXPECT_EQ(message.reply.envelope, EnvelopeKind::kFlat);
    EXPECT_EQ(message.reply.id, "s");
    EXPECT_EQ(message.reply.id_name, "request_id");
    EXPECT_EQ(message.priority, Priority::kHigh);
    EXPECT_EQ(message.timeout_seconds, 9);
    EXPECT_TRUE(message.warnings.empty()) << message.warnings[0];
    const GenerationRequest request = generation_of(message);
    EXPECT_EQ(request.prompt, "x");
    EXPECT_EQ(request.model, "m");
    EXPECT_EQ(request.width, 128);
    EXPECT_EQ(request.id, "s");
    expect_error(R"({"message_type":"generate_sdxl_enhanced","prompt":"x","model_refiner":"r"})",
                 ErrorCode::kUnsupported, "/model_refiner");
    EXPECT_TRUE(warns(parse_message(R"({"message_type":"generate_sdxl_enhanced","prompt":"x","widht":64})"),
                      "/widht", "did you mean 'width'"));
    EXPECT_EQ(generation_of(
                  parse_message(R"({"message_type":"generate_sdxl_enhanced","Conditioning":{"Prompt":"y"}})"))
                  .prompt,
              "y");
}

TEST(MethodEnvelope, Text2img) {
    const Message message = parse_message(
        R"({"worker_type":"sdxl_worker","method":"text2img","request_id":"m","parameters":{"prompt":"x","steps":4}})");
    EXPECT_EQ(message.reply.envelope, EnvelopeKind::kMethod);
    EXPECT_EQ(message.reply.id, "m");
    EXPECT_EQ(message.worker, "sdxl_worker");
    EXPECT_EQ(generation_of(message).steps, 4);
    for (const char* method : {"img2img", "inpaint"})
        expect_error(std::string(R"({"worker_type":"sdxl_worker","method":")") + method +
                         R"(","parameters":{"prompt":"x"}})",
                     ErrorCode::kUnsupported, "/method");
    expect_error(R"({"worker_type":"sdxl_worker","method":"txt2img","parameters":{"prompt":"x"}})",
                 ErrorCode::kInvalidRequest, "/method", "did you mean 'text2img'");
    expect_error(R"({"method":"text2img","worker_type":"nobody","parameters":{"prompt":"x"}})",
                 ErrorCode::kInvalidRequest, "/worker_type", "pipeline_manager");
}

TEST(Progress, IsASwitchOrAnObject) {
    EXPECT_EQ(parse_message(inference(R"({"prompt":"x"})")).progress.every, 0);
    EXPECT_EQ(parse_message(inference(R"({"prompt":"x","progress":false})")).progress.every, 0);
    EXPECT_EQ(parse_message(inference(R"({"prompt":"x","progress":true})")).progress.every, 1);
    const Message message =
        parse_message(inference(R"({"prompt":"x","progress":{"every":5,"preview":true}})"));
    EXPECT_EQ(message.progress.every, 5);
    EXPECT_TRUE(message.progress.preview);
    expect_error(inference(R"({"prompt":"x","progress":{"every":0}})"), ErrorCode::kInvalidRequest,
                 "/data/progress/every");
}

TEST(Batch, ItemsInheritAndFailAlone) {
    const Message message = parse_message(inference(
        R"({"type":"batch","model_name":"m","width":128,"oops":1,"requests":[{"prompt":"a"},{"prompt":"b","width":65},{"prompt":"c","width":64,"hight":8}]})"));
    const auto* batch = std::get_if<BatchRequest>(&*message.command);
    ASSERT_NE(batch, nullptr);
    ASSERT_EQ(batch->items.size(), 3U);
    EXPECT_EQ(batch->items[0].request->model, "m");
    EXPECT_EQ(batch->items[0].request->width, 128);
    EXPECT_EQ(batch->items[0].request->id, "r1-0");
    ASSERT_FALSE(batch->items[1].request.ok());
    EXPECT_EQ(batch->items[1].request.error().pointer, "/data/requests/1/width");
    EXPECT_EQ(batch->items[2].request->width, 64);
    ASSERT_EQ(batch->items[2].warnings.size(), 1U);
    EXPECT_NE(batch->items[2].warnings[0].find("/data/requests/2/hight"), std::string::npos);
    ASSERT_EQ(message.warnings.size(), 1U);  // once, not for every item
    EXPECT_TRUE(warns(message, "/data/oops", "not a known field"));
    expect_error(inference(R"({"type":"batch","requests":[1]})"), ErrorCode::kInvalidRequest,
                 "/data/requests/0");
}

TEST(Batch, ASizeIsAsManyRequestsOfOnePicture) {
    const Message message = parse_message(
        inference(R"({"type":"batch","prompt":"a","seed":7,"size":3,"save_path":"out/a.b/p.png"})"));
    const auto* batch = std::get_if<BatchRequest>(&*message.command);
    ASSERT_NE(batch, nullptr);
    ASSERT_EQ(batch->items.size(), 3U);
    EXPECT_EQ(batch->items[2].request->seed, 9U);
    EXPECT_EQ(batch->items[2].request->batch_size, 1);
    EXPECT_EQ(batch->items[0].request->save_path, "out/a.b/p.png");
    EXPECT_EQ(batch->items[2].request->save_path, "out/a.b/p_2.png");
    EXPECT_EQ(std::get<BatchRequest>(
                  *parse_message(inference(R"({"type":"batch","prompt":"a","batch_size":2})")).command)
                  .items.size(),
              2U);
}

TEST(Batch, TheKindMayStandBesideTheBody) {
    const Message message =
        parse_message(inference(R"({"type":"batch","request":{"prompt":"a","batch_size":2}})"));
    EXPECT_TRUE(message.warnings.empty());
    ASSERT_NE(std::get_if<BatchRequest>(&*message.command), nullptr);
}

TEST(Stages, InheritAndTakeUpThePictureBefore) {
    const Message message = parse_message(inference(
        R"({"type":"multi_stage","prompt":"a","width":128,"height":128,"save_path":"p.png","stages":[{"steps":20},{"name":"detail","strength":0.5},{"prompt":"b"}]})"));
    const auto* stages = std::get_if<StagesRequest>(&*message.command);
    ASSERT_NE(stages, nullptr);
    ASSERT_EQ(stages->stages.size(), 3U);
    EXPECT_TRUE(message.warnings.empty()) << message.warnings[0];
    EXPECT_EQ(stages->stages[0].name, "stage 1");
    EXPECT_EQ(stages->stages[0].request.steps, 20);
    EXPECT_TRUE(stages->stages[0].request.keep_pixels);
    EXPECT_EQ(stages->stages[0].request.save_path, "");
    EXPECT_EQ(stages->stages[1].name, "detail");
    EXPECT_EQ(stages->stages[1].request.strength, 0.5);
    EXPECT_EQ(stages->stages[1].request.prompt, "a");
    EXPECT_EQ(stages->stages[2].request.strength, 0.3);
    EXPECT_EQ(stages->stages[2].request.prompt, "b");
    EXPECT_FALSE(stages->stages[2].request.keep_pixels);
    EXPECT_EQ(stages->stages[2].request.save_path, "p.png");
    EXPECT_EQ(stages->stages[2].request.width, 128);
}

TEST(Stages, Refusals) {
    expect_error(inference(R"({"type":"multi_stage","prompt":"x"})"), ErrorCode::kInvalidRequest, "/data",
                 "stages");
    expect_error(inference(R"({"type":"multi_stage","prompt":"x","stages":[{},{"width":64}]})"),
                 ErrorCode::kUnsupported, "/data/stages/1", "same size");
    expect_error(inference(R"({"type":"multi_stage","prompt":"x","stages":[{"batch_size":2}]})"),
                 ErrorCode::kUnsupported, "/data/stages/0");
    expect_error(inference(R"({"type":"multi_stage","prompt":"x","stages":[{"steps":0}]})"),
                 ErrorCode::kInvalidRequest, "/data/stages/0/steps");
}

TEST(Validate, FindsEverythingThatIsWrong) {
    const auto validated = command_of<ValidateRequest>(
        R"({"action":"validate_request","request":{"prompt":"x","width":65,"steps":0,"scheduler":"Eulr a","loras":[{"name":"l"}],"oops":1}})");
    std::vector<std::string> pointers;
    for (const Finding& finding : validated.findings) pointers.push_back(finding.error.pointer);
    EXPECT_EQ(pointers, (std::vector<std::string>{"/request/width", "/request/steps", "/request/scheduler",
                                                  "/request/loras"}));
    EXPECT_EQ(validated.findings[2].nearest, "Euler a");
    EXPECT_FALSE(validated.findings[2].allowed.empty());
    EXPECT_FALSE(validated.request.has_value());
    EXPECT_EQ(validated.warnings.size(), 1U);
}

TEST(Validate, TakesBodiesAndWholeRequests) {
    const auto body = command_of<ValidateRequest>(
        R"({"message_type":"validate_request","data":{"request":{"Conditioning":{"Prompt":"x"}}}})");
    EXPECT_TRUE(body.findings.empty());
    ASSERT_TRUE(body.request.has_value());
    EXPECT_EQ(body.request->prompt, "x");
    const auto whole = command_of<ValidateRequest>(
        R"({"message_type":"validate_request","data":{"request":{"message_type":"inference_request","request_id":"q","data":{"prompt":"x","width":1}}}})");
    ASSERT_EQ(whole.findings.size(), 1U);
    EXPECT_EQ(whole.findings[0].error.pointer, "/data/request/data/width");
    const auto unknown =
        command_of<ValidateRequest>(R"({"action":"validate_request","request":{"action":"generate_imgae"}})");
    ASSERT_EQ(unknown.findings.size(), 1U);
    EXPECT_EQ(unknown.findings[0].error.pointer, "/request/action");
    expect_error(R"({"action":"validate_request"})", ErrorCode::kInvalidRequest, "", "request");
}

TEST(Errors, TheFirstIsToldWithTheNumberOfTheOthers) {
    expect_error(inference(R"({"prompt":"x","width":65,"steps":0})"), ErrorCode::kInvalidRequest,
                 "/data/width", "(and 1 more");
}

TEST(ActionEnvelope, Refusals) {
    expect_error(R"({"action":"generate_imgae"})", ErrorCode::kInvalidRequest, "/action", "'generate_image'");
    expect_error(R"({"action":"generate_image","parameters":{}})", ErrorCode::kInvalidRequest, "/parameters");
    expect_error(R"({"action":"initialize","device_index":-1})", ErrorCode::kInvalidRequest, "/device_index");
}

TEST(Ids, AreFoundAndEchoed) {
    const Message session = parse_message(R"({"action":"get_status","session_id":"s1"})");
    EXPECT_EQ(session.reply.envelope, EnvelopeKind::kAction);
    EXPECT_EQ(session.reply.id, "s1");
    EXPECT_EQ(session.reply.id_name, "session_id");
    const Message number = parse_message(R"({"message_type":"status_request","request_id":42})");
    EXPECT_EQ(number.reply.id, "42");
    EXPECT_TRUE(number.reply.id_is_number);
    EXPECT_EQ(parse_message(R"({"action":"get_status","request_id":"r","session_id":"s"})").reply.id, "r");
    EXPECT_EQ(
        parse_message(
            R"({"message_type":"inference_request","data":{"prompt":"x","metadata":{"request_id":"m"}}})")
            .reply.id,
        "m");
    expect_error(R"({"message_type":"status_request","request_id":{}})", ErrorCode::kInvalidRequest,
                 "/request_id");
}

TEST(Example, MeansWhatItSays) {
    std::ifstream file(SDXL_SCHEMAS "/example_prompt.json");
    const std::string text((std::istreambuf_iterator<char>(file)), {});
    ASSERT_EQ(std::count(text.begin(), text.end(), '\n'), 1)
        << "one line, so that it can be piped into the worker";
    const Message message = parse_message(text);
    for (const std::string& warning : message.warnings) ADD_FAILURE() << warning;
    const GenerationRequest request = generation_of(message);
    EXPECT_EQ(request.model, "demo");
    EXPECT_EQ(request.width, 256);
    EXPECT_EQ(request.height, 256);
    EXPECT_EQ(request.steps, 6);
    EXPECT_EQ(request.seed, 42U);
    EXPECT_EQ(request.scheduler, SchedulerType::kEuler);
    EXPECT_FALSE(message.reply.id.empty());
}

}  // namespace
}  // namespace sdxl
