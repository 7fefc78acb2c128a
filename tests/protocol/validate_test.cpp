// validate_request: everything that is wrong, in the order of what was sent.
#include "expect_message.h"

namespace sdxl {
namespace {

ValidateRequest validated(const std::string& line) {
    const Message message = parse_message(line);
    if (!message.command.ok()) {
        ADD_FAILURE() << line << ": " << message.command.error().message;
        return {};
    }
    return std::get<ValidateRequest>(*message.command);
}

std::vector<std::string> pointers(const ValidateRequest& request) {
    std::vector<std::string> all;
    for (const Finding& finding : request.findings) all.push_back(finding.error.pointer);
    return all;
}

using Pointers = std::vector<std::string>;

TEST(Validate, EveryFindingInTheOrderSent) {
    const auto result = validated(
        R"({"action":"validate_request","request":{"scheduler":"Eulr","width":63,"prompt":7,"loras":[{"weight":1}],"device":"toaster","steps":"3","hieght":64}})");
    EXPECT_EQ(pointers(result), (Pointers{"/request/scheduler", "/request/width", "/request/prompt",
                                          "/request/loras/0", "/request/device", "/request/steps"}));
    EXPECT_FALSE(result.request);
    ASSERT_EQ(result.warnings.size(), 1U);
    EXPECT_NE(result.warnings[0].find("'height'"), std::string::npos);
}

TEST(Validate, AGoodRequestIsHandedOn) {
    for (
        const char* line :
        {R"({"message_type":"validate_request","request_id":"v","data":{"request":{"prompt":"p","steps":4}}})",
         R"({"message_type":"validate_request","request_id":"v","data":{"prompt":"p","steps":4}})",
         R"({"message_type":"validate_request","session_id":"v","prompt":"p","steps":4})",
         R"({"action":"validate_request","session_id":"v","request":{"Scheduler":{"Steps":4},"Conditioning":{"Prompt":"p"}}})",
         R"({"action":"validate_request","session_id":"v","request_data":{"prompt":"p","hyperparameters":{"num_inference_steps":4}}})",
         R"({"action":"validate_request","session_id":"v","request":{"action":"generate_image","parameters":{"prompt":"p","steps":4}}})",
         R"({"action":"validate_request","session_id":"v","request":{"message_type":"inference_request","data":{"prompt":"p","steps":4}}})",
         R"({"action":"validate_request","session_id":"v","request":{"message_type":"generate_sdxl_enhanced","prompt":"p","steps":4}})",
         R"({"action":"validate_request","session_id":"v","request":{"worker_type":"sdxl_worker","method":"text2img","parameters":{"prompt":"p","steps":4}}})",
         R"({"action":"validate_request","session_id":"v","request":{"action":"validate_request","request":{"prompt":"p","steps":4}}})"}) {
        EXPECT_EQ(parse_message(line).reply.id, "v") << line;
        const auto result = validated(line);
        EXPECT_TRUE(result.findings.empty()) << line << ": " << result.findings[0].error.message;
        EXPECT_TRUE(result.warnings.empty()) << line;
        ASSERT_TRUE(result.request) << line;
        EXPECT_EQ(result.request->steps, 4) << line;
    }
}

TEST(Validate, EnvelopesAndCommands) {
    EXPECT_EQ(pointers(validated(
                  R"({"action":"validate_request","request":{"action":"dance","parameters":{"steps":0}}})")),
              Pointers{"/request/action"});
    EXPECT_EQ(
        pointers(validated(
            R"({"action":"validate_request","request":{"message_type":"model_load_request","data":{"dtype":"x"}}})")),
        (Pointers{"/request/data/dtype", "/request/data"}));
    const auto status =
        validated(R"({"action":"validate_request","request":{"message_type":"status_request"}})");
    EXPECT_TRUE(status.findings.empty());
    EXPECT_FALSE(status.request);
}

TEST(Validate, StagesAndItems) {
    EXPECT_EQ(
        pointers(validated(
            R"({"action":"validate_request","request":{"type":"multi_stage","prompt":"p","stages":[{"steps":0},{"strength":2}]}})")),
        (Pointers{"/request/stages/0/steps", "/request/stages/1/strength"}));
    EXPECT_EQ(
        pointers(validated(
            R"({"action":"validate_request","request":{"type":"batch","requests":[{"prompt":"p","steps":0},{},5]}})")),
        (Pointers{"/request/requests/0/steps", "/request/requests/1", "/request/requests/2"}));
}

TEST(Validate, TheAskingItselfMayBeWrong) {
    expect_error(R"({"action":"validate_request","timeout":0,"request":{"prompt":"p"}})",
                 ErrorCode::kInvalidRequest, "/timeout");
    EXPECT_EQ(pointers(validated(R"({"action":"validate_request","prompt":"p","request":"p"})")),
              Pointers{"/request"});
}

}  // namespace
}  // namespace sdxl
