#include "models/ip_adapter.h"

#include <algorithm>
#include <cstddef>
#include <string>

#include "core/error.h"
#include "models/weight_shapes.h"

namespace sdxl {
namespace {

// One cross-attention: its number in the file, and its width.
struct Place {
    int number;
    std::int64_t channels;
};

// In the order of UNetConditioning::kv: down, middle, up; the file numbers the middle last.
std::vector<Place> places_of(const UNetConfig& unet) {
    std::vector<Place> down, up, middle;
    int number = 1;
    const auto add = [&](std::vector<Place>& places, int count, std::int64_t channels) {
        for (int i = 0; i < count; ++i, number += 2) places.push_back({number, channels});
    };
    const std::size_t blocks = unet.block_out_channels.size();
    for (std::size_t i = 0; i < blocks; ++i)
        add(down, unet.layers_per_block * unet.down_depths[i], unet.block_out_channels[i]);
    for (std::size_t i = 0; i < blocks; ++i)
        add(up, (unet.layers_per_block + 1) * unet.up_depths[i], unet.block_out_channels[blocks - 1 - i]);
    add(middle, unet.mid_depth, unet.block_out_channels.back());
    down.insert(down.end(), middle.begin(), middle.end());
    down.insert(down.end(), up.begin(), up.end());
    return down;
}

// The Stable Diffusion whose cross-attention is that wide.
std::string model_of(std::int64_t context_channels) {
    if (context_channels == 768) return "Stable Diffusion 1.5";
    if (context_channels == 1024) return "Stable Diffusion 2";
    if (context_channels == 1280) return "SDXL's refiner";
    return "another model";
}

std::size_t attentions_in(const WeightMap& weights) {
    return static_cast<std::size_t>(std::ranges::count_if(weights.entries(), [](const auto& item) {
        return item.first.starts_with("ip_adapter.") && item.first.ends_with(".to_k_ip.weight");
    }));
}

}  // namespace

std::vector<std::int64_t> cross_attention_channels(const UNetConfig& unet) {
    std::vector<std::int64_t> channels;
    for (const Place& place : places_of(unet)) channels.push_back(place.channels);
    return channels;
}

void require_made_for(const WeightMap& weights, const UNetConfig& unet) {
    const std::size_t places = places_of(unet).size();
    const std::int64_t width = shape_at(weights, "ip_adapter.1.to_k_ip.weight", 2, "an IP-Adapter")[1];
    const std::size_t found = attentions_in(weights);
    if (width == unet.cross_attention_dim && found == places) return;
    const std::string model = width == unet.cross_attention_dim ? "another model" : model_of(width);
    fail(ErrorCode::kInvalidModel,
         "'" + weights.source() + "': this IP-Adapter is for " + model + ": it has " + std::to_string(found) +
             " attentions to " + std::to_string(width) + " channels, expected " + std::to_string(places) +
             " to " + std::to_string(unet.cross_attention_dim));
}

namespace {

std::int64_t checked_width(const WeightMap& weights, const UNetConfig& unet) {
    require_made_for(weights, unet);
    return unet.cross_attention_dim;
}

}  // namespace

IpAdapter::IpAdapter(const LoadContext& load, const WeightMap& weights, const UNetConfig& unet)
    : context_channels_(checked_width(weights, unet)),
      channels_(cross_attention_channels(unet)),
      input_(image_projection_input(weights)),
      projection_(make_image_projection(load, weights, context_channels_)) {
    const WeightScope root(weights);
    for (const Place& place : places_of(unet)) {
        const WeightScope scope = root.sub("ip_adapter", place.number);
        kv_.push_back(nn::bind_stacked_linear(load, {scope.sub("to_k_ip"), scope.sub("to_v_ip")},
                                              context_channels_, place.channels, /*bias=*/false));
    }
}

std::int64_t IpAdapter::tokens() const {
    return std::visit([](const auto& projection) { return projection.tokens(); }, projection_);
}

Tensor IpAdapter::project_image(const Context& ctx, const Tensor& seen) const {
    return std::visit([&](const auto& projection) { return projection.forward(ctx, seen); }, projection_);
}

std::vector<Tensor> IpAdapter::project_context(const Context& ctx, const Tensor& tokens) const {
    std::vector<Tensor> kv;
    for (const auto& weight : kv_) kv.push_back(ops::linear(ctx, tokens, *weight));
    return kv;
}

}  // namespace sdxl
