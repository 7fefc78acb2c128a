#include "app/show.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string_view>

#include "app/terminal_picture.h"
#include "core/error.h"
#include "image/read_image.h"

namespace sdxl {
namespace {

Image read_picture_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) fail(ErrorCode::kNotFound, "cannot read the picture '" + path + "'");
    return decode_image(std::vector<std::uint8_t>{std::istreambuf_iterator<char>(file), {}});
}

// https://no-color.org: set and not empty.
bool wants_no_pictures() {
    const char* no_color = std::getenv("NO_COLOR");
    const char* terminal = std::getenv("TERM");
    return (no_color != nullptr && *no_color != '\0') ||
           (terminal != nullptr && std::string_view(terminal) == "dumb");
}

TerminalArt art_of_stdout() {
    constexpr int kTimeoutMs = 400;
    if (::isatty(STDOUT_FILENO) == 0 || wants_no_pictures()) return TerminalArt::kNone;
    const int terminal = ::open("/dev/tty", O_RDWR | O_CLOEXEC);
    if (terminal < 0) return TerminalArt::kBlocks;
    const TerminalArt art = ask_terminal(terminal, kTimeoutMs);
    ::close(terminal);
    return art == TerminalArt::kNone ? TerminalArt::kBlocks : art;
}

TerminalSize size_of_stdout() {
    winsize window{};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) != 0 || window.ws_col == 0 || window.ws_row == 0)
        return {};
    return {window.ws_col, window.ws_row, window.ws_xpixel, window.ws_ypixel};
}

}  // namespace

int show_pictures(const std::vector<std::string>& paths) {
    std::fflush(stdout);
    const TerminalArt art = art_of_stdout();
    for (const std::string& path : paths) {
        const Image image = read_picture_file(path);
        if (art == TerminalArt::kNone) continue;
        const std::string bytes = terminal_picture(image, art, size_of_stdout());
        std::fwrite(bytes.data(), 1, bytes.size(), stdout);
    }
    std::fflush(stdout);
    return 0;
}

}  // namespace sdxl
