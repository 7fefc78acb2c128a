#include "protocol/members.h"

#include <algorithm>
#include <utility>

#include "protocol/json_values.h"
#include "protocol/key_names.h"

namespace sdxl {

Members::Members(const Canonical& canonical, const Json* object, std::string pointer)
    : canonical_(&canonical), object_(object), pointer_(std::move(pointer)) {
    const auto place = canonical.sent.find(pointer_);
    sent_pointer_ = place == canonical.sent.end() ? canonical.pointer : place->second;
}

const Json* Members::find(std::string_view name) const {
    if (object_ == nullptr) return nullptr;
    const auto member = object_->find(name);
    return member == object_->end() ? nullptr : &*member;
}

std::string Members::sent(std::string_view name) const {
    const auto place = canonical_->sent.find(join_pointer(pointer_, name));
    return place == canonical_->sent.end() ? sent_pointer_ : place->second;
}

bool Members::refused(std::string_view name) const {
    return canonical_->refused.contains(join_pointer(pointer_, name));
}

std::optional<Field<std::string>> Members::text(std::string_view name) const {
    const Json* value = find(name);
    if (value == nullptr || !value->is_string()) return std::nullopt;
    return Field<std::string>{value->get<std::string>(), sent(name)};
}

std::optional<Field<std::int64_t>> Members::integer(std::string_view name) const {
    const Json* value = find(name);
    if (value == nullptr) return std::nullopt;
    const auto number = as_integer(*value);
    if (!number) return std::nullopt;
    return Field<std::int64_t>{*number, sent(name)};
}

std::optional<Field<double>> Members::number(std::string_view name) const {
    const Json* value = find(name);
    if (value == nullptr || !value->is_number()) return std::nullopt;
    return Field<double>{value->get<double>(), sent(name)};
}

std::optional<Field<bool>> Members::flag(std::string_view name) const {
    const Json* value = find(name);
    if (value == nullptr || !value->is_boolean()) return std::nullopt;
    return Field<bool>{value->get<bool>(), sent(name)};
}

std::optional<Field<std::string>> Members::id(std::string_view name) const {
    const Json* value = find(name);
    if (value == nullptr) return std::nullopt;
    if (value->is_number_integer()) return Field<std::string>{value->dump(), sent(name)};
    return text(name);
}

std::optional<Field<std::vector<double>>> Members::numbers(std::string_view name) const {
    const Json* value = find(name);
    if (value == nullptr || !value->is_array()) return std::nullopt;
    Field<std::vector<double>> field{{}, sent(name)};
    for (const Json& item : *value) {
        if (!item.is_number()) return std::nullopt;
        field.value.push_back(item.get<double>());
    }
    return field;
}

std::vector<Members::Item> Members::list(std::string_view name) const {
    const Json* value = find(name);
    std::vector<Item> items;
    if (value == nullptr) return items;
    const auto add = [&](const Json& item, const std::string& pointer) {
        Members object(*canonical_, item.is_object() ? &item : nullptr, pointer);
        std::optional<Field<std::string>> text;
        if (item.is_string()) text = {item.get<std::string>(), object.pointer()};
        const bool there = text ? !text->value.empty() : item.is_object() && !item.empty();
        if (there) items.push_back({std::move(object), std::move(text)});
    };
    const std::string pointer = join_pointer(pointer_, name);
    if (!value->is_array()) {
        add(*value, pointer);
        return items;
    }
    for (std::size_t i = 0; i < value->size(); ++i) add((*value)[i], pointer + "/" + std::to_string(i));
    return items;
}

std::optional<std::string> Members::pointer_of(std::string_view name) const {
    if (find(name) == nullptr) return std::nullopt;
    return sent(name);
}

bool Members::has_text() const {
    return object_ != nullptr &&
           std::any_of(object_->begin(), object_->end(), [](const Json& value) { return value.is_string(); });
}

std::vector<std::pair<std::string, double>> Members::named_numbers() const {
    std::vector<std::pair<std::string, double>> numbers;
    if (object_ == nullptr) return numbers;
    for (const auto& [name, value] : object_->items())
        if (value.is_number()) numbers.emplace_back(name, value.get<double>());
    return numbers;
}

std::optional<Field<std::size_t>> Members::items(std::string_view name) const {
    const Json* value = find(name);
    if (value == nullptr || !value->is_array()) return std::nullopt;
    return Field<std::size_t>{value->size(), sent(name)};
}

Members Members::object(std::string_view name) const {
    const Json* value = find(name);
    const bool is_object = value != nullptr && value->is_object();
    return Members(*canonical_, is_object ? value : nullptr, join_pointer(pointer_, name));
}

}  // namespace sdxl
