#include "core/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>
#include <utility>

#include "core/error.h"

namespace sdxl {
namespace {

std::string reason(int code) {
    return std::generic_category().message(code);
}

class Descriptor {
  public:
    explicit Descriptor(const std::string& path) : value_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
    ~Descriptor() {
        if (value_ >= 0) ::close(value_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    int value() const { return value_; }

  private:
    int value_;
};

// The size of the regular file at `path`. Asked before opening, since opening a pipe would wait for its
// writer.
std::size_t regular_file_size(const std::string& path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            fail(ErrorCode::kNotFound, "there is no file '" + path + "'");
        fail(ErrorCode::kIo, "cannot look at '" + path + "': " + reason(errno));
    }
    if (S_ISDIR(info.st_mode)) fail(ErrorCode::kIo, "'" + path + "' is a folder, expected a file");
    if (!S_ISREG(info.st_mode)) fail(ErrorCode::kIo, "'" + path + "' is not an ordinary file");
    if (info.st_size == 0) fail(ErrorCode::kIo, "'" + path + "' is empty: copy or download it again");
    return static_cast<std::size_t>(info.st_size);
}

std::uintptr_t page_size() {
    return static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path.string()) {
    const std::size_t size = regular_file_size(path_);
    const Descriptor file(path_);
    if (file.value() < 0) fail(ErrorCode::kIo, "cannot open '" + path_ + "': " + reason(errno));
    void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.value(), 0);
    if (address == MAP_FAILED) fail(ErrorCode::kIo, "cannot map '" + path_ + "': " + reason(errno));
    data_ = static_cast<const std::byte*>(address);
    size_ = size;
}

MappedFile::~MappedFile() {
    if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
}

void MappedFile::release(std::span<const std::byte> range) const {
    const std::size_t page = page_size();
    const auto first = static_cast<std::size_t>(range.data() - data_);
    const std::size_t begin = (first + page - 1) / page * page;
    const std::size_t end = (first + range.size()) / page * page;
    if (begin < end) ::madvise(const_cast<std::byte*>(data_) + begin, end - begin, MADV_DONTNEED);
}

void MappedFile::will_need(std::span<const std::byte> range) const {
    if (range.empty()) return;
    const auto first = static_cast<std::size_t>(range.data() - data_);
    const std::size_t begin = first / page_size() * page_size();
    ::madvise(const_cast<std::byte*>(data_) + begin, first + range.size() - begin, MADV_WILLNEED);
}

}  // namespace sdxl
