#include "weights/json_file.h"

#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "core/error.h"
#include "core/mapped_file.h"
#include "weights/safetensors_header.h"

namespace sdxl {
namespace {

constexpr std::size_t kMaxFileBytes = 64'000'000;
constexpr int kMaxDepth = 32;

}  // namespace

std::string read_text_file(const std::filesystem::path& path) {
    const MappedFile file(path);
    if (file.size() > kMaxFileBytes)
        fail(ErrorCode::kInvalidModel, "'" + path.string() + "' has " + std::to_string(file.size()) +
                                           " bytes, expected at most " + std::to_string(kMaxFileBytes));
    return {reinterpret_cast<const char*>(file.bytes().data()), file.size()};
}

nlohmann::json parse_json_object(const std::string& text, const std::filesystem::path& path) {
    const auto broken = [&path](const std::string& what) {
        fail(ErrorCode::kInvalidModel, "'" + path.string() + "' " + what);
    };
    using Event = nlohmann::json::parse_event_t;
    std::vector<std::set<std::string>> names;  // of the objects around the place being read
    const auto check = [&](int depth, Event event, nlohmann::json& parsed) {
        if (depth > kMaxDepth) broken("is nested too deeply");
        if (event == Event::object_start) names.emplace_back();
        if (event == Event::object_end) names.pop_back();
        if (event == Event::key && !names.back().insert(parsed.get<std::string>()).second)
            broken("has the name " + quoted_name(parsed.get<std::string>()) + " twice");
        return true;
    };
    try {
        auto json = nlohmann::json::parse(text, check);
        if (!json.is_object()) broken("is not a JSON object");
        return json;
    } catch (const nlohmann::json::exception&) {
        broken("is not valid JSON: download it again");
    }
    return {};
}

nlohmann::json read_json_object(const std::filesystem::path& path) {
    return parse_json_object(read_text_file(path), path);
}

}  // namespace sdxl
