#include "app/terminal_picture.h"

#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "app/sixel.h"
#include "core/base64.h"
#include "image/png.h"
#include "image/resize.h"

namespace sdxl {
namespace {

constexpr int kEnlargedSide = 384;                       // small pictures are enlarged to at most that
constexpr int kPixelsPerColumn = 8, kPixelsPerRow = 16;  // of terminals that do not say how large they are

struct Size {
    int width = 0, height = 0;
};

// The largest size of the picture's shape within `most`.
Size fitted(const Image& image, Size most) {
    const double scale = std::min({1.0, static_cast<double>(most.width) / image.width,
                                   static_cast<double>(most.height) / image.height});
    return {std::max(1, static_cast<int>(image.width * scale)),
            std::max(1, static_cast<int>(image.height * scale))};
}

Image repeat_pixels(const Image& image, int factor) {
    Image large{image.width * factor, image.height * factor, 3, {}};
    large.pixels.reserve(image.pixels.size() * static_cast<std::size_t>(factor) * factor);
    for (int y = 0; y < large.height; ++y)
        for (int x = 0; x < large.width; ++x) {
            const auto at =
                image.pixels.begin() + static_cast<std::ptrdiff_t>(y / factor * image.width + x / factor) * 3;
            large.pixels.insert(large.pixels.end(), at, at + 3);
        }
    return large;
}

// For a terminal that has pixels: the prompt's line stays in sight.
Image in_pixels(const Image& image, const TerminalSize& size) {
    const bool known = size.width > 0 && size.height > 0;
    const int width = known ? size.width : size.columns * kPixelsPerColumn;
    const int height = known ? size.height : size.rows * kPixelsPerRow;
    const Size most{width, std::max(1, height - height / std::max(1, size.rows) * 2)};
    const int room = std::min({kEnlargedSide / std::max(image.width, image.height), most.width / image.width,
                               most.height / image.height});
    if (room > 1) return repeat_pixels(image, room);
    const Size fit = fitted(image, most);
    return resize_image(image, fit.width, fit.height, ResizeMode::kStretch);
}

// A direct colour of the foreground (38) or the background (48).
std::string colour(int which, const std::uint8_t* rgb) {
    std::string text = "\033[" + std::to_string(which) + ";2";
    for (int channel = 0; channel < 3; ++channel) text += ";" + std::to_string(rgb[channel]);
    return text + "m";
}

// Two pixels a character: the upper half block has the upper one's colour on that of the lower.
std::string as_blocks(const Image& image, const TerminalSize& size) {
    const Size fit = fitted(image, {size.columns, std::max(1, size.rows - 2) * 2});
    const Image small = resize_image(image, fit.width, fit.height, ResizeMode::kStretch);
    const auto row_bytes = static_cast<std::size_t>(small.width) * 3;
    std::string text;
    for (int y = 0; y < small.height; y += 2) {
        const std::uint8_t* upper = small.pixels.data() + static_cast<std::size_t>(y) * row_bytes;
        const bool has_lower = y + 1 < small.height;
        std::string before;
        for (int x = 0; x < small.width; ++x, upper += 3) {
            std::string colours = colour(38, upper);
            if (has_lower) colours += colour(48, upper + row_bytes);
            if (colours != before) text += colours;
            before = colours;
            text += "\u2580";
        }
        text += "\033[0m\n";
    }
    return text;
}

// A PNG file in pieces of at most 4096 characters: a=T shows what it transmits, q=2 asks for no answer.
std::string as_kitty(const Image& image) {
    constexpr std::size_t kPiece = 4096;
    const std::string data = encode_base64(encode_png(image));
    std::string text;
    for (std::size_t at = 0; at < data.size(); at += kPiece) {
        const bool more = at + kPiece < data.size();
        text += std::string("\033_G") + (at == 0 ? "a=T,f=100,q=2," : "") + (more ? "m=1;" : "m=0;") +
                data.substr(at, kPiece) + "\033\\";
    }
    return text + "\n";
}

}  // namespace

std::string terminal_picture(const Image& image, TerminalArt art, const TerminalSize& size) {
    if (art == TerminalArt::kKitty) return as_kitty(in_pixels(image, size));
    if (art == TerminalArt::kSixel) return encode_sixels(in_pixels(image, size)) + "\n";
    return as_blocks(image, size);
}

std::string_view terminal_query() {
    // One pixel that is not to be shown, then primary device attributes.
    return "\033_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\033\\\033[c";
}

TerminalArt read_terminal_answer(std::string_view answer) {
    if (answer.find("\033_Gi=31;OK") != std::string_view::npos) return TerminalArt::kKitty;
    // CSI ? 62 ; 4 ; ... c: 4 among the attributes is sixel graphics.
    const auto begin = answer.find("\033[?");
    if (begin == std::string_view::npos) return TerminalArt::kBlocks;
    std::string_view list = answer.substr(begin + 3);
    list = list.substr(0, list.find('c'));
    while (!list.empty()) {
        const auto end = list.find(';');
        if (list.substr(0, end) == "4") return TerminalArt::kSixel;
        list = end == std::string_view::npos ? std::string_view{} : list.substr(end + 1);
    }
    return TerminalArt::kBlocks;
}

TerminalArt ask_terminal(int terminal, int timeout_ms) {
    termios before{};
    if (::tcgetattr(terminal, &before) != 0) return TerminalArt::kNone;
    termios raw = before;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    ::tcsetattr(terminal, TCSANOW, &raw);
    std::string answer;
    const std::string_view query = terminal_query();
    if (::write(terminal, query.data(), query.size()) == static_cast<ssize_t>(query.size())) {
        using Clock = std::chrono::steady_clock;
        const auto end = Clock::now() + std::chrono::milliseconds(timeout_ms);
        while (answer.find("\033[?") == std::string::npos || answer.back() != 'c') {
            const auto left =
                std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
            pollfd readable{terminal, POLLIN, 0};
            if (left <= 0 || ::poll(&readable, 1, static_cast<int>(left)) <= 0) break;
            char bytes[256];
            const ssize_t count = ::read(terminal, bytes, sizeof bytes);
            if (count <= 0) break;
            answer.append(bytes, static_cast<std::size_t>(count));
        }
    }
    ::tcsetattr(terminal, TCSAFLUSH, &before);
    return read_terminal_answer(answer);
}

}  // namespace sdxl
