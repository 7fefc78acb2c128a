#include "weights/ip_adapter_file.h"

#include <algorithm>
#include <string_view>
#include <system_error>

#include "core/error.h"
#include "weights/component_names.h"
#include "weights/model_kind.h"
#include "weights/safetensors.h"
#include "weights/torch_file.h"

namespace sdxl {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kProjection = "image_proj.";
constexpr std::string_view kAttention = "ip_adapter.";

bool any_begins(const FileTensors& tensors, std::string_view start) {
    const auto at = tensors.lower_bound(start);
    return at != tensors.end() && at->first.starts_with(start);
}

bool any_contains(const FileTensors& tensors, std::string_view part) {
    return std::ranges::any_of(
        tensors, [part](const auto& item) { return item.first.find(part) != std::string::npos; });
}

// Adapters of the same layout that take something else than CLIP's view of a picture, as a person knows them.
std::string unsupported_kind(const FileTensors& tensors) {
    if (any_begins(tensors, "image_proj.perceiver_resampler.")) return "an IP-Adapter FaceID Plus";
    if (any_contains(tensors, "_lora.down.") || any_contains(tensors, "_lora.up."))
        return "an IP-Adapter FaceID";
    if (tensors.contains("image_proj.proj.3.weight")) return "an IP-Adapter Full Face";
    if (tensors.contains("image_proj.proj.0.weight")) return "an IP-Adapter FaceID";
    constexpr std::int64_t kFaceEmbedding = 512;  // insightface's
    const auto in = tensors.find("image_proj.proj_in.weight");
    if (in != tensors.end() && in->second.view.shape.rank() == 2 &&
        in->second.view.shape[1] == kFaceEmbedding)
        return "the IP-Adapter of InstantID";
    return "";
}

void require_format(const fs::path& path) {
    std::error_code error;
    const auto status = fs::status(path, error);
    if (status.type() == fs::file_type::not_found)
        fail(ErrorCode::kNotFound, "there is no IP-Adapter '" + path.string() + "'");
    if (error) fail(ErrorCode::kIo, "cannot look at '" + path.string() + "': " + error.message());
    if (path.extension() != ".safetensors" && !is_torch_file(path))
        fail(ErrorCode::kUnsupported, "'" + path.string() +
                                          "' is no .safetensors file: download or convert " +
                                          "the safetensors version of the IP-Adapter");
}

}  // namespace

IpAdapterCheckpoint open_ip_adapter(const fs::path& path) {
    require_format(path);
    const FileTensors tensors = open_tensor_files(path).tensors;
    const std::string who = "'" + path.string() + "': ";
    const bool projects = any_begins(tensors, kProjection);
    const bool attends = any_begins(tensors, kAttention);
    if (!projects && !attends)
        fail(ErrorCode::kInvalidModel, who + "this is " + foreign_model(tensors) + ", not an IP-Adapter");
    if (!projects || !attends)
        fail(ErrorCode::kInvalidModel, who + "this IP-Adapter has no tensors '" +
                                           std::string(projects ? kAttention : kProjection) +
                                           "…': it is incomplete, download it again");
    if (const std::string kind = unsupported_kind(tensors); !kind.empty())
        fail(ErrorCode::kUnsupported,
             who + "this is " + kind + ", which needs faces to be found and recognised; this worker runs " +
                 "ip-adapter_sdxl, ip-adapter_sdxl_vit-h and ip-adapter-plus_sdxl");
    IpAdapterCheckpoint adapter;
    adapter.path = path;
    IgnoredTensors ignored;
    for (const auto& [name, tensor] : tensors) {
        if (name.starts_with(kProjection) || name.starts_with(kAttention))
            adapter.weights.insert(name, tensor.view, tensor.bytes);
        else
            ignored.add(name, adapter.weights.component());
    }
    adapter.warnings = ignored.warnings();
    return adapter;
}

}  // namespace sdxl
