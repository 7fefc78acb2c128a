// Commands with more than one request in them: stages, batches, cancel.
#include "expect_message.h"

namespace sdxl {
namespace {

StagesRequest stages_of(const Message& message) {
    if (!message.command.ok()) {
        ADD_FAILURE() << message.command.error().pointer << " " << message.command.error().message;
        return {};
    }
    return std::get<StagesRequest>(*message.command);
}

BatchRequest batch_of(const Message& message) {
    if (!message.command.ok()) {
        ADD_FAILURE() << message.command.error().pointer << " " << message.command.error().message;
        return {};
    }
    return std::get<BatchRequest>(*message.command);
}

TEST(Stages, InheritFromTheBodyBeside) {
    const Message message = parse_message(inference(
        R"({"type":"multi_stage","prompt":"p","model_name":"m","steps":9,"width":64,"height":64,"seed":5,"save_path":"o.png","return_image_data":true,
        "stages":[{"name":"a","steps":3},{"strength":0.5,"Hyperparameters":{"Prompt":"q"},"Scheduler":{"Type":"Euler a"}},{"dimensions":{"width":64}}]})"));
    const auto stages = stages_of(message).stages;
    for (const auto& warning : message.warnings) ADD_FAILURE() << warning;
    ASSERT_EQ(stages.size(), 3U);
    EXPECT_EQ(stages[0].name, "a");
    EXPECT_EQ(stages[1].name, "stage 2");
    EXPECT_EQ(stages[0].request.steps, 3);
    EXPECT_EQ(stages[1].request.steps, 9);
    EXPECT_EQ(stages[0].request.prompt, "p");
    EXPECT_EQ(stages[1].request.prompt, "q");
    EXPECT_EQ(stages[1].request.scheduler, SchedulerType::kEulerAncestral);
    EXPECT_EQ(stages[0].request.strength, 1.0);
    EXPECT_EQ(stages[1].request.strength, 0.5);
    EXPECT_EQ(stages[2].request.strength, 0.3);
    for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(stages[i].request.model, "m");
        EXPECT_EQ(stages[i].request.seed, 5U);
        EXPECT_EQ(stages[i].request.id, "r1");
        EXPECT_EQ(stages[i].request.batch_size, 1);
        EXPECT_EQ(stages[i].request.keep_pixels, i < 2);
        EXPECT_EQ(stages[i].request.save_path, i < 2 ? "" : "o.png");
    }
    EXPECT_TRUE(message.reply.image_data);
}

TEST(Stages, AListMeansStagesWithoutAType) {
    EXPECT_EQ(stages_of(parse_message(inference(R"({"prompt":"p","stages":[{},{}]})"))).stages.size(), 2U);
    EXPECT_TRUE(warns(parse_message(inference(R"({"type":"inference","prompt":"p","stages":[{},{}]})")),
                      "/data/stages", "no effect"));
}

TEST(Stages, FilesAndSizesOfThoseBeforeTheLast) {
    const Message message = parse_message(inference(
        R"({"type":"multi_stage","prompt":"p","batch_size":4,"stages":[{"save_path":"own.png","return_image_data":true},{"format":"png"},{}]})"));
    const auto stages = stages_of(message).stages;
    ASSERT_EQ(stages.size(), 3U);
    EXPECT_EQ(stages[0].request.save_path, "own.png");
    EXPECT_EQ(stages[2].request.batch_size, 1);
    EXPECT_TRUE(warns(message, "/data/batch_size", "one picture"));
    EXPECT_TRUE(warns(message, "/data/stages/0/return_image_data", "last stage"));
    EXPECT_TRUE(warns(message, "/data/stages/1/format", "writes no file"));
    EXPECT_EQ(message.warnings.size(), 3U);
    // A strength for all does not mean the first; one of its own does nothing there.
    EXPECT_TRUE(
        parse_message(inference(R"({"prompt":"p","strength":0.4,"stages":[{},{}]})")).warnings.empty());
    EXPECT_TRUE(warns(parse_message(inference(R"({"prompt":"p","stages":[{"strength":0.4},{}]})")),
                      "/data/stages/0/strength", "no effect"));
}

TEST(Stages, HandOnPicturesOrLatentsOfAnySize) {
    const Message message = parse_message(inference(
        R"({"prompt":"p","width":64,"stages":[{"denoising_end":0.8},{"model_name":"r"},{"scale":1.5,"strength":0.4},{"take_up":"latents","width":256}]})"));
    const auto stages = stages_of(message).stages;
    for (const auto& warning : message.warnings) ADD_FAILURE() << warning;
    ASSERT_EQ(stages.size(), 4U);
    EXPECT_TRUE(stages[0].request.keep_latents);
    EXPECT_EQ(stages[0].request.denoising_end, 0.8);
    EXPECT_EQ(stages[1].request.denoising_start, 0.8);
    EXPECT_EQ(stages[1].request.model, "r");
    EXPECT_TRUE(stages[1].request.keep_pixels);
    EXPECT_TRUE(stages[2].request.size_of_image);
    EXPECT_EQ(stages[2].request.size_scale, 1.5);
    EXPECT_TRUE(stages[2].request.keep_latents);
    EXPECT_FALSE(stages[3].request.size_of_image);
    EXPECT_EQ(stages[3].request.width, 256);
    EXPECT_FALSE(stages[3].request.keep_latents || stages[3].request.keep_pixels);
    const Message odd = parse_message(inference(
        R"({"prompt":"p","stages":[{"scale":2,"take_up":"image","denoising_start":0.5},{"scale":2,"height":64,"init_image":"x"}]})"));
    EXPECT_EQ(odd.warnings.size(), 5U);
    const Message masked = parse_message(inference(
        R"({"type":"multi_stage","prompt":"p","stages":[{"denoising_end":0.5},{"mask_image":"m.png"},{"mask_image":"m.png"}]})"));
    ASSERT_EQ(masked.warnings.size(), 1U);
    EXPECT_TRUE(warns(masked, "/data/stages/1/mask_image", "takes up latents"));
    EXPECT_FALSE(stages_of(masked).stages[1].request.mask_image);
    EXPECT_TRUE(stages_of(masked).stages[2].request.mask_image);
}

TEST(Stages, Refusals) {
    const auto line = [](const char* stages) {
        return inference(std::string(R"({"type":"multi_stage","prompt":"p","width":64,"stages":)") + stages +
                         "}");
    };
    expect_error(line("[{},{\"width\":65}]"), ErrorCode::kInvalidRequest, "/data/stages/1/width", "64");
    expect_error(line("[{},{\"denoising_end\":0.5}]"), ErrorCode::kInvalidRequest,
                 "/data/stages/1/denoising_end", "all noise");
    expect_error(line("[{\"denoising_end\":0.5},{\"take_up\":\"image\"}]"), ErrorCode::kInvalidRequest,
                 "/data/stages/1/take_up", "latents");
    expect_error(line("[{},{\"steps\":0}]"), ErrorCode::kInvalidRequest, "/data/stages/1/steps");
    expect_error(line("[{},7]"), ErrorCode::kInvalidRequest, "/data/stages/1", "an object");
    expect_error(line("[{},{},{},{},{},{},{},{},{}]"), ErrorCode::kInvalidRequest, "/data/stages",
                 "1 to 8 items, found an array of 9");
    expect_error(line("null"), ErrorCode::kInvalidRequest, "/data", "'stages'");
    expect_error(line("{\"a\":1}"), ErrorCode::kInvalidRequest, "/data/stages", "an array");
    expect_error(inference(R"({"type":"multi_stage","stages":[{"prompt":"p"},{}]})"),
                 ErrorCode::kInvalidRequest, "/data/stages/1", "prompt");
    EXPECT_TRUE(warns(parse_message(line(R"([{"nam":"x"}])")), "/data/stages/0/nam", "'name'"));
}

TEST(Batch, ListInheritsAndFailsAlone) {
    const Message message = parse_message(inference(
        R"({"type":"batch","steps":3,"save_path":"a/b.png","requests":[{"prompt":"a","id":"mine"},{"prompt":"b","seed":-7},7,
        {"Hyperparameters":{"Prompt":"c","Steps":4}},{},{"prompt":"d","save_path":"own.png","widht":64}]})"));
    const auto items = batch_of(message).items;
    ASSERT_EQ(items.size(), 6U);
    ASSERT_TRUE(items[0].request.ok());
    EXPECT_EQ(items[0].request.value().prompt, "a");
    EXPECT_EQ(items[0].request.value().steps, 3);
    EXPECT_EQ(items[0].request.value().id, "r1-0");
    EXPECT_EQ(items[0].request.value().save_path, "a/b-0.png");
    EXPECT_EQ(items[1].request.error().pointer, "/data/requests/1/seed");
    EXPECT_EQ(items[2].request.error().pointer, "/data/requests/2");
    ASSERT_TRUE(items[3].request.ok());
    EXPECT_EQ(items[3].request.value().prompt, "c");
    EXPECT_EQ(items[3].request.value().steps, 4);
    EXPECT_EQ(items[3].request.value().id, "r1-3");
    EXPECT_EQ(items[4].request.error().pointer, "/data/requests/4");
    ASSERT_TRUE(items[5].request.ok());
    EXPECT_EQ(items[5].request.value().save_path, "own.png");
    ASSERT_EQ(items[5].warnings.size(), 1U);
    EXPECT_NE(items[5].warnings[0].find("/data/requests/5/widht"), std::string::npos);
    EXPECT_TRUE(message.warnings.empty());
}

TEST(Batch, SizeRepeatsTheBody) {
    for (const char* size : {R"("size":3)", R"("batch_size":3)", R"("batch":{"size":3})"}) {
        const Message message =
            parse_message(inference(std::string(R"({"type":"batch","prompt":"p","seed":5,)") + size + "}"));
        const auto items = batch_of(message).items;
        ASSERT_EQ(items.size(), 3U) << size;
        for (std::size_t i = 0; i < 3; ++i) {
            ASSERT_TRUE(items[i].request.ok());
            EXPECT_EQ(items[i].request.value().seed, 5U + i);
            EXPECT_EQ(items[i].request.value().batch_size, 1);
        }
    }
    const auto drawn = batch_of(parse_message(inference(R"({"type":"batch","prompt":"p","size":2})"))).items;
    EXPECT_EQ(drawn[1].request.value().seed, drawn[0].request.value().seed + 1);
    EXPECT_EQ(batch_of(parse_message(R"({"action":"generate_image","type":"batch","prompt":"p","size":2})"))
                  .items[1]
                  .request.value()
                  .id,
              "");
}

TEST(Batch, Refusals) {
    expect_error(inference(R"({"type":"batch","prompt":"p"})"), ErrorCode::kInvalidRequest, "/data",
                 "'requests'");
    expect_error(inference(R"({"type":"batch","size":3})"), ErrorCode::kInvalidRequest, "/data", "prompt");
    expect_error(inference(R"({"type":"batch","prompt":"p","size":65})"), ErrorCode::kInvalidRequest,
                 "/data/size");
    std::string many = R"({"type":"batch","items":[{})";
    for (int i = 0; i < 64; ++i) many += ",{}";
    expect_error(inference(many + "]}"), ErrorCode::kInvalidRequest, "/data/items", "65 items");
    EXPECT_TRUE(warns(parse_message(inference(R"({"prompt":"p","size":3})")), "/data/size", "batch_size"));
}

CancelRequest cancel_of(const std::string& line, const char* own_id) {
    const Message message = parse_message(line);
    EXPECT_EQ(message.reply.id, own_id) << line;
    return command_of<CancelRequest>(line);
}

TEST(Cancel, NamesTheOtherRequest) {
    auto cancel =
        cancel_of(R"({"message_type":"cancel_request","request_id":"c","data":{"request_id":"r"}})", "c");
    EXPECT_EQ(cancel.target, "r");
    EXPECT_EQ(cancel.pointer, "/data/request_id");
    EXPECT_EQ(cancel_of(R"({"message_type":"cancel_request","data":{"requestId":7}})", "").target, "7");
    for (const char* name : {"target", "target_id", "targetRequestId", "cancel_id"}) {
        const std::string member = std::string("\"") + name + "\":\"r\"";
        EXPECT_EQ(
            cancel_of(R"({"message_type":"cancel_request","request_id":"c","data":{)" + member + "}}", "c")
                .target,
            "r");
        EXPECT_EQ(cancel_of(R"({"action":"cancel_request","session_id":"c",)" + member + "}", "c").target,
                  "r");
        EXPECT_EQ(cancel_of(R"({"message_type":"cancel","session_id":"c",)" + member + "}", "c").target, "r");
    }
    EXPECT_EQ(
        cancel_of(R"({"action":"cancel","parameters":{"request_id":"r"},"session_id":"c"})", "c").target,
        "r");
}

TEST(Cancel, OwnIdOfEnvelopesTwoAndThree) {
    EXPECT_EQ(cancel_of(R"({"action":"cancel","request_id":"r"})", "r").target, "r");
    EXPECT_EQ(cancel_of(R"({"action":"cancel","session_id":"r"})", "r").target, "r");
    EXPECT_EQ(cancel_of(R"({"action":"cancel","session_id":"s","request_id":"r"})", "s").target, "r");
    EXPECT_EQ(cancel_of(R"({"message_type":"cancel","session_id":"r"})", "r").target, "r");
    expect_error(R"({"message_type":"cancel_request","request_id":"c"})", ErrorCode::kInvalidRequest, "",
                 "target");
    expect_error(R"({"message_type":"cancel_request","request_id":"c","data":{}})",
                 ErrorCode::kInvalidRequest, "/data", "target");
}

TEST(Cancel, All) {
    EXPECT_TRUE(cancel_of(R"({"action":"cancel","session_id":"s","all":true})", "s").all);
    EXPECT_TRUE(
        cancel_of(R"({"message_type":"cancel_request","request_id":"c","data":{"all":true}})", "c").all);
    EXPECT_TRUE(warns(parse_message(R"({"action":"cancel","all":true,"target":"x"})"), "/target", "/all"));
}

TEST(Cancel, ABrokenOneIsNotAnsweredUnderTheOthersId) {
    EXPECT_EQ(parse_message(R"({"message_type":"cancel_request","data":{"request_id":"r"},)").reply.id, "");
}

}  // namespace
}  // namespace sdxl
