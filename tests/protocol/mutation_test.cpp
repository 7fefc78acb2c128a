// Damaged lines: whatever arrives, there is a Message, and the answer to it is one line of valid JSON.
#include <nlohmann/json.hpp>
#include <random>

#include "expect_message.h"

namespace sdxl {
namespace {

const std::string kSeeds[] = {
    R"({"message_type":"inference_request","request_id":"r","data":{"prompt":"p","width":512,"seed":-1,"scheduler":"Euler a","loras":[]}})",
    R"({"message_type":"inference_request","request_id":7,"data":{"Model":{"Base":"m"},"Scheduler":{"Type":"Euler","Steps":3},"Hyperparameters":{"Prompt":"p","Seed":3},"PostProcessing":[]}})",
    R"({"message_type":"inference_request","data":{"prompt":"p","hyperparameters":{"seed":1.0},"dimensions":{"width":64},"lora":{"enabled":false},"metadata":{"timeout":3}}})",
    R"({"action":"generate_image","session_id":"s","parameters":{"prompt":"p","guidance_scale":7.5e0,"batch_size":2}})",
    R"({"action":"load_model","model_path":"x","model_type":"sdxl","model_id":"y"})",
    R"({"message_type":"status_request","request_id":"\u00e9\ud83d\ude00"})",
    R"({"message_type":"inference_request","request_id":"s","data":{"type":"multi_stage","prompt":"p","stages":[{"steps":2},{"strength":0.5}]}})",
    R"({"message_type":"inference_request","request_id":"b","data":{"type":"batch","requests":[{"prompt":"p"},{"Hyperparameters":{"Prompt":"q"}}]}})",
    R"({"message_type":"validate_request","request_id":"v","data":{"request":{"action":"cancel","target":"x"}}})",
    R"({"message_type":"generate_sdxl_enhanced","session_id":"f","prompt":"p","model_base":"m","progress":{"every":2}})",
    R"({"worker_type":"sdxl_worker","method":"text2img","parameters":{"prompt":"p","precision":{"dtype":"fp16"}}})",
};
const std::string kPieces[] = {"null",     "true",
                               "-1",       "1e400",
                               "{}",       "[]",
                               "\"\"",     "{\"a\":",
                               "[[[[",     "]",
                               "}",        "\"",
                               "\\u0000",  "\xff",
                               "\xc3\xa9", ",",
                               ":",        "\"prompt\":5,",
                               "NaN",      "9223372036854775808",
                               "\n",       "_"};

std::string mutate(std::string line, std::mt19937& random) {
    const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
    for (std::size_t edits = 1 + below(4); edits > 0; --edits) {
        const std::size_t at = below(line.size() + 1);
        switch (below(5)) {
            case 0:
                line.insert(at, kPieces[below(std::size(kPieces))]);
                break;
            case 1:
                line.erase(at, 1 + below(8));
                break;
            case 2:
                if (at < line.size()) line[at] = static_cast<char>(random() % 256);
                break;
            case 3:
                line.resize(at);
                break;
            default:
                line.insert(at, line.substr(below(line.size() + 1), below(24)));
        }
    }
    return line;
}

TEST(Mutations, AlwaysGiveAMessageAndAnAnswer) {
    std::mt19937 random(20240611);
    int accepted = 0;
    int refused = 0;
    for (int i = 0; i < 20000; ++i) {
        const std::string line = mutate(kSeeds[random() % std::size(kSeeds)], random);
        const Message message = parse_message(line);
        std::string answer;
        if (message.command.ok()) {
            ++accepted;
            answer = answer_done({message.reply, message.warnings, 0});
        } else {
            ++refused;
            const Error& error = message.command.error();
            ASSERT_TRUE(error.code == ErrorCode::kInvalidRequest || error.code == ErrorCode::kUnsupported)
                << line << "\n"
                << error.message;
            ASSERT_FALSE(error.message.empty()) << line;
            answer = answer_error({message.reply, message.warnings, 0}, error);
        }
        ASSERT_EQ(answer.find('\n'), std::string::npos);
        ASSERT_TRUE(nlohmann::json::accept(answer)) << line;
    }
    // Both kinds must occur, or the mutations test nothing.
    EXPECT_GT(accepted, 500);
    EXPECT_GT(refused, 5000);
}

}  // namespace
}  // namespace sdxl
