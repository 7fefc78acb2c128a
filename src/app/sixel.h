// A picture as DEC's sixels, which terminals draw between their lines. Pure function: any thread.
#pragma once

#include <string>

#include "image/image.h"

namespace sdxl {

// At most 256 colours, chosen by median cut (Heckbert 1982); a picture of fewer keeps them, to the hundredth
// that the format has. REQUIRES: image.channels is 3, it is not empty.
std::string encode_sixels(const Image& image);

}  // namespace sdxl
