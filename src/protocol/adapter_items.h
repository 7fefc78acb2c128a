// What the readers of LoRAs, embeddings, ControlNets and reference images share: lists of objects, an object
// with a list in it, or names alone, and `enabled` in either place.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "protocol/members.h"

namespace sdxl {

// False only where `enabled` says so.
bool is_enabled(const Members& members);

struct AdapterItems {
    std::vector<Members::Item> items;  // those that are switched on, at least one
    Members around;                    // the object around them, if any
};
// What stands under a name; absent if it is nothing, or switched off.
std::optional<AdapterItems> find_adapters(const Members& holder, const char* name);

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
