#include "weights/zip_entries.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "weights/safetensors_header.h"

namespace sdxl {
namespace {

constexpr std::size_t kMostEntries = 1U << 18U;
constexpr std::size_t kMostNameBytes = 1024;
constexpr std::uint32_t kLocalMark = 0x04034b50, kEntryMark = 0x02014b50, kEndMark = 0x06054b50;
constexpr std::uint32_t kEnd64Mark = 0x06064b50, kLocator64Mark = 0x07064b50;
constexpr std::size_t kLocalBytes = 30, kEntryBytes = 46, kEndBytes = 22, kEnd64Bytes = 56,
                      kLocator64Bytes = 20;
constexpr std::uint64_t kMostComment = 65535;
constexpr std::uint32_t kIn64 = 0xffffffffU;  // the value stands in the 64-bit form

struct Directory {
    std::uint64_t begin = 0, bytes = 0, count = 0;
};

class ZipReader {
  public:
    ZipReader(std::span<const std::byte> file, const std::string& path) : file_(file), path_(path) {}

    ZipEntries read() {
        const Directory directory = find_directory();
        if (directory.count > kMostEntries) broken("it has too many entries");
        ZipEntries entries;
        std::uint64_t at = directory.begin;
        for (std::uint64_t i = 0; i < directory.count; ++i) at = read_entry(at, entries);
        return entries;
    }

  private:
    [[noreturn]] void broken(const std::string& what) const {
        fail(ErrorCode::kInvalidModel,
             "'" + path_ + "' is a broken archive: " + what + "; download it again");
    }

    // Little-endian; the place is checked.
    template <class T>
    T number(std::uint64_t at) const {
        if (at > file_.size() || file_.size() - at < sizeof(T)) broken("it ends too early");
        T value = 0;
        for (std::size_t i = sizeof(T); i-- > 0;)
            value = static_cast<T>((static_cast<std::uint64_t>(value) << 8U) |
                                   std::to_integer<std::uint64_t>(file_[static_cast<std::size_t>(at) + i]));
        return value;
    }
    std::span<const std::byte> range(std::uint64_t at, std::uint64_t bytes, const char* what) const {
        if (at > file_.size() || file_.size() - at < bytes)
            broken(std::string(what) + " lies outside the file");
        return file_.subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(bytes));
    }

    Directory find_directory() const {
        const std::uint64_t size = file_.size();
        if (size < kEndBytes) broken("it ends too early");
        const std::uint64_t first = size - std::min(size, kEndBytes + kMostComment);
        std::uint64_t at = size - kEndBytes;
        while (number<std::uint32_t>(at) != kEndMark) {
            if (at == first) broken("it has no directory");
            --at;
        }
        Directory found{number<std::uint32_t>(at + 16), number<std::uint32_t>(at + 12),
                        number<std::uint16_t>(at + 10)};
        if (at >= kLocator64Bytes && number<std::uint32_t>(at - kLocator64Bytes) == kLocator64Mark) {
            const auto end64 = number<std::uint64_t>(at - kLocator64Bytes + 8);
            range(end64, kEnd64Bytes, "the end of its directory");
            if (number<std::uint32_t>(end64) != kEnd64Mark) broken("the end of its directory is none");
            found = {number<std::uint64_t>(end64 + 48), number<std::uint64_t>(end64 + 40),
                     number<std::uint64_t>(end64 + 32)};
        }
        range(found.begin, found.bytes, "its directory");
        if (found.count > found.bytes / kEntryBytes) broken("its directory is too short for its entries");
        return found;
    }

    // The 64-bit values of an entry, in the order in which its others say that they are there.
    void read_64(std::uint64_t at, std::uint64_t bytes, std::uint64_t& size, std::uint64_t& stored,
                 std::uint64_t& local) const {
        const std::uint64_t end = at + bytes;
        while (end - at >= 4) {
            const auto kind = number<std::uint16_t>(at);
            const std::uint64_t length = number<std::uint16_t>(at + 2);
            at += 4;
            if (end - at < length) broken("an entry's extra fields are cut off");
            if (kind == 1) {
                std::uint64_t place = at;
                for (std::uint64_t* value : {&size, &stored, &local}) {
                    if (*value != kIn64) continue;
                    if (at + length - place < 8) broken("an entry's 64-bit sizes are cut off");
                    *value = number<std::uint64_t>(place);
                    place += 8;
                }
                return;
            }
            at += length;
        }
    }

    // Returns where the next one stands.
    std::uint64_t read_entry(std::uint64_t at, ZipEntries& entries) const {
        range(at, kEntryBytes, "an entry");
        if (number<std::uint32_t>(at) != kEntryMark) broken("an entry of its directory is none");
        const auto flags = number<std::uint16_t>(at + 8);
        const auto method = number<std::uint16_t>(at + 10);
        std::uint64_t stored = number<std::uint32_t>(at + 20), size = number<std::uint32_t>(at + 24);
        const std::uint64_t name_bytes = number<std::uint16_t>(at + 28);
        const std::uint64_t extra_bytes = number<std::uint16_t>(at + 30);
        const std::uint64_t comment_bytes = number<std::uint16_t>(at + 32);
        std::uint64_t local = number<std::uint32_t>(at + 42);
        const auto bytes = range(at + kEntryBytes, name_bytes, "an entry's name");
        if (name_bytes > kMostNameBytes) broken("an entry's name is too long");
        const std::string name(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        range(at + kEntryBytes + name_bytes, extra_bytes + comment_bytes, "an entry");
        read_64(at + kEntryBytes + name_bytes, extra_bytes, size, stored, local);
        if ((flags & 1U) != 0 || method != 0)
            fail(ErrorCode::kUnsupported,
                 "'" + path_ + "': the entry " + quoted_name(name) + " is " +
                     ((flags & 1U) != 0 ? "encrypted" : "compressed") +
                     ", expected entries that are stored as they are: convert it to .safetensors");
        if (size != stored) broken("the entry " + quoted_name(name) + " has two sizes");
        range(local, kLocalBytes, "an entry");
        if (number<std::uint32_t>(local) != kLocalMark)
            broken("the entry " + quoted_name(name) + " is not where the directory says");
        // Its own extra fields may be others.
        const std::uint64_t data =
            local + kLocalBytes + number<std::uint16_t>(local + 26) + number<std::uint16_t>(local + 28);
        if (!entries.emplace(name, range(data, size, "an entry's contents")).second)
            broken("two entries are called " + quoted_name(name));
        return at + kEntryBytes + name_bytes + extra_bytes + comment_bytes;
    }

    std::span<const std::byte> file_;
    const std::string& path_;
};

}  // namespace

ZipEntries read_zip_entries(std::span<const std::byte> file, const std::string& path) {
    return ZipReader(file, path).read();
}

}  // namespace sdxl
