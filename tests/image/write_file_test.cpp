#include "image/write_file.h"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <string>

#include "core/error.h"

namespace {

namespace fs = std::filesystem;
using namespace sdxl;

class WriteFileTest : public testing::Test {
  protected:
    void SetUp() override {
        folder_ =
            fs::temp_directory_path() /
            ("sdxl_write_" + std::to_string(std::chrono::steady_clock::now().time_since_epoch().count()));
        fs::create_directories(folder_);
    }
    void TearDown() override { fs::remove_all(folder_); }

    fs::path folder_;
    const std::vector<std::uint8_t> bytes_{'h', 'i'};
};

TEST_F(WriteFileTest, MakesFoldersAndReplaces) {
    const auto path = folder_ / "a" / "b" / "picture.png";
    write_file_atomically(path, bytes_);
    write_file_atomically(path, bytes_);
    EXPECT_EQ(fs::file_size(path), 2U);
    EXPECT_EQ(std::distance(fs::directory_iterator(path.parent_path()), fs::directory_iterator()), 1);
}

TEST_F(WriteFileTest, LeavesNothingWhereItFails) {
    fs::create_directories(folder_ / "taken" / "full");
    try {
        write_file_atomically(folder_ / "taken", bytes_);  // a folder that is not empty cannot be replaced
        FAIL() << "replaced a folder";
    } catch (const Failure& failure) {
        EXPECT_EQ(failure.error().code, ErrorCode::kIo);
        EXPECT_NE(failure.error().message.find("taken"), std::string::npos);
    }
    EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 1);
}

}  // namespace
