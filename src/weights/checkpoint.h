// A model on disk, whatever its layout, as components with canonical tensor names.
//
// UNet and VAE have the names of diffusers' state dicts, text encoders those of transformers. Nothing is read
// but headers and small JSON files (and OpenCLIP's projection, 3 MB, which single files hold transposed):
// opening takes milliseconds. The checkpoint owns its weights through the WeightBytes in its maps. Threads:
// use from one thread.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "weights/model_kind.h"
#include "weights/safetensors.h"
#include "weights/weight_scope.h"

namespace sdxl {

enum class CheckpointLayout { kSingleFile, kDiffusersFolder };

// The raw config.json of each component; "" where there is none (always for single files).
struct ComponentConfigs {
    std::string unet;
    std::string vae;
    std::string text_encoder;
    std::string text_encoder_2;
    std::string scheduler;
};

// What a folder's index recommends to requests that say nothing; within what a request could ask for.
struct RecommendedSettings {
    std::optional<int> num_inference_steps;
    std::optional<double> guidance_scale;
};

struct Checkpoint {
    std::filesystem::path path;
    CheckpointLayout layout = CheckpointLayout::kSingleFile;
    ModelKind kind = ModelKind::kBase;
    WeightMap unet{"unet"};
    WeightMap vae{"vae"};
    WeightMap text_encoder{"text_encoder"};  // CLIP-L; empty for a refiner
    WeightMap text_encoder_2{"text_encoder_2"};
    ComponentConfigs configs;
    std::optional<std::filesystem::path> tokenizer_dir;
    std::optional<std::filesystem::path> tokenizer_2_dir;
    // A single file's own; of a folder, its index's "_name_or_path".
    std::map<std::string, std::string> metadata;
    RecommendedSettings recommended;
    bool force_zeros_for_empty_prompt = true;
    bool v_prediction = false;          // the UNet predicts v rather than the noise
    bool zero_terminal_snr = false;     // trained to start from pure noise
    bool edm_v_prediction = false;      // CosXL: v-prediction over EDM's continuous sigmas
    std::vector<std::string> warnings;  // for the log: what in the files was left unused
};

// Opens a .safetensors file, a diffusers folder, or a folder that holds one .safetensors file, perhaps with
// tokenizer folders beside it. Every SDXL
// kind opens; whether it can run is the caller's question. Fails with kNotFound or kIo for the path itself,
// kUnsupported for another file format, kInvalidModel for a broken file, a model that is not SDXL (named), or
// a missing component (named).
Checkpoint open_checkpoint(const std::filesystem::path& path);

// For the tensors of a single file under its own names; `metadata` as in its header.
Checkpoint read_single_file(const FileTensors& tensors, const std::map<std::string, std::string>& metadata,
                            const std::filesystem::path& path);

// REQUIRES: `folder` holds a model_index.json.
Checkpoint read_diffusers_folder(const std::filesystem::path& folder);

}  // namespace sdxl
