// What the readers of LoRAs, embeddings, ControlNets and reference images share: lists of objects, an object
// with a list in it, or names alone, and `enabled` in either place.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "protocol/members.h"
#include "protocol/report.h"

namespace sdxl {

// False only where `enabled` says so.
bool is_enabled(const Members& members);

struct AdapterItems {
    std::vector<Members::Item> items;  // those that are switched on, at least one
    Members around;                    // the object around them, if any
};
// What stands under a name; absent if it is nothing, or switched off. Where there is a list, members of the
// object around it that are only for the one item of an object without a list have no effect: `of_items` are
// their names.
std::optional<AdapterItems> find_adapters(const Members& holder, const char* name,
                                          std::initializer_list<const char*> of_items, Report& report);

// A list is a field where its first item is.
template <class T>
std::optional<Field<std::vector<T>>> as_field(std::vector<T> read) {
    if (read.empty()) return std::nullopt;
    std::string pointer = read.front().pointer;
    return Field<std::vector<T>>{std::move(read), std::move(pointer)};
}

template <class T>
void set_if(T& target, const std::optional<Field<T>>& field) {
    if (field) target = field->value;
}

}  // namespace sdxl
