#include "weights/image_encoder_file.h"

#include <nlohmann/json.hpp>
#include <string_view>
#include <system_error>

#include "core/error.h"
#include "core/file_stamp.h"
#include "weights/component_names.h"
#include "weights/json_file.h"
#include "weights/model_kind.h"
#include "weights/open_clip_tensors.h"
#include "weights/safetensors.h"
#include "weights/torch_file.h"

namespace sdxl {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kOpenClip = "visual.";

[[noreturn]] void refuse_format(const fs::path& path) {
    fail(ErrorCode::kUnsupported, "'" + path.string() +
                                      "' is no .safetensors file: download or convert the " +
                                      "safetensors version of the image encoder");
}

fs::path weights_in(const fs::path& folder) {
    for (const char* name : {"model.safetensors", "model.fp16.safetensors", "model.safetensors.index.json",
                             "open_clip_model.safetensors", "open_clip_pytorch_model.safetensors",
                             "pytorch_model.bin", "open_clip_pytorch_model.bin"})
        if (is_there(folder / name)) return folder / name;
    fail(ErrorCode::kNotFound, "the folder '" + folder.string() + "' holds no image encoder: expected a " +
                                   "model.safetensors and its config.json");
}

// That of a whole CLIP has the vision encoder's inside.
std::string config_of(const fs::path& path) {
    if (!is_there(path)) return "";
    const nlohmann::json whole = read_json_object(path);
    const auto inside = whole.find("vision_config");
    if (inside == whole.end() || !inside->is_object()) return whole.dump();
    nlohmann::json config = *inside;
    if (whole.contains("projection_dim")) config["projection_dim"] = whole["projection_dim"];
    return config.dump();
}

bool is_vision_weight(std::string_view name) {
    return (name.starts_with("vision_model.") && !name.ends_with(".position_ids")) ||
           name == "visual_projection.weight";
}

void read_tensors(ImageEncoderCheckpoint& encoder, const FileTensors& tensors) {
    IgnoredTensors ignored;
    for (const auto& [name, tensor] : tensors) {
        const auto open_clip = name.starts_with(kOpenClip)
                                   ? open_clip_vision_name(std::string_view(name).substr(kOpenClip.size()))
                                   : std::nullopt;
        if (open_clip)
            insert_open_clip(encoder.weights, *open_clip, tensor);
        else if (is_vision_weight(name))
            encoder.weights.insert(name, tensor.view, tensor.bytes);
        else
            ignored.add(name, encoder.weights.component());
    }
    if (encoder.weights.entries().empty())
        fail(ErrorCode::kInvalidModel, "'" + encoder.path.string() + "': this is " + foreign_model(tensors) +
                                           ", not a CLIP vision encoder");
    encoder.warnings = ignored.warnings();
}

}  // namespace

ImageEncoderCheckpoint open_image_encoder(const fs::path& path) {
    std::error_code error;
    const auto status = fs::status(path, error);
    if (status.type() == fs::file_type::not_found)
        fail(ErrorCode::kNotFound, "there is no image encoder '" + path.string() + "'");
    if (error) fail(ErrorCode::kIo, "cannot look at '" + path.string() + "': " + error.message());
    ImageEncoderCheckpoint encoder;
    encoder.path = fs::is_directory(status) ? weights_in(path) : path;
    const std::string file = encoder.path.filename().string();
    if (!file.ends_with(".safetensors") && !file.ends_with(".index.json") && !is_torch_file(encoder.path))
        refuse_format(encoder.path);
    read_tensors(encoder, open_tensor_files(encoder.path).tensors);
    if (file.starts_with("model.") || file.starts_with("pytorch_model."))
        encoder.config = config_of(encoder.path.parent_path() / "config.json");
    return encoder;
}

}  // namespace sdxl
