// The machine's devices: which there are, how fast they are and whether they do what they should.
//
// The CPU is there at once. Others come out of a library that is heavy to load, so that it is loaded only
// when it is asked for: by a name that is not the CPU's, by find_all(), or to pick the best where the machine
// seems to have an accelerator. Ids are those of DeviceInfo.
//
// Threads: any; calls wait for each other. A Backend that open() gave away belongs to its taker. Errors:
// Failure; kUnsupported for a device that is not there, with the ids of those that are.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backend/backend.h"
#include "backend/device_info.h"
#include "backend/plugin.h"
#include "device/device_options.h"
#include "device/device_sources.h"
#include "device/measure.h"
#include "device/profile_cache.h"
#include "request/device_name.h"

namespace sdxl {

struct DeviceState {
    DeviceInfo info;
    double score = 1;  // see score.h
    std::optional<DeviceRates> rates = {};
    std::string fault = {};  // why it is not used by itself, "" if it is well
};

class DeviceManager {
  public:
    DeviceManager(DeviceOptions options, DeviceSources sources);

    // Those known by now, as they were when they were last asked.
    std::vector<DeviceState> devices() const;
    // The same, once each has been asked for its memory. One that no longer answers has a fault.
    std::vector<DeviceState> refresh();
    // Loads the library that knows more than the CPU, if that is there, and asks it. "" or why there is none.
    std::string find_all();

    struct Opened {
        DeviceInfo info;
        std::unique_ptr<Backend> backend;
    };
    // What the options name, else the best that is well. One that is not the CPU is checked first.
    Opened open_default();
    // Fails with kInternal where the device does not compute what it should.
    Opened open(const std::string& id);

    struct Found {
        std::string id;
        std::string warning;  // for who asked, ""
    };
    // The device that a request means. `own` is the one of its worker.
    Found find(const DeviceChoice& choice, const std::string& own);

    // What a check found, "" for nothing.
    void set_fault(const std::string& id, const std::string& fault);
    // Measures the device, or finds in the cache what was measured before, unless `anew`.
    DeviceRates profile(const std::string& id, bool anew);

  private:
    void load_library();
    void ask_library();
    bool cpu_only() const;
    DeviceState* at(std::string_view id);
    std::vector<DeviceState*> accelerators();
    DeviceState* of_host(int number);
    std::string resolve(const std::string& name, const std::string& own, std::string& warning);
    Opened open_checked(const std::string& id);
    std::unique_ptr<Backend> make_backend(const std::string& id);
    ProfileKey key_of(const DeviceInfo& device) const;
    void rate();
    std::string wanted();
    [[noreturn]] void fail_unknown(const std::string& name, const std::string& pointer);

    DeviceOptions options_;
    DeviceSources sources_;
    mutable std::mutex mutex_;
    std::vector<DeviceState> devices_;  // the CPU first
    std::unique_ptr<Backend> cpu_;      // until somebody takes it
    std::optional<ProfileCache> profiles_;
    BackendPlugin* plugin_ = nullptr;
    std::string no_library_;  // why there is none; "" if it was not tried, or is there
};

}  // namespace sdxl
