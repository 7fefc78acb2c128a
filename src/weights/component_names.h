// Steps that both layouts take on the way to canonical names.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "weights/checkpoint.h"
#include "weights/safetensors.h"

namespace sdxl {

// Counts what a checkpoint holds and the worker does not use, by reason, to be told in one line each.
class IgnoredTensors {
  public:
    // `component` is for the line: "unet", or "" for the whole file.
    void add(std::string_view name, std::string_view component = "");
    // "2 tensors ignored (EMA copies): 'a', 'b'"
    std::vector<std::string> warnings() const;

  private:
    std::map<std::string, std::vector<std::string>, std::less<>> names_;  // by reason
};

// Inserts the tensor as `canonical`. 1x1 convolutions that are matrices in diffusers today (the projections
// of attention blocks) become matrices: same bytes, shape [C, C, 1, 1] -> [C, C].
void insert_canonical(WeightMap& map, const std::string& canonical, const FileTensor& tensor);

// Sets the kind and fails with kInvalidModel if a component that the kind needs has no tensors.
void finish_checkpoint(Checkpoint& checkpoint, const IgnoredTensors& ignored);

}  // namespace sdxl
