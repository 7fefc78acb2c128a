#include "models/config_check.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace sdxl {
namespace {

bool equal(const nlohmann::json& found, const nlohmann::json& value) {
    if (!found.is_number() || !value.is_number()) return found == value;
    const double a = found.get<double>(), b = value.get<double>();
    return std::abs(a - b) <= 1e-4 * std::abs(b);
}

}  // namespace

ConfigCheck::ConfigCheck(std::string component, std::string_view text) : component_(std::move(component)) {
    json_ = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!json_.is_object()) fail(ErrorCode::kInvalidModel, component_ + "/config.json is not a JSON object");
}

const nlohmann::json& ConfigCheck::at(const char* key) const {
    static const nlohmann::json null;
    const auto found = json_.find(key);
    return found == json_.end() ? null : *found;
}

void ConfigCheck::expect(const char* key, const nlohmann::json& value) const {
    expect_one_of(key, {value});
}

void ConfigCheck::expect_one_of(const char* key, const std::vector<nlohmann::json>& values) const {
    const nlohmann::json& found = at(key);
    if (found.is_null()) return;
    const bool fits =
        std::any_of(values.begin(), values.end(), [&](const auto& value) { return equal(found, value); });
    if (fits) return;
    std::string expected;
    for (const auto& value : values) expected += (expected.empty() ? "" : " or ") + value.dump();
    mismatch(key, expected, found.dump());
}

void ConfigCheck::expect_unset(std::initializer_list<const char*> keys) const {
    for (const char* key : keys) {
        const nlohmann::json& found = at(key);
        if (!found.is_null() && found != false) mismatch(key, "nothing (unsupported option)", found.dump());
    }
}

int ConfigCheck::groups(const char* key, const std::vector<std::int64_t>& channels, int otherwise) const {
    const nlohmann::json& found = at(key);
    if (found.is_null()) return otherwise;
    const auto divides = [&found](std::int64_t count) { return count % found.get<std::int64_t>() == 0; };
    constexpr std::int64_t kMostGroups = 1 << 16;
    if (!found.is_number_integer() || found < 1 || found > kMostGroups ||
        !std::all_of(channels.begin(), channels.end(), divides))
        mismatch(key, "a number that divides the channels of every block", found.dump());
    return found.get<int>();
}

void ConfigCheck::mismatch(const std::string& key, const std::string& expected,
                           const std::string& found) const {
    fail(ErrorCode::kInvalidModel,
         component_ + "/config.json: " + key + " should be " + expected + ", found " + found);
}

}  // namespace sdxl
