// A worker that is stopped at any moment, by SIGTERM or by closing its stdin, answers everything that it was
// sent and leaves no partial file.
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <thread>

#include "child.h"
#include "image/png.h"
#include "workplace.h"

namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using sdxl::Child;

constexpr int kTimes = 100;  // each way

class Stop : public testing::Test {
  protected:
    // Sends a handful of requests: short and long pictures, a batch, a load, a mistake.
    void send_some(Child& worker) {
        std::string lines;
        const int count = 1 + below(6);
        for (int i = 0; i < count; ++i) lines += request("r" + std::to_string(i)).dump() + "\n";
        sent_ = count;
        worker.send(lines);
    }

    json request(const std::string& id) {
        static const char* kPriorities[] = {"low", "normal", "high", "critical"};
        json data = {{"prompt", "a b"},
                     {"model_name", "micro"},
                     {"width", 64},
                     {"height", 64},
                     {"steps", 1},
                     {"seed", below(100)},
                     {"priority", kPriorities[below(4)]}};
        switch (below(5)) {
            case 0:
                data["steps"] = 30;
                break;
            case 1:
                data["batch_size"] = 3;
                break;
            case 2:
                data["steps"] = 0;  // a mistake
                break;
            case 3:
                return {{"message_type", "model_load_request"},
                        {"request_id", id},
                        {"data", {{"model_name", "micro"}}}};
            default:
                break;
        }
        return {{"message_type", "inference_request"}, {"request_id", id}, {"data", data}};
    }

    int below(int most) { return static_cast<int>(random_() % static_cast<unsigned>(most)); }
    void wait_a_moment() { std::this_thread::sleep_for(std::chrono::microseconds(below(120000))); }

    // Every request has its answer, every picture of an answer is whole, and there is no other file.
    void expect_all_answered(const std::string& output) const {
        std::map<std::string, int> answers;
        std::size_t pictures = 0;
        std::istringstream lines(output);
        for (std::string line; std::getline(lines, line);) {
            const json answer = json::parse(line, nullptr, false);
            ASSERT_TRUE(answer.is_object()) << line;
            ++answers[answer["request_id"].get<std::string>()];
            if (answer["success"] != true || !answer["data"].contains("generated_images")) continue;
            for (const json& image : answer["data"]["generated_images"]) {
                std::ifstream file(image["image_path"].get<std::string>(), std::ios::binary);
                const std::vector<std::uint8_t> bytes(std::istreambuf_iterator<char>(file), {});
                EXPECT_EQ(sdxl::decode_png(bytes).width, 64) << line;
                ++pictures;
            }
        }
        EXPECT_EQ(answers.size(), static_cast<std::size_t>(sent_)) << output;
        for (const auto& [id, count] : answers) EXPECT_EQ(count, 1) << id;
        EXPECT_GE(files_, pictures);
    }

    // Pictures of a batch that was cancelled halfway stay; each file must be a whole picture.
    void look_at_files() {
        files_ = 0;
        if (!fs::exists(place_.output())) return;
        for (const auto& entry : fs::directory_iterator(place_.output())) {
            EXPECT_EQ(entry.path().extension(), ".png") << entry.path();
            std::ifstream file(entry.path(), std::ios::binary);
            const std::vector<std::uint8_t> bytes(std::istreambuf_iterator<char>(file), {});
            EXPECT_NO_THROW(sdxl::decode_png(bytes)) << entry.path();
            ++files_;
        }
    }

    sdxl::Workplace place_{SDXL_FIXTURES};
    std::mt19937 random_{20261123};
    int sent_ = 0;
    std::size_t files_ = 0;
};

TEST_F(Stop, BySigtermAtAnyMoment) {
    for (int i = 0; i < kTimes && !HasFailure(); ++i) {
        Child worker(place_.command(SDXL_WORKER, {"--log-level", "ERROR"}));
        worker.send("{\"message_type\":\"status_request\",\"request_id\":\"first\"}\n");
        worker.line();  // it has taken over its signals
        send_some(worker);
        wait_a_moment();
        worker.signal(i % 2 == 0 ? SIGTERM : SIGINT);
        const std::string output = worker.rest_of_output();
        EXPECT_EQ(worker.wait(), 0);
        look_at_files();
        expect_all_answered(output);
        fs::remove_all(place_.output());
    }
}

TEST_F(Stop, ByClosingItsInputAtAnyMoment) {
    for (int i = 0; i < kTimes && !HasFailure(); ++i) {
        Child worker(
            place_.command(SDXL_WORKER, {"--log-level", "ERROR", "--on-eof", i % 2 == 0 ? "drain" : "stop"}));
        send_some(worker);
        wait_a_moment();
        worker.close_input();
        const std::string output = worker.rest_of_output();
        EXPECT_EQ(worker.wait(), 0);
        look_at_files();
        expect_all_answered(output);
        fs::remove_all(place_.output());
    }
}

// Killed outright, nothing half-written may be left under the name of a picture.
TEST_F(Stop, BySigkillLeavesNoHalfPicture) {
    for (int i = 0; i < 20 && !HasFailure(); ++i) {
        Child worker(place_.command(SDXL_WORKER, {"--log-level", "ERROR"}));
        send_some(worker);
        wait_a_moment();
        worker.signal(SIGKILL);
        EXPECT_EQ(worker.wait(), -SIGKILL);
        look_at_files();
        fs::remove_all(place_.output());
    }
}

}  // namespace
