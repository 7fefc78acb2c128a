// Plays tests/transcripts against the real program; the README there says how they are written.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "child.h"

namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using sdxl::Child;

// Where `found` differs from what is wanted, "" if nowhere.
std::string difference(const json& wanted, const json& found, const std::string& at = "") {
    if (wanted == "*") return "";
    if (wanted.is_object()) {
        if (!found.is_object()) return at + ": no object";
        for (const auto& [key, value] : wanted.items()) {
            if (!found.contains(key)) return at + "/" + key + ": absent";
            if (const auto inside = difference(value, found[key], at + "/" + key); !inside.empty())
                return inside;
        }
        return "";
    }
    if (wanted.is_array()) {
        if (!found.is_array() || found.size() != wanted.size()) return at + ": " + found.dump();
        for (std::size_t i = 0; i < wanted.size(); ++i)
            if (const auto inside = difference(wanted[i], found[i], at + "/" + std::to_string(i));
                !inside.empty())
                return inside;
        return "";
    }
    return wanted == found ? "" : at + ": wanted " + wanted.dump() + ", found " + found.dump();
}

class Transcript : public testing::TestWithParam<const char*> {};

TEST_P(Transcript, IsAnsweredAsWritten) {
    const fs::path folder =
        fs::temp_directory_path() /
        ("sdxl_transcript_" + std::to_string(std::chrono::steady_clock::now().time_since_epoch().count()));
    fs::create_directories(folder / "models");
    fs::create_directory_symlink(fs::canonical(SDXL_FIXTURES "/micro"), folder / "models" / "micro");
    {
        Child worker({SDXL_WORKER, "--models-dir", (folder / "models").string(), "--output-dir",
                      (folder / "out").string(), "--log-level", "ERROR"});
        std::ifstream file(fs::path(SDXL_TRANSCRIPTS) / GetParam());
        int answers = 0;
        for (std::string line; std::getline(file, line);) {
            if (line.rfind("> ", 0) == 0) worker.send(line.substr(2) + "\n");
            if (line.rfind("< ", 0) != 0) continue;
            const std::string answer = worker.line();
            ASSERT_TRUE(json::accept(answer)) << answer;
            EXPECT_EQ(difference(json::parse(line.substr(2)), json::parse(answer)), "") << line << "\n"
                                                                                        << answer;
            ++answers;
        }
        EXPECT_GT(answers, 0) << "no transcript";
        worker.close_input();
        EXPECT_EQ(worker.rest_of_output(), "");
        EXPECT_EQ(worker.wait(), 0);
    }
    fs::remove_all(folder);
}

INSTANTIATE_TEST_SUITE_P(All, Transcript,
                         testing::Values("envelope_1.txt", "envelope_2.txt", "mistakes.txt"));

TEST(TranscriptTest, NoticesADifference) {
    EXPECT_EQ(difference(json::parse(R"({"a":[1,"*"]})"), json::parse(R"({"a":[1,7],"b":2})")), "");
    EXPECT_NE(difference(json::parse(R"({"a":1})"), json::parse(R"({"a":2})")), "");
    EXPECT_NE(difference(json::parse(R"({"a":"*"})"), json::parse("{}")), "");
    EXPECT_NE(difference(json::parse("[1]"), json::parse("[1,2]")), "");
}

}  // namespace
