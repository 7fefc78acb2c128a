#include "schema/resolve_references.h"

#include <utility>

#include "core/error.h"

namespace sdxl {
namespace {

using Json = nlohmann::json;

// Ours are less than ten deep; more is a circle.
constexpr int kDeepest = 64;

struct Place {
    std::string schema;   // name of a file
    std::string pointer;  // of a definition in it
};

// The names of schemas are paths: "answers/" for "answers/message_answer".
std::string folder_of(const std::string& schema) {
    return schema.substr(0, schema.rfind('/') + 1);
}

Place place_of(const std::string& reference, const std::string& from) {
    const auto hash = reference.find('#');
    std::string file = reference.substr(0, hash);
    Place place{from, hash == std::string::npos ? "" : reference.substr(hash + 1)};
    if (file.empty()) return place;
    if (file.ends_with(".json")) file.resize(file.size() - 5);
    std::string folder = folder_of(from);
    while (file.starts_with("../")) {
        file.erase(0, 3);
        if (!folder.empty()) folder = folder_of(folder.substr(0, folder.size() - 1));
    }
    place.schema = folder + file;
    return place;
}

class Resolver {
  public:
    explicit Resolver(const FindSchema& find) : find_(find) {}

    Json resolve(const Json& part, const std::string& schema, int depth) const {
        if (depth > kDeepest) fail(ErrorCode::kInternal, "the schema '" + schema + "' refers to itself");
        if (part.is_array()) {
            Json items = Json::array();
            for (const Json& item : part) items.push_back(resolve(item, schema, depth + 1));
            return items;
        }
        if (!part.is_object()) return part;
        Json result = Json::object();
        if (const auto reference = part.find("$ref"); reference != part.end() && reference->is_string())
            result = referred(reference->get<std::string>(), schema, depth);
        for (const auto& [key, value] : part.items())
            if (key != "$ref" && key != "definitions") result[key] = resolve(value, schema, depth + 1);
        return result;
    }

  private:
    Json referred(const std::string& reference, const std::string& schema, int depth) const {
        const Place place = place_of(reference, schema);
        const Json& file = find_(place.schema);
        const Json::json_pointer pointer(place.pointer);
        if (!file.contains(pointer))
            fail(ErrorCode::kInternal,
                 "the schema '" + schema + "' refers to '" + reference + "', which is not there");
        return resolve(file.at(pointer), place.schema, depth + 1);
    }

    const FindSchema& find_;
};

}  // namespace

Json resolve_references(const std::string& name, const FindSchema& find) {
    return Resolver(find).resolve(find(name), name, 0);
}

}  // namespace sdxl
