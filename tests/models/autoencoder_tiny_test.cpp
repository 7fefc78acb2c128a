// The tiny autoencoder against torch (tests/data/tiny/README.md), and VAE files of every form.
#include "models/autoencoder_tiny.h"

#include <unistd.h>

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "backend/onednn/onednn_backend.h"
#include "backend/reference/reference_backend.h"
#include "core/error.h"
#include "ops/layout.h"
#include "weights/safetensors.h"
#include "weights/vae_file.h"

namespace sdxl {
namespace {

namespace fs = std::filesystem;
const fs::path kTiny = fs::path(SDXL_TEST_DATA) / "tiny";
const fs::path kFixtures = SDXL_FIXTURES;

std::vector<float> golden(const std::string& name, ops::PictureExtents& extents) {
    const auto tensors = open_tensor_files(kTiny / "expected.safetensors").tensors;
    const auto& view = tensors.at(name).view;
    extents = {view.shape[0], view.shape[1], view.shape[2], view.shape[3]};
    return to_f32(view);
}

Tensor upload(const Context& ctx, const std::string& name) {
    ops::PictureExtents e;
    const auto values = golden(name, e);
    return ops::upload(ctx, ops::nchw_to_nhwc(values, e), {e.batch, e.height, e.width, e.channels});
}

double largest_difference(const Context& ctx, const Tensor& found, const std::string& name) {
    ops::PictureExtents e;
    const auto expected = golden(name, e);
    const auto values = ops::nhwc_to_nchw(ops::download(ctx, found), e);
    double largest = 0;
    for (std::size_t i = 0; i < expected.size(); ++i)
        largest =
            std::max(largest, std::abs(static_cast<double>(values[i]) - static_cast<double>(expected[i])));
    return largest;
}

// A file as diffusers writes it: both halves under their layers' names.
fs::path write_diffusers_file(const fs::path& folder) {
    std::string header;
    std::string data;
    for (const auto& half : {"encoder", "decoder"}) {
        const VaeCheckpoint vae = open_vae(kTiny / (std::string(half) + ".safetensors"));
        for (const auto& [name, entry] : vae.weights.entries()) {
            std::string shape;
            for (const auto extent : entry.view.shape.dims())
                shape += (shape.empty() ? "" : ",") + std::to_string(extent);
            header += (header.empty() ? "{\"" : ",\"") + name + R"(":{"dtype":"F32","shape":[)" + shape +
                      "],\"data_offsets\":[" + std::to_string(data.size()) + "," +
                      std::to_string(data.size() + entry.view.bytes()) + "]}";
            data.append(reinterpret_cast<const char*>(entry.view.data), entry.view.bytes());
        }
    }
    header += "}";
    const std::uint64_t length = header.size();
    fs::create_directories(folder);
    std::ofstream file(folder / "diffusion_pytorch_model.safetensors", std::ios::binary);
    file.write(reinterpret_cast<const char*>(&length), sizeof length);
    file << header << data;
    std::ofstream(folder / "config.json") << R"({"_class_name": "AutoencoderTiny"})";
    return folder;
}

TEST(AutoencoderTiny, IsThatOfTorchOnEveryBackend) {
    const fs::path folder =
        write_diffusers_file(fs::temp_directory_path() / ("sdxl_tiny_vae_" + std::to_string(::getpid())));
    for (const bool reference : {true, false}) {
        const auto backend = reference ? make_reference_backend() : make_onednn_backend();
        const LoadContext load{*backend, DType::kF32};
        const Context ctx{*backend, DType::kF32};
        const double limit = reference ? 2e-5 : 1e-4;
        const VaeCheckpoint whole = open_vae(folder);
        EXPECT_EQ(whole.kind, VaeKind::kTiny);
        const AutoencoderTiny both(load, whole.weights);
        EXPECT_TRUE(both.can_encode());
        EXPECT_TRUE(whole.weights.unused().empty());
        EXPECT_LE(largest_difference(ctx, both.encode(ctx, upload(ctx, "image")), "latent"), limit);
        EXPECT_LE(largest_difference(ctx, both.decode(ctx, upload(ctx, "in_latent")), "out_image"), limit);
        const VaeCheckpoint half = open_vae(kTiny / "decoder.safetensors");
        const AutoencoderTiny decoder(load, half.weights);
        EXPECT_FALSE(decoder.can_encode());
        EXPECT_LE(largest_difference(ctx, decoder.decode(ctx, upload(ctx, "in_latent")), "out_image"), limit);
        EXPECT_THROW(decoder.encode(ctx, upload(ctx, "image")), Failure);
        const VaeCheckpoint encoder = open_vae(kTiny / "encoder.safetensors");
        EXPECT_THROW(AutoencoderTiny(load, encoder.weights), Failure);
    }
    fs::remove_all(folder);
}

void expect_same_names(const WeightMap& a, const WeightMap& b) {
    ASSERT_EQ(a.entries().size(), b.entries().size());
    for (const auto& [name, entry] : a.entries()) {
        const auto* other = b.find(name);
        ASSERT_NE(other, nullptr) << name;
        EXPECT_EQ(to_f32(other->view), to_f32(entry.view)) << name;
    }
}

TEST(VaeFile, AFolderOfItsOwnAWholeModelAndAFileAreTheSame) {
    const VaeCheckpoint alone = open_vae(kFixtures / "micro" / "vae");
    EXPECT_EQ(alone.kind, VaeKind::kKl);
    EXPECT_FALSE(alone.config.empty());
    expect_same_names(alone.weights, open_vae(kFixtures / "micro").weights);
    expect_same_names(alone.weights, open_vae(kFixtures / "micro.safetensors").weights);
    expect_same_names(alone.weights,
                      open_vae(kFixtures / "micro" / "vae" / "diffusion_pytorch_model.safetensors").weights);
}

TEST(VaeFile, WhatIsNoVaeIsRefused) {
    const auto refusal = [](const fs::path& path) {
        try {
            open_vae(path);
        } catch (const Failure& failure) {
            return failure.error();
        }
        return Error{};
    };
    EXPECT_EQ(refusal("/nowhere.safetensors").code, ErrorCode::kNotFound);
    EXPECT_EQ(refusal(kTiny / "expected.safetensors").code, ErrorCode::kInvalidModel);
    EXPECT_EQ(refusal(kFixtures / "micro" / "unet" / "diffusion_pytorch_model.safetensors").code,
              ErrorCode::kInvalidModel);
}

}  // namespace
}  // namespace sdxl
