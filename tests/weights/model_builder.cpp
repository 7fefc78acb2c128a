#include "model_builder.h"

#include <unistd.h>

#include <bit>
#include <cstdlib>
#include <fstream>
#include <stdexcept>

namespace sdxl::testing {
namespace {

namespace fs = std::filesystem;

std::int64_t bytes_of(const TensorSpec& tensor) {
    std::int64_t bytes = 2;
    if (tensor.dtype == "I64" || tensor.dtype == "F64") bytes = 8;
    if (tensor.dtype == "F32" || tensor.dtype == "I32") bytes = 4;
    if (tensor.dtype == "BOOL" || tensor.dtype == "U8" || tensor.dtype == "I8") bytes = 1;
    for (const auto dim : tensor.shape) bytes *= dim;
    return bytes;
}

template <class T>
void append_bytes(std::string& data, T value) {
    data.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// For values that a half has exactly, but for the last bits of their fraction.
std::uint16_t half_of(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t sign = bits >> 16 & 0x8000U;
    const std::uint32_t magnitude = bits & 0x7fffffffU;
    if (magnitude >= 0x7f800000U)
        return static_cast<std::uint16_t>(sign | 0x7c00U | (magnitude > 0x7f800000U ? 1U : 0U));
    if (magnitude < 0x38800000U) return static_cast<std::uint16_t>(sign);
    return static_cast<std::uint16_t>(sign | ((magnitude - 0x38000000U) >> 13));
}

void append_value(std::string& data, float value, const std::string& dtype) {
    if (dtype == "F32") return append_bytes(data, value);
    if (dtype == "F16") return append_bytes(data, half_of(value));
    if (dtype == "BF16")
        return append_bytes(data, static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >> 16));
    if (dtype == "I64") return append_bytes(data, static_cast<std::int64_t>(value));
    throw std::runtime_error("no values of " + dtype);
}

void add_unet(std::vector<TensorSpec>& tensors, std::int64_t context, std::int64_t embedding) {
    const std::string unet = "model.diffusion_model.";
    const std::string attention = unet + "input_blocks.1.1.";
    tensors.push_back({unet + "input_blocks.0.0.weight", {2, 4, 1, 1}});
    tensors.push_back({unet + "input_blocks.1.0.in_layers.2.weight", {2, 2, 1, 1}});
    tensors.push_back({attention + "proj_in.weight", {2, 2}});
    tensors.push_back({attention + "transformer_blocks.0.attn2.to_k.weight", {1, context}});
    tensors.push_back({unet + "input_blocks.2.0.op.weight", {2, 2, 1, 1}});
    tensors.push_back({unet + "middle_block.0.in_layers.0.weight", {2}});
    tensors.push_back({unet + "middle_block.1.norm.weight", {2}});
    tensors.push_back({unet + "middle_block.2.out_layers.3.bias", {2}});
    tensors.push_back({unet + "output_blocks.0.0.skip_connection.weight", {2, 4, 1, 1}});
    tensors.push_back({unet + "output_blocks.0.1.conv.weight", {2, 2, 1, 1}});
    tensors.push_back({unet + "label_emb.0.0.weight", {1, embedding}});
    tensors.push_back({unet + "out.2.weight", {4, 2, 1, 1}});
}

void add_open_clip(std::vector<TensorSpec>& tensors, const std::string& prefix) {
    tensors.push_back({prefix + "positional_embedding", {3, 2}});
    tensors.push_back({prefix + "transformer.resblocks.0.attn.in_proj_weight", {6, 2}});
    tensors.push_back({prefix + "transformer.resblocks.0.attn.in_proj_bias", {6}});
    tensors.push_back({prefix + "transformer.resblocks.0.mlp.c_fc.weight", {2, 2}});
    tensors.push_back({prefix + "text_projection", {2, 3}});
    tensors.push_back({prefix + "logit_scale", {}});
}

void add_vae(std::vector<TensorSpec>& tensors) {
    const std::string vae = "first_stage_model.";
    tensors.push_back({vae + "decoder.up.0.block.0.conv1.weight", {1, 1, 1, 1}});
    tensors.push_back({vae + "decoder.up.1.upsample.conv.weight", {1, 1, 1, 1}});
    tensors.push_back({vae + "encoder.down.0.downsample.conv.bias", {1}});
    tensors.push_back({vae + "decoder.mid.attn_1.q.weight", {2, 2, 1, 1}});
    tensors.push_back({vae + "decoder.mid.block_2.norm1.bias", {2}});
    tensors.push_back({vae + "post_quant_conv.bias", {4}});
}

}  // namespace

TemporaryFolder::TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "sdxl_weights_XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make a temporary folder");
    path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
}

fs::path TemporaryFolder::write(const std::string& name, const std::string& content) const {
    const fs::path path = path_ / name;
    fs::create_directories(path.parent_path());
    std::ofstream file(path, std::ios::binary);
    file << content;
    if (!file.flush()) throw std::runtime_error("cannot write " + path.string());
    return path;
}

std::string safetensors(const std::string& header, const std::string& data) {
    std::string file;
    for (unsigned shift = 0; shift < 64; shift += 8)
        file += static_cast<char>(std::uint64_t{header.size()} >> shift & 0xFFU);
    return file + header + data;
}

std::string safetensors(const std::vector<TensorSpec>& tensors, const std::string& metadata) {
    std::string header =
        metadata.empty() ? "{" : "{\"__metadata__\":" + metadata + (tensors.empty() ? "" : ",");
    std::int64_t at = 0;
    for (const auto& tensor : tensors) {
        if (&tensor != &tensors.front()) header += ",";
        header += "\"" + tensor.name + "\":{\"dtype\":\"" + tensor.dtype + "\",\"shape\":[";
        for (std::size_t i = 0; i < tensor.shape.size(); ++i)
            header += (i > 0 ? "," : "") + std::to_string(tensor.shape[i]);
        const std::int64_t end = at + bytes_of(tensor);
        header += "],\"data_offsets\":[" + std::to_string(at) + "," + std::to_string(end) + "]}";
        at = end;
    }
    std::string data(static_cast<std::size_t>(at), '\0');
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i % 251);
    return safetensors(header + "}", data);
}

std::string safetensors_of(const std::vector<ValueTensor>& tensors, const std::string& metadata) {
    std::vector<TensorSpec> specs;
    std::string data;
    for (const auto& tensor : tensors) {
        specs.push_back({tensor.name, tensor.shape, tensor.dtype});
        for (const float value : tensor.values) append_value(data, value, tensor.dtype);
    }
    std::string file = safetensors(specs, metadata);
    if (file.size() < data.size()) throw std::runtime_error("values do not fill the shapes");
    return file.replace(file.size() - data.size(), data.size(), data);
}

std::vector<TensorSpec> tiny_base() {
    std::vector<TensorSpec> tensors;
    add_unet(tensors, 8, 10);
    add_vae(tensors);
    const std::string clip = "conditioner.embedders.0.transformer.text_model.";
    tensors.push_back({clip + "embeddings.token_embedding.weight", {3, 2}});
    tensors.push_back({clip + "encoder.layers.0.self_attn.q_proj.weight", {2, 2}});
    tensors.push_back({clip + "embeddings.position_ids", {1, 3}, "I64"});
    add_open_clip(tensors, "conditioner.embedders.1.model.");
    return tensors;
}

std::vector<TensorSpec> tiny_refiner() {
    std::vector<TensorSpec> tensors;
    add_unet(tensors, 6, 6 + 5 * 256);
    add_vae(tensors);
    add_open_clip(tensors, "conditioner.embedders.0.model.");
    return tensors;
}

}  // namespace sdxl::testing
