#include "weights/adapter_scales.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <system_error>

#include "core/error.h"
#include "weights/json_file.h"

namespace sdxl {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

float number(const Json& value, const std::string& name, const fs::path& path) {
    const float alpha = value.is_number() ? value.get<float>() : NAN;
    if (!std::isfinite(alpha))
        fail(ErrorCode::kInvalidModel,
             "'" + path.string() + "': its configuration's '" + name + "' is not a number: " + value.dump());
    return alpha;
}

// Whether a pattern of PEFT's names this module: it is the end of the module's path.
bool names_module(std::string pattern, const std::string& module, const fs::path& path) {
    if (pattern.starts_with('^')) pattern.erase(0, 1);
    if (pattern.find_first_of("*+?[](){}|\\$^") != std::string::npos)
        fail(ErrorCode::kInvalidModel, "'" + path.string() + "': its configuration's alpha_pattern '" +
                                           pattern + "' is a regular expression, expected a module's name");
    std::ranges::replace(pattern, '.', '_');
    return module == pattern || module.ends_with("_" + pattern);
}

void set_scale(AdapterModule& module, const Json& config, const std::string& prefix, const fs::path& path) {
    const auto get = [&](const char* name) {
        const auto found = config.find(prefix + name);
        return found == config.end() || found->is_null() ? nullptr : &*found;
    };
    if (const Json* rooted = get("use_rslora"))
        module.root_scale = rooted->is_boolean() && rooted->get<bool>();
    if (module.alpha) return;
    if (const Json* alpha = get("lora_alpha")) module.alpha = number(*alpha, prefix + "lora_alpha", path);
    const Json* patterns = get("alpha_pattern");
    if (patterns == nullptr || !patterns->is_object()) return;
    for (const auto& [pattern, alpha] : patterns->items())
        if (names_module(pattern, module.path, path)) module.alpha = number(alpha, pattern, path);
}

}  // namespace

void read_configured_scales(std::vector<AdapterModule>& modules,
                            const std::map<std::string, std::string>& metadata, const fs::path& path) {
    const auto packed = metadata.find("lora_adapter_metadata");
    std::error_code ignored;
    const fs::path beside = path.parent_path() / "adapter_config.json";
    const bool peft = path.filename() == "adapter_model.safetensors" && fs::exists(beside, ignored);
    if (packed == metadata.end() && !peft) return;
    const Json config =
        packed != metadata.end() ? parse_json_object(packed->second, path) : read_json_object(beside);
    for (AdapterModule& module : modules) {
        const std::string part(adapter_part_name(module.part));
        set_scale(module, config, packed != metadata.end() ? part + "." : "", path);
    }
}

}  // namespace sdxl
