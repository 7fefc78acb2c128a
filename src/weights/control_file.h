// A control model on disk: a ControlNet, a ControlNet-Union, a control-LoRA or a T2I-Adapter, for SDXL.
//
// Nothing is read but headers and small JSON files. The checkpoint owns its weights through the WeightBytes
// in its map.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "weights/safetensors.h"
#include "weights/weight_scope.h"

namespace sdxl {

enum class ControlKind {
    kControlNet,   // Zhang et al., "Adding Conditional Control to Text-to-Image Diffusion Models", 2023
    kUnion,        // one ControlNet for several types of control: Qi Xin, ControlNet++ (2024)
    kControlLora,  // a ControlNet as low-rank differences from the base model's UNet (Stability AI, 2023)
    kT2IAdapter,   // Mou et al., "T2I-Adapter", 2023
};

// "ControlNet", "T2I-Adapter", ...
std::string_view control_kind_name(ControlKind kind);

// A weight's difference from the base model's: up [out, rank, ...] times down [rank, in, ...].
struct LowRankDifference {
    FileTensor up, down;
};

struct ControlCheckpoint {
    std::filesystem::path path;
    ControlKind kind = ControlKind::kControlNet;
    WeightMap weights{"controlnet"};  // under diffusers' names
    // Of a control-LoRA, by the name of the weight; merge_control_lora makes whole weights of them.
    std::map<std::string, LowRankDifference> differences;
    std::string config;                 // config.json, "" if there is none
    std::vector<std::string> warnings;  // what in the file was left unused
};

// Opens a .safetensors file in diffusers' or the original layout (with or without "control_model." or
// "adapter."), or a diffusers folder. Fails with kNotFound or kIo for the path itself, kUnsupported for
// another format, kInvalidModel for a broken file or one that is no control model for SDXL, saying what it
// is.
ControlCheckpoint open_control(const std::filesystem::path& path);

// For a file's tensors under its own names.
ControlCheckpoint read_control(const FileTensors& tensors, const std::filesystem::path& path);

}  // namespace sdxl
