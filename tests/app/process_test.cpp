// The program itself, as hosts and shells start it.
#include <gtest/gtest.h>

#include <csignal>
#include <nlohmann/json.hpp>
#include <sstream>

#include "child.h"

namespace sdxl {
namespace {

using nlohmann::json;

constexpr const char* kStatus = "{\"message_type\":\"status_request\",\"request_id\":\"1\"}\n";

std::vector<std::string> command(std::vector<std::string> arguments = {}) {
    arguments.insert(arguments.begin(), SDXL_WORKER);
    return arguments;
}

std::vector<json> answers_in(const std::string& output) {
    std::vector<json> answers;
    std::istringstream lines(output);
    for (std::string line; std::getline(lines, line);) answers.push_back(json::parse(line));
    return answers;
}

TEST(Process, AHostsCommandLineIsAnsweredLineForLine) {
    Child worker(command({"--worker", "pipeline_manager", "--log-level", "DEBUG"}));
    for (int i = 0; i < 3; ++i) {
        worker.send(kStatus);
        const json answer = json::parse(worker.line());
        EXPECT_EQ(answer["request_id"], "1");
        EXPECT_EQ(answer["success"], true);
    }
    worker.close_input();
    EXPECT_EQ(worker.rest_of_output(), "");
    EXPECT_EQ(worker.wait(), 0);
    EXPECT_FALSE(worker.rest_of_errors().empty());  // that is where it logs
}

TEST(Process, APipedFileIsAnsweredWholeBeforeTheEnd) {
    Child worker(command({"--models-dir", "/nonexistent"}));
    worker.send(
        "\xEF\xBB\xBF{\"action\":\"get_status\"}\r\n\n   \nno json\n"
        "{\"message_type\":\"inference_request\",\"data\":{\"prompt\":\"cat\",\"model_name\":\"missing\"}}\n"
        "{\"action\":\"get_capabilities\"}");
    worker.close_input();
    const auto answers = answers_in(worker.rest_of_output());
    ASSERT_EQ(answers.size(), 4u);
    EXPECT_EQ(answers[0]["success"], true);
    EXPECT_EQ(answers[1]["error_code"], "invalid_request");
    EXPECT_EQ(answers[2]["error_code"], "not_found");
    EXPECT_EQ(answers[3]["success"], true);
    EXPECT_EQ(worker.wait(), 0);
}

TEST(Process, StopIsAnsweredAndEndsIt) {
    Child worker(command());
    worker.send("{\"action\":\"stop\"}\n");
    EXPECT_EQ(json::parse(worker.line())["success"], true);
    EXPECT_EQ(worker.wait(), 0);  // stdin is still open
}

class Signal : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Process, Signal, testing::Values(SIGTERM, SIGINT));

TEST_P(Signal, EndsItInPeace) {
    Child worker(command());
    worker.send(kStatus);
    EXPECT_NE(worker.line(), "");  // it is up
    worker.signal(GetParam());
    EXPECT_EQ(worker.wait(), 0);
    EXPECT_EQ(worker.rest_of_output(), "");
}

TEST(Process, AHostThatIsGoneIsNoCrash) {
    Child worker(command());
    worker.send(kStatus);
    EXPECT_NE(worker.line(), "");
    worker.close_output();
    worker.send(kStatus);
    worker.close_input();
    EXPECT_EQ(worker.wait(), 0);
}

struct Refused {
    std::vector<std::string> arguments;
    int status;
    const char* says;
};

TEST(Process, WrongOptionsAreExplainedOnStderr) {
    const Refused cases[] = {
        {{"--nonsense"}, 2, "--nonsense"},
        {{"--worker", "nobody"}, 2, "pipeline_manager"},
        {{"--log-level", "LOUD"}, 2, "WARNING"},
        {{"generate", "--prompt", "cat", "--default-model", "none"}, 1, "--default-model"},
        {{"--device", "cuda:0"}, 1, "cpu"},
        {{"--backend", "magic"}, 1, "reference"},
        {{"generate", "--model", "missing", "--prompt", "cat"}, 1, "missing"},
        {{"generate", "--model", "m", "--prompt", "cat", "--width", "65"}, 1, "4096"},
        {{"generate", "--model", "m", "--prompt", "cat", "--scheduler", "Magic"}, 1, "Euler"},
    };
    for (const auto& [arguments, status, says] : cases) {
        Child worker(command(arguments));
        worker.close_input();
        EXPECT_EQ(worker.rest_of_output(), "");
        const std::string errors = worker.rest_of_errors();
        EXPECT_NE(errors.find(says), std::string::npos) << says << " is not in: " << errors;
        EXPECT_EQ(worker.wait(), status) << errors;
    }
}

TEST(Process, LogLevelsAreThoseOfHostsInAnyCase) {
    for (const char* level : {"DEBUG", "info", "Warning", "ERROR", "CRITICAL"}) {
        Child worker(command({"--log-level", level}));
        worker.close_input();
        EXPECT_EQ(worker.wait(), 0) << level;
    }
}

TEST(Process, HelpAndVersionGoToStdout) {
    Child help(command({"--help"}));
    EXPECT_NE(help.rest_of_output().find("Examples:"), std::string::npos);
    EXPECT_EQ(help.wait(), 0);
    Child version(command({"--version"}));
    EXPECT_NE(version.rest_of_output(), "");
    EXPECT_EQ(version.wait(), 0);
}

}  // namespace
}  // namespace sdxl
