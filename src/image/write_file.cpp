#include "image/write_file.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>
#include <system_error>

#include "core/error.h"

namespace sdxl {
namespace {

[[noreturn]] void cannot_write(const std::filesystem::path& path, const std::string& reason) {
    fail(ErrorCode::kIo, "cannot write " + path.string() + ": " + reason);
}

// Differs for every file that is written at once, also by the worker of another device.
std::string temporary_suffix() {
    static std::atomic<unsigned> count{0};
    return "." + std::to_string(::getpid()) + ".part" + std::to_string(count.fetch_add(1));
}

}  // namespace

void write_file_atomically(const std::filesystem::path& path, std::span<const std::uint8_t> bytes) {
    std::error_code error;
    if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), error);
    if (error) cannot_write(path, error.message());
    std::filesystem::path temporary = path;
    temporary += temporary_suffix();
    {
        std::ofstream file(temporary, std::ios::binary | std::ios::trunc);
        if (!file) cannot_write(path, std::strerror(errno));
        file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
        file.close();
        if (!file) {
            const std::string reason = std::strerror(errno);
            std::filesystem::remove(temporary, error);
            cannot_write(path, reason);
        }
    }
    std::filesystem::rename(temporary, path, error);
    if (!error) return;
    const std::string reason = error.message();
    std::filesystem::remove(temporary, error);
    cannot_write(path, reason);
}

}  // namespace sdxl
