// `sdxl-worker devices`, as people and scripts start it.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "child.h"

namespace sdxl {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class DevicesTest : public testing::Test {
  protected:
    void SetUp() override {
        folder_ =
            fs::temp_directory_path() /
            ("sdxl_devices_" + std::to_string(std::chrono::steady_clock::now().time_since_epoch().count()));
        fs::create_directories(folder_);
        cache_ = (folder_ / "devices.json").string();
    }
    void TearDown() override { fs::remove_all(folder_); }

    // What it prints; it must end well.
    std::string output(std::vector<std::string> arguments, std::string* errors = nullptr) const {
        arguments.insert(arguments.begin(), {SDXL_WORKER, "--profile-cache", cache_, "devices"});
        Child worker(arguments);
        worker.close_input();
        std::string text = worker.rest_of_output();
        const std::string said = worker.rest_of_errors();
        EXPECT_EQ(worker.wait(), 0) << said;
        if (errors != nullptr) *errors = said;
        return text;
    }

    fs::path folder_;
    std::string cache_;
};

TEST_F(DevicesTest, TheTableListsTheCpu) {
    std::istringstream lines(output({}));
    std::string head, cpu;
    std::getline(lines, head);
    std::getline(lines, cpu);
    EXPECT_TRUE(head.starts_with("device ")) << head;
    EXPECT_TRUE(cpu.starts_with("cpu ")) << cpu;
    // Columns stand below their heads.
    EXPECT_EQ(head.find("backend"), cpu.find("onednn")) << head << "\n" << cpu;
}

TEST_F(DevicesTest, WhatIsMeasuredIsKept) {
    EXPECT_TRUE(json::parse(output({"--json"}))[0]["rates"].is_null());
    const json measured = json::parse(output({"--json", "--profile"}));
    EXPECT_EQ(measured[0]["device"], "cpu");
    EXPECT_GT(measured[0]["total_memory"].get<std::uint64_t>(), 0U);
    EXPECT_GT(measured[0]["rates"]["float32_tflops"].get<double>(), 0);
    EXPECT_EQ(json::parse(output({"--json"}))[0]["rates"], measured[0]["rates"]);
    std::ofstream(cache_) << "no JSON";
    std::string errors;
    EXPECT_TRUE(json::parse(output({"--json"}, &errors))[0]["rates"].is_null());
    EXPECT_NE(errors.find(cache_), std::string::npos) << errors;
}

}  // namespace
}  // namespace sdxl
