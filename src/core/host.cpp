#include "core/host.h"

#include <fstream>
#include <iterator>
#include <sstream>
#include <string_view>
#include <thread>

namespace sdxl {
namespace {

// The number behind "<key>:" in a /proc file that counts in kB, as bytes.
std::uint64_t proc_bytes(const char* path, std::string_view key) {
    std::ifstream file(path);
    std::string line;
    while (std::getline(file, line)) {
        if (line.size() <= key.size() || line.compare(0, key.size(), key) != 0 || line[key.size()] != ':')
            continue;
        std::istringstream rest(line.substr(key.size() + 1));
        std::uint64_t kilobytes = 0;
        rest >> kilobytes;
        return kilobytes * 1024;
    }
    return 0;
}

}  // namespace

HostMemory host_memory() {
    return {proc_bytes("/proc/meminfo", "MemTotal"), proc_bytes("/proc/meminfo", "MemAvailable")};
}

ProcessMemory process_memory() {
    return {proc_bytes("/proc/self/status", "VmRSS"), proc_bytes("/proc/self/status", "VmHWM")};
}

bool reset_peak_memory() {
    std::ofstream file("/proc/self/clear_refs");
    file << "5" << std::flush;
    return file.good();
}

std::string processor_name() {
    std::ifstream file("/proc/cpuinfo");
    std::string line;
    while (std::getline(file, line)) {
        if (line.compare(0, 10, "model name") != 0) continue;
        const auto colon = line.find(": ");
        if (colon != std::string::npos) return line.substr(colon + 2);
    }
    return "";
}

std::vector<std::string> processor_flags() {
    std::ifstream file("/proc/cpuinfo");
    std::string line;
    while (std::getline(file, line)) {
        if (!line.starts_with("flags") && !line.starts_with("Features")) continue;  // x86, Arm
        const auto colon = line.find(':');
        if (colon == std::string::npos) continue;
        std::istringstream rest(line.substr(colon + 1));
        return {std::istream_iterator<std::string>(rest), {}};
    }
    return {};
}

int processor_count() {
    const auto count = static_cast<int>(std::thread::hardware_concurrency());
    return count > 0 ? count : 1;
}

}  // namespace sdxl
