// Reference images: pictures that a generation is shown beside its prompt (IP-Adapter, Ye et al. 2023).
//
// A ReferenceAdapter is an adapter in memory with the image encoder that it looks at pictures with. Immutable
// after loading, so generations share it, and adapters share an encoder; refers to its backend, which must
// outlive it; used by one thread at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/cancel_token.h"
#include "image/image.h"
#include "models/clip_vision_model.h"
#include "models/ip_adapter.h"
#include "ops/context.h"

namespace sdxl {

// A CLIP vision encoder in memory.
struct ImageEncoder {
    std::filesystem::path path;  // of its weights
    DType compute = DType::kF32;
    std::uint64_t weight_bytes = 0;  // in the file
    ClipVisionModel model;
};

class ReferenceAdapter {
  public:
    ReferenceAdapter(const Context& ctx, std::filesystem::path path, IpAdapter network,
                     std::shared_ptr<const ImageEncoder> encoder, std::uint64_t weight_bytes);

    const std::filesystem::path& path() const { return path_; }
    const std::shared_ptr<const ImageEncoder>& encoder() const { return encoder_; }
    std::uint64_t weight_bytes() const { return weight_bytes_; }  // in its file, without the encoder
    // Whether it was made for such a UNet.
    bool fits(const UNetConfig& unet) const;

    // Tokens of the pictures, one behind the other, [tokens of all, channels]; and what stands in their place
    // for the negative prompt. `ctx` lends its backend, token and trace; the element type is the adapter's
    // own.
    std::vector<float> tokens(const Context& ctx, std::span<const std::shared_ptr<const Image>> images) const;
    std::vector<float> negative_tokens(std::size_t images) const;

    // tokens [N, L, channels] -> for UNetConditioning::images, in the context's element type.
    std::vector<Tensor> project(const Context& ctx, std::span<const float> tokens, std::int64_t batch) const;

  private:
    std::vector<float> look(const Context& ctx,
                            std::span<const float> pixels) const;  // tokens of one picture
    Context own(const Context& ctx) const { return {ctx.backend, encoder_->compute, ctx.cancel, ctx.trace}; }

    std::filesystem::path path_;
    IpAdapter network_;
    std::shared_ptr<const ImageEncoder> encoder_;
    std::uint64_t weight_bytes_;
    std::vector<float> negative_;  // tokens of no picture
};

// One use of an adapter in a generation. Several uses, of one adapter or of several, add up; several pictures
// of one use are seen together.
struct Reference {
    std::shared_ptr<const ReferenceAdapter> adapter;
    std::vector<std::shared_ptr<const Image>> images;
    double weight = 1;  // 0: it is not there
    double start = 0;   // the part of the calls in which it counts, as guidance_start and guidance_end
    double end = 1;
};

struct ReferenceFiles {
    std::filesystem::path adapter;
    // Empty: looked for where the authors' repository has it, beside the adapter. The first that gives what
    // the adapter takes is used: "image_encoder", "models/image_encoder" and "sdxl_models/image_encoder", in
    // the adapter's folder and in the one above.
    std::filesystem::path encoder;
};

// For a UNet of that configuration. An encoder that one of `loaded` has from the same file in the same
// element type is shared. `warnings` gets what the files hold that is not used. Fails with kNotFound
// (adapter, encoder), kUnsupported (another file format, another kind of adapter), kInvalidModel (damaged,
// not an IP-Adapter, made for another model, an encoder that does not go with it), kCancelled or
// kDeadlineExceeded.
std::shared_ptr<const ReferenceAdapter> load_reference_adapter(
    const ReferenceFiles& files, const UNetConfig& unet, Backend& backend, DType compute,
    const CancelToken& cancel, std::vector<std::string>& warnings,
    std::span<const std::shared_ptr<const ReferenceAdapter>> loaded = {});

}  // namespace sdxl
