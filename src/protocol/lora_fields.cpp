// The part of body_fields.h that knows LoRAs and embeddings.
#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "protocol/adapter_items.h"
#include "protocol/body_fields.h"
#include "protocol/key_names.h"

namespace sdxl {
namespace {

// The part of the UNet that a name stands for: the words of diffusers and, by block of the original network,
// those of the A1111 web UI's block weights.
std::optional<std::vector<std::string>> block_prefixes(std::string_view name) {
    constexpr int kBlocksASide = 9;  // of SDXL's UNet
    constexpr int kBlocksALevel = 3;
    for (const auto& [word, prefix] : {std::pair{"down", "down_blocks"},
                                       {"mid", "mid_block"},
                                       {"middle", "mid_block"},
                                       {"up", "up_blocks"}})
        if (same_name(name, word)) return std::vector<std::string>{prefix};
    if (same_name(name, "M00") || same_name(name, "MID")) return std::vector<std::string>{"mid_block"};
    for (int i = 0; i < kBlocksASide; ++i) {
        const std::string level = "." + std::to_string(i / kBlocksALevel);
        const int place = i % kBlocksALevel;
        const std::string number = (i < 10 ? "0" : "") + std::to_string(i);
        if (same_name(name, "IN" + number)) {
            if (i == 0) return std::vector<std::string>{"conv_in"};
            const std::string blocks = "down_blocks." + std::to_string((i - 1) / kBlocksALevel);
            const int layer = (i - 1) % kBlocksALevel;
            if (layer == 2) return std::vector<std::string>{blocks + ".downsamplers"};
            const std::string at = "." + std::to_string(layer);
            return std::vector<std::string>{blocks + ".resnets" + at, blocks + ".attentions" + at};
        }
        if (same_name(name, "OUT" + number)) {
            const std::string blocks = "up_blocks" + level;
            const std::string at = "." + std::to_string(place);
            std::vector<std::string> prefixes{blocks + ".resnets" + at, blocks + ".attentions" + at};
            if (place == kBlocksALevel - 1) prefixes.push_back(blocks + ".upsamplers");
            return prefixes;
        }
    }
    constexpr std::array<std::string_view, 7> kRoots{
        "down_blocks", "mid_block", "up_blocks", "conv_in", "conv_out", "time_embedding", "add_embedding"};
    const std::string_view root = name.substr(0, name.find('.'));
    if (std::find(kRoots.begin(), kRoots.end(), root) != kRoots.end())
        return std::vector<std::string>{std::string(name)};
    return std::nullopt;
}

void read_block_weights(const Members& item, LoraRequest& lora, Report& report) {
    const Members blocks = item.object("block_weights");
    for (const auto& [name, weight] : blocks.named_numbers()) {
        const auto prefixes = block_prefixes(name);
        if (!prefixes)
            report.error(ErrorCode::kInvalidRequest,
                         "expected parts of the UNet (down, mid, up, IN00 to IN08, M00, OUT00 to OUT08, or "
                         "names like down_blocks.1.attentions.0), found '" +
                             name + "'",
                         blocks.pointer());
        else
            for (const auto& prefix : *prefixes) lora.block_weights.emplace_back(prefix, weight);
    }
}

// What names a file: a text alone, or one of two members. Reports where there is none.
std::string file_of(const Members::Item& item, const char* what, Report& report) {
    if (item.text) return item.text->value;
    auto file = item.object.text("model_path");
    if (!file) file = item.object.text("name");
    if (!file)
        report.error(ErrorCode::kInvalidRequest,
                     std::string("expected ") + what + "'s name or model_path, found neither",
                     item.object.pointer());
    return file ? file->value : "";
}

}  // namespace

std::optional<Field<std::vector<LoraRequest>>> read_loras(const Members& holder, const char* name,
                                                          Report& report) {
    const auto found = find_adapters(holder, name, {"name", "model_path"}, report);
    if (!found) return std::nullopt;
    const auto common = found->around.number("weight");
    std::vector<LoraRequest> loras;
    for (const Members::Item& item : found->items) {
        LoraRequest lora;
        lora.pointer = item.object.pointer();
        lora.file = file_of(item, "a LoRA", report);
        if (const auto label = item.object.text("adapter_name")) lora.label = label->value;
        auto weight = item.object.number("weight");
        if (!weight) weight = common;
        set_if(lora.unet_weight, weight);
        set_if(lora.text_encoder_weight, weight);
        set_if(lora.unet_weight, item.object.number("unet_weight"));
        set_if(lora.text_encoder_weight, item.object.number("text_encoder_weight"));
        lora.text_encoder_2_weight = lora.text_encoder_weight;
        set_if(lora.text_encoder_2_weight, item.object.number("text_encoder_2_weight"));
        read_block_weights(item.object, lora, report);
        loras.push_back(std::move(lora));
    }
    return as_field(std::move(loras));
}

std::optional<Field<std::vector<EmbeddingRequest>>> read_embeddings(const Members& holder, const char* name,
                                                                    Report& report) {
    const auto found = find_adapters(holder, name, {}, report);
    if (!found) return std::nullopt;
    std::vector<EmbeddingRequest> embeddings;
    for (const Members::Item& item : found->items) {
        EmbeddingRequest embedding;
        embedding.pointer = item.object.pointer();
        embedding.file = file_of(item, "an embedding", report);
        set_if(embedding.trigger, item.object.text("token"));
        embeddings.push_back(std::move(embedding));
    }
    return as_field(std::move(embeddings));
}

}  // namespace sdxl
