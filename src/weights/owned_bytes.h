// Weight bytes that live in memory instead of a mapped file: tensors that had to be rearranged.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "weights/safetensors.h"
#include "weights/weight_scope.h"

namespace sdxl {

// Owns its bytes; releasing pages does nothing, since no file could bring them back. `path` is where they
// came from.
class OwnedBytes final : public WeightBytes {
  public:
    OwnedBytes(std::string path, std::vector<std::byte> bytes)
        : path_(std::move(path)), bytes_(std::move(bytes)) {}

    const std::string& path() const override { return path_; }
    void release(const std::byte* /*data*/, std::size_t /*bytes*/) const override {}
    void will_need(const std::byte* /*data*/, std::size_t /*bytes*/) const override {}
    const std::vector<std::byte>& bytes() const { return bytes_; }

  private:
    std::string path_;
    std::vector<std::byte> bytes_;
};

// A copy of a matrix with rows and columns exchanged: [a, b] becomes [b, a]. REQUIRES: rank 2.
FileTensor transposed_copy(const FileTensor& matrix);

}  // namespace sdxl
