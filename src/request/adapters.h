// What a request adds to its model: LoRAs, embeddings, ControlNets, reference images. Plain values.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "image/resize.h"

namespace sdxl {

// A picture that a host sent: a file, or its bytes. It is read when the request runs.
struct ImageSource {
    std::string path;
    std::shared_ptr<const std::vector<std::uint8_t>> bytes;  // in place of a path
    std::string pointer;                                     // where the request says so, for errors

    explicit operator bool() const { return bytes != nullptr || !path.empty(); }
    bool operator==(const ImageSource&) const = default;
};

// A LoRA or one of its kin.
struct LoraRequest {
    std::string file;        // a path, or a name under the models folder
    std::string label = {};  // the host's name for it; "" takes the file's
    double unet_weight = 1;
    double text_encoder_weight = 1;
    double text_encoder_2_weight = 1;
    // Of parts of the UNet, times unet_weight, by the beginning of their names ("down_blocks.1").
    std::vector<std::pair<std::string, double>> block_weights = {};
    std::string pointer = {};  // where the request says so, for errors

    bool operator==(const LoraRequest&) const = default;
};

// Vectors that stand for a word of the prompts (textual inversion).
struct EmbeddingRequest {
    std::string file;     // a path, or a name under the models folder
    std::string trigger;  // the word; "" takes the file's name
    std::string pointer = {};

    bool operator==(const EmbeddingRequest&) const = default;
};

// A picture that steers where things come to lie, with the network that reads it.
struct ControlRequest {
    std::string model;  // a path, or a name under the models folder; "" finds one for the type there
    std::string type;   // "canny", "depth", ...; for a network that takes several, which one
    ImageSource image;
    double weight = 1;
    double start = 0, end = 1;  // the part of the calls in which it steers
    bool guess_mode = false;    // it steers the prompt's half alone, deeper layers more (diffusers)
    std::string preprocessor;   // makes the control picture of a photograph; "" takes the picture as it is
    int resolution = 0;         // shorter side, in pixels, at which that is done; 0: the picture's own
    std::optional<double> low_threshold, high_threshold;  // of those that have them
    ResizeMode resize_mode = ResizeMode::kStretch;
    bool return_image = false;  // the answer carries the control picture
    std::string pointer = {};

    bool operator==(const ControlRequest&) const = default;
};

// Pictures whose look is taken up (IP-Adapter).
struct ReferenceRequest {
    std::string model;    // the adapter: a path, or a name; "" takes the only one in the models folder
    std::string encoder;  // its picture encoder; "" finds the one that lies beside it
    std::vector<ImageSource> images;
    double weight = 1;
    double start = 0, end = 1;  // the part of the calls in which it applies
    std::string pointer = {};

    bool operator==(const ReferenceRequest&) const = default;
};

}  // namespace sdxl
