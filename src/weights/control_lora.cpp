#include "weights/control_lora.h"

#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "core/error.h"
#include "weights/owned_bytes.h"

namespace sdxl {
namespace {

constexpr std::array<std::string_view, 5> kEncoder{"conv_in.", "time_embedding.", "add_embedding.",
                                                   "down_blocks.", "mid_block."};
constexpr std::int64_t kLatentChannels = 4;

bool in_encoder(std::string_view name) {
    // A model that takes the guidance scale has a projection of it that a ControlNet has not.
    if (name.starts_with("time_embedding.cond_proj.")) return false;
    for (const auto part : kEncoder)
        if (name.starts_with(part)) return true;
    return false;
}

struct Weight {
    Shape shape;
    std::vector<float> values;
};

// The base's weight; of a conv_in that takes more than latents, the latents' channels.
Weight base_weight(const std::string& name, const HostView& view) {
    Weight weight{view.shape, to_f32(view)};
    const Shape& shape = view.shape;
    if (name != "conv_in.weight" || shape.rank() != 4 || shape[1] <= kLatentChannels) return weight;
    const auto kernel = static_cast<std::size_t>(shape[2] * shape[3]);
    const auto kept = static_cast<std::size_t>(kLatentChannels) * kernel;
    const auto all = static_cast<std::size_t>(shape[1]) * kernel;
    std::vector<float> values;
    for (std::size_t row = 0; row < static_cast<std::size_t>(shape[0]); ++row) {
        const auto begin = weight.values.begin() + static_cast<std::ptrdiff_t>(row * all);
        values.insert(values.end(), begin, begin + static_cast<std::ptrdiff_t>(kept));
    }
    return {Shape{shape[0], kLatentChannels, shape[2], shape[3]}, std::move(values)};
}

std::vector<std::byte> bytes_of(const std::vector<float>& values, DType stored) {
    std::vector<std::byte> bytes(values.size() * dtype_size(stored));
    if (stored == DType::kF32) {
        std::memcpy(bytes.data(), values.data(), bytes.size());
        return bytes;
    }
    for (std::size_t i = 0; i < values.size(); ++i) {
        const bf16_bits bits = f32_to_bf16(values[i]);
        std::memcpy(bytes.data() + i * sizeof bits, &bits, sizeof bits);
    }
    return bytes;
}

[[noreturn]] void refuse(const std::string& name, const LowRankDifference& difference, const Shape& base) {
    fail(ErrorCode::kInvalidModel, "'" + difference.up.bytes->path() + "': the difference '" +
                                       difference.up.view.name + "' " + difference.up.view.shape.str() +
                                       " times '" + difference.down.view.name + "' " +
                                       difference.down.view.shape.str() + " does not fit the base model's '" +
                                       name + "' " + base.str() + ": use the base model it was made for");
}

ProductExtents extents_of(const std::string& name, const LowRankDifference& difference, const Shape& base) {
    const Shape& up = difference.up.view.shape;
    const Shape& down = difference.down.view.shape;
    if (up.rank() < 2 || down.rank() < 2 || base.rank() < 2 || up[0] != base[0] || up[0] == 0 ||
        down[0] == 0 || up.numel() / up[0] != down[0] || down.numel() / down[0] != base.numel() / base[0])
        refuse(name, difference, base);
    return {base[0], down[0], base.numel() / base[0]};
}

}  // namespace

std::vector<float> plain_product(std::span<const float> up, std::span<const float> down,
                                 const ProductExtents& extents) {
    const auto columns = static_cast<std::size_t>(extents.columns);
    const auto rank = static_cast<std::size_t>(extents.rank);
    std::vector<float> product(static_cast<std::size_t>(extents.rows) * columns);
    for (std::size_t row = 0; row < static_cast<std::size_t>(extents.rows); ++row)
        for (std::size_t k = 0; k < rank; ++k)
            for (std::size_t column = 0; column < columns; ++column)
                product[row * columns + column] += up[row * rank + k] * down[k * columns + column];
    return product;
}

void merge_control_lora(ControlCheckpoint& control, const WeightMap& base_unet, const MatrixProduct& product,
                        DType stored, const CancelToken& cancel) {
    for (const auto& [name, difference] : control.differences) {
        cancel.check();
        const auto* base = base_unet.find(name);
        if (base == nullptr)
            fail(ErrorCode::kInvalidModel, "'" + control.path.string() + "' changes '" + name +
                                               "', which the base model '" + base_unet.source() +
                                               "' does not have: use the base model it was made for");
        Weight weight = base_weight(name, base->view);
        const ProductExtents extents = extents_of(name, difference, weight.shape);
        const auto change = product(to_f32(difference.up.view), to_f32(difference.down.view), extents);
        base->bytes->release(base->view.data, base->view.bytes());
        for (const FileTensor* part : {&difference.up, &difference.down})
            part->bytes->release(part->view.data, part->view.bytes());
        for (std::size_t i = 0; i < weight.values.size(); ++i) weight.values[i] += change[i];
        const auto bytes =
            std::make_shared<const OwnedBytes>(control.path.string(), bytes_of(weight.values, stored));
        control.weights.insert(name, {bytes->bytes().data(), stored, weight.shape, difference.up.view.name},
                               bytes);
    }
    control.differences.clear();
    for (const auto& [name, entry] : base_unet.entries())
        if (in_encoder(name) && control.weights.find(name) == nullptr)
            control.weights.insert(name, entry.view, entry.bytes);
}

}  // namespace sdxl
