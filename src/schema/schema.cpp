#include "schema/schema.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

#include "core/error.h"
#include "schema/embedded_schemas.h"
#include "schema/resolve_references.h"

namespace sdxl {
namespace {

using Json = nlohmann::json;

// What the validator says of an object or array because of what it said of something inside.
constexpr std::string_view kEchoes[] = {"Failed to validate against schema associated with property name",
                                        "Failed to validate item #",
                                        "Failed to validate against additional properties schema"};

const Json& as_written(const std::string& name) {
    static std::mutex mutex;
    static std::map<std::string, Json> parsed;
    const std::lock_guard lock(mutex);
    if (const auto known = parsed.find(name); known != parsed.end()) return known->second;
    for (const EmbeddedSchema& schema : embedded_schemas())
        if (schema.name == name) return parsed.emplace(name, Json::parse(schema.text)).first->second;
    fail(ErrorCode::kInternal, "no schema is called '" + name + "'");
}

std::string escaped(std::string_view name) {
    std::string token;
    for (const char c : name) {
        if (c == '~')
            token += "~0";
        else if (c == '/')
            token += "~1";
        else
            token += c;
    }
    return token;
}

// One step into a value: the part of the schema for it, null if there is none.
const Json* step(const Json* rule, const std::string& name) {
    if (rule == nullptr || !rule->is_object()) return nullptr;
    if (const auto members = rule->find("properties"); members != rule->end())
        if (const auto member = members->find(name); member != members->end()) return &*member;
    if (const auto free = rule->find("additionalProperties"); free != rule->end() && free->is_object())
        return &*free;
    const bool index = !name.empty() && name.find_first_not_of("0123456789") == std::string::npos;
    if (const auto items = rule->find("items"); index && items != rule->end() && items->is_object())
        return &*items;
    return nullptr;
}

// The validator's path is "<root>", "[member]", "[0]".
Violation violation_at(const std::vector<std::string>& path, std::string reason, const Json& document) {
    Violation violation{"", std::move(reason), &document};
    for (std::size_t i = 1; i < path.size(); ++i) {
        const std::string name = path[i].substr(1, path[i].size() - 2);
        violation.pointer += "/" + escaped(name);
        violation.rule = step(violation.rule, name);
    }
    return violation;
}

bool is_echo(const std::string& reason) {
    return std::any_of(std::begin(kEchoes), std::end(kEchoes),
                       [&](std::string_view echo) { return reason.starts_with(echo); });
}

}  // namespace

struct Schema::Compiled {
    valijson::Schema schema;
};

Schema::Schema(Json document) : document_(std::move(document)), compiled_(std::make_unique<Compiled>()) {
    valijson::SchemaParser parser;
    parser.populateSchema(valijson::adapters::NlohmannJsonAdapter(document_), compiled_->schema);
}

Schema::~Schema() = default;

const Schema& Schema::named(std::string_view name) {
    static std::mutex mutex;
    static std::map<std::string, std::unique_ptr<const Schema>, std::less<>> schemas;
    const std::lock_guard lock(mutex);
    if (const auto known = schemas.find(name); known != schemas.end()) return *known->second;
    std::unique_ptr<const Schema> schema(new Schema(resolve_references(std::string(name), as_written)));
    return *schemas.emplace(std::string(name), std::move(schema)).first->second;
}

std::vector<Violation> Schema::check(const Json& value) const {
    valijson::Validator validator;
    valijson::ValidationResults results;
    const valijson::adapters::NlohmannJsonAdapter target(value);
    std::vector<Violation> violations;
    if (validator.validate(compiled_->schema, target, &results)) return violations;
    for (const auto& error : results)
        if (!is_echo(error.description))
            violations.push_back(violation_at(error.context, error.description, document_));
    return violations;
}

std::vector<std::string> schema_names() {
    std::vector<std::string> names;
    for (const EmbeddedSchema& schema : embedded_schemas()) names.emplace_back(schema.name);
    return names;
}

}  // namespace sdxl
