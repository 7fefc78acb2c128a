// An adapter's modules matched with a model's tensors by name, every shape checked.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "weights/adapter_delta.h"
#include "weights/adapter_file.h"
#include "weights/weight_scope.h"

namespace sdxl {

// By the canonical name of the model's tensor: "down_blocks.1.attentions.0.proj_in.weight".
using AdapterDeltas = std::map<std::string, AdapterDelta, std::less<>>;

struct AdapterMatch {
    std::array<AdapterDeltas, kAdapterParts> deltas;  // by AdapterPart
    AdapterDeltas& of(AdapterPart part) { return deltas.at(static_cast<std::size_t>(part)); }
    const AdapterDeltas& of(AdapterPart part) const { return deltas.at(static_cast<std::size_t>(part)); }

    // Tensors of the file; together with `unknown` they are all of them.
    std::size_t matched = 0;
    std::size_t skipped = 0;  // of a text encoder that this model does not have
    std::vector<UnknownTensor> unknown;
};

// `text_encoder` is null for a refiner. Reads the weights of all matched modules once, to see that they are
// finite. Fails with kInvalidModel if nothing matches, for an adapter of another model (named), a shape that
// does not fit, a weight that is no finite number, or a tensor that two modules change; the message names
// file and tensor.
// A module whose weight is not `changeable` counts as unknown; without a function all are.
using Changeable = std::function<bool(AdapterPart part, const std::string& tensor)>;
AdapterMatch match_adapter(const AdapterFile& file, const WeightMap& unet, const WeightMap* text_encoder,
                           const WeightMap& text_encoder_2, const Changeable& changeable = {});

}  // namespace sdxl
