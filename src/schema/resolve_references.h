// A schema with every $ref replaced by what it refers to, so that readers of a schema need to know nothing of
// other files. Pure functions.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace sdxl {

// Gives a schema as it is written, by its name. The reference must stay valid.
using FindSchema = std::function<const nlohmann::json&(const std::string& name)>;

// The schema `name` without references and definitions. A reference is relative to the file that it stands
// in ("common.json#/definitions/width", "#/definitions/lora"); what stands beside it (a description, say)
// stays and goes before what it refers to. Fails with kInternal for a reference that leads nowhere or in a
// circle.
nlohmann::json resolve_references(const std::string& name, const FindSchema& find);

}  // namespace sdxl
