// Pictures of every kind against what Pillow reads (tests/data/images/README.md).
#include "image/read_image.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "core/error.h"
#include "image/exif_orientation.h"
#include "image/jpeg.h"
#include "image/webp.h"

namespace {

using namespace sdxl;
namespace fs = std::filesystem;

std::vector<std::uint8_t> read_bytes(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    const std::string bytes = text.str();
    return {bytes.begin(), bytes.end()};
}

Image read_ppm(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::string magic;
    int most = 0;
    Image image;
    file >> magic >> image.width >> image.height >> most;
    file.get();
    image.pixels.resize(static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.height) * 3);
    file.read(reinterpret_cast<char*>(image.pixels.data()),
              static_cast<std::streamsize>(image.pixels.size()));
    EXPECT_TRUE(file.good()) << path;
    return image;
}

const fs::path kPictures = SDXL_TEST_PICTURES;
const fs::path kExpected = SDXL_TEST_EXPECTED;

TEST(ReadImage, EveryKindIsWhatPillowReads) {
    int compared = 0;
    for (const auto& entry : fs::directory_iterator(kExpected)) {
        if (entry.path().extension() != ".ppm") continue;
        const std::string name = entry.path().stem().string();
        const Image expected = read_ppm(entry.path());
        const Image found = decode_image(read_bytes(kPictures / name));
        ASSERT_EQ(found.width, expected.width) << name;
        ASSERT_EQ(found.height, expected.height) << name;
        // Pillow's way from CMYK to RGB rounds elsewhere.
        const int tolerance = name == "cmyk.jpg" ? 1 : 0;
        int largest = 0;
        for (std::size_t i = 0; i < expected.pixels.size(); ++i)
            largest = std::max(largest, std::abs(found.pixels[i] - expected.pixels[i]));
        EXPECT_LE(largest, tolerance) << name;
        ++compared;
    }
    EXPECT_EQ(compared, 28);
}

TEST(ReadImage, CutShortAnywhereIsAnError) {
    for (const char* name :
         {"rgb.png", "interlaced.png", "rgb.jpg", "progressive.jpg", "lossless.webp", "lossy.webp"}) {
        const auto bytes = read_bytes(kPictures / name);
        const Image whole = decode_image(bytes);
        for (std::size_t size = 0; size < bytes.size(); ++size) {
            try {
                // What comes after the last pixel may be missing.
                EXPECT_EQ(decode_image(std::span(bytes).first(size)).pixels, whole.pixels)
                    << name << " " << size;
                EXPECT_GT(size + 20, bytes.size()) << name;
            } catch (const Failure& failure) {
                EXPECT_EQ(failure.error().code, ErrorCode::kInvalidRequest) << name << " " << size;
            }
        }
    }
}

std::string refusal_of(const std::vector<std::uint8_t>& bytes) {
    try {
        decode_image(bytes);
        return "was read";
    } catch (const Failure& failure) {
        return failure.error().message;
    }
}

TEST(ReadImage, OtherFormatsAreNamed) {
    EXPECT_NE(refusal_of(read_bytes(kPictures / "animation.gif")).find("a GIF"), std::string::npos);
    EXPECT_NE(refusal_of(read_bytes(kPictures / "text.txt")).find("13 bytes of something else"),
              std::string::npos);
    EXPECT_NE(refusal_of(read_bytes(kPictures / "animated.webp")).find("animation"), std::string::npos);
    EXPECT_NE(refusal_of({}).find("no bytes"), std::string::npos);
}

TEST(ReadImage, TooLargeIsRefusedByTheHeader) {
    auto png = read_bytes(kPictures / "rgb.png");
    png[16 + 2] = 0x40;  // 16384 + 13 wide; the checksum is wrong then, too
    EXPECT_NE(refusal_of(png), "was read");
    auto jpeg = encode_jpeg({16, 16, 3, std::vector<std::uint8_t>(768)}, 90);
    for (std::size_t i = 0; i + 8 < jpeg.size(); ++i)
        if (jpeg[i] == 0xFF && jpeg[i + 1] == 0xC0) jpeg[i + 5] = jpeg[i + 7] = 0x40;
    EXPECT_NE(refusal_of(jpeg).find("8192"), std::string::npos) << refusal_of(jpeg);
}

// Each digit is a pixel.
Image digits(const std::vector<std::string>& rows) {
    Image image{static_cast<int>(rows[0].size()), static_cast<int>(rows.size()), 3, {}};
    for (const auto& row : rows)
        for (const char digit : row)
            image.pixels.insert(image.pixels.end(), 3, static_cast<std::uint8_t>(digit));
    return image;
}

TEST(Upright, EveryOrientation) {
    const std::vector<std::vector<std::string>> expected = {
        {"123", "456"},     {"321", "654"},     {"654", "321"},     {"456", "123"},
        {"14", "25", "36"}, {"41", "52", "63"}, {"63", "52", "41"}, {"36", "25", "14"}};
    for (int orientation = 1; orientation <= 8; ++orientation) {
        const Image found = upright(digits({"123", "456"}), orientation);
        const Image wanted = digits(expected[static_cast<std::size_t>(orientation - 1)]);
        EXPECT_EQ(found.width, wanted.width) << orientation;
        EXPECT_EQ(found.pixels, wanted.pixels) << orientation;
    }
    EXPECT_EQ(upright(digits({"12"}), 9).pixels, digits({"12"}).pixels);
}

TEST(ExifOrientation, BothByteOrdersAndBrokenData) {
    const std::vector<std::uint8_t> little{'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12,
                                           1,   3,   0,  1, 0, 0, 0, 6, 0, 0, 0};
    const std::vector<std::uint8_t> big{'M',  'M', 0, 42, 0, 0, 0, 8, 0, 1, 1,
                                        0x12, 0,   3, 0,  0, 0, 1, 0, 8, 0, 0};
    EXPECT_EQ(exif_orientation(little), 6);
    EXPECT_EQ(exif_orientation(big), 8);
    for (std::size_t size = 0; size < 20; ++size)
        EXPECT_EQ(exif_orientation(std::span(little).first(size)), 1) << size;
    auto far = little;
    far[4] = far[5] = far[6] = far[7] = 0xFF;
    EXPECT_EQ(exif_orientation(far), 1);
}

TEST(Encoders, WhatTheyWriteIsRead) {
    const Image image = read_ppm(kExpected / "rgb.jpg.ppm");
    EXPECT_EQ(decode_image(encode_webp(image, 100)).pixels, image.pixels);
    const auto distance = [&](const Image& other) {
        double sum = 0;
        for (std::size_t i = 0; i < image.pixels.size(); ++i)
            sum += std::abs(image.pixels[i] - other.pixels[i]);
        return sum / static_cast<double>(image.pixels.size());
    };
    EXPECT_LT(distance(decode_image(encode_jpeg(image, 95, "a lighthouse"))), 3);
    EXPECT_LT(distance(decode_image(encode_webp(image, 90))), 4);
    EXPECT_LT(encode_jpeg(image, 30).size(), encode_jpeg(image, 95).size());
    const auto noted = encode_jpeg(image, 80, "a lighthouse");
    EXPECT_NE(std::string(noted.begin(), noted.end()).find("a lighthouse"), std::string::npos);
}

}  // namespace
