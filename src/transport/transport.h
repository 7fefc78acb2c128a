// Transport: message lines in, answer lines out. Knows nothing of what the lines mean.
//
// One thread reads; any thread may write (a line is written whole, and flushed, before the next one begins).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/error.h"

namespace sdxl {

class Transport {
  public:
    virtual ~Transport() = default;

    // Waits for the next line that is not blank, without its end. Absent at the end of input or after
    // interrupt(). An error (kInvalidRequest) stands for a line that was too long; reading goes on behind it.
    virtual std::optional<Result<std::string>> read_line() = 0;
    // `line` holds no line break. What cannot be written any more (the host is gone) is dropped.
    virtual void write_line(std::string_view line) = 0;
};

}  // namespace sdxl
