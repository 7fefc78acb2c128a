// Transport: message lines in, answer lines out. Knows nothing of what the lines mean.
//
// One thread reads; any thread may write (a line is written whole before the next one begins).
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "core/error.h"

namespace sdxl {

class Transport {
  public:
    virtual ~Transport() = default;

    // Waits for the next line that is not blank, without its end; waits also while a host that does not read
    // its answers has many to read. Absent at the end of input, when the host is gone, and after interrupt()
    // once what had arrived by then is read. An error (kInvalidRequest) stands for a line that was too long;
    // reading goes on behind it.
    virtual std::optional<Result<std::string>> read_line() = 0;
    // Never waits. `line` holds no line break. What cannot be written any more (the host is gone) is dropped.
    virtual void write_line(std::string line) = 0;
    // So much waits to be read by the host that what is not owed to it should be left out.
    virtual bool congested() const = 0;
    // Ends the waiting of read_line(). Any thread.
    virtual void interrupt() = 0;
    // Nobody reads the answers any more.
    virtual bool host_gone() const = 0;
    // Waits until the host has everything, at most for `time`; true if it has.
    virtual bool flush_for(std::chrono::milliseconds time) = 0;
};

}  // namespace sdxl
