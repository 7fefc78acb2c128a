#include "random_model.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <vector>

#include "core/error.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace sdxl {
namespace {

// What a tensor is filled with.
enum class Fill { kWeight, kEmbedding, kOne, kZero };

struct RandomTensor {
    std::string name;
    Shape shape;
    Fill fill;
};

using Text = const std::string&;
using Size = std::int64_t;

// The tensors of SDXL base by the names that its authors' code has.
class Layout {
  public:
    std::vector<RandomTensor> tensors;

    void unet(Text root);
    void vae(Text root);
    void clip_l(Text root);
    void clip_g(Text root);
    void add(Text name, Shape shape, Fill fill) { tensors.push_back({name, std::move(shape), fill}); }

  private:
    static constexpr Size kTime = 1280, kContext = 2048;

    void linear(Text name, Size out, Size in, bool bias = true) {
        add(name + ".weight", {out, in}, Fill::kWeight);
        if (bias) add(name + ".bias", {out}, Fill::kZero);
    }
    void conv(Text name, Size out, Size in, Size kernel = 3) {
        add(name + ".weight", {out, in, kernel, kernel}, Fill::kWeight);
        add(name + ".bias", {out}, Fill::kZero);
    }
    void norm(Text name, Size channels) {
        add(name + ".weight", {channels}, Fill::kOne);
        add(name + ".bias", {channels}, Fill::kZero);
    }
    void unet_resnet(Text name, Size in, Size out) {
        norm(name + ".in_layers.0", in);
        conv(name + ".in_layers.2", out, in);
        linear(name + ".emb_layers.1", out, kTime);
        norm(name + ".out_layers.0", out);
        conv(name + ".out_layers.3", out, out);
        if (in != out) conv(name + ".skip_connection", out, in, 1);
    }
    void transformer(Text name, Size channels, int depth);
    void vae_resnet(Text name, Size in, Size out) {
        norm(name + ".norm1", in);
        conv(name + ".conv1", out, in);
        norm(name + ".norm2", out);
        conv(name + ".conv2", out, out);
        if (in != out) conv(name + ".nin_shortcut", out, in, 1);
    }
    void vae_middle(Text name, Size channels) {
        vae_resnet(name + ".block_1", channels, channels);
        norm(name + ".attn_1.norm", channels);
        for (const char* part : {".q", ".k", ".v", ".proj_out"})
            conv(name + ".attn_1" + part, channels, channels, 1);
        vae_resnet(name + ".block_2", channels, channels);
    }
    void clip_mlp(Text first, Text second, Size width) {
        linear(first, 4 * width, width);
        linear(second, width, 4 * width);
    }
};

void Layout::transformer(Text name, Size channels, int depth) {
    norm(name + ".norm", channels);
    linear(name + ".proj_in", channels, channels);
    for (int i = 0; i < depth; ++i) {
        const std::string block = name + ".transformer_blocks." + std::to_string(i);
        for (const auto& [attention, from] : {std::pair{".attn1", channels}, std::pair{".attn2", kContext}}) {
            linear(block + attention + ".to_q", channels, channels, false);
            linear(block + attention + ".to_k", channels, from, false);
            linear(block + attention + ".to_v", channels, from, false);
            linear(block + attention + ".to_out.0", channels, channels);
        }
        linear(block + ".ff.net.0.proj", 8 * channels, channels);
        linear(block + ".ff.net.2", channels, 4 * channels);
        for (const char* part : {".norm1", ".norm2", ".norm3"}) norm(block + part, channels);
    }
    linear(name + ".proj_out", channels, channels);
}

void Layout::unet(Text root) {
    constexpr Size kWidth = 320, kPooled = 2816;
    constexpr std::array<Size, 3> kChannels{kWidth, 2 * kWidth, 4 * kWidth};
    constexpr std::array<int, 3> kDepths{0, 2, 10};
    linear(root + "time_embed.0", kTime, kWidth);
    linear(root + "time_embed.2", kTime, kTime);
    linear(root + "label_emb.0.0", kTime, kPooled);
    linear(root + "label_emb.0.2", kTime, kTime);
    int number = 0;
    const auto next = [&](const char* side) { return root + side + std::to_string(number++); };
    conv(next("input_blocks.") + ".0", kWidth, 4);
    std::vector<Size> skips{kWidth};
    Size now = kWidth;
    for (std::size_t level = 0; level < kChannels.size(); ++level) {
        for (int i = 0; i < 2; ++i) {
            const std::string block = next("input_blocks.");
            unet_resnet(block + ".0", now, kChannels[level]);
            skips.push_back(now = kChannels[level]);
            if (kDepths[level] > 0) transformer(block + ".1", now, kDepths[level]);
        }
        if (level + 1 == kChannels.size()) continue;
        conv(next("input_blocks.") + ".0.op", now, now);
        skips.push_back(now);
    }
    unet_resnet(root + "middle_block.0", now, now);
    transformer(root + "middle_block.1", now, kDepths.back());
    unet_resnet(root + "middle_block.2", now, now);
    number = 0;
    for (std::size_t level = kChannels.size(); level-- > 0;) {
        for (int i = 0; i < 3; ++i) {
            const std::string block = next("output_blocks.");
            unet_resnet(block + ".0", now + skips.back(), kChannels[level]);
            skips.pop_back();
            now = kChannels[level];
            if (kDepths[level] > 0) transformer(block + ".1", now, kDepths[level]);
            if (i == 2 && level > 0) conv(block + ".2.conv", now, now);
        }
    }
    norm(root + "out.0", now);
    conv(root + "out.2", 4, now);
}

void Layout::vae(Text root) {
    constexpr std::array<Size, 4> kChannels{128, 256, 512, 512};
    Size now = kChannels.front();
    conv(root + "encoder.conv_in", now, 3);
    for (std::size_t level = 0; level < kChannels.size(); ++level) {
        const std::string down = root + "encoder.down." + std::to_string(level);
        for (int i = 0; i < 2; ++i) {
            vae_resnet(down + ".block." + std::to_string(i), now, kChannels[level]);
            now = kChannels[level];
        }
        if (level + 1 < kChannels.size()) conv(down + ".downsample.conv", now, now);
    }
    vae_middle(root + "encoder.mid", now);
    norm(root + "encoder.norm_out", now);
    conv(root + "encoder.conv_out", 8, now);
    conv(root + "quant_conv", 8, 8, 1);
    conv(root + "post_quant_conv", 4, 4, 1);
    conv(root + "decoder.conv_in", now, 4);
    vae_middle(root + "decoder.mid", now);
    for (std::size_t level = kChannels.size(); level-- > 0;) {
        const std::string up = root + "decoder.up." + std::to_string(level);
        for (int i = 0; i < 3; ++i) {
            vae_resnet(up + ".block." + std::to_string(i), now, kChannels[level]);
            now = kChannels[level];
        }
        if (level > 0) conv(up + ".upsample.conv", now, now);
    }
    norm(root + "decoder.norm_out", now);
    conv(root + "decoder.conv_out", 3, now);
}

constexpr Size kVocabulary = 49408, kPositions = 77;

void Layout::clip_l(Text root) {
    constexpr Size kWidth = 768;
    add(root + "embeddings.token_embedding.weight", {kVocabulary, kWidth}, Fill::kEmbedding);
    add(root + "embeddings.position_embedding.weight", {kPositions, kWidth}, Fill::kEmbedding);
    for (int i = 0; i < 12; ++i) {
        const std::string layer = root + "encoder.layers." + std::to_string(i);
        for (const char* part : {".q_proj", ".k_proj", ".v_proj", ".out_proj"})
            linear(layer + ".self_attn" + part, kWidth, kWidth);
        norm(layer + ".layer_norm1", kWidth);
        norm(layer + ".layer_norm2", kWidth);
        clip_mlp(layer + ".mlp.fc1", layer + ".mlp.fc2", kWidth);
    }
    norm(root + "final_layer_norm", kWidth);
}

void Layout::clip_g(Text root) {
    constexpr Size kWidth = 1280;
    add(root + "token_embedding.weight", {kVocabulary, kWidth}, Fill::kEmbedding);
    add(root + "positional_embedding", {kPositions, kWidth}, Fill::kEmbedding);
    for (int i = 0; i < 32; ++i) {
        const std::string layer = root + "transformer.resblocks." + std::to_string(i);
        add(layer + ".attn.in_proj_weight", {3 * kWidth, kWidth}, Fill::kWeight);
        add(layer + ".attn.in_proj_bias", {3 * kWidth}, Fill::kZero);
        linear(layer + ".attn.out_proj", kWidth, kWidth);
        norm(layer + ".ln_1", kWidth);
        norm(layer + ".ln_2", kWidth);
        clip_mlp(layer + ".mlp.c_fc", layer + ".mlp.c_proj", kWidth);
    }
    norm(root + "ln_final", kWidth);
    add(root + "text_projection", {kWidth, kWidth}, Fill::kWeight);
    add(root + "logit_scale", Shape(std::vector<std::int64_t>{}), Fill::kOne);
}

// The power of two that its normal numbers are divided by.
int exponent_of(const RandomTensor& tensor) {
    constexpr int kOfEmbeddings = 6;
    if (tensor.fill == Fill::kEmbedding) return kOfEmbeddings;
    const auto inputs = static_cast<double>(tensor.shape.numel() / tensor.shape[0]);
    return static_cast<int>(std::lround(std::log2(std::sqrt(inputs) / 0.7)));
}

// To float16; what is too small for its normal numbers becomes 0. REQUIRES: less than 65504.
f16_bits narrowed(float value) {
    constexpr std::uint32_t kRebias = 112U << 23U;
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t magnitude = (bits & 0x7fffffffU) + 0x1000U;  // rounds
    const std::uint32_t sign = (bits >> 16U) & 0x8000U;
    if (magnitude < kRebias + (1U << 23U)) return static_cast<f16_bits>(sign);
    return static_cast<f16_bits>(sign | ((magnitude - kRebias) >> 13U));
}

// Normal numbers, divided by each power of two once; a tensor is written from them, over and over.
class Numbers {
  public:
    Numbers() : normal_(std::size_t{1} << 22U) {
        std::mt19937 random(1);
        std::normal_distribution<float> normal;
        for (float& value : normal_) value = normal(random);
    }
    const std::vector<f16_bits>& divided_by(int exponent) {
        auto& found = divided_[static_cast<std::size_t>(exponent)];
        if (!found.empty()) return found;
        for (const float value : normal_) found.push_back(narrowed(std::ldexp(value, -exponent)));
        return found;
    }

  private:
    std::vector<float> normal_;
    std::array<std::vector<f16_bits>, 16> divided_;
};

void write(std::ofstream& file, const std::vector<f16_bits>& values, Size count) {
    for (Size done = 0; done < count;) {
        const Size part = std::min(count - done, static_cast<Size>(values.size()));
        file.write(reinterpret_cast<const char*>(values.data()),
                   static_cast<std::streamsize>(part * static_cast<Size>(sizeof(f16_bits))));
        done += part;
    }
}

}  // namespace

void make_random_model(const std::string& path) {
    Layout layout;
    layout.unet("model.diffusion_model.");
    layout.vae("first_stage_model.");
    layout.clip_l("conditioner.embedders.0.transformer.text_model.");
    layout.clip_g("conditioner.embedders.1.model.");
    nlohmann::json header = {{"__metadata__", {{"format", "pt"}}}};
    Size at = 0;
    for (const RandomTensor& tensor : layout.tensors) {
        const Size end = at + tensor.shape.numel() * static_cast<Size>(sizeof(f16_bits));
        header[tensor.name] = {{"dtype", "F16"}, {"shape", tensor.shape.dims()}, {"data_offsets", {at, end}}};
        at = end;
    }
    std::string text = header.dump();
    text.append((8 - text.size() % 8) % 8, ' ');
    std::ofstream file(path, std::ios::binary);
    const std::uint64_t length = text.size();  // little-endian, as the processors that this runs on
    file.write(reinterpret_cast<const char*>(&length), sizeof length);
    file << text;
    Numbers numbers;
    const std::vector<f16_bits> ones(4096, narrowed(1.F)), zeros(4096, narrowed(0.F));
    for (const RandomTensor& tensor : layout.tensors) {
        const bool random = tensor.fill == Fill::kWeight || tensor.fill == Fill::kEmbedding;
        write(file,
              random                      ? numbers.divided_by(exponent_of(tensor))
              : tensor.fill == Fill::kOne ? ones
                                          : zeros,
              tensor.shape.numel());
    }
    file.close();
    if (!file.good()) fail(ErrorCode::kIo, "cannot write " + path);
    std::printf("%s: %zu tensors, %.2f GB\n", path.c_str(), layout.tensors.size(),
                static_cast<double>(at) / 1e9);
}

}  // namespace sdxl
