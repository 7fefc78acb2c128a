#include "weights/model_kind.h"

#include <algorithm>

#include "core/error.h"
#include "weights/name_signs.h"

namespace sdxl {
namespace {

using Where = NameSign::Where;

// The first sign that any tensor's name bears decides; the more telling ones stand first.
constexpr NameSign kSigns[] = {
    {Where::kInside, "lora_up.", "a LoRA"},
    {Where::kInside, "lora_down.", "a LoRA"},
    {Where::kInside, "lora_A.", "a LoRA"},
    {Where::kInside, ".lora.up.", "a LoRA"},
    {Where::kInside, "lora_linear_layer.", "a LoRA"},
    {Where::kInside, ".hada_w1_", "a LoRA (LoHa)"},
    {Where::kInside, ".lokr_w1", "a LoRA (LoKr)"},
    {Where::kWhole, "lora_controlnet", "a control-LoRA"},
    {Where::kInside, "controlnet_cond_embedding.", "a ControlNet"},
    {Where::kStart, "adapter.body.", "a T2I-Adapter"},
    {Where::kStart, "control_model.", "a ControlNet"},
    {Where::kStart, "input_hint_block.", "a ControlNet"},
    {Where::kStart, "controlnet_down_blocks.", "a ControlNet"},
    {Where::kStart, "ip_adapter.", "an IP-Adapter"},
    {Where::kStart, "image_proj.", "an IP-Adapter"},
    {Where::kInside, "motion_modules.", "an AnimateDiff motion module"},
    {Where::kInside, "double_blocks.0.", "a Flux checkpoint"},
    {Where::kInside, "joint_blocks.0.", "a Stable Diffusion 3 checkpoint"},
    {Where::kInside, ".time_stack.", "a Stable Video Diffusion checkpoint"},
    {Where::kStart, "cond_stage_model.transformer.", "a Stable Diffusion 1.5 (1.x) checkpoint"},
    {Where::kStart, "cond_stage_model.model.", "a Stable Diffusion 2.x checkpoint"},
    {Where::kWhole, "clip_g", "a textual inversion embedding"},
    {Where::kWhole, "clip_l", "a textual inversion embedding"},
    {Where::kWhole, "emb_params", "a textual inversion embedding"},
    {Where::kWhole, "conv_first.weight", "an upscaler"},
    {Where::kWhole, "model.0.weight", "an upscaler"},
};

// Signs of a lone part, which mean nothing where there is a whole model.
constexpr NameSign kParts[] = {
    {Where::kWhole, "add_embedding.linear_1.weight", "an SDXL UNet alone"},
    {Where::kWhole, "time_embedding.linear_1.weight", "a Stable Diffusion UNet alone"},
    {Where::kStart, "decoder.conv_in.", "a VAE alone"},
    {Where::kStart, "first_stage_model.", "a VAE alone"},
    {Where::kStart, "taesd", "a tiny autoencoder"},
    {Where::kStart, "text_model.", "a text encoder alone"},
    {Where::kStart, "conditioner.embedders.", "text encoders alone"},
};

bool any_bears(const FileTensors& tensors, const NameSign& sign) {
    return std::ranges::any_of(tensors, [&sign](const auto& item) { return bears(item.first, sign); });
}

// A UNet in the original layout without SDXL's size embedding.
std::string older_unet(const FileTensors& tensors) {
    constexpr std::string_view kKey =
        "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight";
    const auto found = tensors.find(kKey);
    if (found == tensors.end() || found->second.view.shape.rank() != 2) return "an unknown diffusion model";
    const auto context = found->second.view.shape[1];
    if (context == 768) return "a Stable Diffusion 1.5 (1.x) checkpoint";
    if (context == 1024) return "a Stable Diffusion 2.x checkpoint";
    return "an unknown diffusion model";
}

// Extent `axis` of a tensor of `rank` that every SDXL UNet has.
std::int64_t extent(const WeightMap& unet, const std::string& name, std::size_t rank, int axis) {
    const auto* entry = unet.find(name);
    if (entry == nullptr)
        fail(ErrorCode::kInvalidModel,
             "'" + unet.source() + "': this is not an SDXL model: its unet has no '" + name + "'");
    if (entry->view.shape.rank() != rank)
        fail(ErrorCode::kInvalidModel, "'" + unet.source() + "': the unet's tensor '" + name +
                                           "' has shape " + entry->view.shape.str() + ", expected " +
                                           std::to_string(rank) + " extents");
    return entry->view.shape[axis];
}

// Width of the text states that the first cross-attention takes.
std::int64_t context_width(const WeightMap& unet) {
    constexpr std::string_view kKey = ".attn2.to_k.weight";
    for (const auto& [name, entry] : unet.entries())
        if (name.ends_with(kKey)) return extent(unet, name, 2, 1);
    fail(ErrorCode::kInvalidModel,
         "'" + unet.source() + "': this is not an SDXL model: its unet has no cross-attention");
}

}  // namespace

std::string_view model_kind_name(ModelKind kind) {
    switch (kind) {
        case ModelKind::kBase:
            return "base";
        case ModelKind::kRefiner:
            return "refiner";
        case ModelKind::kInpaint:
            return "inpaint";
        case ModelKind::kEdit:
            return "edit";
    }
    return "?";
}

std::string foreign_model(const FileTensors& tensors) {
    for (const auto& sign : kSigns)
        if (any_bears(tensors, sign)) return std::string(sign.means);
    if (any_bears(tensors, {Where::kStart, "model.diffusion_model.", ""})) {
        const bool sized = tensors.contains("model.diffusion_model.label_emb.0.0.weight");
        return sized ? "" : older_unet(tensors);
    }
    for (const auto& part : kParts)
        if (any_bears(tensors, part)) return std::string(part.means);
    return "no model that this worker knows";
}

ModelKind detect_model_kind(const WeightMap& unet, bool has_clip_l) {
    constexpr std::int64_t kRefinerSizes = 5 * 256;  // embeddings of height, width, top, left, score
    const std::int64_t channels = extent(unet, "conv_in.weight", 4, 1);
    const std::int64_t embedding = extent(unet, "add_embedding.linear_1.weight", 2, 1);
    const std::int64_t context = context_width(unet);
    if (channels == 9) return ModelKind::kInpaint;
    if (channels == 8) return ModelKind::kEdit;
    if (channels != 4)
        fail(ErrorCode::kInvalidModel, "'" + unet.source() + "': the unet takes " + std::to_string(channels) +
                                           " channels, expected 4 (or 9 to inpaint, 8 to edit)");
    // The refiner's context is the pooled width itself; the base model's is wider by CLIP-L.
    return !has_clip_l && embedding - context == kRefinerSizes ? ModelKind::kRefiner : ModelKind::kBase;
}

}  // namespace sdxl
