// Builds PyTorch's files, whole or broken: pickles instruction by instruction, and zip archives.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace sdxl::testing {

// Little-endian.
std::string number_bytes(std::uint64_t value, int bytes);

// Each function returns the instructions for one value, or for what is done to values before it.
namespace pickle {
std::string start(int protocol = 2);
std::string text(const std::string& value);
std::string integer(std::int64_t value);  // of 32 bits
std::string tuple(const std::vector<std::int64_t>& values);
std::string name(const std::string& module, const std::string& name);
std::string call(const std::string& callee, const std::string& arguments);  // arguments: values, in order
std::string dict(const std::vector<std::pair<std::string, std::string>>& items);  // values are instructions
std::string storage(const std::string& type, const std::string& key, std::int64_t count,
                    const std::string& more = "");
// As torch._utils._rebuild_tensor_v2 takes it.
std::string tensor(const std::string& storage, std::int64_t offset, const std::vector<std::int64_t>& sizes,
                   const std::vector<std::int64_t>& strides);
}  // namespace pickle

struct ZipEntry {
    std::string name;
    std::string content;
    std::uint16_t method = 0;
    std::uint16_t flags = 0;
};
// With `zip64`, every size and place stands in the 64-bit form.
std::string zip(const std::vector<ZipEntry>& entries, bool zip64 = false);

// An archive as torch.save makes it, of `data_pkl` and storages "0", "1", ...
std::string torch_archive(const std::string& data_pkl, const std::vector<std::string>& storages);

// The tensors of a safetensors file, as torch.save would have them: a state_dict inside a checkpoint, or
// flat.
std::string torch_file_of(const std::string& safetensors, bool checkpoint = false);

}  // namespace sdxl::testing
