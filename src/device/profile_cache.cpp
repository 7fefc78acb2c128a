#include "device/profile_cache.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <span>
#include <system_error>
#include <utility>

#include "core/error.h"
#include "core/log.h"
#include "image/write_file.h"

namespace sdxl {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr const char* kFormat = "sdxl-worker device profile 1";
constexpr std::uintmax_t kMostBytes = 1U << 20U;
constexpr std::size_t kMostEntries = 256;

std::string text_in(const Json& entry, const char* name) {
    return entry.at(name).get<std::string>();
}

double rate_in(const Json& entry, const char* name) {
    const double rate = entry.at(name).get<double>();
    if (!std::isfinite(rate) || rate < 0) fail(ErrorCode::kIo, std::string(name) + " is no rate");
    return rate;
}

Json read_json(const fs::path& file) {
    if (fs::file_size(file) > kMostBytes) fail(ErrorCode::kIo, "it is too large to be one");
    std::ifstream stream(file, std::ios::binary);
    if (!stream) fail(ErrorCode::kIo, "it cannot be read");
    Json all = Json::parse(stream);
    if (all.at("format") != kFormat) fail(ErrorCode::kIo, "it is something else");
    if (all.at("profiles").size() > kMostEntries) fail(ErrorCode::kIo, "it has too many entries");
    return all;
}

}  // namespace

ProfileCache::ProfileCache(fs::path file) : file_(std::move(file)) {
    std::error_code ignored;
    if (file_.empty() || !fs::exists(file_, ignored)) return;
    try {
        const Json all = read_json(file_);
        for (const Json& entry : all.at("profiles"))
            entries_.push_back({{text_in(entry, "device"), text_in(entry, "name"), text_in(entry, "backend"),
                                 text_in(entry, "library")},
                                {rate_in(entry, "float32_tflops"), rate_in(entry, "sixteen_tflops"),
                                 rate_in(entry, "int8_tflops"), rate_in(entry, "bandwidth_gb_s")}});
    } catch (...) {
        entries_.clear();
        log_warning("the measured rates of devices in " + file_.string() + " are not used: " +
                    current_error().message + "; `sdxl-worker devices --profile` measures them again");
    }
}

std::optional<DeviceRates> ProfileCache::find(const ProfileKey& key) const {
    const auto found =
        std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) { return entry.key == key; });
    if (found == entries_.end()) return std::nullopt;
    return found->rates;
}

void ProfileCache::store(const ProfileKey& key, const DeviceRates& rates) {
    // Of one device and backend the last is kept: what other versions did is of no use.
    std::erase_if(entries_, [&](const Entry& entry) {
        return entry.key.device == key.device && entry.key.backend == key.backend;
    });
    if (entries_.size() >= kMostEntries) entries_.erase(entries_.begin());
    entries_.push_back({key, rates});
    if (file_.empty()) return;
    Json all = {{"format", kFormat}, {"profiles", Json::array()}};
    for (const Entry& entry : entries_)
        all["profiles"].push_back({{"device", entry.key.device},
                                   {"name", entry.key.name},
                                   {"backend", entry.key.backend},
                                   {"library", entry.key.library},
                                   {"float32_tflops", entry.rates.float32_tflops},
                                   {"sixteen_tflops", entry.rates.sixteen_tflops},
                                   {"int8_tflops", entry.rates.int8_tflops},
                                   {"bandwidth_gb_s", entry.rates.bandwidth_gb_s}});
    const std::string text = all.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
    try {
        write_file_atomically(file_, {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
    } catch (...) {
        log_warning("the measured rates of devices are not kept: " + current_error().message);
    }
}

}  // namespace sdxl
