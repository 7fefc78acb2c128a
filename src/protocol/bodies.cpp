#include "protocol/bodies.h"

#include <algorithm>
#include <string_view>

namespace sdxl {
namespace {

template <std::size_t N>
bool has_any_object(const FieldReader& body, const std::string_view (&names)[N]) {
    return std::any_of(std::begin(names), std::end(names),
                       [&](std::string_view name) { return body.has_object(name); });
}

constexpr std::string_view kEnhancedOnly[] = {"Model", "Scheduler", "Conditioning", "Performance",
                                              "Postprocessing"};
constexpr std::string_view kNestedOnly[] = {"models",     "dimensions", "lora",
                                            "controlnet", "batch",      "precision"};
constexpr std::string_view kEither[] = {"hyperparameters", "output"};

}  // namespace

GenerationRequest read_body(FieldReader& body, BodyRole role) {
    if (has_any_object(body, kEnhancedOnly)) return read_enhanced_body(body, role);
    if (has_any_object(body, kNestedOnly)) return read_nested_body(body, role);
    if (!has_any_object(body, kEither)) return read_flat_body(body, role);
    // Both kinds have these; only the nested one keeps its prompt beside them.
    return body.has("prompt") ? read_nested_body(body, role) : read_enhanced_body(body, role);
}

}  // namespace sdxl
