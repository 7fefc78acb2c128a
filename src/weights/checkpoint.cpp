#include "weights/checkpoint.h"

#include <algorithm>
#include <array>
#include <system_error>

#include "core/error.h"
#include "weights/torch_file.h"

namespace sdxl {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 2> kOtherFormats{".gguf", ".onnx"};

Checkpoint open_file(const fs::path& path) {
    const std::string extension = path.extension().string();
    if (std::ranges::find(kOtherFormats, extension) != kOtherFormats.end())
        fail(ErrorCode::kUnsupported,
             "'" + path.string() + "' is a " + extension +
                 " file, expected .safetensors: convert it, or download the safetensors "
                 "version of the model");
    const TensorFiles files = open_tensor_files(path);
    return read_single_file(files.tensors, files.metadata, path);
}

// The only file of weights in a folder that is not in the diffusers layout; PyTorch's only where there is no
// .safetensors file.
fs::path only_file(const fs::path& folder) {
    std::error_code error;
    std::vector<fs::path> files, pickled;
    for (const auto& entry : fs::directory_iterator(folder, error)) {
        if (entry.path().extension() == ".safetensors") files.push_back(entry.path());
        if (is_torch_file(entry.path())) pickled.push_back(entry.path());
    }
    if (files.empty()) files = std::move(pickled);
    if (error) fail(ErrorCode::kIo, "cannot read the folder '" + folder.string() + "': " + error.message());
    if (files.size() == 1) return files.front();
    if (files.empty())
        fail(ErrorCode::kInvalidModel,
             "the folder '" + folder.string() +
                 "' holds neither a model_index.json nor a .safetensors or .ckpt file");
    std::ranges::sort(files);
    fail(ErrorCode::kInvalidModel, "the folder '" + folder.string() + "' has no model_index.json and " +
                                       std::to_string(files.size()) + " files of weights ('" +
                                       files[0].filename().string() + "', '" + files[1].filename().string() +
                                       "'…): name one of them");
}

}  // namespace

Checkpoint open_checkpoint(const fs::path& path) {
    std::error_code error;
    const auto status = fs::status(path, error);
    if (status.type() == fs::file_type::not_found)
        fail(ErrorCode::kNotFound, "there is no model '" + path.string() + "'");
    if (error) fail(ErrorCode::kIo, "cannot look at '" + path.string() + "': " + error.message());
    if (!fs::is_directory(status)) return open_file(path);
    if (fs::exists(path / "model_index.json", error)) return read_diffusers_folder(path);
    Checkpoint checkpoint = open_file(only_file(path));
    // A single file brings no vocabulary; folders beside it may.
    const auto beside = [&](const char* name) {
        const bool there = fs::exists(path / name / "vocab.json", error);
        return there ? std::optional(path / name) : std::nullopt;
    };
    checkpoint.tokenizer_dir = beside("tokenizer");
    checkpoint.tokenizer_2_dir = beside("tokenizer_2");
    return checkpoint;
}

}  // namespace sdxl
