// Safetensors files, mapped and checked, and the tensors of one or several of them.
//
// Opening reads the header only; tensors' bytes stay on disk until somebody looks at them. A view stays valid
// as long as the WeightBytes beside it. Threads: opened files are immutable and may be read from any thread.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "core/mapped_file.h"
#include "tensor/host_view.h"
#include "weights/safetensors_header.h"
#include "weights/weight_scope.h"

namespace sdxl {

struct FileTensor {
    HostView view;
    std::shared_ptr<const WeightBytes> bytes;
};

// By the names that stand in the file.
using FileTensors = std::map<std::string, FileTensor, std::less<>>;

class SafetensorsFile final : public WeightBytes {
  public:
    // Maps the file and checks the whole header. Fails as MappedFile and parse_safetensors do.
    static std::shared_ptr<const SafetensorsFile> open(const std::filesystem::path& path);
    explicit SafetensorsFile(MappedFile file);

    const std::string& path() const override { return file_.path(); }
    void release(const std::byte* data, std::size_t bytes) const override { file_.release({data, bytes}); }
    void will_need(const std::byte* data, std::size_t bytes) const override {
        file_.will_need({data, bytes});
    }

    std::span<const std::byte> bytes() const { return file_.bytes(); }
    const SafetensorsHeader& header() const { return header_; }

  private:
    MappedFile file_;
    SafetensorsHeader header_;
};

// Views of the tensors that `header` describes. `file` is the whole file's bytes, which `bytes` keeps alive.
FileTensors tensors_of(const SafetensorsHeader& header, std::span<const std::byte> file,
                       const std::shared_ptr<const WeightBytes>& bytes);

struct TensorFiles {
    FileTensors tensors;
    std::map<std::string, std::string> metadata;  // of a single file; empty for shards
};

// Opens a .safetensors file or one of PyTorch's (torch_file.h), or all shards that a *.index*.json names.
// Shards must lie beside their index. Fails with kInvalidModel for a shard that is missing, a tensor that is
// not in its shard, or one that two shards hold.
TensorFiles open_tensor_files(const std::filesystem::path& path);

}  // namespace sdxl
