// ControlModel: a ControlNet, ControlNet-Union, control-LoRA or T2I-Adapter in memory.
//
// Immutable after loading; refers to its backend, which must outlive it; used by one thread at a time. A
// control-LoRA is merged with the base model's UNet when it is loaded, and so belongs to that model's file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "backend/backend.h"
#include "core/cancel_token.h"
#include "models/controlnet.h"
#include "models/t2i_adapter.h"
#include "weights/control_file.h"

namespace sdxl {

class ControlModel {
  public:
    // REQUIRES: a control-LoRA's file was merged. Fails with kInvalidModel.
    ControlModel(const LoadContext& load, const ControlCheckpoint& file);

    const std::filesystem::path& path() const { return path_; }
    ControlKind kind() const { return kind_; }
    DType compute() const { return compute_; }
    std::uint64_t weight_bytes() const { return weight_bytes_; }  // as they were read
    // One of them is there, the other null.
    const ControlNetModel* controlnet() const { return std::get_if<ControlNetModel>(&network_); }
    const T2IAdapter* t2i_adapter() const { return std::get_if<T2IAdapter>(&network_); }

  private:
    std::filesystem::path path_;
    ControlKind kind_;
    DType compute_;
    std::uint64_t weight_bytes_;
    std::variant<ControlNetModel, T2IAdapter> network_;
};

// Reads a control model's file or folder and packs its weights. `base_unet` is the UNet of the model that it
// will be used with (Checkpoint::unet: headers alone are read to have it), which a control-LoRA is merged
// with and others ignore; null where there is none. `warnings` gets what the file holds that is not used.
// Fails with kNotFound, kUnsupported, kInvalidModel (also for weights that are not numbers), kInvalidRequest
// (a control-LoRA without a base), kCancelled or kDeadlineExceeded.
std::shared_ptr<const ControlModel> load_control_model(const std::filesystem::path& path,
                                                       const WeightMap* base_unet, Backend& backend,
                                                       DType compute, const CancelToken& cancel,
                                                       std::vector<std::string>& warnings);

// The types of control that published unions know, by the number that the network gives them: "openpose",
// "depth", "hed" (also "softedge", "scribble", ...), "canny" (also "lineart", "mlsd", ...), "normal",
// "segment", and of ProMax "tile" and "repaint" (also "inpaint"). Upper case and '_' or '-' do not matter.
std::optional<int> union_type_of(std::string_view name);
// The first name of each, in order of their numbers.
std::vector<std::string_view> union_type_names();

}  // namespace sdxl
