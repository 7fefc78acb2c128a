#include "image/write_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>

#include "core/error.h"

namespace sdxl {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void cannot_write(const fs::path& path, const std::string& reason) {
    fail(ErrorCode::kIo, "cannot write " + path.string() + ": " + reason);
}

// Differs for every file that is written at once, also by the worker of another device.
fs::path temporary_name(const fs::path& path) {
    static std::atomic<unsigned> count{0};
    fs::path name = path;
    name += "." + std::to_string(::getpid()) + ".part" + std::to_string(count.fetch_add(1));
    return name;
}

// A complete file beside `path` that does not have its name yet: without any name where the file system
// knows such files, else under a temporary one. What has no final name goes with it.
class PendingFile {
  public:
    PendingFile(const fs::path& path, std::span<const std::uint8_t> bytes) : path_(path), bytes_(bytes) {
        const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
        std::error_code error;
        fs::create_directories(folder, error);
        if (error) cannot_write(path, error.message());
        file_ = ::open(folder.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, kMode);
        if (file_ < 0) open_temporary();
        write_all();
    }
    ~PendingFile() { discard(); }
    PendingFile(const PendingFile&) = delete;
    PendingFile& operator=(const PendingFile&) = delete;

    // Takes the name if nobody has it.
    bool take_new_name(const fs::path& name) {
        if (link_to(name) == 0) return true;
        if (errno == EEXIST) return false;
        // No hard links here: reserve the name, then put the file in its place.
        have_temporary();
        const int reserved = ::open(name.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, kMode);
        if (reserved < 0 && errno == EEXIST) return false;
        if (reserved < 0) cannot_write(path_, std::strerror(errno));
        ::close(reserved);
        rename_to(name);
        return true;
    }

    // Takes the path in place of what is there.
    void replace() {
        if (link_to(path_) == 0) return;
        have_temporary();
        rename_to(path_);
    }

  private:
    void open_temporary() {
        fs::path name = temporary_name(path_);
        file_ = ::open(name.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, kMode);
        if (file_ < 0) cannot_write(path_, std::strerror(errno));
        temporary_ = std::move(name);
    }

    void discard() {
        if (file_ >= 0) ::close(file_);
        if (!temporary_.empty()) ::unlink(temporary_.c_str());
        file_ = -1;
        temporary_.clear();
    }

    // Gives a file without a name a temporary one, or writes it again under one.
    void have_temporary() {
        if (!temporary_.empty()) return;
        fs::path name = temporary_name(path_);
        if (link_to(name) == 0) {
            temporary_ = std::move(name);
            return;
        }
        discard();
        open_temporary();
        write_all();
    }

    void rename_to(const fs::path& name) {
        if (::rename(temporary_.c_str(), name.c_str()) != 0) cannot_write(path_, std::strerror(errno));
        temporary_.clear();
    }

    int link_to(const fs::path& name) const {
        if (!temporary_.empty()) return ::link(temporary_.c_str(), name.c_str());
        const std::string descriptor = "/proc/self/fd/" + std::to_string(file_);
        return ::linkat(AT_FDCWD, descriptor.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW);
    }

    void write_all() {
        auto bytes = bytes_;
        while (!bytes.empty()) {
            const ssize_t count = ::write(file_, bytes.data(), bytes.size());
            if (count < 0 && errno == EINTR) continue;
            if (count <= 0) {
                const std::string reason = std::strerror(errno);
                discard();
                cannot_write(path_, reason);
            }
            bytes = bytes.subspan(static_cast<std::size_t>(count));
        }
    }

    static constexpr mode_t kMode = 0666;

    fs::path path_;
    std::span<const std::uint8_t> bytes_;
    fs::path temporary_;  // "" while the file has no name at all
    int file_ = -1;
};

}  // namespace

void write_file_atomically(const fs::path& path, std::span<const std::uint8_t> bytes) {
    PendingFile(path, bytes).replace();
}

bool write_new_file_atomically(const fs::path& path, std::span<const std::uint8_t> bytes) {
    std::error_code ignored;
    if (fs::exists(fs::symlink_status(path, ignored))) return false;
    return PendingFile(path, bytes).take_new_name(path);
}

}  // namespace sdxl
