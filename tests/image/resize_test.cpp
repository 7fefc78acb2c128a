#include "image/resize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "image/mask.h"

namespace {

using namespace sdxl;

Image plain(int width, int height, std::uint8_t value) {
    return {width, height, 3, std::vector<std::uint8_t>(static_cast<std::size_t>(width * height) * 3, value)};
}

Image gradient(int width, int height) {
    Image image = plain(width, height, 0);
    for (std::size_t i = 0; i < image.pixels.size(); ++i)
        image.pixels[i] = static_cast<std::uint8_t>(i * 7 % 256);
    return image;
}

constexpr ResizeMode kModes[] = {ResizeMode::kStretch, ResizeMode::kCrop, ResizeMode::kPad};

TEST(Resize, TheSameSizeIsTheSamePicture) {
    const Image image = gradient(13, 7);
    for (const auto mode : kModes) EXPECT_EQ(resize_image(image, 13, 7, mode).pixels, image.pixels);
}

TEST(Resize, OneColourStaysIt) {
    for (const auto mode : kModes)
        for (const auto& [width, height] : {std::pair{64, 64}, {7, 64}, {1, 1}, {300, 5}})
            EXPECT_EQ(resize_image(plain(33, 20, 77), width, height, mode).pixels,
                      plain(width, height, 77).pixels);
}

TEST(Resize, HalfIsTheMeanOfFour) {
    Image image = plain(2, 2, 0);
    for (std::size_t c = 0; c < 3; ++c) image.pixels[c] = 200;
    EXPECT_EQ(resize_image(image, 1, 1, ResizeMode::kStretch).pixels, plain(1, 1, 50).pixels);
}

TEST(Resize, PlacesKeepTheShape) {
    const Placement crop = place(200, 100, 64, 64, ResizeMode::kCrop);
    EXPECT_EQ(crop.width, 128);
    EXPECT_EQ(crop.height, 64);
    EXPECT_EQ(crop.left, -32);
    const Placement pad = place(200, 100, 64, 64, ResizeMode::kPad);
    EXPECT_EQ(pad.width, 64);
    EXPECT_EQ(pad.height, 32);
    EXPECT_EQ(pad.top, 16);
    // A cut picture has its middle; a padded one repeats its edge.
    Image image = plain(200, 100, 10);
    for (std::size_t y = 0; y < 100; ++y)
        for (std::size_t x = 50; x < 150; ++x) image.pixels[(y * 200 + x) * 3] = 250;
    for (const auto& [mode, value] : {std::pair{ResizeMode::kCrop, 250}, {ResizeMode::kPad, 10}})
        EXPECT_EQ(resize_image(image, 64, 64, mode).pixels[(32 * 64 + 2) * 3], value);
    EXPECT_EQ(resize_image(image, 64, 64, ResizeMode::kPad).pixels[(2 * 64 + 32) * 3], 250);
}

TEST(MaskTest, BrightnessIsTheValue) {
    EXPECT_EQ(to_mask(plain(2, 1, 255)).values, (std::vector<float>{1, 1}));
    EXPECT_EQ(to_mask(plain(1, 1, 0)).values, (std::vector<float>{0}));
    Image green = plain(1, 1, 0);
    green.pixels[1] = 255;
    EXPECT_NEAR(to_mask(green).values[0], 0.587, 1e-6);
    EXPECT_EQ(binarize({3, 1, {0.49F, 0.5F, 1}}).values, (std::vector<float>{0, 1, 1}));
}

TEST(MaskTest, TheBorderOfAPaddedPictureIsRedrawn) {
    const Mask black{200, 100, std::vector<float>(20000)};
    const Mask padded = resize_mask(black, 64, 64, ResizeMode::kPad);
    for (std::size_t y = 0; y < 64; ++y)
        for (std::size_t x = 0; x < 64; ++x)
            EXPECT_EQ(padded.values[y * 64 + x], y < 16 || y >= 48 ? 1.F : 0.F) << y;
    const Mask stretched = resize_mask(black, 64, 64, ResizeMode::kStretch);
    EXPECT_EQ(*std::max_element(stretched.values.begin(), stretched.values.end()), 0.F);
}

TEST(MaskTest, BlurIsAGaussian) {
    Mask impulse{101, 101, std::vector<float>(101 * 101)};
    impulse.values[50 * 101 + 50] = 1;
    EXPECT_EQ(blur_mask(impulse, 0).values, impulse.values);
    const double deviation = 4;
    const Mask blurred = blur_mask(impulse, deviation);
    double sum = 0;
    double variance = 0;
    for (int y = 0; y < 101; ++y)
        for (int x = 0; x < 101; ++x) {
            const double value = static_cast<double>(blurred.values[static_cast<std::size_t>(y * 101 + x)]);
            sum += value;
            variance += value * (x - 50) * (x - 50);
        }
    EXPECT_NEAR(sum, 1, 1e-3);
    EXPECT_NEAR(variance, deviation * deviation, 0.05 * deviation * deviation);
    const Mask white{30, 20, std::vector<float>(600, 1.F)};
    for (const float value : blur_mask(white, 7).values) EXPECT_NEAR(value, 1, 1e-5);
}

}  // namespace
