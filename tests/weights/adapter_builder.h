// Adapters made for the tests: tensors with random values, written and opened as a file.
#pragma once

#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "model_builder.h"
#include "weights/adapter_file.h"
#include "weights/adapter_match.h"
#include "weights/checkpoint.h"

namespace sdxl::testing {

class AdapterBuilder {
  public:
    // Random values between -1 and 1.
    const std::vector<float>& add(const std::string& name, std::vector<std::int64_t> shape,
                                  const std::string& dtype = "F32") {
        std::size_t count = 1;
        for (const auto extent : shape) count *= static_cast<std::size_t>(extent);
        std::vector<float> values(count);
        std::uniform_real_distribution<float> random(-1, 1);
        for (float& value : values) value = random(random_);
        tensors_.push_back({name, std::move(shape), std::move(values), dtype});
        return tensors_.back().values;
    }
    void set(const std::string& name, std::vector<std::int64_t> shape, std::vector<float> values,
             const std::string& dtype = "F32") {
        tensors_.push_back({name, std::move(shape), std::move(values), dtype});
    }
    void number(const std::string& name, float value) { set(name, {}, {value}); }

    // A low-rank pair for a weight of this shape under kohya's names.
    void lora(const std::string& module, const std::vector<std::int64_t>& shape, std::int64_t rank = 1) {
        std::vector<std::int64_t> down = shape;
        down[0] = rank;
        add(module + ".lora_down.weight", down);
        std::vector<std::int64_t> up(shape.size(), 1);
        up[0] = shape[0];
        up[1] = rank;
        add(module + ".lora_up.weight", up);
    }

    std::vector<ValueTensor>& tensors() { return tensors_; }
    const std::vector<float>& values(const std::string& name) const {
        for (const auto& tensor : tensors_)
            if (tensor.name == name) return tensor.values;
        throw std::runtime_error("no tensor " + name);
    }
    std::filesystem::path write(const std::string& name = "adapter.safetensors",
                                const std::string& metadata = "") const {
        return folder_.write(name, safetensors_of(tensors_, metadata));
    }
    AdapterFile open(const std::string& metadata = "") const {
        return AdapterFile::open(write("adapter.safetensors", metadata));
    }

  private:
    TemporaryFolder folder_;
    std::vector<ValueTensor> tensors_;
    std::mt19937 random_{7};
};

inline AdapterMatch match_with(const AdapterFile& file, const Checkpoint& model) {
    return match_adapter(file, model.unet, &model.text_encoder, model.text_encoder_2);
}

// The micro model of the fixtures, in both layouts.
inline Checkpoint micro_folder() {
    return open_checkpoint(std::string(SDXL_FIXTURES) + "/micro");
}
inline Checkpoint micro_file() {
    return open_checkpoint(std::string(SDXL_FIXTURES) + "/micro.safetensors");
}

}  // namespace sdxl::testing
