// Schema: one of the JSON Schema files of schemas/, which are built into the program.
//
// Immutable; made on first use and kept for the life of the process. Any thread.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace sdxl {

// Where a value breaks a schema.
struct Violation {
    std::string pointer;                   // JSON pointer into the value that was checked
    std::string reason;                    // the validator's words
    const nlohmann::json* rule = nullptr;  // the part of the schema that applies there; null if there is none
};

class Schema {
  public:
    // By the file's path under schemas/ without ".json", e.g. "flat_body_schema" or "answers/message_answer".
    // Fails with kInternal for one that is not built in.
    static const Schema& named(std::string_view name);

    // The schema with every $ref, also those into other files, replaced by what it refers to.
    const nlohmann::json& document() const { return document_; }
    // All violations in the order of the schema, none if the value is valid.
    std::vector<Violation> check(const nlohmann::json& value) const;

    ~Schema();
    Schema(const Schema&) = delete;
    Schema& operator=(const Schema&) = delete;

  private:
    explicit Schema(nlohmann::json document);

    struct Compiled;
    nlohmann::json document_;
    std::unique_ptr<Compiled> compiled_;
};

// Names of all that are built in.
std::vector<std::string> schema_names();

}  // namespace sdxl
