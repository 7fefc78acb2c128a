#include "control_variants.h"

#include <cmath>
#include <random>

#include "weights/checkpoint.h"

namespace sdxl {
namespace {

using Dims = std::vector<std::int64_t>;

class Random {
  public:
    explicit Random(std::uint32_t seed) : engine_(seed) {}
    PlainTensor tensor(const Dims& shape, float spread, float middle = 0) {
        std::size_t count = 1;
        for (const auto extent : shape) count *= static_cast<std::size_t>(extent);
        PlainTensor tensor{shape, std::vector<float>(count)};
        std::uniform_real_distribution<float> values(middle - spread, middle + spread);
        for (float& value : tensor.values) value = values(engine_);
        return tensor;
    }
    // As a layer is initialised that keeps the size of what goes through it.
    PlainTensor weight(const Dims& shape) {
        std::int64_t fan_in = 1;
        for (std::size_t i = 1; i < shape.size(); ++i) fan_in *= shape[i];
        return tensor(shape, std::sqrt(3.F / static_cast<float>(fan_in)));
    }

  private:
    std::mt19937 engine_;
};

void add_layer(PlainTensors& tensors, Random& random, const std::string& name, const Dims& shape) {
    tensors[name + ".weight"] = random.weight(shape);
    tensors[name + ".bias"] = random.tensor({shape[0]}, 0.1F);
}

// diffusers' names of the UNet's tensors to the original ones.
std::map<std::string, std::string> original_unet_names() {
    const std::string prefix = "model.diffusion_model.";
    std::map<std::string, std::string> names;
    const Checkpoint single = open_checkpoint(std::filesystem::path(SDXL_FIXTURES) / "micro.safetensors");
    for (const auto& [name, entry] : single.unet.entries())
        names[name] = entry.view.name.substr(prefix.size());
    return names;
}

bool starts(const std::string& name, const std::string& prefix) {
    return name.compare(0, prefix.size(), prefix) == 0;
}

// Names that only a ControlNet has.
std::string original_control_name(const std::string& name) {
    const std::string leaf = name.substr(name.rfind('.'));
    const std::string zero = "controlnet_down_blocks.", hint = "controlnet_cond_embedding.";
    const auto number_in = [&](const std::string& prefix) {
        return std::stoi(name.substr(prefix.size(), name.rfind('.') - prefix.size()));
    };
    if (starts(name, "controlnet_mid_block.")) return "middle_block_out.0" + leaf;
    if (starts(name, zero)) return "zero_convs." + std::to_string(number_in(zero)) + ".0" + leaf;
    if (starts(name, hint + "conv_in.")) return "input_hint_block.0" + leaf;
    if (starts(name, hint + "conv_out.")) return "input_hint_block.14" + leaf;
    return "input_hint_block." + std::to_string(2 * (number_in(hint + "blocks.") + 1)) + leaf;
}

// up [out, rank, ...] times down [rank, in, ...], in double precision, onto `weight`.
void add_product(PlainTensor& weight, const PlainTensor& up, const PlainTensor& down) {
    const auto rows = static_cast<std::size_t>(weight.shape[0]);
    const auto rank = static_cast<std::size_t>(down.shape[0]);
    const std::size_t columns = weight.values.size() / rows;
    for (std::size_t row = 0; row < rows; ++row)
        for (std::size_t column = 0; column < columns; ++column) {
            double sum = static_cast<double>(weight.values[row * columns + column]);
            for (std::size_t k = 0; k < rank; ++k)
                sum += static_cast<double>(up.values[row * rank + k]) *
                       static_cast<double>(down.values[k * columns + column]);
            weight.values[row * columns + column] = static_cast<float>(sum);
        }
}

}  // namespace

PlainTensors micro_controlnet(std::uint32_t seed) {
    PlainTensors tensors = micro_controlnet();
    std::mt19937 engine(seed);
    std::uniform_real_distribution<float> change(0.8F, 1.2F);
    for (auto& [name, tensor] : tensors)
        for (float& value : tensor.values) value *= change(engine);
    return tensors;
}

PlainTensors in_original_layout(const PlainTensors& controlnet) {
    const auto unet_names = original_unet_names();
    PlainTensors tensors;
    for (const auto& [name, tensor] : controlnet) {
        const auto found = unet_names.find(name);
        tensors[found != unet_names.end() ? found->second : original_control_name(name)] = tensor;
    }
    return tensors;
}

MicroControlLora micro_control_lora(std::int64_t rank) {
    constexpr float kSpread = 0.05F;
    Random random(3);
    const auto unet_names = original_unet_names();
    const PlainTensors base = micro_unet();
    MicroControlLora lora{in_original_layout(micro_controlnet()), micro_controlnet()};
    lora.file["lora_controlnet"] = {{0}, {}};
    for (auto& [name, merged] : lora.merged) {
        const auto original = unet_names.find(name);
        if (original == unet_names.end()) continue;  // zero convolutions and the hint's embedding stay whole
        if (name == "conv_in.bias" || starts(name, "time_embedding.linear_2.")) {
            merged = base.at(name);
            lora.file.erase(original->second);
        } else if (merged.shape.size() >= 2) {
            Dims up{merged.shape[0], rank}, down = merged.shape;
            if (merged.shape.size() == 4) up.insert(up.end(), {1, 1});
            down[0] = rank;
            const std::string stem = original->second.substr(0, original->second.rfind('.'));
            const PlainTensor& a = lora.file[stem + ".up"] = random.tensor(up, kSpread);
            const PlainTensor& b = lora.file[stem + ".down"] = random.tensor(down, kSpread);
            merged = base.at(name);
            add_product(merged, a, b);
            lora.file.erase(original->second);
        }
    }
    return lora;
}

PlainTensors micro_union(std::int64_t types) {
    constexpr std::int64_t kWidth = 32, kTimeWidth = 128, kIdWidth = 256;
    Random random(static_cast<std::uint32_t>(types));
    PlainTensors tensors = micro_controlnet();
    tensors["task_embedding"] = random.tensor({types, kWidth}, 2);
    const std::string layer = "transformer_layes.0.";
    tensors[layer + "attn.in_proj_weight"] = random.weight({3 * kWidth, kWidth});
    tensors[layer + "attn.in_proj_bias"] = random.tensor({3 * kWidth}, 0.1F);
    add_layer(tensors, random, layer + "attn.out_proj", {kWidth, kWidth});
    for (const char* norm : {"ln_1", "ln_2"}) {
        tensors[layer + norm + ".weight"] = random.tensor({kWidth}, 0.5F, 1);
        tensors[layer + norm + ".bias"] = random.tensor({kWidth}, 0.1F);
    }
    add_layer(tensors, random, layer + "mlp.c_fc", {4 * kWidth, kWidth});
    add_layer(tensors, random, layer + "mlp.c_proj", {kWidth, 4 * kWidth});
    add_layer(tensors, random, "spatial_ch_projs", {kWidth, kWidth});
    add_layer(tensors, random, "control_add_embedding.linear_1", {kTimeWidth, types * kIdWidth});
    add_layer(tensors, random, "control_add_embedding.linear_2", {kTimeWidth, kTimeWidth});
    return tensors;
}

PlainTensors micro_t2i_adapter(std::int64_t picture_channels) {
    const Dims channels{32, 64, 128, 128};
    Random random(11);
    PlainTensors tensors;
    add_layer(tensors, random, "adapter.conv_in", {channels[0], picture_channels * 256, 3, 3});
    for (std::size_t i = 0; i < channels.size(); ++i) {
        const std::string level = "adapter.body." + std::to_string(i) + ".";
        const std::int64_t width = channels[i];
        if (i > 0 && channels[i - 1] != width)
            add_layer(tensors, random, level + "in_conv", {width, channels[i - 1], 1, 1});
        for (const char* resnet : {"resnets.0.", "resnets.1."}) {
            add_layer(tensors, random, level + resnet + "block1", {width, width, 3, 3});
            add_layer(tensors, random, level + resnet + "block2", {width, width, 1, 1});
        }
    }
    return tensors;
}

PlainTensors in_original_t2i_layout(const PlainTensors& adapter) {
    const std::string body = "body.";
    PlainTensors tensors;
    for (const auto& [name, tensor] : adapter) {
        std::string leaf = name.substr(std::string("adapter.").size());
        if (starts(leaf, body)) {
            const int level = leaf[body.size()] - '0';
            std::string rest = leaf.substr(body.size() + 2);
            int index = 2 * level;
            if (starts(rest, "resnets.")) {
                index += rest[8] - '0';
                rest = rest.substr(10);
            }
            leaf = body + std::to_string(index) + "." + rest;
        }
        tensors[leaf] = tensor;
    }
    return tensors;
}

}  // namespace sdxl
