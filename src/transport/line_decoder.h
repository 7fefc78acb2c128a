// LineDecoder: bytes in any portions to lines.
//
// Lines end in \n or \r\n; the last one may lack its end. A byte order mark before the first line and blank
// lines are skipped. A line longer than `max_line_bytes` is reported as an error and skipped to its end, in
// constant memory. One thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "core/error.h"

namespace sdxl {

class LineDecoder {
  public:
    explicit LineDecoder(std::size_t max_line_bytes) : max_line_bytes_(max_line_bytes) {}

    void feed(std::string_view bytes) { buffer_ += bytes; }
    // No more bytes will come: what is left is the last line.
    void end() { ended_ = true; }
    // The next line that is there whole, without its end; absent if more bytes are needed (or none are left).
    std::optional<Result<std::string>> next();

  private:
    std::optional<Result<std::string>> take(std::size_t end);
    void forget(std::size_t bytes);

    std::size_t max_line_bytes_;
    std::string buffer_;
    std::size_t begin_ = 0;    // of buffer_, where the next line starts
    std::size_t scanned_ = 0;  // of buffer_, up to here there is no line end
    bool too_long_ = false;    // the line being read is being skipped
    bool first_line_ = true;
    bool ended_ = false;
};

}  // namespace sdxl
