// PyTorch's files (.ckpt, .pt, .pth, .bin): the tensors in them, and nothing else.
//
// Read are the archives of torch >= 1.6 (a zip with data.pkl and a file per storage) and the older form (five
// pickles, then the storages). The pickle is never executed: of calls only those that rebuild tensors are
// understood, any other is refused by its name. Nested dictionaries give names joined by '.'; of a
// dictionary with "state_dict" that one is taken. What is no tensor (steps, names) is left out. Tensors are
// views of the mapped file, but for those that do not lie row by row there, which are copied. Threads: any.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "core/mapped_file.h"
#include "weights/safetensors.h"

namespace sdxl {

// Whether the file's name ends as PyTorch's do, ignoring case.
bool is_torch_file(const std::filesystem::path& path);

class TorchFile final : public WeightBytes {
  public:
    explicit TorchFile(MappedFile file) : file_(std::move(file)) {}

    const std::string& path() const override { return file_.path(); }
    void release(const std::byte* data, std::size_t bytes) const override { file_.release({data, bytes}); }
    void will_need(const std::byte* data, std::size_t bytes) const override {
        file_.will_need({data, bytes});
    }
    std::span<const std::byte> bytes() const { return file_.bytes(); }

  private:
    MappedFile file_;
};

// `file` is the whole file, which `bytes` keeps alive. Fails with kInvalidModel for a broken file, with
// kUnsupported for one that holds more than tensors, naming it.
FileTensors read_torch_tensors(std::span<const std::byte> file,
                               const std::shared_ptr<const WeightBytes>& bytes);

FileTensors open_torch_file(const std::filesystem::path& path);

}  // namespace sdxl
