// Any bytes as an adapter: opened, matched with a tiny model and applied, or refused with an honest code.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "core/error.h"
#include "weights/adapter_distilled.h"
#include "weights/adapter_match.h"
#include "weights/owned_bytes.h"
#include "weights/safetensors.h"

namespace {

using sdxl::OwnedBytes;
using sdxl::Shape;
using sdxl::WeightMap;

void require(bool holds) {
    if (!holds) std::abort();
}

void add(WeightMap& map, const std::string& name, const Shape& shape) {
    const auto bytes = std::make_shared<const OwnedBytes>(
        "model", std::vector<std::byte>(static_cast<std::size_t>(shape.numel()) * sizeof(float)));
    map.insert(name, {bytes->bytes().data(), sdxl::DType::kF32, shape, name}, bytes);
}

struct TinyModel {
    WeightMap unet{"unet"};
    WeightMap text_encoder{"text_encoder"};
    WeightMap text_encoder_2{"text_encoder_2"};

    TinyModel() {
        add(unet, "conv_in.weight", Shape{4, 2, 3, 3});
        add(unet, "conv_in.bias", Shape{4});
        add(unet, "down_blocks.0.resnets.0.conv1.weight", Shape{4, 4, 3, 3});
        add(unet, "down_blocks.0.resnets.0.norm1.weight", Shape{4});
        add(unet, "down_blocks.0.resnets.0.norm1.bias", Shape{4});
        add(unet, "down_blocks.0.attentions.0.proj_in.weight", Shape{4, 4});
        const std::string layer = "text_model.encoder.layers.0.mlp.fc1.";
        for (WeightMap* map : {&text_encoder, &text_encoder_2}) {
            add(*map, layer + "weight", Shape{8, 4});
            add(*map, layer + "bias", Shape{8});
        }
    }
};

void apply_all(const sdxl::AdapterMatch& match) {
    for (const auto& deltas : match.deltas)
        for (const auto& [name, delta] : deltas) {
            std::vector<float> weight(static_cast<std::size_t>(delta.shape().numel()), 0.5F);
            delta.apply(weight, 0.5F);
            if (!delta.low_rank()) continue;
            const auto factors = delta.factors();
            require(factors.up.size() == static_cast<std::size_t>(factors.rows * factors.rank));
            require(factors.down.size() == static_cast<std::size_t>(factors.rank * factors.columns));
            require(static_cast<std::size_t>(factors.rows * factors.columns) == weight.size());
        }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const TinyModel model;
    const auto* begin = reinterpret_cast<const std::byte*>(data);
    const auto bytes =
        std::make_shared<const OwnedBytes>("fuzz", std::vector<std::byte>(begin, begin + size));
    try {
        const auto header = sdxl::parse_safetensors(bytes->bytes(), bytes->path());
        const auto tensors = sdxl::tensors_of(header, bytes->bytes(), bytes);
        const sdxl::AdapterFile file(tensors, header.metadata, "fuzz");
        require(!file.family().empty() && !file.layout().empty());
        (void)sdxl::detect_distilled(file);
        const auto match = sdxl::match_adapter(file, model.unet, &model.text_encoder, model.text_encoder_2);
        require(match.matched > 0);
        require(match.matched + match.skipped + match.unknown.size() == tensors.size());
        apply_all(match);
    } catch (const sdxl::Failure& failure) {
        const sdxl::ErrorCode code = failure.error().code;
        require(code == sdxl::ErrorCode::kInvalidModel || code == sdxl::ErrorCode::kUnsupported);
    }
    return 0;
}
