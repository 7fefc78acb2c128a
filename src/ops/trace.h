// Where the time of a network goes: every op by name and shapes, with its work and its seconds.
//
// Operations are counted as the products' multiplications and additions: 2 M N K for a product or
// convolution, 4 N Lq Lk C for attention, one for each element elsewhere. Bytes are those of the inputs and
// outputs, without weights. Threads: belongs to the thread that runs the network.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace sdxl {

class Trace {
  public:
    struct Cost {
        std::uint64_t operations = 0;
        std::uint64_t bytes = 0;
    };
    struct Entry {
        std::string op;
        std::string shapes;
        std::uint64_t count = 0;
        std::uint64_t operations = 0;
        std::uint64_t bytes = 0;
        double seconds = 0.0;
    };

    void record(std::string op, std::string shapes, Cost cost, double seconds);
    // Entries with the most seconds first, at most `count` of them.
    std::vector<Entry> top(std::size_t count) const;
    // Sums over everything recorded; op and shapes are empty.
    Entry total() const;
    void clear() { entries_.clear(); }

  private:
    std::map<std::pair<std::string, std::string>, Entry> entries_;
};

}  // namespace sdxl
