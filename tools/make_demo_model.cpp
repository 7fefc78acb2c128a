// sdxl-make-demo-model: a small SDXL checkpoint of random weights, so that everything can be tried without
// the real ones.
//
// The single-file layout of the published model, with narrow networks (UNet 32, 64, 128; VAE 32, 64, 64, 64)
// and the full vocabulary of 49,408 tokens. Weights are scaled by fan-in, so that activations stay finite;
// what it draws is noise.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "core/error.h"
#include "image/write_file.h"

namespace {

enum class Kind { kRandom, kOne, kZero };

struct Spec {
    std::string name;
    std::vector<std::int64_t> shape;
    Kind kind = Kind::kRandom;

    std::int64_t count() const {
        std::int64_t product = 1;
        for (const auto extent : shape) product *= extent;
        return product;
    }
};

// Collects tensors under the names of the original layout.
class Builder {
  public:
    std::vector<Spec> specs;

    void tensor(const std::string& name, std::vector<std::int64_t> shape, Kind kind = Kind::kRandom) {
        specs.push_back({name, std::move(shape), kind});
    }
    void linear(const std::string& name, std::int64_t out, std::int64_t in, bool bias = true) {
        tensor(name + ".weight", {out, in});
        if (bias) tensor(name + ".bias", {out}, Kind::kZero);
    }
    void conv(const std::string& name, std::int64_t out, std::int64_t in, std::int64_t kernel) {
        tensor(name + ".weight", {out, in, kernel, kernel});
        tensor(name + ".bias", {out}, Kind::kZero);
    }
    void norm(const std::string& name, std::int64_t channels) {
        tensor(name + ".weight", {channels}, Kind::kOne);
        tensor(name + ".bias", {channels}, Kind::kZero);
    }
};

constexpr std::int64_t kVocabulary = 49408;
constexpr std::int64_t kPositions = 77;
constexpr std::int64_t kHiddenL = 64;
constexpr std::int64_t kHiddenG = 128;

class UNetBuilder {
  public:
    explicit UNetBuilder(Builder& builder) : b_(builder) {}

    void build() {
        b_.linear(kRoot + "time_embed.0", kTime, kWidth);
        b_.linear(kRoot + "time_embed.2", kTime, kTime);
        b_.linear(kRoot + "label_emb.0.0", kTime, kHiddenG + 6 * 256);
        b_.linear(kRoot + "label_emb.0.2", kTime, kTime);
        b_.conv(kRoot + "input_blocks.0.0", kWidth, 4, 3);
        down();
        middle();
        up();
        b_.norm(kRoot + "out.0", kWidth);
        b_.conv(kRoot + "out.2", 4, kWidth, 3);
    }

  private:
    static constexpr std::int64_t kWidth = 32;
    static constexpr std::int64_t kTime = 4 * kWidth;
    static constexpr int kDeepest = 2;  // transformer blocks at the lowest resolution
    inline static const std::string kRoot = "model.diffusion_model.";

    void resnet(const std::string& name, std::int64_t in, std::int64_t out) {
        b_.norm(name + ".in_layers.0", in);
        b_.conv(name + ".in_layers.2", out, in, 3);
        b_.linear(name + ".emb_layers.1", out, kTime);
        b_.norm(name + ".out_layers.0", out);
        b_.conv(name + ".out_layers.3", out, out, 3);
        if (in != out) b_.conv(name + ".skip_connection", out, in, 1);
    }

    void attention(const std::string& name, std::int64_t channels, std::int64_t context) {
        b_.linear(name + ".to_q", channels, channels, false);
        b_.linear(name + ".to_k", channels, context, false);
        b_.linear(name + ".to_v", channels, context, false);
        b_.linear(name + ".to_out.0", channels, channels);
    }

    void transformer(const std::string& name, std::int64_t channels, int depth) {
        b_.norm(name + ".norm", channels);
        b_.linear(name + ".proj_in", channels, channels);
        for (int i = 0; i < depth; ++i) {
            const std::string block = name + ".transformer_blocks." + std::to_string(i);
            attention(block + ".attn1", channels, channels);
            attention(block + ".attn2", channels, kHiddenL + kHiddenG);
            b_.linear(block + ".ff.net.0.proj", channels * 8, channels);
            b_.linear(block + ".ff.net.2", channels, channels * 4);
            for (const char* norm : {".norm1", ".norm2", ".norm3"}) b_.norm(block + norm, channels);
        }
        b_.linear(name + ".proj_out", channels, channels);
    }

    void down() {
        struct Block {
            int index;
            std::int64_t in, out;
            int depth;
        };
        for (const auto& [index, in, out, depth] :
             {Block{1, 1, 1, 0}, Block{2, 1, 1, 0}, Block{4, 1, 2, 1}, Block{5, 2, 2, 1},
              Block{7, 2, 4, kDeepest}, Block{8, 4, 4, kDeepest}}) {
            const std::string name = kRoot + "input_blocks." + std::to_string(index);
            resnet(name + ".0", in * kWidth, out * kWidth);
            if (depth > 0) transformer(name + ".1", out * kWidth, depth);
        }
        b_.conv(kRoot + "input_blocks.3.0.op", kWidth, kWidth, 3);
        b_.conv(kRoot + "input_blocks.6.0.op", 2 * kWidth, 2 * kWidth, 3);
    }

    void middle() {
        resnet(kRoot + "middle_block.0", 4 * kWidth, 4 * kWidth);
        transformer(kRoot + "middle_block.1", 4 * kWidth, kDeepest);
        resnet(kRoot + "middle_block.2", 4 * kWidth, 4 * kWidth);
    }

    void up() {
        struct Block {
            std::int64_t in, out;
            int depth;
        };
        const Block blocks[] = {{8, 4, kDeepest}, {8, 4, kDeepest}, {6, 4, kDeepest}, {6, 2, 1}, {4, 2, 1},
                                {3, 2, 1},        {3, 1, 0},        {2, 1, 0},        {2, 1, 0}};
        for (int index = 0; index < 9; ++index) {
            const auto& [in, out, depth] = blocks[index];
            const std::string name = kRoot + "output_blocks." + std::to_string(index);
            resnet(name + ".0", in * kWidth, out * kWidth);
            if (depth > 0) transformer(name + ".1", out * kWidth, depth);
            if (index == 2 || index == 5) b_.conv(name + ".2.conv", out * kWidth, out * kWidth, 3);
        }
    }

    Builder& b_;
};

class VaeBuilder {
  public:
    explicit VaeBuilder(Builder& builder) : b_(builder) {}

    void build() {
        encoder();
        b_.conv(kRoot + "quant_conv", 8, 8, 1);
        b_.conv(kRoot + "post_quant_conv", 4, 4, 1);
        decoder();
    }

  private:
    inline static const std::string kRoot = "first_stage_model.";
    static constexpr std::int64_t kWidths[] = {32, 64, 64, 64};

    void resnet(const std::string& name, std::int64_t in, std::int64_t out) {
        b_.norm(name + ".norm1", in);
        b_.conv(name + ".conv1", out, in, 3);
        b_.norm(name + ".norm2", out);
        b_.conv(name + ".conv2", out, out, 3);
        if (in != out) b_.conv(name + ".nin_shortcut", out, in, 1);
    }

    void middle(const std::string& name, std::int64_t channels) {
        resnet(name + ".block_1", channels, channels);
        b_.norm(name + ".attn_1.norm", channels);
        for (const char* part : {".q", ".k", ".v", ".proj_out"})
            b_.conv(name + ".attn_1" + part, channels, channels, 1);
        resnet(name + ".block_2", channels, channels);
    }

    void encoder() {
        const std::string name = kRoot + "encoder";
        b_.conv(name + ".conv_in", kWidths[0], 3, 3);
        std::int64_t channels = kWidths[0];
        for (int level = 0; level < 4; ++level) {
            const std::string down = name + ".down." + std::to_string(level);
            for (int block = 0; block < 2; ++block) {
                resnet(down + ".block." + std::to_string(block), channels, kWidths[level]);
                channels = kWidths[level];
            }
            if (level < 3) b_.conv(down + ".downsample.conv", channels, channels, 3);
        }
        middle(name + ".mid", channels);
        b_.norm(name + ".norm_out", channels);
        b_.conv(name + ".conv_out", 8, channels, 3);
    }

    void decoder() {
        const std::string name = kRoot + "decoder";
        std::int64_t channels = kWidths[3];
        b_.conv(name + ".conv_in", channels, 4, 3);
        middle(name + ".mid", channels);
        for (int level = 3; level >= 0; --level) {
            const std::string up = name + ".up." + std::to_string(level);
            for (int block = 0; block < 3; ++block) {
                resnet(up + ".block." + std::to_string(block), channels, kWidths[level]);
                channels = kWidths[level];
            }
            if (level > 0) b_.conv(up + ".upsample.conv", channels, channels, 3);
        }
        b_.norm(name + ".norm_out", channels);
        b_.conv(name + ".conv_out", 3, channels, 3);
    }

    Builder& b_;
};

void build_text_l(Builder& b) {
    const std::string root = "conditioner.embedders.0.transformer.text_model.";
    b.tensor(root + "embeddings.token_embedding.weight", {kVocabulary, kHiddenL});
    b.tensor(root + "embeddings.position_embedding.weight", {kPositions, kHiddenL});
    for (int layer = 0; layer < 3; ++layer) {
        const std::string name = root + "encoder.layers." + std::to_string(layer);
        for (const char* part :
             {".self_attn.q_proj", ".self_attn.k_proj", ".self_attn.v_proj", ".self_attn.out_proj"})
            b.linear(name + part, kHiddenL, kHiddenL);
        b.norm(name + ".layer_norm1", kHiddenL);
        b.norm(name + ".layer_norm2", kHiddenL);
        b.linear(name + ".mlp.fc1", 4 * kHiddenL, kHiddenL);
        b.linear(name + ".mlp.fc2", kHiddenL, 4 * kHiddenL);
    }
    b.norm(root + "final_layer_norm", kHiddenL);
}

void build_text_g(Builder& b) {
    const std::string root = "conditioner.embedders.1.model.";
    b.tensor(root + "token_embedding.weight", {kVocabulary, kHiddenG});
    b.tensor(root + "positional_embedding", {kPositions, kHiddenG});
    for (int layer = 0; layer < 4; ++layer) {
        const std::string name = root + "transformer.resblocks." + std::to_string(layer);
        b.tensor(name + ".attn.in_proj_weight", {3 * kHiddenG, kHiddenG});
        b.tensor(name + ".attn.in_proj_bias", {3 * kHiddenG}, Kind::kZero);
        b.linear(name + ".attn.out_proj", kHiddenG, kHiddenG);
        b.norm(name + ".ln_1", kHiddenG);
        b.norm(name + ".ln_2", kHiddenG);
        b.linear(name + ".mlp.c_fc", 4 * kHiddenG, kHiddenG);
        b.linear(name + ".mlp.c_proj", kHiddenG, 4 * kHiddenG);
    }
    b.norm(root + "ln_final", kHiddenG);
    b.tensor(root + "text_projection", {kHiddenG, kHiddenG});
}

std::string header_of(const std::vector<Spec>& specs) {
    std::string json = R"({"__metadata__":{"format":"pt"})";
    std::int64_t at = 0;
    for (const Spec& spec : specs) {
        const std::int64_t end = at + 2 * spec.count();
        json += ",\"" + spec.name + R"(":{"dtype":"BF16","shape":[)";
        for (std::size_t i = 0; i < spec.shape.size(); ++i)
            json += (i > 0 ? "," : "") + std::to_string(spec.shape[i]);
        json += "],\"data_offsets\":[" + std::to_string(at) + "," + std::to_string(end) + "]}";
        at = end;
    }
    json += "}";
    json.append((8 - json.size() % 8) % 8, ' ');
    return json;
}

void append_bf16(std::vector<std::uint8_t>& bytes, float value) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, &value, sizeof bits);
    bytes.push_back(static_cast<std::uint8_t>(bits >> 16));
    bytes.push_back(static_cast<std::uint8_t>(bits >> 24));
}

// Standard deviation for a random tensor: keeps a layer's output about as large as its input.
float spread(const Spec& spec) {
    if (spec.name.find("embedding") != std::string::npos) return 0.02F;
    std::int64_t fan_in = 1;
    for (std::size_t i = 1; i < spec.shape.size(); ++i) fan_in *= spec.shape[i];
    return 0.7F / std::sqrt(static_cast<float>(fan_in));
}

std::vector<std::uint8_t> file_of(const std::vector<Spec>& specs) {
    const std::string header = header_of(specs);
    std::vector<std::uint8_t> bytes;
    bytes.reserve(header.size() + 8);
    for (int byte = 0; byte < 8; ++byte)
        bytes.push_back(static_cast<std::uint8_t>(static_cast<std::uint64_t>(header.size()) >> (8 * byte)));
    bytes.insert(bytes.end(), header.begin(), header.end());
    std::mt19937 random(0);
    std::normal_distribution<float> normal;
    for (const Spec& spec : specs) {
        const float scale = spread(spec);
        for (std::int64_t i = 0; i < spec.count(); ++i)
            append_bf16(bytes, spec.kind == Kind::kRandom ? scale * normal(random)
                               : spec.kind == Kind::kOne  ? 1.F
                                                          : 0.F);
    }
    return bytes;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fprintf(stderr, "usage: sdxl-make-demo-model OUT.safetensors\n");
        return 2;
    }
    try {
        Builder builder;
        UNetBuilder(builder).build();
        VaeBuilder(builder).build();
        build_text_l(builder);
        build_text_g(builder);
        const auto bytes = file_of(builder.specs);
        sdxl::write_file_atomically(argv[1], bytes);
        std::printf("%s: %zu tensors, %.1f MB of random weights\n", argv[1], builder.specs.size(),
                    static_cast<double>(bytes.size()) / 1e6);
        return 0;
    } catch (...) {
        std::fprintf(stderr, "sdxl-make-demo-model: %s\n", sdxl::current_error().message.c_str());
        return 1;
    }
}
