#include "image/png.h"

#include <gtest/gtest.h>

#include <random>

#include "core/error.h"

namespace {

using namespace sdxl;

Image noise(int width, int height) {
    Image image{width, height, 3, std::vector<std::uint8_t>(static_cast<std::size_t>(width * height * 3))};
    std::mt19937 random(1);
    for (auto& value : image.pixels) value = static_cast<std::uint8_t>(random());
    return image;
}

TEST(Png, ComesBackAsItWas) {
    const Image image = noise(37, 21);
    ImageText text;
    const Image back = decode_png(encode_png(image, {{"parameters", "a\nSteps: 3, naïve 日本"}}), &text);
    EXPECT_EQ(back.width, 37);
    EXPECT_EQ(back.height, 21);
    EXPECT_EQ(back.pixels, image.pixels);
    ASSERT_EQ(text.size(), 1U);
    EXPECT_EQ(text[0].first, "parameters");
    EXPECT_EQ(text[0].second, "a\nSteps: 3, naïve 日本");
}

TEST(Png, BrokenBytesAreErrorsAndNothingElse) {
    const auto good = encode_png(noise(16, 16), {{"parameters", "x"}});
    EXPECT_THROW(decode_png({}), Failure);
    EXPECT_THROW(decode_png(std::span(good).first(good.size() / 2)), Failure);
    std::mt19937 random(2);
    int refused = 0;
    for (int round = 0; round < 2000; ++round) {
        auto bytes = good;
        bytes[random() % bytes.size()] ^= static_cast<std::uint8_t>(1U << (random() % 8));
        try {
            decode_png(bytes);
        } catch (const Failure& failure) {
            EXPECT_EQ(failure.error().code, ErrorCode::kInvalidRequest);
            ++refused;
        }
    }
    EXPECT_GT(refused, 1000);
}

}  // namespace
