// Whatever the host sends, each line gets one answer, and the answer is a line of JSON.
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <random>

#include "fake_engine.h"
#include "orchestrator/session.h"

namespace sdxl {
namespace {

constexpr int kLines = 5000;

const std::string kSeeds[] = {
    R"({"message_type":"inference_request","request_id":"1","data":{"prompt":"cat","width":512,"steps":20,"seed":-1}})",
    R"({"message_type":"status_request","request_id":7})",
    R"({"message_type":"model_load_request","data":{"model_path":"missing"}})",
    R"({"action":"generate_image","parameters":{"prompt":"cat","scheduler":"Euler a","guidance_scale":7.5}})",
    R"({"action":"generate_sdxl_enhanced","session_id":"s","request":{"Model":{"Base":"b"},"Conditioning":{"Prompt":"cat"},"Scheduler":{"Type":"DPM++ 2M","Steps":4}}})",
    R"({"action":"get_capabilities","request_id":"é"})",
    R"({"action":"initialize","device_index":1})",
};

class Garbage {
  public:
    std::string line() { return below(4) == 0 ? noise() : mutated(); }

  private:
    std::size_t below(std::size_t most) { return static_cast<std::size_t>(random_() % most); }
    // Any byte but a line end.
    char byte() {
        const char value = static_cast<char>(below(256));
        return value == '\n' ? 'n' : value;
    }
    std::string noise() {
        std::string bytes(1 + below(80), ' ');
        for (char& one : bytes) one = byte();
        return "x" + bytes;
    }
    std::string mutated() {
        static const std::string kParts[] = {"{", "}",    "[",  "]",     "\"",      ":",
                                             ",", "null", "-1", "1e999", "\\u0000", "\xFF"};
        std::string line = kSeeds[below(std::size(kSeeds))];
        for (std::size_t edits = 1 + below(4); edits > 0 && line.size() > 1; --edits) {
            const std::size_t at = below(line.size());
            switch (below(4)) {
                case 0:
                    line[at] = byte();
                    break;
                case 1:
                    line.erase(at, 1 + below(8));
                    break;
                case 2:
                    line.insert(at, kParts[below(std::size(kParts))]);
                    break;
                default:
                    line.insert(at, line.substr(below(line.size()), below(20)));
            }
        }
        return line;
    }
    std::mt19937_64 random_{20250131};
};

TEST(SessionGarbage, EveryLineGetsOneAnswer) {
    FakeEngine engine;
    engine.finish_at_once();
    std::vector<std::string> answers;
    Session session(engine, {}, {[&](std::string line) { answers.push_back(std::move(line)); }});
    Garbage garbage;
    int succeeded = 0;
    for (int i = 0; i < kLines; ++i) {
        const std::string line = garbage.line();
        session.receive(line);
        ASSERT_EQ(answers.size(), static_cast<std::size_t>(i) + 1) << line;
        ASSERT_EQ(answers.back().find('\n'), std::string::npos) << line;
        const auto answer = nlohmann::json::parse(answers.back(), nullptr, false);
        ASSERT_TRUE(answer.is_object()) << line << "\n" << answers.back();
        ASSERT_TRUE(answer.contains("success")) << answers.back();
        if (answer["success"] == true) {
            ++succeeded;
        } else {
            ASSERT_TRUE(answer["error"].is_string() && !answer["error"].get<std::string>().empty())
                << answers.back();
        }
    }
    // The lines reach beyond the parser, and not all of them are fine.
    EXPECT_GT(succeeded, kLines / 50);
    EXPECT_LT(succeeded, kLines * 9 / 10);
}

}  // namespace
}  // namespace sdxl
