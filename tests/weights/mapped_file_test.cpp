#include "core/mapped_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <span>
#include <utility>

#include "expect_failure.h"
#include "model_builder.h"

namespace sdxl {
namespace {

using testing::expect_failure;
using testing::TemporaryFolder;

std::size_t page() {
    return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

TEST(MappedFile, HoldsTheFilesBytes) {
    const TemporaryFolder folder;
    MappedFile file(folder.write("f", "hello"));
    const MappedFile moved = std::move(file);
    ASSERT_EQ(moved.size(), 5U);
    EXPECT_EQ(std::to_integer<char>(moved.bytes()[4]), 'o');
    EXPECT_EQ(moved.path(), (folder.path() / "f").string());
}

TEST(MappedFile, FailsWithTheCause) {
    const TemporaryFolder folder;
    expect_failure([&] { MappedFile(folder.path() / "none"); }, ErrorCode::kNotFound, {"none"});
    expect_failure([&] { MappedFile(folder.write("f", "x") / "below"); }, ErrorCode::kNotFound, {"below"});
    expect_failure([&] { MappedFile(folder.path()); }, ErrorCode::kIo, {"folder"});
    expect_failure([&] { MappedFile(folder.write("empty", "")); }, ErrorCode::kIo, {"empty"});
    ASSERT_EQ(::mkfifo((folder.path() / "pipe").c_str(), 0600), 0);
    expect_failure([&] { MappedFile(folder.path() / "pipe"); }, ErrorCode::kIo, {"pipe", "ordinary"});
}

TEST(MappedFile, NamesAnUnreadableFile) {
    const TemporaryFolder folder;
    const auto path = folder.write("secret", "x");
    ASSERT_EQ(::chmod(path.c_str(), 0), 0);
    ASSERT_EQ(::chmod(path.parent_path().c_str(), 0755), 0);
    // The superuser reads everything: be somebody else meanwhile.
    constexpr uid_t kNobody = 65534;
    const uid_t before = ::geteuid();
    if (before == 0) {
        ASSERT_EQ(::seteuid(kNobody), 0);
    }
    expect_failure([&] { MappedFile{path}; }, ErrorCode::kIo, {"secret"});
    ASSERT_EQ(::seteuid(before), 0);
}

// Bytes of the mapping that are in this process's resident set.
std::size_t resident_bytes(const MappedFile& file) {
    std::size_t resident = 0;
    FILE* maps = std::fopen("/proc/self/smaps", "r");
    if (maps == nullptr) return 0;
    char line[512];
    bool ours = false;
    unsigned long begin = 0;
    unsigned long end = 0;
    std::size_t kilobytes = 0;
    while (std::fgets(line, sizeof line, maps) != nullptr) {
        if (std::sscanf(line, "%lx-%lx ", &begin, &end) == 2)
            ours = begin == reinterpret_cast<unsigned long>(file.bytes().data());
        else if (ours && std::sscanf(line, "Rss: %zu kB", &kilobytes) == 1)
            resident = kilobytes * 1024;
    }
    std::fclose(maps);
    return resident;
}

int sum(std::span<const std::byte> bytes) {
    int total = 0;
    for (const auto byte : bytes) total += std::to_integer<int>(byte);
    return total;
}

TEST(MappedFile, ReleasesWholePagesInsideTheRangeAndReadsThemAgain) {
    const TemporaryFolder folder;
    const std::size_t bytes = 64 * page();
    const MappedFile file(folder.write("big", std::string(bytes, '\1')));
    EXPECT_EQ(sum(file.bytes()), static_cast<int>(bytes));
    ASSERT_EQ(resident_bytes(file), bytes);
    file.release(file.bytes().subspan(1, 10 * page()));  // nine whole pages
    EXPECT_EQ(resident_bytes(file), bytes - 9 * page());
    file.release(file.bytes().subspan(20 * page() + 1, page() - 2));  // none
    EXPECT_EQ(resident_bytes(file), bytes - 9 * page());
    file.will_need(file.bytes().subspan(5, 3));
    EXPECT_EQ(sum(file.bytes()), static_cast<int>(bytes));
}

}  // namespace
}  // namespace sdxl
