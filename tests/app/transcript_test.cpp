// Plays tests/transcripts against the real program; the README there says how they are written.
#include <gtest/gtest.h>

#include <cctype>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "child.h"
#include "schema/schema.h"
#include "workplace.h"

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

// What the schemas have against a line, "" if nothing.
std::string violation(const json& line) {
    const bool answer = line.contains("success");
    const char* name = !answer                           ? "answers/progress"
                       : line.contains("execution_time") ? "answers/message_answer"
                                                         : "answers/action_answer";
    const auto violations = sdxl::Schema::named(name).check(line);
    return violations.empty() ? "" : std::string(name) + violations[0].pointer + ": " + violations[0].reason;
}

struct Transcript {
    std::string name;
    std::vector<std::string> options;
    std::vector<std::string> lines;
};

void PrintTo(const Transcript& transcript, std::ostream* out) {
    *out << transcript.name;
}

std::string plain_name(const std::string& title) {
    std::string name;
    for (const char c : title) name += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
    return name;
}

// One line of a section: the worker's options, or something to play.
void add_line(Transcript& section, const std::string& line) {
    if (line.starts_with("$ ")) {
        std::istringstream words(line.substr(2));
        for (std::string word; words >> word;) section.options.push_back(word);
    } else if (line.starts_with("    ") && !section.lines.empty()) {
        section.lines.back() += line.substr(3);
    } else if (!line.empty() && line[0] != '#') {
        section.lines.push_back(line);
    }
}

// The sections of a file of transcripts.
void add_sections(const fs::path& path, std::vector<Transcript>& all) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("## "))
            all.push_back({path.stem().string() + "_" + plain_name(line.substr(3)), {}, {}});
        else
            add_line(all.back(), line);
    }
}

// What a document shows in blocks marked as transcripts, each a section of its own.
void add_examples(const fs::path& path, std::vector<Transcript>& all) {
    std::ifstream file(path);
    std::string heading;
    int number = 0;
    bool inside = false;
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("```")) {
            inside = line == "```transcript";
            if (inside) all.push_back({heading + "_" + std::to_string(++number), {}, {}});
        } else if (inside) {
            add_line(all.back(), line);
        } else if (line.starts_with("#")) {
            heading = path.stem().string() + "_md" + plain_name(line.substr(line.find(' ')));
            number = 0;
        }
    }
}

// Of every file, in order.
std::vector<Transcript> transcripts() {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(SDXL_TRANSCRIPTS))
        if (entry.path().extension() == ".txt") files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    std::vector<Transcript> all;
    for (const auto& path : files) add_sections(path, all);
    add_examples(SDXL_PROTOCOL_DOCUMENT, all);
    return all;
}

// "\x00" and "\n" as written in a transcript.
std::string unescaped(const std::string& text) {
    std::string bytes;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && text.substr(i + 1, 1) == "x") {
            bytes += static_cast<char>(std::stoi(text.substr(i + 2, 2), nullptr, 16));
            i += 3;
        } else if (text[i] == '\\' && text.substr(i + 1, 1) == "n") {
            bytes += '\n';
            ++i;
        } else {
            bytes += text[i];
        }
    }
    return bytes;
}

class TranscriptTest : public testing::TestWithParam<Transcript> {
  protected:
    void expect_answer(const std::string& wanted) {
        const std::string answer = worker_.line();
        ASSERT_TRUE(json::accept(answer)) << "no answer to compare with " << wanted << ": " << answer;
        const json found = json::parse(answer);
        EXPECT_EQ(difference(json::parse(wanted), found), "") << wanted << "\n" << answer;
        EXPECT_EQ(violation(found), "") << answer;
    }

    void play(const std::string& line) {
        if (line.starts_with("> ")) return worker_.send(line.substr(2) + "\n");
        if (line.starts_with("x> ")) return worker_.send(unescaped(line.substr(3)));
        if (line.starts_with("< ")) return expect_answer(line.substr(2));
        if (line == "! close") return worker_.close_input();
        if (line == "! term") return worker_.signal(SIGTERM);
        FAIL() << "not understood: " << line;
    }

    sdxl::Workplace place_{SDXL_FIXTURES};
    Child worker_{place_.command(SDXL_WORKER, with_level(GetParam().options))};

  private:
    static std::vector<std::string> with_level(std::vector<std::string> options) {
        options.insert(options.end(), {"--log-level", "ERROR"});
        return options;
    }
};

TEST_P(TranscriptTest, IsAnsweredAsWritten) {
    for (const auto& line : GetParam().lines) {
        play(line);
        if (HasFatalFailure()) return;
    }
    worker_.close_input();
    EXPECT_EQ(worker_.rest_of_output(), "") << "more than was written down";
    EXPECT_EQ(worker_.wait(), 0);
}

INSTANTIATE_TEST_SUITE_P(All, TranscriptTest, testing::ValuesIn(transcripts()),
                         [](const auto& one) { return one.param.name; });

TEST(Transcripts, NoticeADifference) {
    EXPECT_EQ(difference(json::parse(R"({"a":[1,"*"]})"), json::parse(R"({"a":[1,7],"b":2})")), "");
    EXPECT_NE(difference(json::parse(R"({"a":1})"), json::parse(R"({"a":2})")), "");
    EXPECT_NE(difference(json::parse(R"({"a":"*"})"), json::parse("{}")), "");
    EXPECT_NE(difference(json::parse("[1]"), json::parse("[1,2]")), "");
}

TEST(Transcripts, NoticeAnAnswerThatBreaksItsSchema) {
    const json good = json::parse(
        R"({"request_id":"1","success":true,"data":null,"error":null,"warnings":[],"execution_time":0.1,"timestamp":"2026-01-31T23:59:59.123Z"})");
    EXPECT_EQ(violation(good), "");
    for (const auto& [member, value] : {std::pair{"warnings", json("w")},
                                        {"success", json(1)},
                                        {"timestamp", json("now")},
                                        {"more", json(1)}}) {
        json bad = good;
        bad[member] = value;
        EXPECT_NE(violation(bad), "") << member;
    }
    json bad = good;
    bad.erase("error");
    EXPECT_NE(violation(bad), "");
}

TEST(Transcripts, AreManyAndEachHasAnAnswer) {
    const auto all = transcripts();
    EXPECT_GE(all.size(), 60U);
    for (const auto& transcript : all)
        EXPECT_TRUE(std::any_of(transcript.lines.begin(), transcript.lines.end(), [](const auto& line) {
            return line.starts_with("< ");
        })) << transcript.name;
}

}  // namespace
