// The entry points of libsdxl_torch.so: the only symbols it exports.
#include "backend/plugin.h"

#include <torch/version.h>

#include "backend/torch/devices.h"
#include "backend/torch/errors.h"
#include "backend/torch/torch_backend.h"
#include "core/error.h"

namespace sdxl::torch {
namespace {

class TorchPlugin final : public BackendPlugin {
  public:
    std::string description() const override { return "torch " TORCH_VERSION; }
    void load_device_library(const std::string& path) override {
        guarded("loading a device library", c10::kCPU, [&] { devices_.load_library(path); });
    }
    std::vector<DeviceInfo> devices() override {
        return guarded("listing devices", c10::kCPU, [&] { return devices_.list(); });
    }
    std::unique_ptr<Backend> open(const std::string& id) override {
        return guarded("opening a device", c10::kCPU, [&] {
            if (const auto device = devices_.find(id)) return make_torch_backend(*device, devices_);
            fail(ErrorCode::kUnsupported, description() + " has no device " + id);
        });
    }

  private:
    Devices devices_;
};

}  // namespace
}  // namespace sdxl::torch

extern "C" __attribute__((visibility("default"))) int sdxl_backend_plugin_abi() {
    return sdxl::kPluginAbi;
}

extern "C" __attribute__((visibility("default"))) sdxl::BackendPlugin* sdxl_backend_plugin() {
    static sdxl::torch::TorchPlugin plugin;
    return &plugin;
}
