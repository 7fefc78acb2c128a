#include "models/autoencoder_tiny.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "core/error.h"

namespace sdxl {
namespace {

constexpr int kMostLayers = 64;
constexpr int kResizes = 3;  // 2^3 = 8
constexpr std::int64_t kImageChannels = 3;
constexpr std::int64_t kLatentChannels = 4;

[[noreturn]] void refuse(const WeightMap& weights, const std::string& what) {
    fail(ErrorCode::kInvalidModel,
         "'" + weights.source() + "': this is no tiny autoencoder of SDXL: " + what);
}

const Shape* shape_of(const WeightMap& weights, const std::string& name) {
    const auto* entry = weights.find(name);
    if (entry == nullptr) return nullptr;
    if (entry->view.shape.rank() != 4) refuse(weights, name + " has shape " + entry->view.shape.str());
    return &entry->view.shape;
}

// -1..1 to 0..1, which the network was trained with, or back.
std::vector<float> mapped(const Context& ctx, const Tensor& x, float (*map)(float)) {
    std::vector<float> values = ops::download(ctx, x);
    std::transform(values.begin(), values.end(), values.begin(), map);
    return values;
}

}  // namespace

std::vector<AutoencoderTiny::Layer> AutoencoderTiny::bind(const LoadContext& load, const WeightMap& weights,
                                                          const char* half) {
    const bool encodes = std::string(half) == "encoder";
    std::vector<Layer> layers;
    int resizes = 0;
    std::int64_t channels = encodes ? kImageChannels : kLatentChannels;
    for (int i = 0; i < kMostLayers; ++i) {
        const WeightScope scope = WeightScope(weights).sub(half).sub("layers", i);
        const std::string name = std::string(half) + ".layers." + std::to_string(i);
        if (shape_of(weights, name + ".conv.0.weight") != nullptr) {
            const WeightScope conv = scope.sub("conv");
            layers.push_back({Block{nn::Conv2d(load, conv.sub("0"), channels, channels),
                                    nn::Conv2d(load, conv.sub("2"), channels, channels),
                                    nn::Conv2d(load, conv.sub("4"), channels, channels)},
                              std::nullopt, false});
        } else if (const Shape* shape = shape_of(weights, name + ".weight")) {
            const bool changes_size = weights.find(name + ".bias") == nullptr;
            resizes += changes_size ? 1 : 0;
            nn::Conv2dOptions options;
            options.bias = !changes_size;
            if (changes_size && encodes) options.stride = 2;
            layers.push_back(
                {std::nullopt, nn::Conv2d(load, scope, channels, (*shape)[0], options), changes_size});
            channels = (*shape)[0];
        }
    }
    const std::int64_t last = encodes ? kLatentChannels : kImageChannels;
    if (!layers.empty() && (resizes != kResizes || channels != last || !layers.front().conv))
        refuse(weights, std::string(half) + " ends with " + std::to_string(channels) + " channels after " +
                            std::to_string(resizes) + " changes of size, expected " + std::to_string(last) +
                            " and " + std::to_string(kResizes));
    return layers;
}

AutoencoderTiny::AutoencoderTiny(const LoadContext& load, const WeightMap& weights)
    : encoder_(bind(load, weights, "encoder")), decoder_(bind(load, weights, "decoder")) {
    if (decoder_.empty()) refuse(weights, "it has no decoder");
}

Tensor AutoencoderTiny::Block::forward(const Context& ctx, const Tensor& x) const {
    const Tensor first = ops::activate(ctx, conv_0.forward(ctx, x), Activation::kRelu);       // [N, h, w, C]
    const Tensor second = ops::activate(ctx, conv_2.forward(ctx, first), Activation::kRelu);  // [N, h, w, C]
    return ops::activate(ctx, conv_4.forward(ctx, second, x), Activation::kRelu);             // [N, h, w, C]
}

Tensor AutoencoderTiny::encode(const Context& ctx, const Tensor& image) const {
    if (!can_encode())
        fail(ErrorCode::kUnsupported,
             "this tiny autoencoder has a decoder alone and cannot take an initial image: name another VAE");
    Tensor x =
        ops::upload(ctx, mapped(ctx, image, [](float value) { return (value + 1.F) / 2.F; }), image.shape());
    for (const Layer& layer : encoder_)
        x = layer.block ? layer.block->forward(ctx, x) : layer.conv->forward(ctx, x);
    return x;  // [N, H / 8, W / 8, 4]
}

Tensor AutoencoderTiny::decode(const Context& ctx, const Tensor& latent) const {
    constexpr auto kHold = [](float value) { return std::tanh(value / 3.F) * 3.F; };
    Tensor x = ops::upload(ctx, mapped(ctx, latent, kHold), latent.shape());
    for (std::size_t i = 0; i < decoder_.size(); ++i) {
        const Layer& layer = decoder_[i];
        if (layer.resizes)
            x = ops::upsample_nearest2x(ctx, x, 2 * x.dim(1), 2 * x.dim(2));  // [N, 2 h, 2 w, C]
        x = layer.block ? layer.block->forward(ctx, x) : layer.conv->forward(ctx, x);
        if (i == 0) x = ops::activate(ctx, x, Activation::kRelu);
    }
    return ops::upload(ctx, mapped(ctx, x, [](float value) { return value * 2.F - 1.F; }), x.shape());
}

}  // namespace sdxl
