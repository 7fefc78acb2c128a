#include "micro_variants.h"

#include <cstdint>
#include <fstream>
#include <nlohmann/json.hpp>

#include "weights/safetensors.h"

namespace sdxl {
namespace {

namespace fs = std::filesystem;

const fs::path kMicro = fs::path(SDXL_FIXTURES) / "micro";
const std::string kWeightsFile = "diffusion_pytorch_model.safetensors";
constexpr std::int64_t kClipLWidth = 64;  // of the micro model
constexpr std::int64_t kPooled = 128;
constexpr std::int64_t kSizesOfRefiner = 5 * 256;

bool takes_context(const std::string& name) {
    return name.find(".attn2.to_k.") != std::string::npos || name.find(".attn2.to_v.") != std::string::npos;
}

bool has_unseen(const std::string& name) {
    return takes_context(name) || name == "add_embedding.linear_1.weight";
}

bool seen_by_refiner(const std::string& name, std::int64_t column) {
    return takes_context(name) ? column >= kClipLWidth : column < kPooled + kSizesOfRefiner;
}

}  // namespace

void write_tensors(const fs::path& path, const PlainTensors& tensors) {
    fs::create_directories(path.parent_path());
    nlohmann::json header;
    std::size_t at = 0;
    for (const auto& [name, tensor] : tensors) {
        const std::size_t bytes = tensor.values.size() * sizeof(float);
        header[name] = {{"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {at, at + bytes}}};
        at += bytes;
    }
    const std::string text = header.dump();
    const std::uint64_t length = text.size();
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(&length), sizeof length);
    file << text;
    for (const auto& [name, tensor] : tensors)
        file.write(reinterpret_cast<const char*>(tensor.values.data()),
                   static_cast<std::streamsize>(tensor.values.size() * sizeof(float)));
}

void write_micro_variant(const fs::path& folder, const PlainTensors& unet, MicroKind kind) {
    fs::create_directories(folder);
    fs::copy(kMicro, folder, fs::copy_options::recursive | fs::copy_options::overwrite_existing);
    for (const auto& file : fs::directory_iterator(folder / "unet")) fs::remove(file);
    write_tensors(folder / "unet" / kWeightsFile, unet);
    if (kind == MicroKind::kBase) return;
    nlohmann::json index = nlohmann::json::parse(std::ifstream(folder / "model_index.json"));
    index["text_encoder"] = {nullptr, nullptr};
    index["tokenizer"] = {nullptr, nullptr};
    index["force_zeros_for_empty_prompt"] = false;
    std::ofstream(folder / "model_index.json") << index.dump();
}

void replace_component(const fs::path& folder, const std::string& component, const PlainTensors& tensors) {
    for (const auto& file : fs::directory_iterator(folder / component))
        if (file.path().extension() == ".safetensors") fs::remove(file);
    write_tensors(folder / component / kWeightsFile, tensors);
}

PlainTensors micro_component(const std::string& component) {
    PlainTensors tensors;
    for (const auto& file : fs::directory_iterator(kMicro / component))
        if (file.path().extension() == ".safetensors")
            for (const auto& [name, tensor] : open_tensor_files(file.path()).tensors)
                tensors[name] = {tensor.view.shape.dims(), to_f32(tensor.view)};
    return tensors;
}

PlainTensors micro_refiner() {
    PlainTensors unet = micro_unet();
    for (auto& [name, tensor] : unet) {
        if (!has_unseen(name)) continue;
        const std::int64_t columns = tensor.shape[1];
        std::vector<float> kept;
        for (std::size_t i = 0; i < tensor.values.size(); ++i)
            if (seen_by_refiner(name, static_cast<std::int64_t>(i) % columns))
                kept.push_back(tensor.values[i]);
        tensor.shape[1] = static_cast<std::int64_t>(kept.size()) / tensor.shape[0];
        tensor.values = std::move(kept);
    }
    return unet;
}

PlainTensors blind_base() {
    PlainTensors unet = micro_unet();
    for (auto& [name, tensor] : unet) {
        if (!has_unseen(name)) continue;
        for (std::size_t i = 0; i < tensor.values.size(); ++i)
            if (!seen_by_refiner(name, static_cast<std::int64_t>(i) % tensor.shape[1])) tensor.values[i] = 0;
    }
    return unet;
}

PlainTensors micro_inpaint(float weight) {
    PlainTensors unet = micro_unet();
    PlainTensor& in = unet.at("conv_in.weight");  // [32, 4, 3, 3]
    constexpr std::size_t kKernel = 9;
    std::vector<float> wider;
    for (std::size_t out = 0; out < in.values.size() / (4 * kKernel); ++out) {
        const auto begin = in.values.begin() + static_cast<std::ptrdiff_t>(out * 4 * kKernel);
        wider.insert(wider.end(), begin, begin + 4 * kKernel);
        wider.insert(wider.end(), 5 * kKernel, weight);
    }
    in.values = std::move(wider);
    in.shape[1] = 9;
    return unet;
}

}  // namespace sdxl
