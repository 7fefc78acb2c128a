#include "schema/schema.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "core/error.h"
#include "schema/embedded_schemas.h"
#include "schema/resolve_references.h"

namespace sdxl {
namespace {

using Json = nlohmann::json;

// Calls `visit` for every object inside, with its pointer.
void walk(const Json& part, const std::string& pointer,
          const std::function<void(const std::string&, const Json&)>& visit) {
    if (part.is_object()) visit(pointer, part);
    if (!part.is_structured()) return;
    for (const auto& [key, value] : part.items()) walk(value, pointer + "/" + key, visit);
}

std::vector<std::string> pointers(const std::vector<Violation>& violations) {
    std::vector<std::string> result;
    for (const auto& violation : violations) result.push_back(violation.pointer);
    return result;
}

TEST(Schema, EveryFileCompilesAndSaysWhatItIs) {
    ASSERT_GT(schema_names().size(), 10U);
    for (const auto& name : schema_names()) {
        const Json& document = Schema::named(name).document();
        EXPECT_EQ(document.value("$schema", ""), "http://json-schema.org/draft-07/schema#") << name;
        EXPECT_FALSE(document.value("title", "").empty()) << name;
        EXPECT_FALSE(document.value("description", "").empty()) << name;
        walk(document, name, [](const std::string& where, const Json& part) {
            EXPECT_FALSE(part.contains("$ref")) << where;
        });
    }
}

TEST(Schema, EveryMemberIsDescribed) {
    for (const auto& name : schema_names())
        walk(Schema::named(name).document(), name, [](const std::string& where, const Json& part) {
            const auto members = part.find("properties");
            if (members == part.end() || !members->is_object()) return;
            for (const auto& [key, member] : members->items())
                EXPECT_TRUE(!member.is_object() || member.contains("description"))
                    << where << "/properties/" << key;
        });
}

// Standard validators ignore what stands beside a $ref: there it may only be said, not demanded.
TEST(Schema, BesideAReferenceStandAnnotationsOnly) {
    const std::set<std::string> annotations{"$ref",     "title",   "description",
                                            "examples", "default", "$comment"};
    for (const auto& schema : embedded_schemas())
        walk(Json::parse(schema.text), std::string(schema.name),
             [&](const std::string& where, const Json& part) {
                 if (!part.contains("$ref") || !part["$ref"].is_string()) return;
                 for (const auto& [key, value] : part.items())
                     EXPECT_TRUE(annotations.contains(key) || key.starts_with("x-")) << where << "/" << key;
             });
}

TEST(Schema, FindsEveryViolation) {
    const Schema& schema = Schema::named("flat_body_schema");
    EXPECT_TRUE(schema.check({{"prompt", "p"}, {"width", 512}, {"unknown", 1}}).empty());
    const auto violations =
        schema.check({{"prompt", 7}, {"width", 513}, {"steps", 0}, {"guidance_scale", 50.5}});
    EXPECT_EQ(std::multiset<std::string>({"/prompt", "/width", "/steps", "/guidance_scale"}), [&] {
        const auto all = pointers(violations);
        return std::multiset<std::string>(all.begin(), all.end());
    }());
    for (const auto& violation : violations) {
        ASSERT_NE(violation.rule, nullptr) << violation.pointer;
        EXPECT_TRUE(violation.rule->contains("type")) << violation.pointer;
        EXPECT_FALSE(violation.reason.empty());
    }
}

TEST(Schema, PointsIntoObjectsAndArrays) {
    const auto violations = Schema::named("flat_body_schema")
                                .check({{"loras", {{{"name", "a"}}, {{"name", "b"}, {"weight", 9}}}}});
    EXPECT_EQ(pointers(violations), std::vector<std::string>{"/loras/1/weight"});
    ASSERT_EQ(violations.size(), 1U);
    ASSERT_NE(violations[0].rule, nullptr);
    EXPECT_EQ(violations[0].rule->value("maximum", 0), 4);
}

TEST(Schema, UnknownNameIsAnError) {
    EXPECT_THROW(Schema::named("nothing"), Failure);
}

TEST(References, AreReplacedAcrossFiles) {
    const std::map<std::string, Json> files{
        {"a", {{"properties", {{"x", {{"$ref", "sub/b.json#/definitions/n"}, {"description", "mine"}}}}}}},
        {"sub/b", {{"definitions", {{"n", {{"$ref", "../c.json#/definitions/m"}, {"title", "n"}}}}}}},
        {"c", {{"definitions", {{"m", {{"type", "integer"}, {"description", "theirs"}}}}}}},
        {"loop", {{"definitions", {{"l", {{"$ref", "#/definitions/l"}}}}}, {"$ref", "#/definitions/l"}}},
        {"lost", {{"$ref", "c.json#/definitions/none"}}}};
    const FindSchema find = [&](const std::string& name) -> const Json& { return files.at(name); };
    EXPECT_EQ(
        resolve_references("a", find),
        Json({{"properties", {{"x", {{"type", "integer"}, {"title", "n"}, {"description", "mine"}}}}}}));
    EXPECT_THROW(resolve_references("loop", find), Failure);
    EXPECT_THROW(resolve_references("lost", find), Failure);
}

}  // namespace
}  // namespace sdxl
