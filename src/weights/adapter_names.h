// Names of the tensors in LoRA-like files, taken apart: which part of the model, which module, and what the
// tensor is there.
//
// The names are those that trainers publish: kohya-ss/sd-scripts networks/lora.py, LyCORIS lycoris/modules,
// diffusers loaders/lora_conversion_utils.py, PEFT's save format, and the generic ones of ComfyUI
// comfy/lora.py. Pure functions, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "weights/safetensors.h"

namespace sdxl {

enum class AdapterPart { kUnet, kTextEncoder, kTextEncoder2 };
inline constexpr std::size_t kAdapterParts = 3;
// As the model's component is called: "unet", "text_encoder", "text_encoder_2".
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
    kDoraScale,  // LyCORIS: the shape, [1, in] or [out, 1], says what the magnitudes are of
    kMagnitude,  // PEFT: of the rows
    kAlpha,
};

enum class AdapterSpelling { kKohya, kLycoris, kDiffusers, kPeft, kGeneric };

struct AdapterName {
    AdapterPart part = AdapterPart::kUnet;
    std::string path;  // below the part's prefix, dots as underscores, without "processor"
    AdapterLeaf leaf = AdapterLeaf::kUp;
    AdapterSpelling spelling = AdapterSpelling::kKohya;
};

// Nothing for a name that is not an adapter's, or of a family that this worker does not apply.
std::optional<AdapterName> parse_adapter_name(std::string_view name);

// Whether the name ends as an adapter's do, for whatever model it is.
bool is_adapter_name(std::string_view name);

// Of a name that was not understood: what is known about it ("OFT", "GLoRA", "a bundled embedding"), or "".
std::string_view unsupported_adapter(std::string_view name);

// The model that an adapter with these names is for, if it is not SDXL: "Flux", "Stable Diffusion 1.x".
std::string_view foreign_base(const FileTensors& tensors);
// What foreign_base says of files whose names tell no more than that there is one text encoder.
inline constexpr std::string_view kOlderBase = "Stable Diffusion 1.x or 2.x";
// The model whose cross-attention takes text states of this width; "" for an unknown one.
std::string_view base_of_context(std::int64_t width);

}  // namespace sdxl
