// Small JSON files that come with a model, read with limits on size and depth.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace sdxl {

// The text of a file of at most 64 MB. Fails with kNotFound, kIo or (too large) kInvalidModel.
std::string read_text_file(const std::filesystem::path& path);

// The JSON object in `text`; `path` is for messages. Fails with kInvalidModel if it is not one, is nested
// deeper than 32 or has a name twice.
nlohmann::json parse_json_object(const std::string& text, const std::filesystem::path& path);

nlohmann::json read_json_object(const std::filesystem::path& path);

}  // namespace sdxl
