// Names of the tensors in LoRA-like files, taken apart: part of the model, module, what the tensor is.
//
// Sources of the names: kohya-ss/sd-scripts networks/lora.py, LyCORIS lycoris/modules, diffusers
// loaders/lora_conversion_utils.py and PEFT's save format; ComfyUI comfy/lora.py for the generic ones.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sdxl {

enum class AdapterPart { kUnet, kTextEncoder, kTextEncoder2 };
constexpr int kAdapterParts = 3;
// The component's name: "unet", "text_encoder", "text_encoder_2".
std::string_view adapter_part_name(AdapterPart part);

// What a tensor is in its module.
enum class AdapterLeaf {
    kUp,
    kDown,
    kMid,
    kUpBias,
    kHadaW1A,
    kHadaW1B,
    kHadaW2A,
    kHadaW2B,
    kHadaT1,
    kHadaT2,
    kLokrW1,
    kLokrW1A,
    kLokrW1B,
    kLokrW2,
    kLokrW2A,
    kLokrW2B,
    kLokrT2,
    kDiff,
    kDiffBias,
    kNorm,
    kNormBias,
    kDoraScale,  // LyCORIS: shape [1, in] or [out, 1] says which axis it is of
    kMagnitude,  // PEFT: of the rows
    kAlpha,
};

enum class AdapterSpelling { kKohya, kLycoris, kDiffusers, kPeft, kGeneric };

struct AdapterName {
    AdapterPart part = AdapterPart::kUnet;
    std::string path;  // below the part's prefix, dots as underscores, without ".processor"
    AdapterLeaf leaf = AdapterLeaf::kUp;
    AdapterSpelling spelling = AdapterSpelling::kKohya;
};

struct UnknownTensor {
    std::string name;
    std::string reason;  // "OFT", "GLoRA", …, "" for a name that says nothing
};

}  // namespace sdxl
