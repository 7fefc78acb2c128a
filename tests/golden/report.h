// Prints one line per case and a summary, and knows the exit status: nothing is passed over in silence.
#pragma once

#include <string>
#include <string_view>

namespace sdxl::golden {

class Report {
  public:
    // "ok   <name>  <error>  (limit <limit>)", or FAIL where the error is above the limit or not a number.
    void compare(std::string_view name, double error, double limit, std::string_view note = "");
    // A case that could not be compared at all.
    void fail(std::string_view name, std::string_view why);
    // A case for something that is not built; not a pass.
    void not_covered(std::string_view name, std::string_view why);

    // Prints the summary. 0 where cases ran and none failed, else 1.
    int finish() const;

  private:
    int passed_ = 0, failed_ = 0, not_covered_ = 0;
};

}  // namespace sdxl::golden
