// The file that measured rates are kept in, so that devices need not be measured again at each start.
//
// A rate belongs to a device, its name, its backend and the library's version: with another of them it is
// not found. Threads: one at a time; processes may share a file, the last to write it wins.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "device/measure.h"

namespace sdxl {

struct ProfileKey {
    std::string device;  // id
    std::string name;
    std::string backend;
    std::string library;  // with its version

    bool operator==(const ProfileKey&) const = default;
};

class ProfileCache {
  public:
    // What `file` holds; nothing, with a warning in the log, where it is damaged or something else. "" keeps
    // nothing.
    explicit ProfileCache(std::filesystem::path file);

    std::optional<DeviceRates> find(const ProfileKey& key) const;
    // Writes the file. Where that fails it is said in the log: nothing else is lost.
    void store(const ProfileKey& key, const DeviceRates& rates);

  private:
    struct Entry {
        ProfileKey key;
        DeviceRates rates;
    };
    std::filesystem::path file_;
    std::vector<Entry> entries_;
};

}  // namespace sdxl
