#include "weights/weight_scope.h"

#include <cstring>
#include <utility>

#include "core/error.h"

namespace sdxl {
namespace {

// Element by element through memcpy: views need not be aligned.
template <class Stored, class Convert>
void convert(const HostView& view, std::vector<float>& values, Convert to_float) {
    for (std::size_t i = 0; i < values.size(); ++i) {
        Stored stored;
        std::memcpy(&stored, view.data + i * sizeof(Stored), sizeof(Stored));
        values[i] = to_float(stored);
    }
}

}  // namespace

void WeightMap::insert(std::string canonical, HostView view, std::shared_ptr<const WeightBytes> bytes) {
    const auto [place, added] = entries_.try_emplace(std::move(canonical));
    if (!added)
        fail(ErrorCode::kInvalidModel, "'" + bytes->path() + "': tensors '" + place->second.view.name +
                                           "' and '" + view.name + "' are both the " + component_ + "'s '" +
                                           place->first + "'");
    total_bytes_ += view.bytes();
    place->second.view = std::move(view);
    place->second.bytes = std::move(bytes);
}

const WeightMap::Entry* WeightMap::find(std::string_view canonical) const {
    const auto found = entries_.find(canonical);
    return found == entries_.end() ? nullptr : &found->second;
}

std::vector<std::string> WeightMap::unused() const {
    std::vector<std::string> names;
    for (const auto& [canonical, entry] : entries_)
        if (!entry.used) names.push_back(entry.view.name);
    return names;
}

std::string WeightMap::source() const {
    if (entries_.empty() || !entries_.begin()->second.bytes) return component_;
    return entries_.begin()->second.bytes->path();
}

void WeightMap::took(const Entry& entry) const {
    if (entry.used) return;
    entry.used = true;
    used_bytes_ += entry.view.bytes();
    if (observer_) observer_(used_bytes_, total_bytes_);
}

void WeightMap::stand_in(const std::string& canonical, HostView view) {
    stand_ins_[canonical] = std::move(view);
}

const HostView* WeightMap::find_stand_in(std::string_view canonical) const {
    const auto found = stand_ins_.find(canonical);
    return found == stand_ins_.end() ? nullptr : &found->second;
}

WeightScope WeightScope::sub(std::string_view name) const {
    return {*map_, path(name) + "."};
}

WeightScope WeightScope::sub(std::string_view name, int index) const {
    return {*map_, path(name) + "." + std::to_string(index) + "."};
}

std::string WeightScope::path(std::string_view name) const {
    return prefix_ + std::string(name);
}

bool WeightScope::has(std::string_view name) const {
    return map_->find(path(name)) != nullptr;
}

HostView WeightScope::get(std::string_view name, const Shape& expected) const {
    const std::string canonical = path(name);
    const WeightMap::Entry* entry = map_->find(canonical);
    if (entry == nullptr)
        fail(ErrorCode::kInvalidModel, "'" + map_->source() + "': the " + map_->component() +
                                           " has no tensor '" + canonical + "', expected with shape " +
                                           expected.str());
    const HostView& view = entry->view;
    const std::string who = "'" + entry->bytes->path() + "': the " + map_->component() + "'s tensor '" +
                            canonical + "' (in the file: '" + view.name + "')";
    if (view.shape != expected)
        fail(ErrorCode::kInvalidModel,
             who + " has shape " + view.shape.str() + ", expected " + expected.str());
    if (!is_float(view.dtype))
        fail(ErrorCode::kInvalidModel,
             who + " holds " + std::string(dtype_name(view.dtype)) + ", expected floating-point values");
    map_->took(*entry);
    const HostView* other = map_->find_stand_in(canonical);
    return other != nullptr ? *other : view;
}

HostView WeightScope::get_optional(std::string_view name, const Shape& expected) const {
    return has(name) ? get(name, expected) : HostView{};
}

void WeightScope::release(std::string_view name) const {
    const WeightMap::Entry* entry = map_->find(path(name));
    if (entry != nullptr) entry->bytes->release(entry->view.data, entry->view.bytes());
}

std::vector<float> to_f32(const HostView& view) {
    if (!is_float(view.dtype))
        fail(ErrorCode::kInvalidModel, "tensor '" + view.name + "' holds " +
                                           std::string(dtype_name(view.dtype)) +
                                           ", expected floating-point values");
    std::vector<float> values(view.data == nullptr ? 0 : static_cast<std::size_t>(view.shape.numel()));
    if (values.empty()) return values;
    if (view.dtype == DType::kF32) std::memcpy(values.data(), view.data, view.bytes());
    if (view.dtype == DType::kF16) convert<f16_bits>(view, values, f16_to_f32);
    if (view.dtype == DType::kBF16) convert<bf16_bits>(view, values, bf16_to_f32);
    if (view.dtype == DType::kF64)
        convert<double>(view, values, [](double v) { return static_cast<float>(v); });
    view.finish(values);
    return values;
}

}  // namespace sdxl
