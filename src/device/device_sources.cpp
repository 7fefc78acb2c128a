#include "device/device_sources.h"

#include <filesystem>
#include <fstream>
#include <system_error>

#include "backend/onednn/onednn_backend.h"
#include "backend/plugin_loader.h"
#include "backend/reference/reference_backend.h"
#include "core/error.h"
#include "core/file_stamp.h"

namespace sdxl {
namespace {

namespace fs = std::filesystem;

// Intel's graphics, which torch calls "xpu".
bool intel_graphics_there() {
    std::error_code ignored;
    for (fs::directory_iterator at("/dev/dri", ignored), end; at != end; at.increment(ignored)) {
        const std::string name = at->path().filename();
        if (!name.starts_with("renderD")) continue;
        std::string vendor;
        std::ifstream("/sys/class/drm/" + name + "/device/vendor") >> vendor;
        if (vendor == "0x8086") return true;
    }
    return false;
}

bool accelerator_there() {
#ifdef __APPLE__
    return true;
#else
    // NVIDIA's, AMD's and, under Windows' Linux, any.
    return is_there("/dev/nvidiactl") || is_there("/dev/nvidia0") || is_there("/dev/kfd") ||
           is_there("/dev/dxg") || intel_graphics_there();
#endif
}

std::unique_ptr<Backend> make_cpu_backend(const std::string& name) {
    if (name.empty() || name == "onednn") return make_onednn_backend();
    if (name == "reference") return make_reference_backend();
    fail(ErrorCode::kUnsupported,
         "backend '" + name + "' is not available: 'onednn', 'reference' or 'torch'");
}

}  // namespace

DeviceSources system_devices(const DeviceOptions& options) {
    return {accelerator_there,
            [path = options.torch_library]() -> BackendPlugin& {
                return load_backend_plugin(path.empty() ? kTorchPlugin : path);
            },
            make_cpu_backend};
}

}  // namespace sdxl
