// The largest error of each op on each backend, as a table in Markdown: backend_test --table FILE.
#pragma once

#include <map>
#include <string>

namespace sdxl {

class ParityTable {
  public:
    static ParityTable& instance();

    // Keeps what comes closest to its limit.
    void add(const std::string& op, const std::string& backend, double error, double limit);
    // False if the file cannot be written.
    bool write(const std::string& path) const;

  private:
    struct Entry {
        double error = 0, limit = 0;
    };
    std::map<std::string, std::map<std::string, Entry>> rows_;  // op, then backend
};

}  // namespace sdxl
