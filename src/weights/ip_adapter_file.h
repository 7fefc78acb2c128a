// An IP-Adapter on disk (Ye et al. 2023), in the layout of its authors: "image_proj.*", which makes tokens of
// what an image encoder saw, and "ip_adapter.N.to_k_ip.weight" and "to_v_ip.weight", which make keys and
// values of the tokens for the N-th attention of the UNet.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "weights/weight_scope.h"

namespace sdxl {

struct IpAdapterCheckpoint {
    std::filesystem::path path;
    WeightMap weights{"ip_adapter"};  // under the file's names
    std::vector<std::string> warnings;
};

// Opens a .safetensors file. Reads its header only. Fails with kNotFound, kUnsupported for another file
// format (a pickle) or for a kind of adapter that looks at faces, or kInvalidModel for a file that is broken
// or is no IP-Adapter (named).
IpAdapterCheckpoint open_ip_adapter(const std::filesystem::path& path);

}  // namespace sdxl
