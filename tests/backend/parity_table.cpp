#include "parity_table.h"

#include <cstdio>
#include <fstream>

#include "backends_under_test.h"

namespace sdxl {
namespace {

std::string short_number(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1e", value);
    return text;
}

}  // namespace

ParityTable& ParityTable::instance() {
    static ParityTable table;
    return table;
}

void ParityTable::add(const std::string& op, const std::string& backend, double error, double limit) {
    Entry& entry = rows_[op][backend];
    if (entry.limit == 0 || !(error / limit <= entry.error / entry.limit)) entry = {error, limit};
}

bool ParityTable::write(const std::string& path) const {
    std::ofstream file(path);
    std::string header = "| op |", line = "|---|";
    for (const BackendCase& backend : backends_under_test()) {
        header += " " + backend.name + " |";
        line += "---|";
    }
    file << header << '\n' << line << '\n';
    for (const auto& [op, backends] : rows_) {
        file << "| " << op << " |";
        for (const BackendCase& backend : backends_under_test()) {
            const auto found = backends.find(backend.name);
            if (found == backends.end()) {
                file << " not run |";
            } else {
                file << ' ' << short_number(found->second.error) << " (" << short_number(found->second.limit)
                     << ") |";
            }
        }
        file << '\n';
    }
    return static_cast<bool>(file.flush());
}

}  // namespace sdxl
