#include "protocol/bodies.h"

#include <algorithm>
#include <iterator>
#include <string_view>

namespace sdxl {
namespace {

constexpr std::string_view kEnhancedOnly[] = {"Model", "Scheduler", "Conditioning", "Performance"};
constexpr std::string_view kNestedOnly[] = {"models", "dimensions", "batch", "precision"};

template <std::size_t N>
bool has_any_object(const SentObject& body, const std::string_view (&names)[N]) {
    return std::any_of(std::begin(names), std::end(names),
                       [&](std::string_view name) { return has_object(body, name); });
}

bool has(const SentObject& body, std::string_view name) {
    return find_member(body, name) != nullptr;
}

}  // namespace

BodyKind body_kind(const SentObject& body) {
    if (has_any_object(body, kEnhancedOnly)) return BodyKind::kEnhanced;
    if (has_any_object(body, kNestedOnly)) return BodyKind::kNested;
    if (has_object(body, "Hyperparameters")) {
        // Both kinds have it; only the nested one keeps its prompt beside it.
        const Json* hyper = find_member(body, "Hyperparameters");
        const SentObject inner{hyper, ""};
        const bool nested = has(body, "prompt") && !has(inner, "prompt");
        return nested ? BodyKind::kNested : BodyKind::kEnhanced;
    }
    // These are members of the flat body, but not as objects that say so much.
    if (has_object(body, "output") || has_object(body, "lora") || has_object(body, "controlnet"))
        return BodyKind::kNested;
    return has_object(body, "PostProcessing") ? BodyKind::kEnhanced : BodyKind::kFlat;
}

std::vector<const Schema*> body_schemas(BodyKind kind) {
    const Schema* flat = &Schema::named("flat_body_schema");
    switch (kind) {
        case BodyKind::kNested:
            return {&Schema::named("prompt_submission_schema"), flat};
        case BodyKind::kEnhanced:
            return {&Schema::named("enhanced_request_schema"), flat};
        case BodyKind::kFlat:
            break;
    }
    return {flat};
}

BodyFields read_body(BodyKind kind, const Canonical& body, Report& report) {
    const Members members(body);
    BodyFields flat = read_flat_body(members, report);
    if (kind == BodyKind::kFlat) return flat;
    BodyFields fields =
        kind == BodyKind::kNested ? read_nested_body(members, report) : read_enhanced_body(members, report);
    fields.fill_from(flat, &report);
    return fields;
}

}  // namespace sdxl
