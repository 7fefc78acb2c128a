#include "protocol/envelopes.h"

#include <utility>

#include "protocol/explain.h"
#include "protocol/json_values.h"
#include "protocol/key_names.h"

namespace sdxl {
namespace {

constexpr std::size_t kLongestCommand = 256;  // bytes

const Json& commands_of(const Schema& schema) {
    return schema.document().at("x-commands");
}

// The name as the schema writes it; null if it has none such.
const std::string* known_name(const Schema& schema, std::string_view name) {
    if (name.size() > kLongestCommand) return nullptr;
    for (const auto& [known, command] : commands_of(schema).get_ref<const Json::object_t&>())
        if (same_name(known, name)) return &known;
    return nullptr;
}

Finding unknown_command(std::string_view member, const Json& sent, const std::string& pointer,
                        const Schema& schema, const Schema* others) {
    std::vector<std::string> names;
    for (const Schema* known : {&schema, others})
        if (known != nullptr)
            for (const auto& [name, command] : commands_of(*known).items())
                if (names.empty() || known == &schema || !knows_command(schema, name)) names.push_back(name);
    const std::vector<std::string_view> views(names.begin(), names.end());
    Finding finding;
    finding.error = {ErrorCode::kInvalidRequest,
                     "the " + std::string(member) + " is not known: expected one of " + list_names(views) +
                         ", found " + describe(sent),
                     pointer};
    if (sent.is_string()) finding.nearest = nearest_name(sent.get_ref<const std::string&>(), views);
    if (!finding.nearest.empty()) finding.error.message += "; did you mean '" + finding.nearest + "'?";
    finding.allowed = std::move(names);
    return finding;
}

}  // namespace

std::optional<EnvelopeKind> envelope_kind(const SentObject& top) {
    const Json* type = find_member(top, "message_type");
    if (type != nullptr) {
        const bool flat = type->is_string() &&
                          knows_command(Schema::named("flat_envelope"), type->get_ref<const std::string&>());
        const bool message = type->is_string() && knows_command(Schema::named("message_envelope"),
                                                                type->get_ref<const std::string&>());
        // Both know a few names; then it is where the members stand.
        return flat && !(message && find_member(top, "data") != nullptr) ? EnvelopeKind::kFlat
                                                                         : EnvelopeKind::kMessage;
    }
    if (find_member(top, "action") != nullptr) return EnvelopeKind::kAction;
    if (find_member(top, "method") != nullptr) return EnvelopeKind::kMethod;
    return std::nullopt;
}

std::optional<Envelope> read_envelope(EnvelopeKind kind, const SentObject& top, Report& report) {
    switch (kind) {
        case EnvelopeKind::kMessage:
            return read_message_envelope(top, report);
        case EnvelopeKind::kAction:
            return read_action_envelope(top, report);
        case EnvelopeKind::kFlat:
            return read_flat_envelope(top, report);
        case EnvelopeKind::kMethod:
            return read_method_envelope(top, report);
    }
    return std::nullopt;
}

bool knows_command(const Schema& schema, std::string_view name) {
    return known_name(schema, name) != nullptr;
}

std::optional<std::string> find_command(const SentObject& top, std::string_view member, const Schema& schema,
                                        const Schema* others, Report& report) {
    std::string pointer;
    const Json* sent = find_member(top, member, &pointer);
    if (sent == nullptr) return std::nullopt;
    if (sent->is_string()) {
        const auto& name = sent->get_ref<const std::string&>();
        if (const std::string* known = known_name(schema, name))
            return commands_of(schema).at(*known).get<std::string>();
        const Json& rule = schema.document().at("properties").at(std::string(member));
        if (auto finding =
                name.size() > kLongestCommand ? std::nullopt : check_available(rule, name, pointer)) {
            report.error(std::move(*finding));
            return std::nullopt;
        }
    }
    report.error(unknown_command(member, *sent, pointer, schema, others));
    return std::nullopt;
}

void add_holders(std::vector<SentObject>& levels, std::initializer_list<std::string_view> names) {
    const SentObject around = levels.back();
    for (const std::string_view name : names) {
        std::string pointer;
        const Json* inner = find_member(around, name, &pointer);
        if (inner != nullptr && inner->is_object()) levels.push_back({inner, pointer});
    }
}

}  // namespace sdxl
