// Pictures for terminals, read back by plain decoders of what a terminal does with the bytes.
#include "app/terminal_picture.h"

#include <gtest/gtest.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <map>
#include <thread>
#include <vector>

#include "app/sixel.h"
#include "child.h"
#include "core/base64.h"
#include "image/png.h"
#include "workplace.h"

namespace sdxl {
namespace {

using Rgb = std::array<int, 3>;
using Pixels = std::map<std::pair<int, int>, Rgb>;  // by (row, column)

// Every pixel another colour, when it has at most 256 of them.
Image some_picture(int width, int height) {
    Image image{width, height, 3, {}};
    for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x)
            for (const int value : {x * 251 / width, y * 241 / height, (x * 7 + y * 13) % 256})
                image.pixels.push_back(static_cast<std::uint8_t>(value));
    return image;
}

Rgb at(const Image& image, int y, int x) {
    const auto place = static_cast<std::size_t>(y * image.width + x) * 3;
    return {image.pixels[place], image.pixels[place + 1], image.pixels[place + 2]};
}

// The numbers at `place`, between semicolons; `place` is then behind them.
std::vector<int> numbers(const std::string& text, std::size_t& place) {
    std::vector<int> found{0};
    for (;
         place < text.size() && (std::isdigit(static_cast<unsigned char>(text[place])) || text[place] == ';');
         ++place) {
        if (text[place] == ';')
            found.push_back(0);
        else
            found.back() = found.back() * 10 + (text[place] - '0');
    }
    return found;
}

// DEC STD 070, 9: each character is a column of six bits, the lowest on top.
Pixels read_sixels(const std::string& text) {
    Pixels pixels;
    std::map<int, Rgb> registers;
    std::size_t place = text.find('q') + 1;
    int row = 0, column = 0, colour = 0;
    while (place < text.size() && text[place] != '\033') {
        const char character = text[place++];
        int count = 1;
        if (character == '"') {
            numbers(text, place);
        } else if (character == '#') {
            const auto found = numbers(text, place);
            colour = found[0];
            if (found.size() == 5 && found[1] == 2)
                registers[colour] = {found[2] * 255 / 100, found[3] * 255 / 100, found[4] * 255 / 100};
        } else if (character == '$') {
            column = 0;
        } else if (character == '-') {
            column = 0;
            row += 6;
        } else {
            char bits = character;
            if (character == '!') {
                count = numbers(text, place)[0];
                bits = text[place++];
            }
            EXPECT_TRUE(bits >= '?' && bits <= '~') << "character " << int{bits};
            for (; count > 0; --count, ++column)
                for (int bit = 0; bit < 6; ++bit)
                    if (((bits - '?') >> bit & 1) != 0) pixels[{row + bit, column}] = registers.at(colour);
        }
    }
    return pixels;
}

// Half blocks: the foreground is the upper pixel, the background the lower one.
Pixels read_blocks(const std::string& text) {
    Pixels pixels;
    std::map<int, Rgb> colours;  // 38 and 48
    int row = 0, column = 0;
    for (std::size_t place = 0; place < text.size();) {
        if (text.compare(place, 2, "\033[") == 0) {
            place += 2;
            const auto found = numbers(text, place);
            EXPECT_EQ(text[place++], 'm');
            if (found[0] == 0) colours.clear();
            for (std::size_t i = 0; i + 4 < found.size(); i += 5)
                colours[found[i]] = {found[i + 2], found[i + 3], found[i + 4]};
        } else if (text.compare(place, 3, "\u2580") == 0) {
            place += 3;
            pixels[{row, column}] = colours.at(38);
            if (colours.contains(48)) pixels[{row + 1, column}] = colours.at(48);
            ++column;
        } else {
            EXPECT_EQ(text[place++], '\n');
            row += 2;
            column = 0;
        }
    }
    return pixels;
}

Image read_kitty(const std::string& text) {
    std::string data;
    for (std::size_t place = 0; (place = text.find("\033_G", place)) != std::string::npos;) {
        const auto begin = text.find(';', place) + 1, end = text.find("\033\\", place);
        const std::string keys = text.substr(place + 3, begin - place - 3);
        EXPECT_LE(end - begin, 4096U);
        EXPECT_EQ(keys.find("a=T,f=100") != std::string::npos, data.empty()) << keys;
        const bool last = text.find("\033_G", end) == std::string::npos;
        EXPECT_NE(keys.find(last ? "m=0" : "m=1"), std::string::npos) << keys;
        data += text.substr(begin, end - begin);
        place = end;
    }
    return decode_png(decode_base64(data).value());
}

void expect_pixels(const Pixels& found, const Image& image, int tolerance) {
    ASSERT_EQ(found.size(), static_cast<std::size_t>(image.width * image.height));
    for (const auto& [place, rgb] : found)
        for (std::size_t channel = 0; channel < 3; ++channel)
            ASSERT_NEAR(rgb[channel], at(image, place.first, place.second)[channel], tolerance)
                << "row " << place.first << ", column " << place.second;
}

TEST(TerminalPicture, BlocksAreTwoPixelsACharacter) {
    for (const int height : {20, 21}) {  // the last row may have no lower pixel
        const Image image = some_picture(30, height);
        expect_pixels(read_blocks(terminal_picture(image, TerminalArt::kBlocks, {})), image, 0);
    }
}

TEST(TerminalPicture, BlocksFitTheWindow) {
    const auto found =
        read_blocks(terminal_picture(some_picture(300, 200), TerminalArt::kBlocks, {60, 24, 0, 0}));
    EXPECT_EQ(found.rbegin()->first, std::make_pair(39, 59)) << "60 columns in the picture's shape";
    const auto low =
        read_blocks(terminal_picture(some_picture(300, 200), TerminalArt::kBlocks, {200, 12, 0, 0}));
    EXPECT_EQ(low.rbegin()->first, std::make_pair(19, 29)) << "10 rows: two are left for the prompt";
}

TEST(TerminalPicture, SixelsKeepUpTo256Colours) {
    const Image image = some_picture(16, 15);
    expect_pixels(read_sixels(encode_sixels(image)), image, 3);  // a colour is told in hundredths
}

TEST(TerminalPicture, SixelsOfManyColoursAreNear) {
    expect_pixels(read_sixels(encode_sixels(some_picture(120, 90))), some_picture(120, 90), 50);
}

TEST(TerminalPicture, SmallPicturesAreEnlargedByAWholeFactor) {
    const Image image = some_picture(100, 50);
    const Image kitty = read_kitty(terminal_picture(image, TerminalArt::kKitty, {100, 50, 1000, 1000}));
    ASSERT_EQ(kitty.width, 300);
    ASSERT_EQ(kitty.height, 150);
    for (int y = 0; y < kitty.height; ++y)
        for (int x = 0; x < kitty.width; ++x) ASSERT_EQ(at(kitty, y, x), at(image, y / 3, x / 3));
    const auto sixels = read_sixels(terminal_picture(image, TerminalArt::kSixel, {100, 50, 250, 1000}));
    EXPECT_EQ(sixels.rbegin()->first, std::make_pair(99, 199)) << "no larger than the window";
}

TEST(TerminalPicture, LargePicturesAreShrunkToTheWindow) {
    const Image kitty =
        read_kitty(terminal_picture(some_picture(900, 450), TerminalArt::kKitty, {80, 24, 0, 0}));
    EXPECT_EQ(kitty.width, 640);  // 80 columns of 8 pixels
    EXPECT_EQ(kitty.height, 320);
}

TEST(TerminalPicture, AnswersTellWhatATerminalKnows) {
    EXPECT_EQ(read_terminal_answer("\033_Gi=31;OK\033\\\033[?62;4c"), TerminalArt::kKitty);
    EXPECT_EQ(read_terminal_answer("\033[?62;4;22c"), TerminalArt::kSixel);
    EXPECT_EQ(read_terminal_answer("\033[?4c"), TerminalArt::kSixel);
    EXPECT_EQ(read_terminal_answer("\033_Gi=31;ENOTSUPPORTED:no\033\\\033[?64;1;44c"), TerminalArt::kBlocks);
    EXPECT_EQ(read_terminal_answer("\033[?1;2c"), TerminalArt::kBlocks);
    EXPECT_EQ(read_terminal_answer(""), TerminalArt::kBlocks);
}

TEST(TerminalPicture, ATerminalIsAskedWithoutEcho) {
    int master = -1, slave = -1;
    ASSERT_EQ(::openpty(&master, &slave, nullptr, nullptr, nullptr), 0);
    std::string asked;
    std::thread terminal([&] {
        char bytes[256];
        while (asked.find("\033[c") == std::string::npos) {
            const ssize_t count = ::read(master, bytes, sizeof bytes);
            if (count <= 0) return;
            asked.append(bytes, static_cast<std::size_t>(count));
        }
        constexpr std::string_view kAnswer = "\033[?62;4;9c";
        EXPECT_EQ(::write(master, kAnswer.data(), 4), 4);  // in pieces
        EXPECT_EQ(::write(master, kAnswer.data() + 4, kAnswer.size() - 4),
                  static_cast<ssize_t>(kAnswer.size()) - 4);
    });
    EXPECT_EQ(ask_terminal(slave, 5000), TerminalArt::kSixel);
    terminal.join();
    EXPECT_EQ(asked, terminal_query());
    EXPECT_EQ(ask_terminal(slave, 20), TerminalArt::kBlocks) << "one that is silent";
    ::close(slave);
    ::close(master);
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    EXPECT_EQ(ask_terminal(pipe[0], 20), TerminalArt::kNone);
    ::close(pipe[0]);
    ::close(pipe[1]);
}

// The program on a terminal of its own that answers its query with `answer`; all that it wrote.
std::string written_to_terminal(const std::vector<std::string>& arguments, const char* no_color,
                                std::string_view answer) {
    int terminal = -1;
    const pid_t child = ::forkpty(&terminal, nullptr, nullptr, nullptr);
    if (child == 0) {
        ::setenv("TERM", "xterm", 1);
        ::setenv("NO_COLOR", no_color, 1);
        std::vector<char*> words;
        for (const auto& argument : arguments) words.push_back(const_cast<char*>(argument.c_str()));
        words.push_back(nullptr);
        ::execv(words[0], words.data());
        ::_exit(127);
    }
    std::string written;
    char bytes[4096];
    bool answered = false;
    for (ssize_t count = 0; (count = ::read(terminal, bytes, sizeof bytes)) > 0;) {
        written.append(bytes, static_cast<std::size_t>(count));
        if (answered || written.find(terminal_query()) == std::string::npos) continue;
        answered = true;
        EXPECT_EQ(::write(terminal, answer.data(), answer.size()), static_cast<ssize_t>(answer.size()));
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    ::close(terminal);
    EXPECT_EQ(status, 0) << written;
    return written;
}

TEST(TerminalPicture, TheProgramShowsOnTerminalsAlone) {
    const Workplace place(SDXL_FIXTURES);
    const std::string path = (place.folder() / "picture.png").string();
    const auto png = encode_png(some_picture(32, 32));
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(png.data()), static_cast<std::streamsize>(png.size()));
    const std::vector<std::string> show{SDXL_WORKER, "show", path};
    EXPECT_NE(written_to_terminal(show, "", "\033[?62;4c").find("\033P0;1q"), std::string::npos);
    EXPECT_NE(written_to_terminal(show, "", "\033_Gi=31;OK\033\\\033[?62c").find("\033_Ga=T"),
              std::string::npos);
    EXPECT_NE(written_to_terminal(show, "", "\033[?1;2c").find("\u2580"), std::string::npos);
    EXPECT_EQ(written_to_terminal(show, "1", ""), "");
    Child piped(show);
    EXPECT_EQ(piped.rest_of_output(), "");
    EXPECT_EQ(piped.wait(), 0);
    Child missing({SDXL_WORKER, "show", path + ".no"});
    EXPECT_NE(missing.rest_of_errors().find(path + ".no"), std::string::npos);
    EXPECT_EQ(missing.wait(), 1);
}

}  // namespace
}  // namespace sdxl
