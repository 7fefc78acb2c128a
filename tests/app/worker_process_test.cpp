// The real program, driven as hosts and people drive it, on the micro model.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "child.h"
#include "image/png.h"
#include "image/read_image.h"
#include "workplace.h"

namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using sdxl::Child;

class WorkerProcess : public testing::Test {
  protected:
    std::vector<std::string> command(const std::vector<std::string>& more = {}) const {
        return place_.command(SDXL_WORKER, more);
    }
    static std::string generation(int steps, const std::string& id) {
        return json{{"message_type", "inference_request"},
                    {"request_id", id},
                    {"data",
                     {{"prompt", "a b"},
                      {"model_name", "micro"},
                      {"width", 128},
                      {"height", 128},
                      {"steps", steps},
                      {"seed", 3}}}}
                   .dump() +
               "\n";
    }
    static std::vector<std::uint8_t> bytes_of(const std::string& path) {
        std::ifstream file(path, std::ios::binary);
        return {std::istreambuf_iterator<char>(file), {}};
    }

    sdxl::Workplace place_{SDXL_FIXTURES};
    fs::path folder_ = place_.folder();
};

TEST_F(WorkerProcess, OneLineInOneLineOutAndAPicture) {
    Child worker(command({"--worker", "pipeline_manager", "--log-level", "INFO"}));
    worker.send(generation(2, "job"));
    const json answer = json::parse(worker.line());
    ASSERT_EQ(answer["success"], true) << answer.dump();
    EXPECT_EQ(answer["request_id"], "job");
    const std::string path = answer["data"]["generated_images"][0]["image_path"];
    EXPECT_EQ(sdxl::decode_png(bytes_of(path)).width, 128);
    worker.close_input();
    EXPECT_EQ(worker.rest_of_output(), "");
    EXPECT_EQ(worker.wait(), 0);
}

TEST_F(WorkerProcess, TheExampleIsAnswered) {
    std::ifstream file(SDXL_EXAMPLE);
    const sdxl::Workplace place(SDXL_FIXTURES, {"demo"});
    Child worker(place.command(SDXL_WORKER));
    worker.send(json::parse(file).dump() + "\n");
    const json answer = json::parse(worker.line());
    EXPECT_EQ(answer["success"], true) << answer.dump();
}

TEST_F(WorkerProcess, APipedFileIsAnsweredWholeBeforeExit) {
    Child worker(command());
    std::string lines;
    for (int i = 0; i < 5; ++i) lines += generation(1, std::to_string(i));
    worker.send(lines + "no json\n" + R"({"message_type":"status_request","request_id":"s"})");
    worker.close_input();
    const std::string all = worker.rest_of_output();
    EXPECT_EQ(std::count(all.begin(), all.end(), '\n'), 7) << all;
    EXPECT_EQ(worker.wait(), 0);
}

TEST_F(WorkerProcess, SigtermCancelsWithinAStepAndAnswers) {
    Child worker(command());
    worker.send(generation(1, "warm"));
    worker.line();
    worker.send(generation(500, "long"));
    worker.send("{\"message_type\":\"status_request\",\"request_id\":\"s\"}\n");
    EXPECT_EQ(json::parse(worker.line())["request_id"], "s");
    worker.signal(SIGTERM);
    const json answer = json::parse(worker.line());
    EXPECT_EQ(answer["error_code"], "cancelled") << answer.dump();
    EXPECT_EQ(worker.wait(), 0);
    EXPECT_EQ(std::distance(fs::directory_iterator(folder_ / "out"), fs::directory_iterator()), 1);
}

TEST_F(WorkerProcess, SigtermAfterTheEndOfInputCancelsToo) {
    Child worker(command());
    worker.send(generation(1, "warm"));
    worker.line();
    worker.send(generation(500, "a") + generation(500, "b"));
    worker.close_input();
    worker.signal(SIGTERM);
    EXPECT_EQ(json::parse(worker.line())["error_code"], "cancelled");
    EXPECT_EQ(json::parse(worker.line())["error_code"], "cancelled");
    EXPECT_EQ(worker.wait(), 0);
}

TEST_F(WorkerProcess, TimeoutEndsARequestAndTheWorkerGoesOn) {
    Child worker(command());
    worker.send(generation(1, "warm"));
    worker.line();
    json request = json::parse(generation(500, "late"));
    request["data"]["timeout"] = 0.05;
    worker.send(request.dump() + "\n" + generation(1, "next"));
    EXPECT_EQ(json::parse(worker.line())["error_code"], "deadline_exceeded");
    EXPECT_EQ(json::parse(worker.line())["success"], true);
}

TEST_F(WorkerProcess, AHostThatStopsReadingDoesNotHangTheExit) {
    Child worker(command());
    worker.close_input();
    EXPECT_EQ(worker.wait(), 0);
}

TEST_F(WorkerProcess, GenerateForAPerson) {
    const std::string out = (folder_ / "picture.png").string();
    Child worker(command({"generate", "--model", "micro", "--prompt", "a b", "--width", "64", "--height",
                          "64", "--steps", "2", "--seed", "1", "-o", out}));
    EXPECT_EQ(worker.line(), out);
    EXPECT_EQ(worker.wait(), 0);
    EXPECT_EQ(sdxl::decode_png(bytes_of(out)).height, 64);
    const std::string again = (folder_ / "again.jpg").string();
    Child second(
        command({"generate", "--model", "micro", "--prompt", "a b", "--image", out, "--mask", out,
                 "--strength", "0.5", "--refiner", "micro", "--vae", "micro", "--steps", "4", "-o", again}));
    EXPECT_EQ(second.line(), again);
    EXPECT_EQ(second.wait(), 0);
    EXPECT_EQ(sdxl::decode_image(bytes_of(again)).width, 64);
}

TEST_F(WorkerProcess, WithoutAModelTheDefaultOneDrawsAtItsOwnSize) {
    const std::string out = (folder_ / "picture.png").string();
    Child worker(
        command({"generate", "--default-model", "micro", "--prompt", "a b", "--steps", "1", "-o", out}));
    EXPECT_EQ(worker.line(), out);
    EXPECT_NE(worker.rest_of_errors().find("no model was named"), std::string::npos);
    EXPECT_EQ(worker.wait(), 0);
    EXPECT_EQ(sdxl::decode_png(bytes_of(out)).width, 128);
    // The variable does the same for hosts, whose answers say so.
    ASSERT_EQ(::setenv("SDXL_DEFAULT_MODEL", "micro", 1), 0);
    Child host(command());
    ASSERT_EQ(::unsetenv("SDXL_DEFAULT_MODEL"), 0);
    host.send(R"({"message_type":"status_request","request_id":"s"})"
              "\n");
    EXPECT_EQ(json::parse(host.line())["data"]["default_model"], "micro");
    host.send(R"({"message_type":"inference_request","data":{"prompt":"a b","steps":1}})"
              "\n");
    const json answer = json::parse(host.line());
    ASSERT_EQ(answer["success"], true) << answer.dump();
    EXPECT_NE(answer["warnings"].dump().find("no model was named"), std::string::npos);
    EXPECT_EQ(answer["data"]["generated_images"][0]["metadata"]["width"], 128);
}

TEST_F(WorkerProcess, ExitStatusTellsWhatWentWrong) {
    Child unknown_option(command({"--colour"}));
    EXPECT_EQ(unknown_option.wait(), 2);
    Child unknown_model(command({"generate", "--model", "nothing", "--prompt", "x"}));
    EXPECT_EQ(unknown_model.wait(), 1);
    Child unknown_device(command({"--device", "cuda:0"}));
    EXPECT_EQ(unknown_device.wait(), 1);
    Child help(command({"--help"}));
    EXPECT_NE(help.rest_of_output().find("requests.jsonl"), std::string::npos);
    EXPECT_EQ(help.wait(), 0);
}

// oneDNN says what it makes and runs: after the first step, nothing new is made and no weight is reordered.
TEST_F(WorkerProcess, StepsAfterTheFirstMakeNothing) {
    ASSERT_EQ(::setenv("DNNL_VERBOSE", "2", 1), 0);
    const auto count = [](const std::string& text, const std::string& part) {
        int found = 0;
        for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
        return found;
    };
    std::string said[2];
    for (const int index : {0, 1}) {
        Child worker(command({"generate", "--model", "micro", "--prompt", "a b", "--width", "64", "--height",
                              "64", "--steps", index == 0 ? "1" : "4", "--seed", "1"}));
        said[index] = worker.rest_of_output();
        EXPECT_EQ(worker.wait(), 0);
    }
    ASSERT_EQ(::unsetenv("DNNL_VERBOSE"), 0);
    EXPECT_GT(count(said[0], "verbose,create"), 0);
    EXPECT_EQ(count(said[0], "verbose,create"), count(said[1], "verbose,create"));
    EXPECT_GT(count(said[1], "verbose,exec"), 2 * count(said[0], "verbose,exec"));
    EXPECT_EQ(count(said[1], "exec,cpu,reorder"), 0);
}

TEST_F(WorkerProcess, BackendsAgree) {
    std::vector<std::uint8_t> pictures[2];
    int index = 0;
    for (const char* backend : {"onednn", "reference"}) {
        const std::string out = (folder_ / (std::string(backend) + ".png")).string();
        Child worker(
            command({"--backend", backend, "generate", "--model", "micro", "--prompt", "a b", "--width", "64",
                     "--height", "64", "--steps", "2", "--seed", "1", "--precision", "fp32", "-o", out}));
        ASSERT_EQ(worker.line(), out);
        pictures[index++] = sdxl::decode_png(bytes_of(out)).pixels;
    }
    int largest = 0;
    for (std::size_t i = 0; i < pictures[0].size(); ++i)
        largest = std::max(largest, std::abs(pictures[0][i] - pictures[1][i]));
    EXPECT_LE(largest, 1);
}

}  // namespace
