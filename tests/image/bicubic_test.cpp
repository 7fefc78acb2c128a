#include "image/bicubic.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace {

using namespace sdxl;

Image noise(int width, int height) {
    Image image{width, height, 3, {}};
    std::uint32_t state = 1;
    for (int i = 0; i < width * height * 3; ++i) {
        state = (state * 1103515245U + 12345U) & 0x7fffffffU;
        image.pixels.push_back(static_cast<std::uint8_t>(state >> 16));
    }
    return image;
}

std::uint64_t fnv1a(const std::vector<std::uint8_t>& bytes) {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const std::uint8_t byte : bytes) hash = (hash ^ byte) * 0x100000001b3;
    return hash;
}

Image whole(const Image& image, int width, int height) {
    return resize_bicubic(image, width, height, {0, 0, width, height});
}

// Expected values are Pillow 9.4's: Image.frombytes("RGB", size, bytes).resize(to, Image.BICUBIC).
TEST(Bicubic, IsPillowsToTheBit) {
    EXPECT_EQ(whole(noise(5, 4), 3, 2).pixels,
              (std::vector<std::uint8_t>{117, 95, 169, 156, 138, 118, 141, 108, 167, 127, 60, 145, 155, 107,
                                         152, 98, 120, 107}));
    struct Case {
        int from_width, from_height, width, height;
        std::uint64_t hash;
    };
    for (const Case& c : {Case{3, 2, 5, 4, 0xbf08d951cf8cb1c0},
                          {7, 5, 7, 3, 0xbaf136569b8d6b2f},
                          {37, 53, 16, 23, 0x78ac2077a7a29765},
                          {16, 23, 37, 53, 0x853054e804c0755d},
                          {300, 200, 336, 224, 0x6e213a97f34a2b4d},
                          {1000, 701, 319, 224, 0x94afae698b73f85a}})
        EXPECT_EQ(fnv1a(whole(noise(c.from_width, c.from_height), c.width, c.height).pixels), c.hash)
            << c.from_width << "x" << c.from_height << " to " << c.width << "x" << c.height;
}

TEST(Bicubic, ACutIsThatPartOfTheWhole) {
    const Image image = noise(61, 47);
    const Image all = whole(image, 30, 80);
    const Cut cut{7, 11, 13, 50};
    const Image part = resize_bicubic(image, 30, 80, cut);
    ASSERT_EQ(part.pixels.size(), 13U * 50U * 3U);
    for (int y = 0; y < cut.height; ++y)
        for (int i = 0; i < cut.width * 3; ++i)
            ASSERT_EQ(part.pixels[static_cast<std::size_t>(y * cut.width * 3 + i)],
                      all.pixels[static_cast<std::size_t>(((cut.top + y) * 30 + cut.left) * 3 + i)]);
}

}  // namespace
