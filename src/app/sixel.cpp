#include "app/sixel.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <vector>

namespace sdxl {
namespace {

constexpr std::size_t kColours = 256;
constexpr int kBand = 6;  // rows of a sixel

using Rgb = std::array<std::uint8_t, 3>;
struct Counted {
    Rgb rgb;
    int count;
};

// A box of colours, [begin, end) of the list.
struct Box {
    std::size_t begin, end;
    int channel = 0, range = 0;  // the widest side
};

Box measured(const std::vector<Counted>& colours, std::size_t begin, std::size_t end) {
    Box box{begin, end};
    for (std::size_t channel = 0; channel < 3; ++channel) {
        int least = 255, most = 0;
        for (std::size_t i = begin; i < end; ++i) {
            least = std::min<int>(least, colours[i].rgb[channel]);
            most = std::max<int>(most, colours[i].rgb[channel]);
        }
        if (most - least <= box.range) continue;
        box.range = most - least;
        box.channel = static_cast<int>(channel);
    }
    return box;
}

// Where the box is cut: half of its pixels lie before that, at least one colour on each side.
std::size_t median(const std::vector<Counted>& colours, const Box& box) {
    long all = 0, before = 0;
    for (std::size_t i = box.begin; i < box.end; ++i) all += colours[i].count;
    std::size_t at = box.begin;
    while (at + 1 < box.end && (before + colours[at].count) * 2 <= all) before += colours[at++].count;
    return std::max(at, box.begin + 1);
}

struct Palette {
    std::vector<Rgb> colours;
    std::map<Rgb, std::uint8_t> index;  // of every colour of the picture
};

void add_mean(Palette& palette, const std::vector<Counted>& colours, const Box& box) {
    std::array<long, 3> sum{};
    long count = 0;
    for (std::size_t i = box.begin; i < box.end; ++i) {
        for (std::size_t channel = 0; channel < 3; ++channel)
            sum[channel] += static_cast<long>(colours[i].rgb[channel]) * colours[i].count;
        count += colours[i].count;
        palette.index[colours[i].rgb] = static_cast<std::uint8_t>(palette.colours.size());
    }
    Rgb mean{};
    for (std::size_t channel = 0; channel < 3; ++channel)
        mean[channel] = static_cast<std::uint8_t>((sum[channel] + count / 2) / count);
    palette.colours.push_back(mean);
}

Palette choose_palette(const std::vector<Rgb>& pixels) {
    std::map<Rgb, int> counts;
    for (const Rgb& pixel : pixels) ++counts[pixel];
    std::vector<Counted> colours;
    colours.reserve(counts.size());
    for (const auto& [rgb, count] : counts) colours.push_back({rgb, count});
    std::vector<Box> boxes{measured(colours, 0, colours.size())};
    while (boxes.size() < kColours) {
        const auto widest = std::max_element(boxes.begin(), boxes.end(),
                                             [](const Box& a, const Box& b) { return a.range < b.range; });
        if (widest->range == 0) break;
        const Box box = *widest;
        const auto channel = static_cast<std::size_t>(box.channel);
        std::sort(colours.begin() + static_cast<std::ptrdiff_t>(box.begin),
                  colours.begin() + static_cast<std::ptrdiff_t>(box.end),
                  [channel](const Counted& a, const Counted& b) { return a.rgb[channel] < b.rgb[channel]; });
        const std::size_t cut = median(colours, box);
        *widest = measured(colours, box.begin, cut);
        boxes.push_back(measured(colours, cut, box.end));
    }
    Palette palette;
    for (const Box& box : boxes) add_mean(palette, colours, box);
    return palette;
}

// A character, or "!<count><character>" for several of it.
void add_run(std::string& text, char character, int count) {
    constexpr int kShortest = 4;
    if (count >= kShortest)
        text += "!" + std::to_string(count) + character;
    else
        text.append(static_cast<std::size_t>(count), character);
}

// Six rows: for each colour in them its columns of bits, the lowest bit on top.
void add_band(std::string& text, const std::vector<std::uint8_t>& indices, int width, int rows) {
    std::vector<bool> used(kColours, false);
    for (const std::uint8_t index : indices) used[index] = true;
    bool first = true;
    for (std::size_t colour = 0; colour < kColours; ++colour) {
        if (!used[colour]) continue;
        text += (first ? "#" : "$#") + std::to_string(colour);
        first = false;
        char run = 0;
        int length = 0;
        for (int x = 0; x < width; ++x) {
            int bits = 0;
            for (int y = 0; y < rows; ++y)
                if (indices[static_cast<std::size_t>(y) * static_cast<std::size_t>(width) +
                            static_cast<std::size_t>(x)] == colour)
                    bits |= 1 << y;
            const char character = static_cast<char>('?' + bits);
            if (length > 0 && character != run) {
                add_run(text, run, length);
                length = 0;
            }
            run = character;
            ++length;
        }
        add_run(text, run, length);
    }
    text += '-';
}

}  // namespace

std::string encode_sixels(const Image& image) {
    std::vector<Rgb> pixels(image.pixels.size() / 3);
    for (std::size_t i = 0; i < pixels.size(); ++i)
        for (std::size_t channel = 0; channel < 3; ++channel)
            pixels[i][channel] = image.pixels[i * 3 + channel];
    const Palette palette = choose_palette(pixels);
    // Pixels are square (1;1), and what is not drawn stays as it is (P2 = 1).
    std::string text = "\033P0;1q\"1;1;" + std::to_string(image.width) + ";" + std::to_string(image.height);
    for (std::size_t i = 0; i < palette.colours.size(); ++i) {
        text += "#" + std::to_string(i) + ";2";
        for (const std::uint8_t value : palette.colours[i])
            text += ";" + std::to_string((value * 100 + 127) / 255);
    }
    for (int top = 0; top < image.height; top += kBand) {
        const int rows = std::min(kBand, image.height - top);
        std::vector<std::uint8_t> indices;
        for (int i = top * image.width; i < (top + rows) * image.width; ++i)
            indices.push_back(palette.index.at(pixels[static_cast<std::size_t>(i)]));
        add_band(text, indices, image.width, rows);
    }
    return text + "\033\\";
}

}  // namespace sdxl
