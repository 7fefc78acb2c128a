// A picture as bytes for a terminal: by kitty's graphics protocol, as sixels, or as blocks of characters.
//
// Pure functions, but for ask_terminal; any thread. Sources: kitty's "Terminal graphics protocol"; DEC
// STD 070, chapter 9 (sixels); ECMA-48 with xterm's direct colours (blocks).
#pragma once

#include <string>
#include <string_view>

#include "image/image.h"

namespace sdxl {

enum class TerminalArt { kNone, kBlocks, kSixel, kKitty };

// Of the terminal's window; pixels are 0 where it does not say.
struct TerminalSize {
    int columns = 80, rows = 24;
    int width = 0, height = 0;  // pixels
};

// The picture, shrunk to what the window holds; small ones are enlarged by a whole factor where pixels are
// the terminal's own (sixel, kitty). Ends with a line break. REQUIRES: image.channels is 3, art is not kNone.
std::string terminal_picture(const Image& image, TerminalArt art, const TerminalSize& size);

// What asks a terminal whether it knows kitty's protocol and sixels, and what it answered: primary device
// attributes, which every terminal answers, come last. kBlocks where it says neither.
std::string_view terminal_query();
TerminalArt read_terminal_answer(std::string_view answer);

// Asks on a terminal's file descriptor, without echo, for at most `timeout_ms`. kBlocks for one that is
// silent, kNone for what is no terminal.
TerminalArt ask_terminal(int terminal, int timeout_ms);

}  // namespace sdxl
