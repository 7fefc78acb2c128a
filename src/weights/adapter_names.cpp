#include "weights/adapter_names.h"

#include <algorithm>
#include <array>

#include "weights/name_signs.h"

namespace sdxl {
namespace {

using Leaf = AdapterLeaf;
using Part = AdapterPart;
using Spelling = AdapterSpelling;

struct Ending {
    std::string_view text;
    Leaf leaf;
    std::optional<Spelling> spelling;  // where the ending tells it
};
constexpr Ending kEndings[] = {
    {".lora_up.weight", Leaf::kUp, {}},
    {".lora_down.weight", Leaf::kDown, {}},
    {".lora_mid.weight", Leaf::kMid, {}},
    {".lora_B.weight", Leaf::kUp, Spelling::kPeft},
    {".lora_A.weight", Leaf::kDown, Spelling::kPeft},
    {".lora_B.bias", Leaf::kUpBias, Spelling::kPeft},
    {".lora_B", Leaf::kUp, Spelling::kPeft},
    {".lora_A", Leaf::kDown, Spelling::kPeft},
    {".lora_magnitude_vector.weight", Leaf::kMagnitude, {}},
    {".lora_magnitude_vector", Leaf::kMagnitude, {}},
    {".lora.up.weight", Leaf::kUp, Spelling::kDiffusers},
    {".lora.down.weight", Leaf::kDown, Spelling::kDiffusers},
    {".lora_linear_layer.up.weight", Leaf::kUp, Spelling::kDiffusers},
    {".lora_linear_layer.down.weight", Leaf::kDown, Spelling::kDiffusers},
    {"_lora.up.weight", Leaf::kUp, Spelling::kDiffusers},
    {"_lora.down.weight", Leaf::kDown, Spelling::kDiffusers},
    {".hada_w1_a", Leaf::kHadaW1A, {}},
    {".hada_w1_b", Leaf::kHadaW1B, {}},
    {".hada_w2_a", Leaf::kHadaW2A, {}},
    {".hada_w2_b", Leaf::kHadaW2B, {}},
    {".hada_t1", Leaf::kHadaT1, {}},
    {".hada_t2", Leaf::kHadaT2, {}},
    {".lokr_w1", Leaf::kLokrW1, {}},
    {".lokr_w1_a", Leaf::kLokrW1A, {}},
    {".lokr_w1_b", Leaf::kLokrW1B, {}},
    {".lokr_w2", Leaf::kLokrW2, {}},
    {".lokr_w2_a", Leaf::kLokrW2A, {}},
    {".lokr_w2_b", Leaf::kLokrW2B, {}},
    {".lokr_t2", Leaf::kLokrT2, {}},
    {".diff", Leaf::kDiff, {}},
    {".diff_b", Leaf::kDiffBias, {}},
    {".w_norm", Leaf::kNorm, {}},
    {".b_norm", Leaf::kNormBias, {}},
    {".dora_scale", Leaf::kDoraScale, {}},
    {"_lora.alpha", Leaf::kAlpha, Spelling::kDiffusers},
    {".lora.alpha", Leaf::kAlpha, Spelling::kDiffusers},
    {".lora_linear_layer.alpha", Leaf::kAlpha, Spelling::kDiffusers},
    {".alpha", Leaf::kAlpha, {}},
};

struct Beginning {
    std::string_view text;
    Part part;
    Spelling spelling;
    bool taken;  // the text is no part of the module's path
};
constexpr Beginning kBeginnings[] = {
    {"lora_unet_", Part::kUnet, Spelling::kKohya, true},
    {"lora_te1_", Part::kTextEncoder, Spelling::kKohya, true},
    {"lora_te2_", Part::kTextEncoder2, Spelling::kKohya, true},
    {"lycoris_", Part::kUnet, Spelling::kLycoris, true},
    {"unet.", Part::kUnet, Spelling::kDiffusers, true},
    {"text_encoder.", Part::kTextEncoder, Spelling::kDiffusers, true},
    {"text_encoder_2.", Part::kTextEncoder2, Spelling::kDiffusers, true},
    {"model.diffusion_model.", Part::kUnet, Spelling::kGeneric, true},
    {"diffusion_model.", Part::kUnet, Spelling::kGeneric, true},
    {"text_encoders.clip_l.transformer.", Part::kTextEncoder, Spelling::kGeneric, true},
    {"text_encoders.clip_g.transformer.", Part::kTextEncoder2, Spelling::kGeneric, true},
    {"clip_l.", Part::kTextEncoder, Spelling::kGeneric, true},
    {"clip_g.", Part::kTextEncoder2, Spelling::kGeneric, true},
    // Of one network alone, without a prefix.
    {"down_blocks.", Part::kUnet, Spelling::kDiffusers, false},
    {"mid_block.", Part::kUnet, Spelling::kDiffusers, false},
    {"up_blocks.", Part::kUnet, Spelling::kDiffusers, false},
    {"conv_in.", Part::kUnet, Spelling::kDiffusers, false},
    {"conv_out.", Part::kUnet, Spelling::kDiffusers, false},
    {"time_embedding.", Part::kUnet, Spelling::kDiffusers, false},
    {"add_embedding.", Part::kUnet, Spelling::kDiffusers, false},
    {"input_blocks.", Part::kUnet, Spelling::kGeneric, false},
    {"middle_block.", Part::kUnet, Spelling::kGeneric, false},
    {"output_blocks.", Part::kUnet, Spelling::kGeneric, false},
    {"text_model.", Part::kTextEncoder, Spelling::kDiffusers, false},
};

constexpr std::string_view kPeftModel = "base_model.model.";

// PEFT may keep the adapter's own name among the rest: "to_q.lora_A.default.weight".
std::string without_adapter_name(std::string_view name) {
    for (const std::string_view mark : {".lora_A.", ".lora_B.", ".lora_magnitude_vector."}) {
        const std::size_t at = name.rfind(mark);
        if (at == std::string_view::npos) continue;
        const std::string_view tail = name.substr(at + mark.size());
        if (tail == "weight" || tail == "bias") break;
        const std::size_t dot = tail.find('.');
        std::string head(name.substr(0, at + mark.size() - 1));
        if (dot == std::string_view::npos) return head;
        const std::string_view last = tail.substr(dot);
        if (last == ".weight" || last == ".bias") return head + std::string(last);
    }
    return std::string(name);
}

const Ending* find_ending(std::string_view name) {
    const auto* ending =
        std::ranges::find_if(kEndings, [&](const Ending& each) { return name.ends_with(each.text); });
    return ending == std::end(kEndings) ? nullptr : ending;
}

bool take_start(std::string_view& text, std::string_view start) {
    if (!text.starts_with(start)) return false;
    text.remove_prefix(start.size());
    return true;
}

// "a.processor.b" is "a_b".
std::string flat_path(std::string_view path) {
    constexpr std::string_view kProcessor = ".processor.";
    std::string flat(path);
    if (const std::size_t at = flat.find(kProcessor); at != std::string::npos)
        flat.replace(at, kProcessor.size(), ".");
    std::ranges::replace(flat, '.', '_');
    return flat;
}

using Where = NameSign::Where;

constexpr NameSign kUnsupported[] = {
    {Where::kInside, ".oft_", "OFT"},
    {Where::kInside, ".boft_", "BOFT"},
    {Where::kEnd, ".a1.weight", "GLoRA"},
    {Where::kEnd, ".a2.weight", "GLoRA"},
    {Where::kEnd, ".b1.weight", "GLoRA"},
    {Where::kEnd, ".b2.weight", "GLoRA"},
    {Where::kEnd, ".bm.weight", "GLoRA"},
    {Where::kEnd, ".on_input", "IA3"},
    {Where::kInside, ".ia3_", "IA3"},
    {Where::kInside, ".lora_embedding_", "a LoRA of an embedding"},
    {Where::kStart, "bundle_emb.", "a bundled embedding"},
    {Where::kEnd, ".set_weight", "a replaced weight"},
    {Where::kEnd, ".reshape_weight", "a reshaped weight"},
};

// The more telling ones stand first.
constexpr NameSign kBases[] = {
    {Where::kStart, "lora_prior_", "Stable Cascade"},
    {Where::kInside, "temporal_transformer", "AnimateDiff (a motion LoRA)"},
    {Where::kInside, "motion_modules", "AnimateDiff (a motion LoRA)"},
    {Where::kInside, "joint_transformer_blocks", "AuraFlow"},
    {Where::kInside, "double_blocks", "Flux"},
    {Where::kInside, "single_blocks", "Flux"},
    {Where::kInside, "single_transformer_blocks", "Flux"},
    {Where::kInside, "joint_blocks", "Stable Diffusion 3"},
    {Where::kInside, "img_mlp", "Qwen-Image"},
    {Where::kInside, "attn.add_k_proj", "Stable Diffusion 3"},
    {Where::kInside, "attn_add_k_proj", "Stable Diffusion 3"},
    {Where::kStart, "lora_te3_", "Stable Diffusion 3"},
    {Where::kInside, "blocks.0.cross_attn", "Wan"},
    {Where::kInside, "blocks_0_cross_attn", "Wan"},
    {Where::kStart, "transformer.", "a diffusion transformer"},
    {Where::kStart, "lora_transformer_", "a diffusion transformer"},
    {Where::kStart, "diffusion_model.layers.", "a diffusion transformer"},
    {Where::kStart, "lora_te_", kOlderBase},
};

}  // namespace

std::string_view adapter_part_name(AdapterPart part) {
    switch (part) {
        case Part::kUnet:
            return "unet";
        case Part::kTextEncoder:
            return "text_encoder";
        case Part::kTextEncoder2:
            return "text_encoder_2";
    }
    return "?";
}

bool is_adapter_name(std::string_view name) {
    return find_ending(without_adapter_name(name)) != nullptr || !unsupported_adapter(name).empty();
}

std::optional<AdapterName> parse_adapter_name(std::string_view name) {
    const std::string plain = without_adapter_name(name);
    const Ending* ending = find_ending(plain);
    if (ending == nullptr) return std::nullopt;
    std::string_view path = std::string_view(plain).substr(0, plain.size() - ending->text.size());
    bool peft = take_start(path, kPeftModel);
    const auto* start =
        std::ranges::find_if(kBeginnings, [&](const Beginning& each) { return path.starts_with(each.text); });
    // A module may be all of its path: "conv_in".
    if (start == std::end(kBeginnings))
        start = std::ranges::find_if(kBeginnings, [&](const Beginning& each) {
            return !each.taken && path == each.text.substr(0, each.text.size() - 1);
        });
    if (start == std::end(kBeginnings)) return std::nullopt;
    if (start->taken) path.remove_prefix(start->text.size());
    peft = take_start(path, kPeftModel) || peft;
    if (path.empty()) return std::nullopt;
    const Spelling spelling = peft ? Spelling::kPeft : start->spelling;
    return AdapterName{start->part, flat_path(path), ending->leaf,
                       spelling == Spelling::kDiffusers ? ending->spelling.value_or(spelling) : spelling};
}

std::string_view unsupported_adapter(std::string_view name) {
    const auto* sign =
        std::ranges::find_if(kUnsupported, [&](const NameSign& each) { return bears(name, each); });
    return sign == std::end(kUnsupported) ? "" : sign->means;
}

std::string_view foreign_base(const FileTensors& tensors) {
    for (const NameSign& sign : kBases)
        if (std::ranges::any_of(tensors, [&](const auto& tensor) { return bears(tensor.first, sign); }))
            return sign.means;
    return "";
}

std::string_view base_of_context(std::int64_t width) {
    switch (width) {
        case 768:
            return "Stable Diffusion 1.x";
        case 1024:
            return "Stable Diffusion 2.x";
        case 1280:
            return "the SDXL refiner";
        case 2048:
            return "the SDXL base model";
        default:
            return "";
    }
}

}  // namespace sdxl
