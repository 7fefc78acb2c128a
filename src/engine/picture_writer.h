// The last stage of a generation: encode the picture, name it, write it so that nothing half-written is ever
// seen.
#pragma once

#include <cstdint>
#include <string>

#include "engine/engine.h"
#include "image/image.h"
#include "request/generation.h"

namespace sdxl {

// Writes picture `index` of a request to its save_path, or to <output_dir>/<request id or
// date>_<seed>.<format>; pictures after the first get _<index> before the extension of a given save_path. A
// name of ours never replaces another picture, also not that of another process. PNG and JPEG carry the
// settings as text, in the form that the A1111 web UI writes. `so_far` says what was really used. A request
// with keep_pixels gets them, and a file only at its save_path. Fails with kIo naming the path,
// kInvalidRequest for one that confinement forbids.
GeneratedImage write_picture(const Image& image, const GenerationRequest& request,
                             const GenerationResult& so_far, std::uint64_t seed, int index,
                             const EngineConfig& config);

}  // namespace sdxl
