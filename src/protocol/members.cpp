#include "protocol/members.h"

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
