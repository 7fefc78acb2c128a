#include "micro_references.h"

#include <cmath>
#include <fstream>
#include <random>

namespace sdxl {
namespace {

constexpr std::int64_t kWidth = 32;
constexpr std::int64_t kInner = 48;
constexpr std::int64_t kProjection = 24;
constexpr std::int64_t kContext = 192;  // of the micro UNet

// Tensors of normal numbers, so scaled that what comes out of a product is about as large as what goes in.
class Maker {
  public:
    explicit Maker(unsigned seed) : engine_(seed) {}

    void put(const std::string& name, std::vector<std::int64_t> shape, double scale = 1, double mean = 0) {
        std::int64_t count = 1;
        for (const auto extent : shape) count *= extent;
        std::normal_distribution<double> normal(mean, scale);
        PlainTensor& tensor = tensors[name];
        tensor.shape = std::move(shape);
        for (std::int64_t i = 0; i < count; ++i) tensor.values.push_back(static_cast<float>(normal(engine_)));
    }
    void linear(const std::string& name, std::int64_t in, std::int64_t out, bool bias = true) {
        put(name + ".weight", {out, in}, 1 / std::sqrt(static_cast<double>(in)));
        if (bias) put(name + ".bias", {out}, 0.2);
    }
    void norm(const std::string& name, std::int64_t width) {
        put(name + ".weight", {width}, 0.2, 1);
        put(name + ".bias", {width}, 0.2);
    }

    PlainTensors tensors;

  private:
    std::mt19937 engine_;
};

void put_resampler(Maker& maker) {
    constexpr std::int64_t kLatents = 40, kAttention = 128;
    maker.put("image_proj.latents", {1, 5, kLatents});
    maker.linear("image_proj.proj_in", kWidth, kLatents);
    maker.linear("image_proj.proj_out", kLatents, kContext);
    maker.norm("image_proj.norm_out", kContext);
    for (const char* index : {"0", "1"}) {
        const std::string layer = std::string("image_proj.layers.") + index;
        maker.norm(layer + ".0.norm1", kLatents);
        maker.norm(layer + ".0.norm2", kLatents);
        maker.linear(layer + ".0.to_q", kLatents, kAttention, false);
        maker.linear(layer + ".0.to_kv", kLatents, 2 * kAttention, false);
        maker.linear(layer + ".0.to_out", kAttention, kLatents, false);
        maker.norm(layer + ".1.0", kLatents);
        maker.linear(layer + ".1.1", kLatents, 4 * kLatents, false);
        maker.linear(layer + ".1.3", 4 * kLatents, kLatents, false);
    }
}

}  // namespace

PlainTensors micro_image_encoder() {
    Maker maker(11);
    const std::string vision = "vision_model.";
    maker.put(vision + "embeddings.class_embedding", {kWidth});
    maker.put(vision + "embeddings.patch_embedding.weight", {kWidth, 3, 3, 3}, 0.2);
    maker.put(vision + "embeddings.position_embedding.weight", {17, kWidth}, 0.5);
    maker.norm(vision + "pre_layrnorm", kWidth);
    maker.norm(vision + "post_layernorm", kWidth);
    maker.linear("visual_projection", kWidth, kProjection, false);
    for (const char* index : {"0", "1", "2"}) {
        const std::string layer = vision + "encoder.layers." + index;
        for (const char* name :
             {".self_attn.q_proj", ".self_attn.k_proj", ".self_attn.v_proj", ".self_attn.out_proj"})
            maker.linear(layer + name, kWidth, kWidth);
        maker.norm(layer + ".layer_norm1", kWidth);
        maker.norm(layer + ".layer_norm2", kWidth);
        maker.linear(layer + ".mlp.fc1", kWidth, kInner);
        maker.linear(layer + ".mlp.fc2", kInner, kWidth);
    }
    return maker.tensors;
}

std::string micro_image_encoder_config() {
    return R"({"architectures": ["CLIPVisionModelWithProjection"], "model_type": "clip_vision_model",
  "hidden_act": "gelu", "hidden_size": 32, "image_size": 12, "intermediate_size": 48, "layer_norm_eps": 1e-05,
  "num_attention_heads": 4, "num_channels": 3, "num_hidden_layers": 3, "patch_size": 3, "projection_dim": 24})";
}

PlainTensors micro_ip_adapter(MicroAdapter kind) {
    Maker maker(kind == MicroAdapter::kBase ? 21 : 22);
    if (kind == MicroAdapter::kBase) {
        maker.linear("image_proj.proj", kProjection, 4 * kContext);
        maker.norm("image_proj.norm", kContext);
    } else {
        put_resampler(maker);
    }
    // Attentions in the order of diffusers' attn_processors, self-attentions at the even numbers: down 1 (64
    // wide, 2), down 2 (128, 4), up 0 (128, 6), up 1 (64, 3), middle (128, 2).
    int number = 1;
    for (const auto& [count, width] : {std::pair{2, 64}, {4, 128}, {6, 128}, {3, 64}, {2, 128}})
        for (int i = 0; i < count; ++i, number += 2)
            for (const char* name : {".to_k_ip", ".to_v_ip"})
                maker.linear("ip_adapter." + std::to_string(number) + name, kContext, width, false);
    return maker.tensors;
}

void write_micro_references(const std::filesystem::path& folder) {
    const auto models = folder / "sdxl_models";
    write_tensors(models / "ip-adapter_micro.safetensors", micro_ip_adapter(MicroAdapter::kBase));
    write_tensors(models / "ip-adapter-plus_micro.safetensors", micro_ip_adapter(MicroAdapter::kPlus));
    write_tensors(models / "image_encoder" / "model.safetensors", micro_image_encoder());
    std::ofstream(models / "image_encoder" / "config.json") << micro_image_encoder_config();
}

}  // namespace sdxl
