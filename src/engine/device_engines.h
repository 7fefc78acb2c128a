// One engine for each device that is used, behind a single Engine: a request runs on the device that it
// names, else on this worker's own. An engine is made when the first request names its device.
//
// Threads: as Engine. A request for a device that is not there, or does not work, is answered at once, with
// what there is. After an error that may be the device's own (kInternal, kOutOfMemory) it is checked between
// two steps; while that finds something wrong, requests for it are refused and it is checked again for each.
// Unloading and cleaning up concern all devices that are used.
#pragma once

#include <memory>

#include "device/device_manager.h"
#include "engine/engine.h"

namespace sdxl {

// The worker's own device is open when this returns. Fails as DeviceManager::open_default does.
std::unique_ptr<Engine> make_engines(const EngineConfig& config, DeviceSources sources);

// On the devices of this machine.
std::unique_ptr<Engine> make_engine(const EngineConfig& config);

}  // namespace sdxl
