// A file mapped read-only into memory: pages come in when they are read and can be handed back.
//
// Owns the mapping for its lifetime; every pointer into bytes() dies with it. Threads: all methods may be
// called from several threads. A file that another process shortens while it is mapped ends this process on
// the next read, so model files must be replaced by renaming, not rewritten in place.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

namespace sdxl {

class MappedFile {
  public:
    // Fails with kNotFound if there is no such file, with kIo if it is a folder, empty or unreadable.
    explicit MappedFile(const std::filesystem::path& path);
    ~MappedFile();
    MappedFile(MappedFile&& other) noexcept;
    MappedFile& operator=(MappedFile&& other) noexcept;

    const std::string& path() const { return path_; }
    std::size_t size() const { return size_; }
    std::span<const std::byte> bytes() const { return {data_, size_}; }

    // Hints; what the system makes of them never changes what bytes() holds. REQUIRES: range lies within
    // bytes(). release: the pages that lie wholly inside `range` leave resident memory and come back from the
    // file on demand.
    void release(std::span<const std::byte> range) const;
    // will_need: the range is read soon; the system may fetch it ahead.
    void will_need(std::span<const std::byte> range) const;

  private:
    std::string path_;
    const std::byte* data_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace sdxl
