// Pictures for a person's eyes: `sdxl-worker show`, `sdxl-worker generate --show`.
#pragma once

#include <string>
#include <vector>

namespace sdxl {

// Draws picture files on stdout if that is a terminal that takes pictures or colours (terminal_picture.h);
// writes nothing else, and nothing at all where NO_COLOR is set or TERM is dumb. Returns the process's exit
// status. Fails with Failure for a file that is no picture.
int show_pictures(const std::vector<std::string>& paths);

}  // namespace sdxl
