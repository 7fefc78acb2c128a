#include "text/tokenizer_config.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "text/text_file.h"

namespace sdxl {
namespace {

constexpr std::uintmax_t kMaxFileBytes = 4u << 20;

// A token is written as a string or as an object with its `content`; null and absent mean "not set".
std::optional<std::string> read_token(const nlohmann::json& json, const char* key,
                                      const std::filesystem::path& path) {
    const auto found = json.find(key);
    if (found == json.end() || found->is_null()) return std::nullopt;
    if (found->is_string()) return found->get<std::string>();
    if (found->is_object() && found->contains("content") && found->at("content").is_string())
        return found->at("content").get<std::string>();
    fail(ErrorCode::kInvalidModel, path.string() + ": " + key + " is neither a string nor an added token");
}

}  // namespace

TokenizerConfig load_tokenizer_config(const std::filesystem::path& path) {
    const auto json = nlohmann::json::parse(read_text_file(path, kMaxFileBytes), nullptr, false);
    if (!json.is_object()) fail(ErrorCode::kInvalidModel, path.string() + ": expected a JSON object");
    TokenizerConfig config;
    config.bos_token = read_token(json, "bos_token", path).value_or(config.bos_token);
    config.eos_token = read_token(json, "eos_token", path).value_or(config.eos_token);
    config.unk_token = read_token(json, "unk_token", path).value_or(config.unk_token);
    config.pad_token = read_token(json, "pad_token", path);
    if (const auto length = json.find("model_max_length"); length != json.end() && length->is_number()) {
        // Python writes "no limit" as 1e30; CLIP's position table has 77 rows all the same.
        const double value = length->get<double>();
        if (value < 3) fail(ErrorCode::kInvalidModel, path.string() + ": model_max_length is below 3");
        if (value < config.model_max_length) config.model_max_length = static_cast<int>(value);
    }
    return config;
}

}  // namespace sdxl
