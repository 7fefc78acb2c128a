// schemas/examples: a request per envelope and command. Each is read without a warning and means what its
// file's name says.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "expect_message.h"
#include "schema/schema.h"

namespace sdxl {
namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

const char* envelope_name(EnvelopeKind kind) {
    switch (kind) {
        case EnvelopeKind::kMessage:
            return "message_envelope";
        case EnvelopeKind::kAction:
            return "action_envelope";
        case EnvelopeKind::kFlat:
            return "flat_envelope";
        case EnvelopeKind::kMethod:
            return "method_envelope";
    }
    return "";
}

TEST(Example, EachIsReadWithoutAWarning) {
    std::set<EnvelopeKind> envelopes;
    std::set<std::size_t> commands;
    for (const auto& entry : fs::directory_iterator(SDXL_SCHEMAS "/examples")) {
        const std::string text = text_of(entry.path());
        const Message message = parse_message(text);
        const std::string name = entry.path().stem();
        for (const auto& warning : message.warnings) ADD_FAILURE() << name << ": " << warning;
        ASSERT_TRUE(message.command.ok()) << name << ": " << message.command.error().message;
        EXPECT_TRUE(std::string(envelope_name(message.reply.envelope))
                        .starts_with(name.substr(0, name.find('_')) + "_"))
            << name;
        for (const auto& violation :
             Schema::named(envelope_name(message.reply.envelope)).check(nlohmann::json::parse(text)))
            ADD_FAILURE() << name << ": " << violation.pointer << " " << violation.reason;
        envelopes.insert(message.reply.envelope);
        commands.insert(message.command.value().index());
    }
    EXPECT_EQ(envelopes.size(), 4U);
    EXPECT_EQ(commands.size(), std::variant_size_v<Command>) << "a command has no example";
}

TEST(Example, ThePromptMeansWhatItSays) {
    const std::string text = text_of(SDXL_SCHEMAS "/example_prompt.json");
    ASSERT_EQ(std::count(text.begin(), text.end(), '\n'), 1)
        << "one line, so that it can be piped into the worker";
    const Message message = parse_message(text);
    for (const std::string& warning : message.warnings) ADD_FAILURE() << warning;
    const GenerationRequest request = generation_of(message);
    EXPECT_EQ(request.model, "demo");
    EXPECT_EQ(request.width, 128);
    EXPECT_EQ(request.height, 128);
    EXPECT_EQ(request.steps, 20);
    EXPECT_EQ(request.seed, 42U);
    EXPECT_EQ(request.scheduler, SchedulerType::kEuler);
    EXPECT_EQ(message.timeout_seconds, 600);
    EXPECT_FALSE(message.reply.id.empty());
    // Every object of the nested body is in it.
    const auto data = nlohmann::json::parse(text)["data"];
    for (const auto& [name, rule] :
         Schema::named("prompt_submission_schema").document()["properties"].items())
        EXPECT_TRUE(data.contains(name) || name == "model_name") << name;
}

}  // namespace
}  // namespace sdxl
