// What the command line and the environment say of devices. Plain values.
#pragma once

#include <optional>
#include <string>

namespace sdxl {

struct DeviceOptions {
    std::string device = {};  // as requests name it; "": what the environment says, else the best
    std::string backend =
        {};                   // "onednn" or "reference" (the CPU alone), "torch" (every device); "": the best
    std::string gpu_id = {};  // GPU_ID, the number that a host gave this worker's device
    std::optional<std::string> visible = {};  // CUDA_VISIBLE_DEVICES
    std::string torch_library = {};           // libsdxl_torch.so; "": beside the program
    std::string device_library = {};          // brings a device type of its own (PyTorch's PrivateUse1)
    std::string profile_cache = {};           // file with measured rates; "": none is kept
};

}  // namespace sdxl
