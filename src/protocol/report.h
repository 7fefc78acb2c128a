// Report: everything that is found while one line is read, errors and warnings.
//
// Errors are kept in the order in which they are found and sorted afterwards by where they stand in the line.
// Both lists are bounded: a line of a million mistakes costs no million messages. One thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "protocol/message.h"

namespace sdxl {

class Report {
  public:
    void error(Finding finding);
    void error(ErrorCode code, std::string message, std::string pointer);
    // Something that must be there is not: `pointer` says in which object. Comes after what the object holds.
    void missing(std::string message, std::string pointer);
    // False once there are so many that more are only counted.
    bool wants_warnings() const;
    // The pointer stands at the start of the warning.
    void warn(std::string_view pointer, std::string_view what);
    // Takes over what was found in a part of the line.
    void add(Report part);

    bool ok() const { return findings_.empty(); }
    // By their place in `line`; at most 64.
    std::vector<Finding> findings(std::string_view line) const;
    std::vector<std::string> warnings() const;

    // The error that answers a request with these findings: the first, with the number of the others.
    static Error first_of(const std::vector<Finding>& findings);

  private:
    struct Entry {
        Finding finding;
        bool at_end = false;  // of the object that the pointer points at
    };
    void keep(Entry entry);

    std::vector<Entry> findings_;
    std::vector<std::string> warnings_;
    std::size_t warnings_left_out_ = 0;
};

}  // namespace sdxl
