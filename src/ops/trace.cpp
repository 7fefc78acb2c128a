#include "ops/trace.h"

#include <algorithm>

namespace sdxl {
namespace {

void add_to(Trace::Entry& sum, const Trace::Entry& more) {
    sum.count += more.count;
    sum.operations += more.operations;
    sum.bytes += more.bytes;
    sum.seconds += more.seconds;
}

}  // namespace

void Trace::record(std::string op, std::string shapes, Cost cost, double seconds) {
    Entry& entry = entries_[{op, shapes}];
    if (entry.count == 0) {
        entry.op = std::move(op);
        entry.shapes = std::move(shapes);
    }
    add_to(entry, {"", "", 1, cost.operations, cost.bytes, seconds});
}

std::vector<Trace::Entry> Trace::top(std::size_t count) const {
    std::vector<Entry> entries;
    for (const auto& [key, entry] : entries_) entries.push_back(entry);
    std::sort(entries.begin(), entries.end(),
              [](const Entry& a, const Entry& b) { return a.seconds > b.seconds; });
    if (entries.size() > count) entries.resize(count);
    return entries;
}

Trace::Entry Trace::total() const {
    Entry sum;
    for (const auto& [key, entry] : entries_) add_to(sum, entry);
    return sum;
}

}  // namespace sdxl
