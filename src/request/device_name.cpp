#include "request/device_name.h"

#include <charconv>
#include <utility>

#include "request/normal_form.h"

namespace sdxl {
namespace {

constexpr std::size_t kLongestName = 64;  // bytes, of a name that can be known
constexpr int kMostDevices = 1024;

constexpr std::pair<std::string_view, std::string_view> kTypes[] = {{"cpu", "cpu"},
                                                                    {"gpu", "gpu"},
                                                                    {"cuda", "cuda"},
                                                                    {"rocm", "rocm"},
                                                                    {"hip", "rocm"},
                                                                    {"mps", "mps"},
                                                                    {"xpu", "xpu"},
                                                                    {"dml", "privateuseone"},
                                                                    {"directml", "privateuseone"},
                                                                    {"privateuseone", "privateuseone"},
                                                                    {"privateuse1", "privateuseone"},
                                                                    {"", "gpu"}};

// "" is the first; absent where it is no number of a device.
std::optional<int> index_in(std::string_view digits) {
    if (digits.empty()) return 0;
    int index = 0;
    const auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
    if (fault != std::errc{} || end != digits.data() + digits.size() || index < 0 || index >= kMostDevices)
        return std::nullopt;
    return index;
}

}  // namespace

std::optional<std::string> canonical_device(std::string_view name) {
    if (name.size() > kLongestName) return std::nullopt;
    const std::string folded = normal_form(name);
    if (folded.empty() || folded == "auto") return "";
    for (const auto& [known, type] : kTypes) {
        if (!folded.starts_with(known)) continue;
        std::string_view rest = std::string_view(folded).substr(known.size());
        if (rest.starts_with(':') && rest.size() > 1 && !known.empty()) rest.remove_prefix(1);
        const auto index = index_in(rest);
        if (!index) continue;
        const bool only_one = type == "cpu" || type == "mps";
        if (only_one && *index == 0) return std::string(type);
        return std::string(type) + ":" + std::to_string(*index);
    }
    return std::nullopt;
}

std::optional<int> gpu_number(std::string_view canonical) {
    constexpr std::string_view kGpu = "gpu:";
    if (!canonical.starts_with(kGpu)) return std::nullopt;
    return index_in(canonical.substr(kGpu.size()));
}

}  // namespace sdxl
