#include "protocol/normalise.h"

#include "expect_message.h"
#include "protocol/members.h"

namespace sdxl {
namespace {

struct Normalised {
    Canonical canonical;
    Report report;
};

Normalised normalised(const Json& sent, std::initializer_list<const char*> schemas = {"flat_body_schema"}) {
    std::vector<const Schema*> all;
    for (const char* name : schemas) all.push_back(&Schema::named(name));
    Normalised result;
    result.canonical = normalise({&sent, "/at"}, all, result.report);
    return result;
}

TEST(Normalise, NamesBecomeTheSchemas) {
    const auto result = normalised({{"Prompt", "p"},
                                    {"NUM_INFERENCE_STEPS", 4},
                                    {"modelBase", "m"},
                                    {"width", 512.0},
                                    {"TimestepSpacing", "Trailing"}});
    EXPECT_EQ(result.canonical.value, Json({{"prompt", "p"},
                                            {"steps", 4},
                                            {"model_name", "m"},
                                            {"width", 512},
                                            {"timestep_spacing", "trailing"}}));
    EXPECT_TRUE(result.canonical.value["width"].is_number_integer());
    EXPECT_EQ(result.canonical.sent.at("/steps"), "/at/NUM_INFERENCE_STEPS");
    EXPECT_EQ(result.canonical.sent.at("/model_name"), "/at/modelBase");
    EXPECT_TRUE(result.report.ok());
    EXPECT_TRUE(result.report.warnings().empty());
}

TEST(Normalise, WhatIsNotSetGoes) {
    const auto result =
        normalised({{"prompt", nullptr}, {"width", ""}, {"scheduler", "None"}, {"tags", Json::array()}});
    EXPECT_EQ(result.canonical.value, Json::object());
    EXPECT_TRUE(result.report.ok());
}

TEST(Normalise, ObjectsAndArraysKeepTheirPointers) {
    const auto result =
        normalised({{"Lora", {{{"Name", "a"}}, {{"Name", "b"}, {"Scale", 3}, {"Scael", 1}}}}});
    EXPECT_EQ(result.canonical.sent.at("/loras/1/weight"), "/at/Lora/1/Scale");
    EXPECT_EQ(result.canonical.value["loras"][1]["weight"], 3);
    const auto warnings = result.report.warnings();
    ASSERT_EQ(warnings.size(), 1U);
    EXPECT_TRUE(warnings[0].starts_with("/at/Lora/1/Scael ")) << warnings[0];
    EXPECT_NE(warnings[0].find("'scale'"), std::string::npos) << warnings[0];
}

TEST(Normalise, WhatIsWrongIsReportedAndLeftOut) {
    const auto result = normalised({{"Width", 513}, {"height", 512}, {"prompt", "a\0b"}, {"dtype", "int4"}});
    EXPECT_EQ(result.canonical.value.size(), 2U) << result.canonical.value;
    const Members members(result.canonical);
    EXPECT_TRUE(members.refused("width"));
    EXPECT_TRUE(members.refused("dtype"));
    EXPECT_FALSE(members.refused("height"));
    EXPECT_FALSE(members.integer("width"));
    EXPECT_EQ(members.integer("height")->value, 512);
    EXPECT_EQ(members.integer("height")->pointer, "/at/height");
}

TEST(Normalise, OneNameTwice) {
    const auto same = normalised({{"Prompt", "p"}, {"prompt", "p"}, {"PROMPT", nullptr}});
    EXPECT_TRUE(same.report.ok());
    const auto different = normalised({{"Prompt", "p"}, {"prompt", "q"}});
    ASSERT_FALSE(different.report.ok());
    EXPECT_EQ(different.report.findings("").front().error.pointer, "/at/prompt");
    const auto alias = normalised({{"model_id", "b"}, {"model_name", "a"}});
    EXPECT_TRUE(alias.report.ok());
    EXPECT_EQ(alias.canonical.value["model_name"], "a");
    EXPECT_EQ(alias.report.warnings().size(), 1U);
}

TEST(Normalise, SeveralSchemasShareAnObject) {
    const auto result = normalised({{"prompt", "p"}, {"Priority", "HIGH"}, {"message_type", "x"}},
                                   {"delivery", "flat_body_schema"});
    EXPECT_EQ(result.canonical.value, Json({{"prompt", "p"}, {"priority", "high"}}));
    EXPECT_EQ(result.report.warnings().size(), 1U);
}

TEST(Normalise, LongArraysAreCutAndCountedInFull) {
    Json tags = Json::array();
    for (int i = 0; i < 100000; ++i) tags.push_back("t");
    const auto result = normalised({{"prompt", "p"}, {"tags", tags}});
    const auto findings = result.report.findings("");
    ASSERT_EQ(findings.size(), 1U);
    EXPECT_EQ(findings[0].error.pointer, "/at/tags");
    EXPECT_NE(findings[0].error.message.find("100000 items"), std::string::npos) << findings[0].error.message;
    EXPECT_LT(result.canonical.sent.size(), 2000U);
}

// A line may hold 64 MiB of one thing; a test that takes minutes is one that found a defect.
TEST(Normalise, ManyMembersCostLittle) {
    std::string line = R"({"message_type":"inference_request","data":{"prompt":"p")";
    for (int i = 0; i < 200000; ++i) line += ",\"" + std::string(20, 'a') + std::to_string(i) + "\":{}";
    EXPECT_TRUE(parse_message(line + "}}").command.ok());
    std::string spellings = R"({"message_type":"inference_request","data":{"prompt":"p")";
    for (int i = 1; i < 2000; ++i)
        spellings += ",\"" + std::string(static_cast<std::size_t>(i), '_') + "width\":64";
    EXPECT_TRUE(parse_message(spellings + "}}").command.ok());
}

}  // namespace
}  // namespace sdxl
