// The four envelopes: which command a line means, who is answered and how it is handled.
#include "expect_message.h"
#include "protocol/commands.h"
#include "schema/schema.h"

namespace sdxl {
namespace {

constexpr const char* kEnvelopes[] = {"message_envelope", "action_envelope", "flat_envelope",
                                      "method_envelope"};

TEST(MessageEnvelope, Commands) {
    command_of<StatusRequest>(R"({"message_type":"status_request"})");
    command_of<StatusRequest>(R"({"messageType":"status_request","requestId":"1","data":null})");
    command_of<CapabilitiesRequest>(R"({"message_type":"capabilities_request","data":{}})");
    command_of<ModelInfoRequest>(R"({"message_type":"model_info_request","data":{}})");
    command_of<StopRequest>(R"({"message_type":"shutdown_request"})");
    const auto load = command_of<ModelLoadRequest>(
        R"({"message_type":"model_load_request","data":{"model_path":"m.safetensors","model_id":"mine","dtype":"fp32","model_type":"sdxl"}})");
    EXPECT_EQ(load.model, "m.safetensors");
    EXPECT_EQ(load.id, "mine");
    EXPECT_EQ(load.precision, Precision::kF32);
    EXPECT_EQ(command_of<ModelLoadRequest>(R"({"message_type":"model_load_request","data":{"model_id":"m"}})")
                  .model,
              "m");
    EXPECT_EQ(
        command_of<ModelUnloadRequest>(R"({"message_type":"model_unload_request","data":{"model_path":"m"}})")
            .model,
        "m");
    EXPECT_TRUE(
        command_of<CleanupRequest>(R"({"message_type":"cleanup_request","data":{"unload_models":true}})")
            .unload_models);
    EXPECT_FALSE(command_of<CleanupRequest>(R"({"message_type":"cleanup_request"})").unload_models);
    command_of<GenerationRequest>(inference(R"({"prompt":"a cat"})"));
    // Without data its members may stand at the top level.
    command_of<GenerationRequest>(
        R"({"message_type":"inference_request","prompt":"a cat","type":"inference"})");
}

TEST(MessageEnvelope, Delivery) {
    const Message message = parse_message(
        R"({"message_type":"inference_request","request_id":"r","timeout":5,"data":{"worker_type":"sdxl_worker","type":"inference","priority":"High","timeout":7.5,"prompt":"x"}})");
    EXPECT_EQ(generation_of(message).id, "r");
    EXPECT_EQ(message.timeout_seconds, 7.5);
    EXPECT_EQ(message.priority, Priority::kHigh);
    EXPECT_EQ(message.worker, "sdxl_worker");
    EXPECT_TRUE(message.warnings.empty());
    EXPECT_EQ(parse_message(inference(R"({"prompt":"x"})")).timeout_seconds, 300);
    EXPECT_EQ(parse_message(R"({"message_type":"status_request","timeout":12})").timeout_seconds, 12);
    EXPECT_EQ(
        parse_message(inference(R"({"request":{"prompt":"x","metadata":{"timeout":9}}})")).timeout_seconds,
        9);
}

TEST(MessageEnvelope, Progress) {
    const auto wish = [](const char* members) {
        const Message message = parse_message(inference(std::string("{\"prompt\":\"p\"") + members + "}"));
        generation_of(message);
        return message.progress;
    };
    EXPECT_EQ(wish("").every, 0);
    EXPECT_EQ(wish(R"(,"progress":false)").every, 0);
    EXPECT_EQ(wish(R"(,"progress":true)").every, 1);
    EXPECT_EQ(wish(R"(,"progress":{"every":7})").every, 7);
    EXPECT_FALSE(wish(R"(,"progress":{"every":7})").preview);
    EXPECT_EQ(wish(R"(,"progress":{"preview":true})").every, 1);
    EXPECT_TRUE(wish(R"(,"Progress":{"Preview":true})").preview);
    EXPECT_EQ(wish(R"(,"metadata":{"progress":true})").every, 1);
    EXPECT_EQ(parse_message(R"({"action":"generate_image","progress":true,"parameters":{"prompt":"p"}})")
                  .progress.every,
              1);
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
    // What stands beside it counts where the inner one says nothing.
    const GenerationRequest both = generation_from(R"({"steps":3,"parameters":{"prompt":"x","width":64}})");
    EXPECT_EQ(both.steps, 3);
    EXPECT_EQ(both.width, 64);
}

TEST(MessageEnvelope, Refusals) {
    expect_error(inference(R"({"type":"inferense","prompt":"x"})"), ErrorCode::kInvalidRequest, "/data/type",
                 "did you mean 'inference'");
    expect_error(inference(R"({"worker_type":"sdxl_wroker","prompt":"x"})"), ErrorCode::kInvalidRequest,
                 "/data/worker_type", "did you mean 'sdxl_worker'");
    expect_error(R"({"message_type":"inference_requets"})", ErrorCode::kInvalidRequest, "/message_type",
                 "did you mean 'inference_request'");
    expect_error(R"({"message_type":7})", ErrorCode::kInvalidRequest, "/message_type");
    expect_error(R"({"message_type":"status_request","data":[1]})", ErrorCode::kInvalidRequest, "/data",
                 "an object");
    expect_error(R"({"prompt":"x"})", ErrorCode::kInvalidRequest, "", "message_type");
    expect_error(R"({"message_type":"model_load_request","data":{}})", ErrorCode::kInvalidRequest, "/data",
                 "model_path");
    expect_error(R"({"message_type":"model_load_request","data":{"model_path":"a","model_type":"lora"}})",
                 ErrorCode::kUnsupported, "/data/model_type");
    EXPECT_TRUE(warns(
        parse_message(R"({"message_type":"model_load_request","data":{"model_path":"a","model_type":"x"}})"),
        "/data/model_type", "metadata decides"));
}

TEST(ActionEnvelope, Commands) {
    EXPECT_EQ(command_of<InitializeRequest>(R"({"action":"initialize"})").device.name, "");
    const auto initialize = command_of<InitializeRequest>(R"({"action":"initialize","deviceIndex":2})");
    EXPECT_EQ(initialize.device.name, "gpu:2");
    EXPECT_EQ(initialize.device.pointer, "/deviceIndex");
    EXPECT_EQ(command_of<InitializeRequest>(R"({"action":"initialize","device":"cuda:1"})").device.name,
              "cuda:1");
    EXPECT_EQ(command_of<ModelLoadRequest>(
                  R"({"action":"load_model","model_path":"p","model_type":"SDXL","model_id":"i"})")
                  .model,
              "p");
    EXPECT_EQ(
        command_of<ModelLoadRequest>(R"({"action":"load_model","parameters":{"model_path":"p"}})").model,
        "p");
    EXPECT_EQ(command_of<ModelUnloadRequest>(R"({"action":"unload_model","model_id":"i"})").model, "i");
    EXPECT_EQ(command_of<ModelUnloadRequest>(R"({"action":"unload_model"})").model, "");
    EXPECT_EQ(command_of<ModelInfoRequest>(R"({"action":"get_model_info","model_name":"n"})").model, "n");
    EXPECT_EQ(
        command_of<GenerationRequest>(R"({"action":"generate_image","parameters":{"prompt":"x"}})").prompt,
        "x");
    EXPECT_EQ(command_of<GenerationRequest>(R"({"action":"generate_image","prompt":"x"})").prompt, "x");
    EXPECT_EQ(command_of<GenerationRequest>(R"({"action":"generate_image","data":{"prompt":"x"}})").prompt,
              "x");
    for (const char* holder : {"request", "request_data", "parameters"})
        EXPECT_EQ(command_of<GenerationRequest>(
                      std::string(R"({"action":"generate_sdxl_enhanced","session_id":"s",")") + holder +
                      R"(":{"Conditioning":{"Prompt":"x"}}})")
                      .prompt,
                  "x");
    command_of<StatusRequest>(R"({"action":"get_status"})");
    command_of<CapabilitiesRequest>(R"({"Action":"get_capabilities"})");
    command_of<CleanupRequest>(R"({"action":"cleanup_memory"})");
    command_of<StopRequest>(R"({"action":"stop"})");
}

TEST(ActionEnvelope, Refusals) {
    expect_error(R"({"action":"generate_imgae"})", ErrorCode::kInvalidRequest, "/action", "'generate_image'");
    expect_error(R"({"action":"generate_image","parameters":{}})", ErrorCode::kInvalidRequest, "/parameters");
    expect_error(R"({"action":"generate_image","parameters":[1]})", ErrorCode::kInvalidRequest, "/parameters",
                 "an object");
    expect_error(R"({"action":"initialize","device_index":-1})", ErrorCode::kInvalidRequest, "/device_index");
    expect_error(R"({"action":"initialize","device":"toaster"})", ErrorCode::kInvalidRequest, "/device");
}

TEST(FlatEnvelope, Commands) {
    const Message message = parse_message(
        R"({"message_type":"generate_sdxl_enhanced","session_id":"s","model_base":"m","prompt":"p","width":64,"priority":"low"})");
    EXPECT_EQ(message.reply.envelope, EnvelopeKind::kFlat);
    EXPECT_EQ(message.reply.id, "s");
    EXPECT_EQ(message.reply.id_name, "request_id");
    EXPECT_EQ(message.reply.command, "generate_sdxl_enhanced");
    EXPECT_EQ(message.priority, Priority::kLow);
    EXPECT_EQ(generation_of(message).model, "m");
    EXPECT_EQ(generation_of(message).width, 64);
    EXPECT_TRUE(message.warnings.empty());
    EXPECT_EQ(
        command_of<ModelLoadRequest>(R"({"message_type":"load_model","session_id":"s","model_base":"m"})")
            .model,
        "m");
    command_of<StatusRequest>(R"({"message_type":"get_status","session_id":"s"})");
    command_of<CleanupRequest>(R"({"message_type":"cleanup","session_id":"s"})");
    command_of<ModelUnloadRequest>(R"({"message_type":"unload_model","session_id":"s"})");
    command_of<CapabilitiesRequest>(R"({"message_type":"get_capabilities","session_id":"s"})");
    command_of<ModelInfoRequest>(R"({"message_type":"get_model_info","session_id":"s"})");
    command_of<ValidateRequest>(R"({"message_type":"validate_request","session_id":"s","prompt":"p"})");
}

TEST(FlatEnvelope, Refusals) {
    const char* start = R"({"message_type":"generate_sdxl_enhanced","session_id":"s","prompt":"p",)";
    expect_error(std::string(start) + R"("width":7})", ErrorCode::kInvalidRequest, "/width");
    const Message suite = parse_message(
        R"({"message_type":"load_model","model_base":"m","model_vae":"v","model_refiner":"r"})");
    ASSERT_TRUE(suite.command.ok());
    EXPECT_EQ(std::get<ModelLoadRequest>(*suite.command).vae, "v");
    EXPECT_EQ(std::get<ModelLoadRequest>(*suite.command).refiner, "r");
}

TEST(MethodEnvelope, Commands) {
    const Message message = parse_message(
        R"({"worker_type":"sdxl_worker","method":"text2img","request_id":4,"parameters":{"prompt":"p","steps":2}})");
    EXPECT_EQ(message.reply.envelope, EnvelopeKind::kMethod);
    EXPECT_EQ(message.reply.command, "text2img");
    EXPECT_EQ(message.reply.id, "4");
    EXPECT_EQ(message.worker, "sdxl_worker");
    EXPECT_EQ(generation_of(message).steps, 2);
    EXPECT_TRUE(message.warnings.empty());
}

TEST(MethodEnvelope, Refusals) {
    const auto line = [](const char* method, const char* more) {
        return std::string(R"({"worker_type":"sdxl_worker","method":")") + method +
               R"(","parameters":{"prompt":"p")" + more + "}}";
    };
    expect_error(line("img2img", ""), ErrorCode::kInvalidRequest, "/parameters", "init_image");
    expect_error(line("inpaint", R"(,"init_image":"a.png")"), ErrorCode::kInvalidRequest, "/parameters",
                 "mask_image");
    EXPECT_EQ(generation_of(parse_message(line("img2img", R"(,"init_image":"a.png")"))).init_image.path,
              "a.png");
    expect_error(line("text2image", ""), ErrorCode::kInvalidRequest, "/method", "'text2img'");
    expect_error(R"({"worker_type":"x","method":"text2img","parameters":{"prompt":"p"}})",
                 ErrorCode::kInvalidRequest, "/worker_type", "sdxl_worker");
}

// What the schemas promise and what the program reads are the same.
TEST(Envelopes, EveryCommandHasAReader) {
    const auto names = command_names();
    for (const char* envelope : kEnvelopes) {
        const auto& document = Schema::named(envelope).document();
        const char* member = document["properties"].contains("message_type") ? "message_type"
                             : document["properties"].contains("action")     ? "action"
                                                                             : "method";
        const auto& listed = document["properties"][member]["enum"];
        EXPECT_EQ(listed.size(), document["x-commands"].size()) << envelope;
        for (const auto& [name, command] : document["x-commands"].items()) {
            const auto among = [](const auto& all, const std::string& one) {
                return std::any_of(all.begin(), all.end(),
                                   [&](const std::string& each) { return each == one; });
            };
            EXPECT_TRUE(among(listed.get<std::vector<std::string>>(), name)) << envelope << " " << name;
            EXPECT_TRUE(among(names, command.get<std::string>())) << command;
        }
    }
    for (const auto& name : names)
        if (const auto schema = command_row(name).schema; !schema.empty()) Schema::named(schema);
}

// Every envelope takes every body, in every spelling of its holder.
TEST(Envelopes, TakeEveryBody) {
    const char* bodies[] = {
        R"("prompt":"p","model_name":"m","width":64,"steps":3,"seed":9)",
        R"("prompt":"p","models":{"base":"m"},"dimensions":{"width":64},"hyperparameters":{"num_inference_steps":3,"seed":9})",
        R"("Model":{"Base":"m"},"Scheduler":{"Steps":3},"Hyperparameters":{"Width":64,"Seed":9},"Conditioning":{"Prompt":"p"})"};
    const std::pair<const char*, const char*> envelopes[] = {
        {R"({"message_type":"inference_request","data":{)", "}}"},
        {R"({"message_type":"inference_request","data":{"request":{)", "}}}"},
        {R"({"action":"generate_image","parameters":{)", "}}"},
        {R"({"action":"generate_image",)", "}"},
        {R"({"action":"generate_sdxl_enhanced","request_data":{)", "}}"},
        {R"({"message_type":"generate_sdxl_enhanced","session_id":"s",)", "}"},
        {R"({"worker_type":"pipeline_manager","method":"text2img","parameters":{)", "}}"}};
    for (const auto& [start, end] : envelopes) {
        for (const char* body : bodies) {
            const std::string line = std::string(start) + body + end;
            const auto request = command_of<GenerationRequest>(line);
            EXPECT_EQ(request.prompt, "p") << line;
            EXPECT_EQ(request.model, "m") << line;
            EXPECT_EQ(request.width, 64) << line;
            EXPECT_EQ(request.steps, 3) << line;
            EXPECT_EQ(request.seed, 9U) << line;
        }
    }
}

TEST(Ids, AreFoundAndEchoed) {
    const Message session = parse_message(R"({"action":"get_status","session_id":"s1"})");
    EXPECT_EQ(session.reply.envelope, EnvelopeKind::kAction);
    EXPECT_EQ(session.reply.id, "s1");
    EXPECT_EQ(session.reply.id_name, "session_id");
    const Message number = parse_message(R"({"message_type":"status_request","request_id":42})");
    EXPECT_EQ(number.reply.id, "42");
    EXPECT_TRUE(number.reply.id_is_number);
    EXPECT_EQ(parse_message(R"({"message_type":"status_request","request_id":42.0})").reply.id, "42");
    EXPECT_EQ(parse_message(R"({"action":"get_status","request_id":"r","session_id":"s"})").reply.id, "r");
    EXPECT_EQ(
        parse_message(
            R"({"message_type":"inference_request","data":{"prompt":"x","metadata":{"request_id":"m"}}})")
            .reply.id,
        "m");
    for (const char* id : {"{}", "[1]", "true", "1.5"})
        expect_error(std::string(R"({"message_type":"status_request","request_id":)") + id + "}",
                     ErrorCode::kInvalidRequest, "/request_id", "1024 bytes");
    expect_error(R"({"message_type":"status_request","request_id":")" + std::string(1025, 'x') + "\"}",
                 ErrorCode::kInvalidRequest, "/request_id", "1024 bytes");
}

}  // namespace
}  // namespace sdxl
