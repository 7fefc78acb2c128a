// Members: typed access to an object of a canonical document, each value with its place in what was sent.
//
// Values have been checked by their schema; a member that is not set, or was refused, is absent. The
// canonical document must outlive its readers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/normalise.h"

namespace sdxl {

// A value and where it stands in what was sent.
template <class T>
struct Field {
    T value;
    std::string pointer;
};

class Members {
  public:
    explicit Members(const Canonical& canonical) : Members(canonical, &canonical.value, "") {}

    // Where the object stands in what was sent.
    const std::string& pointer() const { return sent_pointer_; }
    // Something was sent that is not valid.
    bool refused(std::string_view name) const;

    std::optional<Field<std::string>> text(std::string_view name) const;
    std::optional<Field<std::int64_t>> integer(std::string_view name) const;
    std::optional<Field<double>> number(std::string_view name) const;
    std::optional<Field<bool>> flag(std::string_view name) const;
    // A string, or an integer in digits.
    std::optional<Field<std::string>> id(std::string_view name) const;
    // The numbers of an array of them.
    std::optional<Field<std::vector<double>>> numbers(std::string_view name) const;
    // The items of an array; a single text or object counts as one. Items that were left out are not there.
    struct Item;
    std::vector<Item> list(std::string_view name) const;
    // Where a member stands that is set; absent if it is not.
    std::optional<std::string> pointer_of(std::string_view name) const;
    // Some member of the object is a text.
    bool has_text() const;
    // The numbers among an object's own members, whatever their names.
    std::vector<std::pair<std::string, double>> named_numbers() const;
    // How many items an array has.
    std::optional<Field<std::size_t>> items(std::string_view name) const;
    // The object of that name; one without members if it is not one.
    Members object(std::string_view name) const;

  private:
    Members(const Canonical& canonical, const Json* object, std::string pointer);
    const Json* find(std::string_view name) const;
    std::string sent(std::string_view name) const;

    const Canonical* canonical_;
    const Json* object_;  // null: no members
    std::string pointer_;
    std::string sent_pointer_;
};

// An object, or a text.
struct Members::Item {
    Members object;  // without members if it is a text
    std::optional<Field<std::string>> text;
};

}  // namespace sdxl
