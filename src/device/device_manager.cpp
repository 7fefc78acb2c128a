// Threading: every public method takes the mutex; the private ones expect it taken.
#include "device/device_manager.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "backend/onednn/onednn_backend.h"
#include "core/error.h"
#include "core/host.h"
#include "core/log.h"
#include "device/cpu_device.h"
#include "device/device_check.h"
#include "device/score.h"

namespace sdxl {
namespace {

constexpr const char* kCpu = "cpu";
constexpr const char* kTorch = "torch";
constexpr const char* kGone = "it no longer answers";

// The place of `number` in a list such as "2,3", as CUDA_VISIBLE_DEVICES has it.
std::optional<int> place_in(std::string_view list, int number) {
    for (int place = 0;; ++place) {
        const auto comma = list.find(',');
        const std::string_view item = list.substr(0, comma);
        int value = -1;
        const auto [end, fault] = std::from_chars(item.data(), item.data() + item.size(), value);
        if (fault == std::errc{} && end == item.data() + item.size() && value == number) return place;
        if (comma == std::string_view::npos) return std::nullopt;
        list.remove_prefix(comma + 1);
    }
}

// The same devices by another name: torch calls ROCm's "cuda".
std::string other_name(const std::string& name) {
    for (const auto& [from, to] : {std::pair{"rocm:", "cuda:"}, std::pair{"cuda:", "rocm:"}})
        if (name.starts_with(from)) return to + name.substr(std::string_view(from).size());
    return "";
}

}  // namespace

DeviceManager::DeviceManager(DeviceOptions options, DeviceSources sources)
    : options_(std::move(options)), sources_(std::move(sources)) {
    if (options_.backend != kTorch) {
        cpu_ = sources_.make_cpu_backend(options_.backend);
        devices_.push_back({cpu_device(*cpu_)});
    }
    if (options_.backend == kTorch || !options_.device_library.empty()) load_library();
}

bool DeviceManager::cpu_only() const {
    return !options_.backend.empty() && options_.backend != kTorch;
}

DeviceState* DeviceManager::at(std::string_view id) {
    const auto found = std::find_if(devices_.begin(), devices_.end(),
                                    [&](const DeviceState& device) { return device.info.id == id; });
    return found == devices_.end() ? nullptr : &*found;
}

std::vector<DeviceState*> DeviceManager::accelerators() {
    std::vector<DeviceState*> found;
    for (DeviceState& device : devices_)
        if (device.info.type != kCpu) found.push_back(&device);
    return found;
}

void DeviceManager::load_library() {
    if (plugin_ != nullptr) return;
    if (!no_library_.empty()) fail(ErrorCode::kUnsupported, no_library_);
    try {
        BackendPlugin& plugin = sources_.load_plugin();
        if (!options_.device_library.empty()) plugin.load_device_library(options_.device_library);
        plugin_ = &plugin;
        ask_library();
    } catch (...) {
        plugin_ = nullptr;
        no_library_ = current_error().message;
        throw;
    }
}

// Takes over what the library says now.
void DeviceManager::ask_library() {
    const auto listed = plugin_->devices();
    for (DeviceState* device : accelerators())
        if (std::none_of(listed.begin(), listed.end(),
                         [&](const DeviceInfo& info) { return info.id == device->info.id; }))
            device->fault = kGone;
    for (const DeviceInfo& info : listed) {
        if (info.type == kCpu && options_.backend != kTorch) continue;  // oneDNN's is faster
        if (DeviceState* known = at(info.id)) {
            known->info = info;
            if (known->fault == kGone) known->fault.clear();
        } else {
            devices_.push_back({info});
        }
    }
    rate();
}

std::string DeviceManager::find_all() {
    const std::lock_guard lock(mutex_);
    std::string reason = wanted();
    rate();
    return reason;
}

// Loads the library where it may be used; "" or why not.
std::string DeviceManager::wanted() {
    if (cpu_only()) return "the backend '" + options_.backend + "' runs on the CPU alone";
    try {
        load_library();
        return "";
    } catch (...) {
        return current_error().message;
    }
}

std::vector<DeviceState> DeviceManager::devices() const {
    const std::lock_guard lock(mutex_);
    return devices_;
}

std::vector<DeviceState> DeviceManager::refresh() {
    const std::lock_guard lock(mutex_);
    if (DeviceState* cpu = at(kCpu)) {
        const HostMemory memory = host_memory();
        cpu->info.memory = {memory.total_bytes, memory.available_bytes};
    }
    if (plugin_ == nullptr) return devices_;
    try {
        ask_library();
    } catch (...) {
        for (DeviceState* device : accelerators()) device->fault = current_error().message;
    }
    return devices_;
}

void DeviceManager::fail_unknown(const std::string& name, const std::string& pointer) {
    std::string message = "device '" + name + "' is not there: this machine has ";
    for (std::size_t i = 0; i < devices_.size(); ++i) message += (i > 0 ? ", " : "") + devices_[i].info.id;
    if (cpu_only()) {
        message += ", and the backend '" + options_.backend + "' runs on the CPU alone";
    } else if (!no_library_.empty()) {
        message += "; others need the torch backend: " + no_library_;
    }
    fail(ErrorCode::kUnsupported, message, pointer);
}

// The device that a host calls by this number; null if there is none.
DeviceState* DeviceManager::of_host(int number) {
    const auto found = accelerators();
    // Of the devices that it made visible, the library counts from 0.
    int place = number;
    if (options_.visible) place = place_in(*options_.visible, number).value_or(number);
    const auto index = static_cast<std::size_t>(place);
    return index < found.size() ? found[index] : nullptr;
}

std::string DeviceManager::resolve(const std::string& name, const std::string& own, std::string& warning) {
    if (name.empty()) return own;
    if (const auto number = gpu_number(name)) {
        const bool assigned = canonical_device(options_.gpu_id) == name && !options_.gpu_id.empty();
        if (sources_.accelerator_there()) wanted();
        if (accelerators().empty()) {
            if (*number != 0 && !assigned) return "";
            warning = "means this worker's device, which is the CPU: there is no GPU that it could use";
            return own;
        }
        if (assigned && own != kCpu) return own;
        const DeviceState* device = of_host(*number);
        return device != nullptr ? device->info.id : "";
    }
    for (int attempt = 0; attempt < 2; ++attempt) {
        if (at(name) != nullptr) return name;
        if (const DeviceState* device = at(other_name(name));
            device != nullptr && (device->info.type == "rocm" || name.starts_with("cuda")))
            return device->info.id;
        if (attempt == 0 && name != kCpu) wanted();
    }
    return "";
}

DeviceManager::Found DeviceManager::find(const DeviceChoice& choice, const std::string& own) {
    const std::lock_guard lock(mutex_);
    Found found;
    found.id = resolve(choice.name, own, found.warning);
    if (found.id.empty()) fail_unknown(choice.name, choice.pointer);
    return found;
}

DeviceManager::Opened DeviceManager::open_default() {
    const std::lock_guard lock(mutex_);
    std::string ignored;
    if (!options_.device.empty()) {
        const auto name = canonical_device(options_.device);
        if (!name)
            fail(ErrorCode::kInvalidRequest,
                 "expected a device (" + std::string(kDeviceNames) + "), found '" + options_.device + "'");
        const std::string id = resolve(*name, kCpu, ignored);
        if (id.empty()) fail_unknown(*name, "");
        if (!name->empty()) return open_checked(id);
    }
    if (!cpu_only() && sources_.accelerator_there())
        if (const auto reason = wanted(); !reason.empty())
            log_info("this machine seems to have an accelerator that is not used: " + reason);
    const bool any = !accelerators().empty();
    if (!options_.gpu_id.empty() && !any)
        log_warning("GPU_ID=" + options_.gpu_id + ": there is no GPU that could be used, this is the CPU");
    if (!options_.gpu_id.empty() && any) {
        const auto name = canonical_device(options_.gpu_id);
        if (!name)
            fail(ErrorCode::kInvalidRequest,
                 "expected a number of a device in GPU_ID, found '" + options_.gpu_id + "'");
        const auto number = gpu_number(*name);
        const DeviceState* device = number ? of_host(*number) : at(*name);
        if (device != nullptr) return open_checked(device->info.id);
        if (!options_.visible) fail_unknown(*name, "");  // else the host counts otherwise: the best of them
    }
    while (true) {
        const DeviceState* best = nullptr;
        for (const DeviceState& device : devices_) {
            if (!device.fault.empty()) continue;
            const auto rank = [](const DeviceState& one) {
                return std::pair(one.score, one.info.memory.total_bytes);
            };
            if (best == nullptr || rank(device) > rank(*best)) best = &device;
        }
        if (best == nullptr) fail(ErrorCode::kUnsupported, "no device of this machine works");
        const std::string id = best->info.id;
        try {
            return open_checked(id);
        } catch (const Failure& failure) {
            log_warning(failure.error().message);
            if (at(id)->fault.empty()) at(id)->fault = failure.error().message;
        }
    }
}

DeviceManager::Opened DeviceManager::open(const std::string& id) {
    const std::lock_guard lock(mutex_);
    return open_checked(id);
}

std::unique_ptr<Backend> DeviceManager::make_backend(const std::string& id) {
    if (id == kCpu && options_.backend != kTorch)
        return cpu_ ? std::move(cpu_) : sources_.make_cpu_backend(options_.backend);
    return plugin_->open(id);
}

DeviceManager::Opened DeviceManager::open_checked(const std::string& id) {
    DeviceState* device = at(id);
    if (device == nullptr) fail_unknown(id, "");
    auto backend = make_backend(id);
    if (device->info.type != kCpu) {
        device->fault = find_fault(*backend);
        if (!device->fault.empty())
            fail(ErrorCode::kInternal,
                 "device '" + id + "' (" + device->info.name + ") does not work: " + device->fault);
    }
    return {device->info, std::move(backend)};
}

void DeviceManager::set_fault(const std::string& id, const std::string& fault) {
    const std::lock_guard lock(mutex_);
    DeviceState* device = at(id);
    if (device == nullptr || device->fault == fault) return;
    device->fault = fault;
    log_warning("device '" + id + "' " + (fault.empty() ? "works again" : "does not work: " + fault));
}

ProfileKey DeviceManager::key_of(const DeviceInfo& device) const {
    std::string library = plugin_ != nullptr && device.backend == kTorch ? plugin_->description() : "";
    if (device.backend == "onednn") library = onednn_description();
    return {device.id, device.name, device.backend, library};
}

// Takes over what was measured before, and what follows from it.
void DeviceManager::rate() {
    if (!profiles_) profiles_.emplace(options_.profile_cache);
    for (DeviceState& device : devices_) device.rates = profiles_->find(key_of(device.info));
    const DeviceState* cpu = at(kCpu);
    for (DeviceState& device : devices_)
        device.score = performance_score(device.info, device.rates,
                                         cpu != nullptr ? cpu->rates : std::optional<DeviceRates>());
}

DeviceRates DeviceManager::profile(const std::string& id, bool anew) {
    const std::lock_guard lock(mutex_);
    rate();
    const DeviceState* device = at(id);
    if (device == nullptr) fail_unknown(id, "");
    if (device->rates && !anew) return *device->rates;
    const DeviceRates rates = measure_rates(*make_backend(id));
    profiles_->store(key_of(device->info), rates);
    rate();
    return rates;
}

}  // namespace sdxl
