// Steps that both layouts take on the way to canonical names.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
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

// Inserts a tensor that holds the rows of query, key and value one below the other as three; `pattern` has
// '{}' where "q", "k" or "v" goes. Fails with kInvalidModel if its rows are not three times as many.
void insert_query_key_value(WeightMap& map, const std::string& pattern, const FileTensor& tensor);

// The weights in a component's folder: full precision first, then fp16, each whole or in shards.
std::optional<std::filesystem::path> find_weights(const std::filesystem::path& folder,
                                                  const std::string& stem);

// Sets the kind and fails with kInvalidModel if a component that the kind needs has no tensors.
void finish_checkpoint(Checkpoint& checkpoint, const IgnoredTensors& ignored);

}  // namespace sdxl
