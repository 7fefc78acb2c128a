#include "weights/control_file.h"

#include <algorithm>
#include <optional>
#include <system_error>
#include <utility>

#include "core/error.h"
#include "core/file_stamp.h"
#include "weights/component_names.h"
#include "weights/control_names.h"
#include "weights/json_file.h"
#include "weights/model_kind.h"
#include "weights/torch_file.h"

namespace sdxl {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kLoraMarker = "lora_controlnet";
constexpr std::string_view kUp = ".up";
constexpr std::string_view kDown = ".down";

// Other control models, told by how any of their names begins.
struct Sign {
    std::string_view start;
    std::string_view model;
};
constexpr Sign kOthers[] = {
    {"lllite_", "a ControlNet-LLLite"},
    {"controlnet_x_embedder.", "a ControlNet for Flux"},
    {"controlnet_blocks.", "a ControlNet for Flux or Stable Diffusion 3"},
    {"control_model.control_model.", "a ControlNet-XS"},
};

[[noreturn]] void refuse(const fs::path& path, std::string_view what) {
    fail(ErrorCode::kInvalidModel, "'" + path.string() + "': this is " + std::string(what) +
                                       ", not a ControlNet, control-LoRA or T2I-Adapter for SDXL");
}

bool any_starts(const FileTensors& tensors, std::string_view prefix) {
    const auto at = tensors.lower_bound(prefix);
    return at != tensors.end() && at->first.starts_with(prefix);
}

// A file's tensors below the prefix that makes them a control model, and the rest.
class Names {
  public:
    explicit Names(const FileTensors& tensors) : tensors_(tensors) {
        for (const std::string_view prefix : {"control_model.", "adapter."})
            if (any_starts(tensors, prefix)) prefix_ = prefix;
        for (const auto& [name, tensor] : tensors)
            if (const auto own = below_prefix(name)) names_.push_back(*own);
    }

    std::optional<std::string_view> below_prefix(std::string_view name) const {
        return name.starts_with(prefix_) ? std::optional(name.substr(prefix_.size())) : std::nullopt;
    }

    const std::vector<std::string_view>& all() const { return names_; }
    std::string full(std::string_view name) const { return std::string(prefix_).append(name); }
    const FileTensor* find(std::string_view name) const {
        const auto found = tensors_.find(full(name));
        return found == tensors_.end() ? nullptr : &found->second;
    }
    bool has(std::string_view name) const { return find(name) != nullptr; }
    bool original() const { return has("input_hint_block.0.weight"); }
    // A file's marker may stand outside of the prefix.
    bool marked(std::string_view name) const { return has(name) || tensors_.contains(name); }

  private:
    const FileTensors& tensors_;
    std::string_view prefix_;
    std::vector<std::string_view> names_;
};

std::optional<ControlKind> kind_of(const Names& names) {
    if (names.marked(kLoraMarker)) return ControlKind::kControlLora;
    if (names.has("controlnet_cond_embedding.conv_in.weight") || names.original())
        return names.has("task_embedding") ? ControlKind::kUnion : ControlKind::kControlNet;
    const bool adapter =
        std::ranges::any_of(names.all(), [](std::string_view name) { return name.starts_with("body.0."); });
    if (adapter && !names.has("down_blocks.0.resnets.0.conv1.weight")) return ControlKind::kT2IAdapter;
    return std::nullopt;
}

[[noreturn]] void refuse_foreign(const FileTensors& tensors, const fs::path& path) {
    for (const Sign& sign : kOthers)
        if (any_starts(tensors, sign.start)) refuse(path, sign.model);
    const std::string foreign = foreign_model(tensors);
    refuse(path, foreign.empty() ? "an SDXL checkpoint" : foreign);
}

// Which base model a ControlNet was made for. `context` is the width of the prompt that it takes.
void require_sdxl(bool sized, std::int64_t context, ControlKind kind, const fs::path& path) {
    if (sized) return;
    constexpr std::int64_t kClipL = 768;
    constexpr std::int64_t kOpenClipH = 1024;
    const std::string what = "a " + std::string(control_kind_name(kind)) + " for ";
    if (context == kClipL) refuse(path, what + "Stable Diffusion 1.5 (1.x)");
    if (context == kOpenClipH) refuse(path, what + "Stable Diffusion 2.x");
    refuse(path, what + "a model without SDXL's size embedding");
}

std::int64_t context_width(const ControlCheckpoint& control) {
    constexpr std::string_view kKey = ".attn2.to_k.weight";
    const auto width = [](const Shape& shape) { return shape.rank() == 2 ? shape[1] : 0; };
    for (const auto& [name, entry] : control.weights.entries())
        if (name.ends_with(kKey)) return width(entry.view.shape);
    for (const auto& [name, difference] : control.differences)
        if (name.ends_with(kKey)) return width(difference.down.view.shape);
    return 0;
}

// The condition transformer of a union keeps query, key and value in one matrix, as torch's
// MultiheadAttention does.
bool insert_stacked(WeightMap& map, std::string_view name, const FileTensor& tensor) {
    constexpr std::string_view kStacked = ".attn.in_proj_";  // "weight" or "bias"
    const std::size_t at = name.find(kStacked);
    if (at == std::string_view::npos || !name.starts_with("transformer_layes.")) return false;
    const std::string leaf(name.substr(at + kStacked.size()));
    insert_query_key_value(map, std::string(name.substr(0, at)) + ".attn.{}_proj." + leaf, tensor);
    return true;
}

// "<weight>.up" and "<weight>.down" of a control-LoRA, put beside each other.
bool take_difference(ControlCheckpoint& control, std::string_view canonical, const FileTensor& tensor) {
    const bool up = canonical.ends_with(kUp);
    if (!up && !canonical.ends_with(kDown)) return false;
    canonical.remove_suffix(up ? kUp.size() : kDown.size());
    auto& difference = control.differences[std::string(canonical) + ".weight"];
    (up ? difference.up : difference.down) = tensor;
    return true;
}

void require_pairs(const ControlCheckpoint& control) {
    for (const auto& [name, difference] : control.differences)
        if (difference.up.bytes == nullptr || difference.down.bytes == nullptr)
            fail(ErrorCode::kInvalidModel,
                 "'" + control.path.string() + "': of the difference of " + quoted_name(name) +
                     " only one of 'up' and 'down' is there: " + "the file is incomplete, download it again");
}

void read_controlnet(ControlCheckpoint& control, const FileTensors& tensors, const Names& names) {
    IgnoredTensors ignored;
    std::optional<ControlNetNames> original;
    if (names.original()) original.emplace(names.all(), control.path.string());
    for (const auto& [name, tensor] : tensors) {
        if (name.ends_with(kLoraMarker)) continue;
        const auto own = names.below_prefix(name);
        const auto canonical = !own       ? std::nullopt
                               : original ? original->canonical(*own)
                                          : std::optional(std::string(*own));
        const bool lora = control.kind == ControlKind::kControlLora;
        if (!canonical)
            ignored.add(name);
        else if (!(lora && take_difference(control, *canonical, tensor)) &&
                 !insert_stacked(control.weights, *canonical, tensor))
            insert_canonical(control.weights, *canonical, tensor);
    }
    control.warnings = ignored.warnings();
    require_pairs(control);
    const std::string size = "add_embedding.linear_1.weight";
    require_sdxl(control.weights.find(size) != nullptr || control.differences.contains(size),
                 context_width(control), control.kind, control.path);
}

void read_t2i_adapter(ControlCheckpoint& control, const Names& names) {
    if (names.has("body.0.out_conv.weight") || !names.has("conv_in.weight"))
        refuse(control.path, "a light T2I-Adapter for Stable Diffusion 1.5");
    if (names.has("body.0.skep.weight")) refuse(control.path, "a T2I-Adapter with convolutions in its skips");
    constexpr std::int64_t kPixels = 16 * 16;  // that SDXL's adapters take at a time; older ones take 8 x 8
    const Shape& shape = names.find("conv_in.weight")->view.shape;
    if (shape.rank() != 4 || (shape[1] != kPixels && shape[1] != 3 * kPixels))
        refuse(control.path, "a T2I-Adapter for Stable Diffusion 1.5 or 2.x");
    control.weights = WeightMap("t2i_adapter");
    const T2IAdapterNames table(names.all());
    IgnoredTensors ignored;
    for (const std::string_view name : names.all())
        if (const auto canonical = table.canonical(name))
            control.weights.insert(*canonical, names.find(name)->view, names.find(name)->bytes);
        else
            ignored.add(names.full(name));
    control.warnings = ignored.warnings();
}

fs::path weights_in(const fs::path& folder) {
    const std::string stem = "diffusion_pytorch_model";
    if (const auto weights = find_weights(folder, stem)) return *weights;
    if (is_there(folder / "model_index.json")) refuse(folder, "a whole model");
    fail(ErrorCode::kInvalidModel, "the folder '" + folder.string() + "' has no '" + stem +
                                       ".safetensors': name the file itself, or download the safetensors "
                                       "version of the control model");
}

}  // namespace

std::string_view control_kind_name(ControlKind kind) {
    switch (kind) {
        case ControlKind::kControlNet:
            return "ControlNet";
        case ControlKind::kUnion:
            return "ControlNet-Union";
        case ControlKind::kControlLora:
            return "control-LoRA";
        case ControlKind::kT2IAdapter:
            return "T2I-Adapter";
    }
    return "?";
}

ControlCheckpoint read_control(const FileTensors& tensors, const fs::path& path) {
    const Names names(tensors);
    const auto kind = kind_of(names);
    if (!kind) refuse_foreign(tensors, path);
    ControlCheckpoint control;
    control.path = path;
    control.kind = *kind;
    if (*kind == ControlKind::kT2IAdapter)
        read_t2i_adapter(control, names);
    else
        read_controlnet(control, tensors, names);
    return control;
}

ControlCheckpoint open_control(const fs::path& path) {
    std::error_code error;
    const auto status = fs::status(path, error);
    if (status.type() == fs::file_type::not_found)
        fail(ErrorCode::kNotFound, "there is no control model '" + path.string() + "'");
    if (error) fail(ErrorCode::kIo, "cannot look at '" + path.string() + "': " + error.message());
    const bool folder = fs::is_directory(status);
    const fs::path file = folder ? weights_in(path) : path;
    if (file.extension() != ".safetensors" && !is_torch_file(file) && !folder)
        fail(ErrorCode::kUnsupported, "'" + path.string() +
                                          "' is no .safetensors file: convert it, or download the "
                                          "safetensors version of the control model");
    ControlCheckpoint control = read_control(open_tensor_files(file).tensors, path);
    if (folder && is_there(path / "config.json")) control.config = read_text_file(path / "config.json");
    return control;
}

}  // namespace sdxl
