// Compares a model folder's config.json with what the tensors say and what we implement.
//
// A key that is absent or null passes `expect`. Everything else fails with kInvalidModel, naming component,
// key, expected and found value.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace sdxl {

class ConfigCheck {
  public:
    // Fails with kInvalidModel if `text` is not a JSON object.
    ConfigCheck(std::string component, std::string_view text);

    // The key's value, absent or null, must equal `value` (numbers are compared to 1e-4 relative).
    void expect(const char* key, const nlohmann::json& value) const;
    void expect_one_of(const char* key, const std::vector<nlohmann::json>& values) const;
    // The key must be absent, null or false: an option that we do not implement.
    void expect_unset(std::initializer_list<const char*> keys) const;
    // How many groups a norm has: the key's value, which must divide each of `channels`; `otherwise` if
    // unset.
    int groups(const char* key, const std::vector<std::int64_t>& channels, int otherwise) const;
    // The value, or null.
    const nlohmann::json& at(const char* key) const;
    [[noreturn]] void mismatch(const std::string& key, const std::string& expected,
                               const std::string& found) const;

  private:
    std::string component_;
    nlohmann::json json_;
};

}  // namespace sdxl
