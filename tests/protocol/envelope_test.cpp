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
    ASSERT_EQ(message.warnings.size(),
              1U);  // of the two timeouts one loses in peace; the priority has no effect
    EXPECT_NE(message.warnings[0].find("/data/priority"), std::string::npos) << message.warnings[0];
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
    expect_error(inference(R"({"type":"multi_stage","prompt":"x"})"), ErrorCode::kUnsupported, "/data/type");
    expect_error(inference(R"({"type":"batch","prompt":"x"})"), ErrorCode::kUnsupported, "/data/type");
    expect_error(inference(R"({"type":"inferense","prompt":"x"})"), ErrorCode::kInvalidRequest, "/data/type",
                 "did you mean 'inference'");
    expect_error(inference(R"({"worker_type":"sdxl_wroker","prompt":"x"})"), ErrorCode::kInvalidRequest,
                 "/data/worker_type", "did you mean 'sdxl_worker'");
    for (const char* type : {"cancel_request", "validate_request", "shutdown_request", "model_unload_request",
                             "generate_sdxl_enhanced", "load_model", "get_status", "cleanup"})
        expect_error(std::string(R"({"message_type":")") + type + R"(","session_id":"s"})",
                     ErrorCode::kUnsupported, "/message_type", "inference_request");
    expect_error(R"({"message_type":"inference_requets"})", ErrorCode::kInvalidRequest, "/message_type",
                 "did you mean 'inference_request'");
    expect_error(R"({"message_type":7})", ErrorCode::kInvalidRequest, "/message_type");
    expect_error(R"({"message_type":"status_request","data":[1]})", ErrorCode::kInvalidRequest, "/data");
    expect_error(R"({"worker_type":"sdxl_worker","method":"text2img","parameters":{}})",
                 ErrorCode::kUnsupported, "/method");
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

TEST(ActionEnvelope, Refusals) {
    for (const char* action : {"unload_model", "validate_request", "get_model_info", "cleanup_memory"})
        expect_error(std::string(R"({"action":")") + action + R"("})", ErrorCode::kUnsupported, "/action");
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
