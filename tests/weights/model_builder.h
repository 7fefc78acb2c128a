// Builds safetensors files, whole or broken, and tiny models out of them, for the weights' tests and the
// fuzzer's seeds.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace sdxl::testing {

// A folder of its own under the system's temporary folder, removed at the end.
class TemporaryFolder {
  public:
    TemporaryFolder();
    ~TemporaryFolder();
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;

    const std::filesystem::path& path() const { return path_; }
    // Writes a file, making the folders above it.
    std::filesystem::path write(const std::string& name, const std::string& content) const;

  private:
    std::filesystem::path path_;
};

// Length, header text and data as a file has them.
std::string safetensors(const std::string& header, const std::string& data);

struct TensorSpec {
    std::string name;
    std::vector<std::int64_t> shape;
    std::string dtype = "F16";
};

// A valid file of these tensors, with bytes that count up.
std::string safetensors(const std::vector<TensorSpec>& tensors, const std::string& metadata = "");

// A tensor with values, as F32, BF16, F16 or I64.
struct ValueTensor {
    std::string name;
    std::vector<std::int64_t> shape;
    std::vector<float> values;
    std::string dtype = "F32";
};

// A valid file of these tensors. Halves are cut, not rounded.
std::string safetensors_of(const std::vector<ValueTensor>& tensors, const std::string& metadata = "");

// The fewest tensors that are an SDXL base checkpoint in the original layout, each a few elements.
std::vector<TensorSpec> tiny_base();

// The same for the refiner: only OpenCLIP-G, five size embeddings.
std::vector<TensorSpec> tiny_refiner();

}  // namespace sdxl::testing
